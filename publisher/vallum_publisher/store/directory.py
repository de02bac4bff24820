"""An object store in a folder: the embedded default, and what nginx serves.

A key is a path below the folder. Whoever serves the folder needs to know nothing of this file, except that
names that begin with a dot (the lock, writes under way) are none of a reader's business.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vallum.durable import make_folder, os_errors, sync_folder, write_durable
from vallum.errors import ConfigError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import probe
from vallum_publisher.store.kinds import ObjectKind
from vallum_publisher.store.protocol import MAX_OBJECT_BYTES, Listed, Stored, check_key, check_write


class DirectoryStore:
    """``ObjectStore`` in ``root``, which is created if absent. The tag is the SHA-256 of the content.

    Writers of one machine exclude each other by ``flock`` where they must: creations share the lock (a hard
    link is create-if-absent by itself), a swap holds it alone.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._scratch = self._root / ".incoming"
        make_folder(self._root)
        self._swept = False

    def __repr__(self) -> str:
        return f"DirectoryStore({str(self._root)!r})"

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        """See ``ObjectStore``."""
        check_write(key, data, kind, moving=False)
        path = self._path(key)
        self._sweep()
        make_folder(path.parent)
        with self._lock(fcntl.LOCK_SH):
            if write_durable(path, [data], exclusive=True, scratch=self._scratch):
                return
            if self._read(path) != data:
                raise ConflictError(key, "already there with other bytes")
            sync_folder(path.parent)  # whoever wrote it may not have come so far

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        """See ``ObjectStore``."""
        check_write(key, data, kind, moving=True)
        path = self._path(key)
        self._sweep()
        make_folder(path.parent)
        with self._lock(fcntl.LOCK_EX):
            present = self._read(path)
            if present == data:
                sync_folder(path.parent)
            elif (None if present is None else _tag(present)) == expected:
                write_durable(path, [data], scratch=self._scratch)
            else:
                raise ConflictError(key, "another writer was here first")
        return _tag(data)

    def get(self, key: str) -> Stored | None:
        """See ``ObjectStore``."""
        check_key(key)
        data = self._read(self._path(key))
        return None if data is None else Stored(data, _tag(data))

    def delete(self, key: str) -> None:
        """See ``ObjectStore``."""
        check_key(key)
        path = self._path(key)
        with os_errors(path, "delete"), self._lock(fcntl.LOCK_EX):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
        sync_folder(path.parent)

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """See ``ObjectStore``."""
        found: list[Listed] = []  # collected first: no error handling stays open while the caller works
        with os_errors(self._root, "list"):
            # Not from the root: metadata of 400 days is not walked for a list of runs.
            top = self._root / prefix.rpartition("/")[0]
            for folder, folders, names in os.walk(top, onerror=_raise) if top.is_dir() else ():
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    path = Path(folder, name)
                    key = path.relative_to(self._root).as_posix()
                    if name.startswith(".") or not key.startswith(prefix):
                        continue
                    try:
                        status = path.stat()
                    except FileNotFoundError:
                        continue  # another gc took it
                    found.append(Listed(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
        yield from found

    def probe(self) -> None:
        """See ``ObjectStore``."""
        probe.probe(self, f"the folder {self._root}")

    def _path(self, key: str) -> Path:
        return self._root / key

    def _read(self, path: Path) -> bytes | None:
        with os_errors(path, "read"):
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_OBJECT_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
        if len(data) > MAX_OBJECT_BYTES:
            raise ConfigError(f"{path}: larger than any object of a repository")
        return data

    @contextmanager
    def _lock(self, operation: int) -> Iterator[bool]:
        # One descriptor a call: flock belongs to it, so threads of one process exclude each other too.
        # Yields False only where LOCK_NB was asked for and somebody else holds the lock.
        path = self._root / ".lock"
        with os_errors(path, "lock"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            held = True
            with os_errors(path, "lock"):
                try:
                    fcntl.flock(descriptor, operation)
                except BlockingIOError:
                    held = False
            yield held
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        # What killed writers left, before the first write: who only reads needs no right to write. Nobody
        # writes while we hold the lock; if someone does, a later start sweeps.
        if self._swept:
            return
        self._swept = True
        make_folder(self._scratch)
        with self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB) as held, os_errors(self._scratch, "sweep"):
            for path in self._scratch.iterdir() if held else ():
                path.unlink()


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _raise(error: OSError) -> None:
    raise error
