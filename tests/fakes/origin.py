"""Where a repository's files lie, as clients reach it: an origin server in memory.

``objects`` are the bytes that the store holds, ``answers`` what it says in their place, ``requests`` what was
asked for. What the files say is :mod:`tests.fakes.repository`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from vallum.config import Source
from vallum.format.columns import compress
from vallum.sync.fetch import PACKED
from vallum.sync.transport import Answer, Transport


class Origin:
    """The fake. ``twins`` are packed metadata other than what would be made of ``objects``."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.twins: dict[str, bytes] = {}
        self.etags = False

    def flip(self, name: str, at: int = -1) -> None:
        """Turn one bit of an object."""
        data = bytearray(self.objects[name])
        data[at] ^= 1
        self.objects[name] = bytes(data)

    def packed(self, name: str) -> bytes:
        """Metadata as one zstd frame, as it goes over the wire."""
        return compress(self.objects[name], 19)

    def wire_size(self, name: str) -> int:
        """Bytes of an object as a client fetches it; 0 for what is not there."""
        if name not in self.objects:
            return 0
        whole = name.startswith("targets/") or name.endswith(("timestamp.json", "root.json"))
        return len(self.objects[name] if whole else self.packed(name))

    def connect(self, _source: Source) -> Transport:
        """What ``Updater(config, connect=...)`` takes."""
        return _Wire(self)

    def write_to(self, folder: Path) -> None:
        """Make a folder of it, as a directory store would; what readers start from comes last."""
        for name in sorted(self.objects, key="metadata/timestamp.json".__eq__):
            data = self.objects[name]
            path = folder / name
            if path.exists() and path.read_bytes() == data:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.wire_size(name) != len(data):
                path.with_name(path.name + PACKED).write_bytes(self.packed(name))
            beside = path.with_name(f".{path.name}")
            beside.write_bytes(data)
            beside.rename(path)


class _Wire:
    """An origin as a client reaches it. Asserts what a client must never ask for."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._closed = False

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        assert not self._closed
        assert name.startswith(("metadata/", "targets/")), name
        assert ".." not in name
        assert not name.endswith(".head"), "a head is never downloaded"
        if name.endswith(PACKED):
            return self._packed(name.removesuffix(PACKED))
        self._origin.requests.append(name)
        prepared = self._origin.answers.get(name)
        if prepared is not None:
            return prepared()
        data = self._origin.objects.get(name)
        if data is None:
            return Answer(404)
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"' if self._origin.etags else ""
        if etag and etag == tag:
            return Answer(304)
        return Answer(200, iter([data[:100], data[100:]]), etag=tag)

    def _packed(self, name: str) -> Answer:
        """The packed twin of metadata, made of what lies there, so that an attack needs to be staged once."""
        if name in self._origin.answers or name not in self._origin.objects:
            return Answer(404)
        self._origin.requests.append(name)
        return Answer(200, iter([self._origin.twins.get(name) or self._origin.packed(name)]))

    def close(self) -> None:
        self._closed = True
