"""Sealing and opening secrets under a vault key. Where that key comes from is :mod:`.places`' business."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vallum.errors import ConfigError

KEY_BYTES = 32
_NONCE_BYTES = 12


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
                hint="this catalog belongs to another vault key: is it what `vault` in publisher.toml names? "
                "Or else restore the copy that you keep of it",
            ) from None


def parse_hex(text: str, what: str, hint: str = "") -> bytes:
    """Read a vault key in 64 hexadecimal digits.

    Raises:
        ConfigError: ``what`` does not hold one; says nothing of what it holds.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{what} does not hold a vault key", hint=hint or "64 hexadecimal digits")
    return key
