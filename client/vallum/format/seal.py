"""Sealing a run's body: contexts, commitments, the run's key, the padded ciphertext (format.md §4.6, §8).

A run key is used once: it comes of the epoch key and 32 fresh random bytes in the run's header, so the
nonce is zero, and a run that was sealed is stored and uploaded again rather than sealed again. AES-GCM alone
commits to no key; the epoch's commitment in the signed head and the salt within the file that TUF hashes do.

Who may have an epoch key is :mod:`vallum.format.wrap`'s business; storing keys is left to the callers.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vallum.errors import ConfigError, FormatError, TrustError
from vallum.format import limits
from vallum.format.charter import split_stream
from vallum.format.columns import compress, pack, padme
from vallum.format.run import RUN_SALT_BYTES, Run, RunHeader, format_body, parse_body, parse_header
from vallum.format.section import Codec

KEY_BYTES = 32
TAG_BYTES = 16

_LAYER = "run.seal"
_LENGTH_BYTES = 4
_NONCE = bytes(12)
_HEADER_MOST = 5 + 5 * 10 + RUN_SALT_BYTES
"""Facts, five numbers of at most ten bytes, the salt."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Which epoch of which stream a key is for; bound into everything that is derived from the key.

    Attributes:
        uid: 16 bytes, from the charter.
        stream: ``<list>.<edition>``.
        generation, number: as in the charter and in the head.
    """

    uid: bytes
    stream: str
    generation: int
    number: int

    def context(self, label: str) -> bytes:
        """``ctx`` of format.md §8.1: canonical msgpack of ``[label, uid, stream, generation, epoch]``."""
        return pack([label, self.uid, self.stream, self.generation, self.number])


def commit_epoch(epoch: Epoch, key: bytes) -> str:
    """The epoch key's commitment, 64 hex digits: what the head lists."""
    return _commit(key, epoch.context("epoch"))


def commit_pepper(epoch: Epoch, pepper: bytes) -> str:
    """The pepper's commitment, 64 hex digits: what the charter holds.

    A pepper is the list's: both editions and all epochs of a generation have this one commitment.
    """
    name, _ = split_stream(epoch.stream)
    return _commit(pepper, pack(["pepper", epoch.uid, name, epoch.generation]))


def check_epoch_key(epoch: Epoch, key: bytes, commitment: str) -> None:
    """Require that ``key`` is the one that the head commits to, before it is used or stored.

    Raises:
        TrustError: another key; the publisher sent this recipient what others do not have.
    """
    _check("epoch key", commit_epoch(epoch, key), commitment, "head")


def check_pepper(epoch: Epoch, pepper: bytes, commitment: str) -> None:
    """Require that ``pepper`` is the one that the charter commits to: a wrong one would match nothing.

    Raises:
        TrustError: another pepper.
    """
    _check("pepper", commit_pepper(epoch, pepper), commitment, "charter")


def run_key(epoch: Epoch, key: bytes, header: RunHeader) -> bytes:
    """The key of one run: HKDF-SHA-256 of the epoch key, the run's salt and its versions (format.md §8.3)."""
    info = epoch.context("run") + header.start.to_bytes(8) + header.end.to_bytes(8)
    return HKDF(SHA256(), KEY_BYTES, header.salt, info).derive(key)


def seal_run(
    codec: Codec,
    run: Run,
    epoch: Epoch,
    key: bytes,
    level: int = 19,
    draw: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Write a run of a list that only its recipients may read.

    Args:
        codec: of the stream.
        run: what to write; ``raw_max`` and ``salt`` of its header are made here.
        epoch: the epoch that the run belongs to.
        key: its key, 32 bytes.
        level: zstd's.
        draw: makes random bytes. Each call makes another file: keep what this returns and never seal the same
            run twice for a retry. Anything but the default is for test vectors.

    Raises:
        ConfigError: the run is of another generation or epoch, or ``key`` is none.
        FormatError: the run is larger than any client takes.
    """
    if len(key) != KEY_BYTES:
        raise ConfigError(f"an epoch key has {KEY_BYTES} bytes")
    if (run.header.generation, run.header.epoch) != (epoch.generation, epoch.number):
        raise ConfigError("the run is of another generation or epoch than the key it is to be sealed with")
    raw = format_body(codec, run.table_salt, run.sections)
    if len(raw) > limits.RAW:
        raise FormatError("run.body", f"a body of {len(raw)} bytes is larger than {limits.RAW}")
    header = replace(run.header, raw_max=padme(len(raw)), salt=draw(RUN_SALT_BYTES))
    frame = compress(raw, level)
    del raw
    whole = padme(_LENGTH_BYTES + len(frame) + TAG_BYTES) - TAG_BYTES
    body = len(frame).to_bytes(_LENGTH_BYTES) + frame + bytes(whole - _LENGTH_BYTES - len(frame))
    clear = header.format()
    sealed = AESGCM(run_key(epoch, key, header)).encrypt(_NONCE, body, clear)
    if len(clear) + len(sealed) > limits.RUN:
        raise FormatError(_LAYER, f"a run of {len(clear) + len(sealed)} bytes is larger than {limits.RUN}")
    return clear + sealed


def open_run(codec: Codec, data: bytes | memoryview[int], epoch: Epoch, key: bytes) -> Run:
    """Read a sealed run with its epoch's key, which has been checked against the head.

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
        body = AESGCM(run_key(epoch, key, header)).decrypt(_NONCE, sealed, data[:at])
    except InvalidTag:
        raise TrustError(
            "the run does not open with its epoch's key: it was sealed with another key, or for another "
            "list, edition or epoch",
            hint="call the publisher; the last good list stays in force",
        ) from None
    return parse_body(codec, header, _frame(body))


def _frame(body: bytes) -> memoryview[int]:
    """The zstd frame within a body whose padding is exactly what it must be."""
    length = int.from_bytes(body[:_LENGTH_BYTES])
    end = _LENGTH_BYTES + length
    if len(body) < end or len(body) + TAG_BYTES != padme(end + TAG_BYTES):
        raise FormatError(_LAYER, "the sealed body is not of the padded size")
    if any(memoryview(body)[end:]):
        raise FormatError(_LAYER, "the padding is not zero")
    return memoryview(body)[_LENGTH_BYTES:end]


def _commit(key: bytes, context: bytes) -> str:
    return hmac.new(key, context, sha256).hexdigest()


def _check(what: str, made: str, signed: str, where: str) -> None:
    if not hmac.compare_digest(made, signed):
        raise TrustError(
            f"the {what} is not the one that the {where} commits to",
            hint="call the publisher: what he sealed for this key is not what other recipients have",
        )
