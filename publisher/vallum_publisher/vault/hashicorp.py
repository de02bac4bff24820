"""A vault key in HashiCorp Vault or OpenBao: one read of the key-value engine, version 2.

Server and token come from the environment that Vault's own command line uses (``VAULT_ADDR``,
``VAULT_TOKEN``, ``VAULT_NAMESPACE``, ``VAULT_CACERT``). How a token got there (an agent, a person) is left to
the operator.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from vallum.errors import ConfigError, FetchError
from vallum_publisher.keys import AskPassphrase
from vallum_publisher.vault.sealing import parse_hex

_FIELD = "vault_key"
_FORM = "hv:MOUNT/data/PATH#FIELD, such as hv:secret/data/hotline#vault_key"
_MOST_BYTES = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A field of a secret; ``path`` is the API's, as policies spell it. See ``Place``."""

    path: str
    field: str

    @classmethod
    def at(cls, rest: str) -> KeyValue:
        """Read what follows the scheme: ``MOUNT/data/PATH#FIELD``.

        Raises:
            ConfigError: it does not read.
        """
        path, _, field = rest.partition("#")
        parts = path.split("/")
        if len(parts) < 3 or "data" not in parts[1:-1] or not all(part.strip(".") for part in parts):
            raise ConfigError("the vault key's address names no secret of Vault", hint=_FORM)
        return cls(path, field or _FIELD)

    def read(self, ask: AskPassphrase) -> bytes:
        """Ask Vault."""
        data = self._get()
        match data:
            case {"data": {"data": {**fields}}}:
                pass
            case _:
                raise ConfigError(
                    f"Vault: {self.path} is no secret of the key-value engine, version 2", hint=_FORM
                )
        value = fields.get(self.field)
        if not isinstance(value, str):
            raise ConfigError(f"Vault: {self.path} has no field {self.field}", hint=self._how_to_put_it())
        return parse_hex(value, f"field {self.field} of {self.path} in Vault")

    def make(self, passphrase: str | None) -> None:
        """The operator's: an identity that publishes should not be able to write there."""

    def _get(self) -> Any:
        address, token = os.environ.get("VAULT_ADDR", ""), os.environ.get("VAULT_TOKEN", "")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("$VAULT_ADDR does not say where Vault is", hint="VAULT_ADDR=https://vault:8200")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError("$VAULT_ADDR is not encrypted: token and key would be read on the way")
        if not token:
            raise ConfigError("$VAULT_TOKEN is not set", hint="a token that may read the secret")
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if namespace := os.environ.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = namespace
        url = f"{address.rstrip('/')}/v1/{quote(self.path)}"
        try:
            with urllib3.PoolManager(
                ca_certs=os.environ.get("VAULT_CACERT"), timeout=urllib3.Timeout(connect=5, read=15)
            ) as pool:
                # Never to where a redirect points: the token would go there.
                answer = pool.request(
                    "GET", url, headers=headers, redirect=False, retries=urllib3.Retry(2, backoff_factor=0.2)
                )
                status, body = answer.status, answer.data[:_MOST_BYTES]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(
                f"Vault cannot be reached: {type(error).__name__}", hint="check VAULT_ADDR and VAULT_CACERT"
            ) from None
        if status == 200:
            try:
                return json.loads(body)
            except ValueError:
                raise FetchError("what answers at $VAULT_ADDR is not Vault") from None
        raise self._refusal(status)

    def _refusal(self, status: int) -> ConfigError | FetchError:
        if status == 403:
            return ConfigError(
                f"Vault does not let this token read {self.path}",
                hint=f'renew VAULT_TOKEN; its policy needs path "{self.path}" {{ capabilities = ["read"] }}',
            )
        if status == 404:
            return ConfigError(f"Vault has no secret {self.path}", hint=self._how_to_put_it())
        if 300 <= status < 400:
            return ConfigError(
                "Vault sends us elsewhere, and tokens do not travel",
                hint="let VAULT_ADDR name the active node",
            )
        if status in (429, 472, 473) or status >= 500:
            return FetchError(f"Vault answers {status}: sealed, or not active", hint="unseal it, try again")
        return ConfigError(f"Vault answers {status}", hint=_FORM)

    def _how_to_put_it(self) -> str:
        mount, _, path = self.path.partition("/data/")
        return f"vault kv put -mount={mount} {path} {self.field}=$(openssl rand -hex 32)"
