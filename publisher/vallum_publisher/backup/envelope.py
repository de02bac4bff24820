"""A stream of bytes, encrypted to recipients' keys or under a passphrase (docs/reference/backup.md §1).

::

    vallum-backup-1
    for <suite> <base64>         the file's key, sealed to one public key; a line for each
    passphrase <base64>          the same under a passphrase
    <empty line>
    <64 KiB and a tag> …         AES-256-GCM, the last one shorter and marked as such

A stream that is cut short, reordered or joined from two does not open. What the bytes mean is
:mod:`.archive`'s business.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vallum import passphrase as passphrases
from vallum.errors import ConfigError, FormatError, InputError, TrustError
from vallum.format.keypair import PrivateKey, PublicKey, Suite, decode_base64

MARK = b"vallum-backup-1"
CHUNK = 64 * 1024
_TAG = 16
_KEY_BYTES = 32
_MOST_HEADER = 64 * 1024
_LAYER = "backup"
_ANOTHER_COPY = "take another copy of it, or an older backup"


@dataclass(frozen=True, slots=True)
class Locks:
    """Who can open a file that is to be written: at least one of the two."""

    keys: tuple[PublicKey, ...] = ()
    passphrase: str = field(default="", repr=False)
    cost: int = passphrases.COST


def seal_stream(plain: Iterable[bytes], locks: Locks) -> Iterator[bytes]:
    """Encrypt a stream, in pieces of about 64 KiB; it may be of any length.

    Raises:
        ConfigError: nobody could open it.
    """
    if not locks.keys and not locks.passphrase:
        raise ConfigError(
            "nobody could open this backup", hint="--to FILE with a line of `vallum keygen`, or --passphrase"
        )
    secret = secrets.token_bytes(_KEY_BYTES)
    sealed = ((key.suite, key.seal(secret, MARK)) for key in locks.keys)
    lines = [MARK.decode(), *(f"for {suite} {b64encode(data).decode()}" for suite, data in sealed)]
    if locks.passphrase:
        locked = passphrases.lock(secret, locks.passphrase, MARK, locks.cost)
        lines.append(f"passphrase {b64encode(locked).decode()}")
    header = "".join(f"{line}\n" for line in [*lines, ""]).encode()
    yield header
    cipher, count = _cipher(secret, header), 0
    held = bytearray()
    for piece in plain:
        held += piece
        while len(held) > CHUNK:
            yield cipher.encrypt(_nonce(count, last=False), bytes(held[:CHUNK]), None)
            del held[:CHUNK]
            count += 1
    yield cipher.encrypt(_nonce(count, last=True), bytes(held), None)


def open_stream(file: BinaryIO, private: PrivateKey | None = None, passphrase: str = "") -> Iterator[bytes]:
    """Decrypt what :func:`seal_stream` wrote; what it yields before the end is not yet the whole.

    Raises:
        FormatError: no such file, or cut short.
        ConfigError: it does not open with this key or passphrase, or none was given.
        TrustError: its bytes were changed.
    """
    header = _read_header(file)
    cipher, count = _cipher(_unlock(header, private, passphrase), header), 0
    sealed = file.read(CHUNK + _TAG)
    while True:
        following = file.read(CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(count, last=not following), sealed, None)
        except (InvalidTag, ValueError):
            raise TrustError("the backup is damaged, or cut short", hint=_ANOTHER_COPY) from None
        if not following:
            return
        sealed, count = following, count + 1


def _read_header(file: BinaryIO) -> bytes:
    lines: list[bytes] = []
    size = 0
    while not lines or lines[-1] != b"\n":
        line = file.readline(_MOST_HEADER)
        size += len(line)
        # readline gives less than a line at the end of the file only, or of what it was allowed to read.
        ends = not line.endswith(b"\n") and len(line) < _MOST_HEADER
        if ends and (lines or (MARK + b"\n").startswith(line)):
            what = "it is cut short within its header" if size else "the file is empty"
            raise FormatError(_LAYER, what, hint=_ANOTHER_COPY)
        if not line.endswith(b"\n") or size > _MOST_HEADER or (not lines and line != MARK + b"\n"):
            raise FormatError(
                _LAYER,
                "not a backup, or of a form that this program does not know",
                hint="upgrade vallum-publisher if a newer one wrote it",
            )
        lines.append(line)
    return b"".join(lines)


def _unlock(header: bytes, private: PrivateKey | None, passphrase: str) -> bytes:
    """The file's key."""
    opens_with = set()
    for line in header.decode("ascii", "replace").splitlines()[1:-1]:
        match line.split(" "):
            case ["for", suite, encoded] if suite in set(Suite):
                opens_with.add("--key FILE")
                if private is not None and private.suite == suite:
                    try:
                        return private.open(decode_base64(encoded, "the backup's header"), MARK)
                    except TrustError:
                        continue  # for somebody else
            case ["passphrase", encoded]:
                opens_with.add("--passphrase")
                if passphrase:
                    return _unlock_said(decode_base64(encoded, "the backup's header"), passphrase)
            case _:
                raise FormatError(_LAYER, "the header has a line of an unknown kind")
    ways = " or ".join(sorted(opens_with)) or "nothing"
    if private is None and not passphrase:
        raise ConfigError("the backup is locked", hint=f"it opens with {ways}")
    if private is None:
        raise InputError("the backup was not locked with a passphrase", hint=f"it opens with {ways}")
    if "--key FILE" not in opens_with:
        raise InputError("the backup was not sealed to any key", hint=f"it opens with {ways}")
    raise InputError(
        "the backup was sealed to another key than this one",
        hint="`vallum keygen FILE --show` shows which key a file holds: it is the one of a line that "
        f"`backup --to` was given; the backup opens with {ways}",
    )


def _unlock_said(locked: bytes, passphrase: str) -> bytes:
    try:
        return passphrases.unlock(locked, passphrase, MARK)
    except InputError as error:
        raise InputError(
            f"the backup does not open: {error}",
            hint="it wants the passphrase that was chosen when it was made, which may be another than the "
            "keys'; if that is the one given, take another copy of the file",
        ) from None


def _cipher(secret: bytes, header: bytes) -> AESGCM:
    # The header is bound in: none of its lines can be dropped or put in unnoticed.
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, None, MARK + b"\n" + header).derive(secret))


def _nonce(count: int, *, last: bool) -> bytes:
    return count.to_bytes(11) + bytes((last,))
