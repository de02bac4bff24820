"""Secrets under a passphrase: scrypt and AES-256-GCM, for key files and backups.

Pure. A fresh salt makes another key each time, so the nonce is zero. ``context`` names what is locked, so
that one file cannot stand in for another that has the same passphrase.
"""

from __future__ import annotations

import secrets
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vallum.errors import InputError

COST = 17
"""Log2 of scrypt's N: 128 MiB and about a third of a second for each guess."""

_COSTS = range(10, 21)
_SALT_BYTES = 16
_NONCE = bytes(12)


def lock(secret: bytes, passphrase: str, context: bytes, cost: int = COST) -> bytes:
    """Encrypt ``secret``: one byte of cost, 16 of salt, ciphertext with its tag.

    Raises:
        InputError: the passphrase is empty.
    """
    if not passphrase:
        raise InputError("the passphrase is empty")
    head = bytes((cost,)) + secrets.token_bytes(_SALT_BYTES)
    return head + AESGCM(_key(passphrase, head)).encrypt(_NONCE, secret, context + head)


def unlock(locked: bytes, passphrase: str, context: bytes) -> bytes:
    """Undo :func:`lock`.

    Raises:
        InputError: wrong passphrase, another ``context``, or damaged.
    """
    head = locked[: 1 + _SALT_BYTES]
    if len(head) <= _SALT_BYTES or head[0] not in _COSTS:
        raise InputError("what is locked is cut short, or asks for a cost that nobody would")
    try:
        return AESGCM(_key(passphrase, head)).decrypt(_NONCE, locked[len(head) :], context + head)
    except InvalidTag:
        raise InputError("the passphrase is wrong, or the file is damaged") from None


def _key(passphrase: str, head: bytes) -> bytes:
    # One spelling of accented letters: keyboards and terminals differ. What was no UTF-8 in the
    # environment came as surrogates, and is the bytes again that stood there.
    text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    return Scrypt(salt=head[1:], length=32, n=1 << head[0], r=8, p=1).derive(text)
