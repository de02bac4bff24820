"""Epochs, and the commitments by which a wrong key or pepper shows before it is used (format.md §8.1, §8.2).

Pure, and without any cipher: who only looks things up checks his pepper here. Sealing is
:mod:`vallum.format.seal`'s business.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from vallum.errors import TrustError
from vallum.format.charter import split_stream
from vallum.format.columns import pack


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


def _commit(key: bytes, context: bytes) -> str:
    return hmac.new(key, context, sha256).hexdigest()


def _check(what: str, made: str, signed: str, where: str) -> None:
    if not hmac.compare_digest(made, signed):
        raise TrustError(
            f"the {what} is not the one that the {where} commits to",
            hint="call the publisher: what he sealed for this key is not what other recipients have",
        )
