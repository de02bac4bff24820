"""An object store in memory that asserts what a publisher must never do.

What the contract allows but no publication may ever want (a deleted key that returns, a key that changes
its kind, a root that is deleted) is an ``AssertionError`` here, so that every test that publishes is also a
test of that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from vallum_publisher.errors import ConflictError
from vallum_publisher.store import Listed, ObjectKind, Stored, probe
from vallum_publisher.store.kinds import PROBE, TIMESTAMP
from vallum_publisher.store.protocol import check_key, check_write


@dataclass(frozen=True)
class _Object:
    data: bytes
    tag: str
    kind: ObjectKind
    modified: datetime


class MemoryStore:
    """``ObjectStore`` in a dict. Set ``now`` to let time pass for what ``list`` shows."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self._objects: dict[str, _Object] = {}
        self._gone: dict[str, ObjectKind] = {}
        self._lock = threading.Lock()
        self._puts = 0

    def keys(self) -> list[str]:
        """All keys, sorted: what a test compares with the list that it expects."""
        return sorted(self._objects)

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        check_write(key, data, kind, moving=False)
        with self._lock:
            present = self._objects.get(key)
            if present is None:
                self._put(key, data, kind)
            elif present.data != data:
                raise ConflictError(key, "already there with other bytes")

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        check_write(key, data, kind, moving=True)
        with self._lock:
            present = self._objects.get(key)
            if present is not None and present.data == data:
                return present.tag
            if (None if present is None else present.tag) != expected:
                raise ConflictError(key, "another writer was here first")
            return self._put(key, data, kind)

    def get(self, key: str) -> Stored | None:
        check_key(key)
        present = self._objects.get(key)
        return None if present is None else Stored(present.data, present.tag)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            present = self._objects.pop(key, None)
            if present is not None:
                assert present.kind.removable, f"{key}: a {present.kind.name} is never deleted"
                self._gone[key] = present.kind

    def list(self, prefix: str = "") -> Iterator[Listed]:
        with self._lock:
            found = [
                Listed(key, len(present.data), present.modified)
                for key, present in self._objects.items()
                if key.startswith(prefix)
            ]
        yield from found

    def probe(self) -> None:
        probe.probe(self, "memory")

    def _put(self, key: str, data: bytes, kind: ObjectKind) -> str:
        folder = f"{key}/"
        for other in self._objects:
            assert not other.startswith(folder), f"{key} is already the folder of {other}"
            assert not key.startswith(f"{other}/"), f"{other} is already an object, not a folder for {key}"
        assert key.endswith("/timestamp.json") == (kind is TIMESTAMP), f"{key} is written as a {kind.name}"
        present = self._objects.get(key)
        assert present is None or present.kind is kind, f"{key} was written as another kind"
        assert key not in self._gone or kind.content_named or kind is PROBE, f"{key} returns from deletion"
        self._puts += 1
        self._objects[key] = _Object(data, f"put-{self._puts}", kind, self.now)
        return self._objects[key].tag
