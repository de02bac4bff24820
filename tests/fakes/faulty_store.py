"""A store that fails at one chosen write, in each way in which a write can fail.

It wraps any store, so that the same faults are injected in front of a fake and of a real server::

    for step, fault in itertools.product(range(writes_of_one_publication), Fault):
        inner = MemoryStore()
        with suppress(Killed, UnavailableError):
            publish(FaultyStore(inner, step, fault), ...)
        # readers of `inner` see one version, whole; then the next publish(inner, ...) recovers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from vallum.errors import FetchError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import Listed, ObjectKind, ObjectStore, Stored

_T = TypeVar("_T")


class Fault(Enum):
    """What happens at the chosen write, and what its caller learns of it."""

    NOT_STORED = "nothing is stored; an error is answered"
    STORED_BUT_ERROR = "it is stored; an error is answered"
    KILLED_BEFORE = "the process dies before the write"
    KILLED_AFTER = "the process dies after the write, before it can know"
    TIMED_OUT = "a time-out is answered; the write lands late, just before the store's next write"


class Killed(BaseException):
    """The process was killed here. Not an ``Exception``: nothing may catch it by accident."""


@dataclass(frozen=True)
class Write:
    """One writing call as it was made."""

    operation: str
    key: str
    kind: str
    size: int


class FaultyStore:
    """``ObjectStore`` over ``inner`` whose write number ``step`` (from 0; None: none) meets ``fault``.

    ``writes`` records every writing call that was made. After a kill each further call raises ``Killed``
    again without effect, for a dead process has no ``finally``.
    """

    def __init__(self, inner: ObjectStore, step: int | None = None, fault: Fault = Fault.NOT_STORED) -> None:
        self.writes: list[Write] = []
        self._inner = inner
        self._step = step
        self._fault = fault
        self._dead = False
        self._late: Callable[[], object] | None = None

    @property
    def met(self) -> bool:
        """Whether the chosen write was reached at all."""
        return self._step is not None and len(self.writes) > self._step

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        self._write(Write("create", key, kind.name, len(data)), lambda: self._inner.create(key, data, kind))

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        write = Write("replace", key, kind.name, len(data))
        return self._write(write, lambda: self._inner.replace(key, data, kind, expected))

    def delete(self, key: str) -> None:
        self._write(Write("delete", key, "", 0), lambda: self._inner.delete(key))

    def get(self, key: str) -> Stored | None:
        self._live()
        return self._inner.get(key)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        self._live()
        return self._inner.list(prefix)

    def probe(self) -> None:
        self._live()
        self._inner.probe()

    def _live(self) -> None:
        if self._dead:
            raise Killed

    def _write(self, write: Write, call: Callable[[], _T]) -> _T:
        self._live()
        late, self._late = self._late, None
        if late is not None:
            with suppress(ConflictError):  # what lands late may find that it lost
                late()
        self.writes.append(write)
        if len(self.writes) - 1 != self._step:
            return call()
        if self._fault is Fault.TIMED_OUT:
            self._late = call
        if self._fault in (Fault.STORED_BUT_ERROR, Fault.KILLED_AFTER):
            call()
        if self._fault in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER):
            self._dead = True
            raise Killed
        raise FetchError(f"{write.key}: {self._fault.value}")


class LateStore(FaultyStore):
    """``inner``, to which something of ``former``'s is on its way: it lands just before the first write."""

    def __init__(self, former: FaultyStore, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._late = former._late
