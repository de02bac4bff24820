"""What the publisher asks of an object store, in sentences; the backends are siblings of this file.

The order of publication rests on two promises only: a key is created once, and ``timestamp.json`` moves by
compare-and-swap. Readers never need a listing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from vallum.errors import ConfigError
from vallum_publisher.store.kinds import ObjectKind

MAX_OBJECT_BYTES = 1 << 30  # the largest run a client takes; nothing larger is written or read

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}", re.ASCII)
_MAX_KEY = 1000  # bytes; S3 allows 1,024 with the prefix


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as read: its bytes and the ``tag`` that names exactly this content to ``replace``."""

    data: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as listed, for ``gc``: ``size`` in bytes, ``modified`` by the store's clock, in UTC."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Named byte strings that stay.

    Keys are ``/``-separated segments of letters, digits, ``.``, ``_`` and ``-``; no segment begins with a
    dot, and no key is a folder of another. Objects hold 1 to 2³⁰ bytes. What cannot be meant (such a key,
    such a size, ``create`` of a mutable kind) raises ``ConfigError``, as do missing rights.

    When a call returns, its effect is durable and every later ``get``, by anyone, sees it.

    When a call raises ``UnavailableError`` (``FetchError`` or ``StorageError``, not ``ConflictError``), its
    effect may have happened or may still happen. The same call again is safe and settles it.

    Calls may come from several threads, and from several processes and machines.
    """

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        """Create ``key``. The same bytes already there are success; other bytes raise ``ConflictError``."""
        ...

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        """Put ``data`` in the place of the content tagged ``expected`` and return the new tag.

        ``None`` expects the key to be absent. If the key holds anything else, it is left alone and
        ``ConflictError`` raised, except that the very same bytes already there are success (an earlier try
        whose answer was lost). Of concurrent writers with one expectation exactly one succeeds. It may be
        told of a conflict all the same, if its answer was lost and another writer moved on from its bytes
        before it could look: so after a conflict read what is there, and whether it builds on one's own.
        """
        ...

    def get(self, key: str) -> Stored | None:
        """Read ``key``, whole; ``None`` if it is surely absent."""
        ...

    def delete(self, key: str) -> None:
        """Remove ``key``; absent is success. Unconditional, so never for what readers start from."""
        ...

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """All objects whose key begins with ``prefix``, in any order. For ``gc`` only."""
        ...

    def probe(self) -> None:
        """Prove on a throw-away object that the store keeps its promises; ``ConfigError`` if not."""
        ...


def check_write(key: str, data: bytes, kind: ObjectKind, *, moving: bool) -> None:
    """Raise ``ConfigError`` unless ``key``, the size of ``data`` and ``kind`` can be meant together."""
    check_key(key)
    if not 1 <= len(data) <= MAX_OBJECT_BYTES:
        raise ConfigError(f"{key}: an object holds 1 to {MAX_OBJECT_BYTES} bytes, not {len(data)}")
    if kind.mutable != moving:
        verb = "replace" if kind.mutable else "create"
        raise ConfigError(f"{key}: an object of kind {kind.name} is written by {verb} only")


def check_key(key: str) -> None:
    """Raise ``ConfigError`` unless ``key`` is one that every backend can hold."""
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise ConfigError(f"not a key of an object store: {key!r}")
