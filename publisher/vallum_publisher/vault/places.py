"""Where a vault key may be: a small protocol, an implementation for each place, and addresses that name them.

::

    file:keys/vault.key                              in a file, 0600, under a passphrase on demand
    env:VALLUM_VAULT                                 in the environment: a service manager puts it there
    awskms:keys/vault.kms?key=alias/vallum&region=…  in a file, encrypted; AWS KMS decrypts it
    hv:secret/data/hotline#vault_key                 in HashiCorp Vault or OpenBao, engine KV version 2

The address stands in ``publisher.toml``, the key never does, nor in any message. What is sealed under it is
:mod:`.sealing`'s business.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vallum.durable import make_folder
from vallum.errors import ConfigError
from vallum.keyfile import is_locked, read_secret, write_secret
from vallum_publisher.keys import AskPassphrase
from vallum_publisher.vault.sealing import KEY_BYTES, Vault, parse_hex

DEFAULT = "file:keys/vault.key"
_MARK = "vallum-vault-key-1"
_WHAT = "aes-256-gcm"
_COMMENT = (
    "A Vallum publisher's vault key. With the catalog it opens every list: keep it secret, keep a copy."
)
_HINT = "restore the copy that you keep of it; without one, see deploy/runbooks/lost-or-leaked-pepper.md"
# Whoever puts the key itself where its place belongs must not find it on the screen and in logs as well.
_KEY_LIKE = re.compile(r"[0-9A-Fa-f]{48}")
_SCHEME = re.compile(r"[a-z0-9]{1,10}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,38}|[A-Z_][A-Z0-9_]*")
_FORMS = "file:PATH, env:NAME, awskms:PATH?key=KEY, or hv:MOUNT/data/PATH#FIELD"


class KeyPlace(Protocol):
    """One place where a vault key can be."""

    def read(self, ask: AskPassphrase) -> bytes:
        """The key, 32 bytes.

        Raises:
            ConfigError: there is none, it does not open, or whoever keeps it does not give it to us.
            UnavailableError: it cannot be had now.
        """
        ...

    def make(self, passphrase: str | None) -> None:
        """Draw a key where there is none; does nothing where an operator has to put it.

        Raises:
            ConfigError, UnavailableError: it cannot be drawn or written.
        """
        ...


def open_vault(folder: Path, address: str, ask: AskPassphrase) -> Vault:
    """Open the vault whose key ``address`` names; errors as of :meth:`KeyPlace.read`."""
    return Vault(place_of(folder, address).read(ask))


def make_vault(folder: Path, address: str, passphrase: str | None) -> None:
    """Make the vault key where ``address`` says; errors as of :meth:`KeyPlace.make`."""
    place_of(folder, address).make(passphrase)


def place_of(folder: Path, address: str) -> KeyPlace:
    """Read an address; relative paths are below ``folder``.

    Raises:
        ConfigError: not such an address.
    """
    scheme, _, rest = address.partition(":")
    if _KEY_LIKE.search(address):
        raise ConfigError("the vault's address holds what looks like a key, not where one is", hint=_FORMS)
    if rest and scheme == "file":
        return _File(folder / rest)
    if rest and scheme == "env":
        if not _VARIABLE.fullmatch(rest):
            raise ConfigError(
                "the vault's address does not name a variable", hint="env:NAME, such as env:VALLUM_VAULT"
            )
        return _Environment(rest)
    # Only here: boto3 takes 0.3 s to load, and most publishers have a file.
    if rest and scheme == "awskms":
        from vallum_publisher.vault.aws_kms import AwsKms

        return AwsKms.at(folder, rest)
    if rest and scheme == "hv":
        from vallum_publisher.vault.hashicorp import KeyValue

        return KeyValue.at(rest)
    named = f"at {scheme}:" if rest and _SCHEME.fullmatch(scheme) else "where the address says"
    raise ConfigError(f"a vault key cannot be {named}", hint=_FORMS)


def file_of(folder: Path, address: str) -> Path | None:
    """The file that an address names, if it names one; for AWS KMS, the encrypted key."""
    scheme, _, rest = address.partition(":")
    if scheme == "awskms":
        rest = rest.partition("?")[0]
    return folder / rest if rest and scheme in ("file", "awskms") else None


@dataclass(frozen=True, slots=True)
class _File:
    path: Path

    def read(self, ask: AskPassphrase) -> bytes:
        path = self.path
        if not path.exists():
            raise ConfigError(f"{path}: there is no vault key", hint=_HINT)
        passphrase = ask(path.stem) if is_locked(path, _MARK, hint=_HINT) else ""
        what, key = read_secret(path, _MARK, passphrase, hint=_HINT)
        if what != _WHAT or len(key) != KEY_BYTES:
            raise ConfigError(f"{path}: a vault key of another kind", hint="upgrade vallum-publisher")
        return key

    def make(self, passphrase: str | None) -> None:
        if self.path.exists():
            return
        make_folder(self.path.parent, 0o700)
        key = secrets.token_bytes(KEY_BYTES)
        write_secret(self.path, _MARK, _WHAT, key, comment=_COMMENT, passphrase=passphrase or "")


@dataclass(frozen=True, slots=True)
class _Environment:
    name: str

    def read(self, ask: AskPassphrase) -> bytes:
        return parse_hex(os.environ.get(self.name, ""), f"${self.name}")

    def make(self, passphrase: str | None) -> None:
        """The operator's."""
