"""Secrets that must be read and not only signed with, at rest: peppers, epoch keys, decoy seeds.

They lie in the catalog, so that all publishers of one catalog have them and a backup of it is whole; never in
clear, but each under the *vault key*, which is elsewhere: ``file:keys/vault.key`` in the publisher's folder
(0600, under a passphrase on demand), or ``env:NAME``, 64 hex digits that a service manager or KMS puts into
the environment. Whoever has catalog and vault key can read the lists; either alone tells nothing of them but
what the catalog's rows say.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vallum.durable import make_folder
from vallum.errors import ConfigError
from vallum.keyfile import is_locked, read_secret, write_secret
from vallum_publisher.keys import AskPassphrase

DEFAULT = "file:keys/vault.key"
KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK = "vallum-vault-key-1"
_WHAT = "aes-256-gcm"
_COMMENT = (
    "A Vallum publisher's vault key. With the catalog it opens every list: keep it secret, keep a copy."
)


class Vault:
    """Seals and opens secrets under one key; each is bound to its name."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, name: str, secret: bytes) -> bytes:
        """Encrypt a secret: nonce ‖ ciphertext ‖ tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Undo :meth:`seal`.

        Raises:
            ConfigError: sealed under another vault key or another name, or damaged.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise ConfigError(
                f"the secret {name} does not open with this vault key",
                hint="this catalog belongs to another vault key: restore the copy that you keep of it",
            ) from None


def open_vault(folder: Path, address: str, ask: AskPassphrase) -> Vault:
    """Open the vault key that ``address`` names.

    Raises:
        ConfigError: there is none, or it does not open.
        StorageError: it cannot be read.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "file":
        path = folder / rest
        if not path.exists():
            raise ConfigError(f"{path}: there is no vault key", hint="restore the copy that you keep of it")
        passphrase = ask(path.stem) if is_locked(path, _MARK) else ""
        what, key = read_secret(path, _MARK, passphrase)
        if what != _WHAT or len(key) != KEY_BYTES:
            raise ConfigError(f"{path}: a vault key of another kind", hint="upgrade vallum-publisher")
        return Vault(key)
    if scheme == "env":
        try:
            key = bytes.fromhex(os.environ.get(rest, ""))
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigError(f"${rest} does not hold a vault key", hint="64 hex digits")
        return Vault(key)
    raise ConfigError(f"a vault key cannot be at {scheme}:", hint="file:PATH or env:NAME")


def make_vault(folder: Path, address: str, passphrase: str | None) -> None:
    """Make the vault key where ``address`` says, unless it is there already.

    Raises:
        ConfigError, StorageError: the file cannot be written.
    """
    scheme, _, rest = address.partition(":")
    path = folder / rest
    if scheme == "file" and not path.exists():
        make_folder(path.parent, 0o700)
        write_secret(
            path,
            _MARK,
            _WHAT,
            secrets.token_bytes(KEY_BYTES),
            comment=_COMMENT,
            passphrase=passphrase or "",
        )
