"""A store that answers that it has stored what it has lost or damaged, as disks and gateways do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from vallum_publisher.store import Listed, ObjectKind, ObjectStore, Stored

_T = TypeVar("_T")


class Slip(Enum):
    """What becomes of bytes that were accepted."""

    LOST = "nothing is stored"
    ALTERED = "one bit is another one"


@dataclass
class CarelessStore:
    """``ObjectStore`` over ``inner``: the next ``times`` writes to keys like ``pattern`` meet a ``slip``.

    ``reads`` names every key that was read, in order.
    """

    inner: ObjectStore
    slip: Slip = Slip.LOST
    pattern: str = ""
    times: int = 0
    reads: list[str] = field(default_factory=list)

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        self._write(key, data, lambda kept: self.inner.create(key, kept, kind), None)

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        return self._write(key, data, lambda kept: self.inner.replace(key, kept, kind, expected), "accepted")

    def get(self, key: str) -> Stored | None:
        self.reads.append(key)
        return self.inner.get(key)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        return self.inner.list(prefix)

    def probe(self) -> None:
        self.inner.probe()

    def _write(self, key: str, data: bytes, write: Callable[[bytes], _T], accepted: _T) -> _T:
        if not self.times or not re.fullmatch(self.pattern, key):
            return write(data)
        self.times -= 1
        if self.slip is Slip.LOST:
            return accepted
        return write(altered(data))


def altered(data: bytes) -> bytes:
    """The same bytes but one bit."""
    return data[:-1] + bytes([data[-1] ^ 1])
