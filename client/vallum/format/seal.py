"""Sealing a run's body: contexts, commitments, the run's key, the padded ciphertext (format.md §4.6, §8).

A run key is used for one body: it comes of the epoch key and of 32 bytes of salt in the run's header, so the
nonce is zero. AES-GCM alone commits to no key; the epoch's commitment in the signed head and the salt within
the file that TUF hashes do.

Who may have an epoch key is :mod:`vallum.format.wrap`'s business; storing keys is left to the callers.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vallum.errors import ConfigError, FormatError, TrustError
from vallum.format import limits
from vallum.format.columns import padme
from vallum.format.epoch import Epoch
from vallum.format.run import RUN_SALT_BYTES, Run, RunHeader, format_frame, parse_body, parse_header
from vallum.format.section import Codec

KEY_BYTES = 32
TAG_BYTES = 16

_LAYER = "run.seal"
_LENGTH_BYTES = 4
_NONCE = bytes(12)
_HEADER_MOST = 5 + 5 * 10 + RUN_SALT_BYTES
"""Facts, five numbers of at most ten bytes, the salt."""


def run_key(epoch: Epoch, key: bytes, header: RunHeader) -> bytes:
    """The key of one run: HKDF-SHA-256 of the epoch key, the run's salt and its versions (format.md §8.3)."""
    return HKDF(SHA256(), KEY_BYTES, header.salt, _context(epoch, "run", header)).derive(key)


def seal_run(
    codec: Codec,
    run: Run,
    epoch: Epoch,
    key: bytes,
    level: int = 19,
) -> bytes:
    """Write a run of a list that only its recipients may read.

    The salt is a keyed hash of the body (docs/adr/0007): sealing the same run again, after a crash or at
    another machine, gives the same file, and no two bodies ever share a key. To whoever has no key it is as
    good as random: the body holds the version's own random salt.

    Args:
        codec: of the stream.
        run: what to write; ``raw_max`` and ``salt`` of its header are made here.
        epoch: the epoch that the run belongs to.
        key: its key, 32 bytes.
        level: zstd's.

    Raises:
        ConfigError: the run is of another generation or epoch, or ``key`` is none.
        FormatError: the run is larger than any client takes.
    """
    if len(key) != KEY_BYTES:
        raise ConfigError(f"an epoch key has {KEY_BYTES} bytes")
    if (run.header.generation, run.header.epoch) != (epoch.generation, epoch.number):
        raise ConfigError("the run is of another generation or epoch than the key it is to be sealed with")
    frame, raw_max = format_frame(codec, run, level)
    whole = padme(_LENGTH_BYTES + len(frame) + TAG_BYTES) - TAG_BYTES
    body = len(frame).to_bytes(_LENGTH_BYTES) + frame + bytes(whole - _LENGTH_BYTES - len(frame))
    header = replace(run.header, raw_max=raw_max, salt=_salt(epoch, key, run.header, body))
    clear = header.format()
    sealed = AESGCM(run_key(epoch, key, header)).encrypt(_NONCE, body, clear)
    if len(clear) + len(sealed) > limits.RUN:
        raise FormatError(_LAYER, f"a run of {len(clear) + len(sealed)} bytes is larger than {limits.RUN}")
    return clear + sealed


def open_run(codec: Codec, data: bytes | memoryview[int], epoch: Epoch, key: bytes) -> Run:
    """Read a sealed run with its epoch's key, which has been checked against the head.

    A view is released once it is opened, as by :func:`vallum.format.run.parse_run`.

    Raises:
        TrustError: the run does not open: sealed with another key, for another list, edition or epoch, or
            changed since.
        FormatError: it opens and is malformed, or it is not sealed at all.
    """
    header, at = parse_header(bytes(data[:_HEADER_MOST]))
    if not header.salt:
        raise FormatError(_LAYER, "the run is not sealed, its list is not public")
    if (header.generation, header.epoch) != (epoch.generation, epoch.number):
        raise TrustError("the run says another generation or epoch than the head", hint="call the publisher")
    sealed = memoryview(data)[at:]
    try:
        frame = _frame(AESGCM(run_key(epoch, key, header)).decrypt(_NONCE, sealed, data[:at]))
    except InvalidTag:
        raise TrustError(
            "the run does not open with its epoch's key: it was sealed with another key, or for another "
            "list, edition or epoch",
            hint="call the publisher; the last good list stays in force",
        ) from None
    sealed.release()
    if isinstance(data, memoryview):
        data.release()
    return parse_body(codec, header, frame)


def _frame(body: bytes) -> memoryview[int]:
    """The zstd frame within a body whose padding is exactly what it must be."""
    length = int.from_bytes(body[:_LENGTH_BYTES])
    end = _LENGTH_BYTES + length
    if len(body) < end or len(body) + TAG_BYTES != padme(end + TAG_BYTES):
        raise FormatError(_LAYER, "the sealed body is not of the padded size")
    if any(memoryview(body)[end:]):
        raise FormatError(_LAYER, "the padding is not zero")
    return memoryview(body)[_LENGTH_BYTES:end]


def _salt(epoch: Epoch, key: bytes, header: RunHeader, body: bytes) -> bytes:
    return hmac.digest(key, _context(epoch, "salt", header) + sha256(body).digest(), sha256)


def _context(epoch: Epoch, label: str, header: RunHeader) -> bytes:
    return epoch.context(label) + header.start.to_bytes(8) + header.end.to_bytes(8)
