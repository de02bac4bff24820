"""A vault key that AWS KMS wrapped: the ciphertext lies in a file, and only KMS can decrypt it.

The file holds base64 on one line, as the AWS command line prints it. What KMS is told (`EncryptionContext`)
binds the ciphertext to its purpose, so that a policy can let this identity decrypt this and nothing else.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3  # noqa: TID251 - KMS is spoken here, object storage in store/s3.py
from botocore.config import Config  # noqa: TID251 - as above
from botocore.exceptions import (  # noqa: TID251 - as above
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
)

from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import ConfigError, FetchError
from vallum.format.keypair import decode_base64
from vallum_publisher.keys import AskPassphrase
from vallum_publisher.vault.sealing import KEY_BYTES

CONTEXT = {"vallum": "vault-key"}
_FORM = "awskms:PATH?key=alias/NAME&region=NAME"
_MOST_BYTES = 16 * 1024
_REFUSALS = {
    "AccessDeniedException": "grant kms:Decrypt on the key; kms:GenerateDataKeyWithoutPlaintext makes one",
    "NotFoundException": "check key= and region= in the vault's address",
    "DisabledException": "enable the key in KMS again",
    "KMSInvalidStateException": "cancel the key's deletion, or enable it, in KMS",
    "InvalidCiphertextException": "the file is damaged or for something else: restore its copy",
    "IncorrectKeyException": "the file is under another key of KMS: check key= in the address",
    "UnrecognizedClientException": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidSignatureException": "check AWS_SECRET_ACCESS_KEY and the region",
    "ExpiredTokenException": "renew the credentials in the environment",
}

# At its debug level this one writes down whole answers, and an answer of Decrypt is the key.
logging.getLogger("botocore.parsers").addFilter(lambda record: record.levelno > logging.DEBUG)


@dataclass(frozen=True, slots=True)
class AwsKms:
    """The file with the ciphertext, and the key of KMS that decrypts it. See ``Place``."""

    path: Path
    key: str
    region: str | None
    endpoint: str | None

    @classmethod
    def at(cls, folder: Path, rest: str) -> AwsKms:
        """Read what follows the scheme: ``PATH?key=…&region=…&endpoint=…``.

        Raises:
            ConfigError: it does not read.
        """
        path, _, query = rest.partition("?")
        try:
            fields = dict(parse_qsl(query, strict_parsing=True))
        except ValueError:
            fields = {}
        unknown = fields.keys() - {"key", "region", "endpoint"}
        if unknown or not path or "key" not in fields:
            raise ConfigError(
                "the address of the vault key does not name a file and a key of KMS", hint=_FORM
            )
        return cls(folder / path, fields["key"], fields.get("region"), fields.get("endpoint"))

    def read(self, ask: AskPassphrase) -> bytes:
        """Have KMS decrypt the file."""
        if not self.path.exists():
            raise ConfigError(
                f"{self.path}: there is no encrypted vault key", hint="restore the copy that you keep of it"
            )
        with os_errors(self.path, "read"), self.path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii", "replace")
        sealed = decode_base64("".join(text.split()), str(self.path))
        if not sealed:
            raise ConfigError(f"{self.path}: empty", hint="restore the copy that you keep of it")
        answer = self._ask(
            lambda kms: kms.decrypt(CiphertextBlob=sealed, KeyId=self.key, EncryptionContext=CONTEXT)
        )
        key: bytes = answer["Plaintext"]
        if len(key) != KEY_BYTES:
            raise ConfigError(
                f"{self.path}: what KMS decrypted is no vault key", hint=f"a vault key has {KEY_BYTES} bytes"
            )
        return key

    def make(self, passphrase: str | None) -> None:
        """Have KMS draw a key that nobody sees yet, and keep the ciphertext."""
        if self.path.exists():
            return
        answer = self._ask(
            lambda kms: kms.generate_data_key_without_plaintext(
                KeyId=self.key, KeySpec="AES_256", EncryptionContext=CONTEXT
            )
        )
        make_folder(self.path.parent, 0o700)
        text = b64encode(answer["CiphertextBlob"]) + b"\n"
        write_durable(self.path, [text], mode=0o600, exclusive=True)

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        try:
            # boto3's types do not describe the clients that it makes at run time.
            client: Any = boto3.session.Session().client(
                "kms",
                region_name=self.region,
                endpoint_url=self.endpoint,
                config=Config(
                    connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3}
                ),
            )
            try:
                return call(client)
            finally:
                client.close()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "an error"))
            if (
                error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
                or "Throttl" in code
            ):
                raise FetchError(f"KMS did not answer: {code}", hint="try again") from None
            raise ConfigError(f"KMS refuses: {code}", hint=_REFUSALS.get(code, "")) from None
        except NoCredentialsError:
            raise ConfigError(
                "there are no credentials for KMS",
                hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            ) from None
        except (NoRegionError, ValueError):
            raise ConfigError(
                "the address of the vault key names no region or endpoint", hint=_FORM
            ) from None
        except BotoCoreError as error:
            # Its text may quote the request; its type says enough.
            raise FetchError(
                f"KMS cannot be reached: {type(error).__name__}", hint="check the network and endpoint="
            ) from None
