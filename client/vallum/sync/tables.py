"""Table files of a state folder: all of a version or none, written durably, swept (client.md §7)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from vallum.access import FILE_MODE, FOLDER_MODE, table_mode
from vallum.durable import clear_way, make_folder, os_errors, remove_all, sync_folder, write_durable
from vallum.errors import DataError, StorageError
from vallum.format.charter import Charter
from vallum.format.table import Table
from vallum.pepper import pepper_path, read_pepper
from vallum.regular import identity
from vallum.sync.floor import FILE as FLOOR
from vallum.sync.floor import Floor, read_floor
from vallum.tablefile import map_table, open_table

_Seen = tuple[str, tuple[int, int, int]]
"""The digest, or a pepper's commitment, that a file was found to have, and which file it was."""


def open_tables(state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]) -> dict[str, Table]:
    """Map all tables of a version, or none: a missing or damaged file counts as not held (client.md §5.1)."""
    try:
        return {name: open_table(state_dir / path, digests[name]) for name, path in files.items()}
    except (StorageError, DataError):
        return {}


class Proven:
    """Files that this process has checked, so that a poll costs a ``stat`` of each (client.md §10.2).

    A command that runs once checks them once; a long-lived process does so again with each hourly full sync
    (:meth:`doubt`). What it wrote itself it has hashed before.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, _Seen] = {}
        self._floors: dict[Path, tuple[tuple[int, int, int], Floor]] = {}

    def floor(self, folder: Path) -> Floor:
        """A source's floor, read again when the file is another one; errors as of ``read_floor``."""
        try:
            seen = identity(folder / FLOOR)
        except OSError:
            return read_floor(folder)
        known = self._floors.get(folder)
        if known is None or known[0] != seen:
            known = self._floors[folder] = seen, read_floor(folder)
        return known[1]

    def pepper(self, state_dir: Path, source: str, stream: str, charter: Charter) -> bool:
        """Say whether a list's pepper is there and is the right one; of a public list nothing has to be."""
        if charter.pepper is None:
            return True
        path = pepper_path(state_dir, source, stream, charter)
        return self._stands(path, charter.pepper, lambda: read_pepper(state_dir, source, stream, charter))

    def stand(self, state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]) -> bool:
        """Say whether all files are there and are the signed ones."""
        return all(
            self._stands(path, digest, partial(open_table, path, digest))
            for path, digest in ((state_dir / files[name], digests[name]) for name in files)
        )

    def open(
        self, state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]
    ) -> dict[str, Table]:
        """Map all tables of a version, or none (:func:`open_tables`); what stands is not hashed again."""
        if not self.stand(state_dir, files, digests):
            return {}
        try:
            return {name: map_table(state_dir / path) for name, path in files.items()}
        except (StorageError, DataError):
            return {}

    def written(self, state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]) -> None:
        """Remember files that were just written of bytes that had been hashed."""
        for name, path in files.items():
            if (seen := _see(state_dir / path, digests[name])) is not None:
                self._seen[state_dir / path] = seen

    def doubt(self) -> None:
        """Forget all: everything is to be hashed, and each floor to be read again."""
        self._seen.clear()
        self._floors.clear()

    def _stands(self, path: Path, digest: str, check: Callable[[], object]) -> bool:
        """Say whether a file is one that was found good, or that ``check`` finds good now."""
        seen = _see(path, digest)
        if seen is None:
            return False
        if self._seen.get(path) != seen:
            try:
                check()
            except (StorageError, DataError):
                return False
            self._seen[path] = seen
        return True


def _see(path: Path, digest: str) -> _Seen | None:
    try:
        return digest, identity(path)
    except OSError:
        return None


def write_version(
    state_dir: Path,
    files: Mapping[str, Path],
    tables: Mapping[str, Table],
    signed: Mapping[Path, bytes],
) -> None:
    """Write a version's tables and what was signed about it; nothing refers to them yet.

    Args:
        state_dir, files: where its tables shall lie, all in one folder; ``files`` are relative.
        tables: them.
        signed: other files of the same folder; relative, too.

    Raises:
        StorageError: the disk does not take them.
    """
    mode = table_mode(state_dir)
    [folder] = {(state_dir / path).parent for path in files.values()}
    make_folder(folder, FOLDER_MODE)
    for path, data in signed.items():
        clear_way(state_dir / path)
        write_durable(state_dir / path, [data], mode=FILE_MODE, sync=False)
    for name, path in files.items():
        clear_way(state_dir / path)
        write_durable(state_dir / path, tables[name].chunks(), mode=mode, sync=False)
    sync_version(folder)


def sync_version(folder: Path) -> None:
    """Make the names of a version's files durable, and that of their folder. Raises ``StorageError``.

    Whoever made either may have been killed before it was on disk.
    """
    sync_folder(folder)
    sync_folder(folder.parent)


def sweep(state_dir: Path, folders: Iterable[Path], keep: Iterable[Path]) -> None:
    """Remove what no version refers to, in lists' folders.

    Mapped files live on in their readers; names that a reader may still be about to open are in ``keep``.
    Nothing refers to what goes: a name that a power cut brings back goes with the next sweep.

    Args:
        state_dir, folders: where; ``folders`` and ``keep`` are relative to it.
        keep: what stays.

    Raises:
        StorageError: a file cannot be removed.
    """
    kept = set(map(os.fspath, keep))
    for relative in folders:
        folder = state_dir / relative
        with os_errors(folder, "sweep"), os.scandir(folder) as entries:
            gone = [entry.name for entry in entries if f"{relative}/{entry.name}" not in kept]
        remove_all(folder / name for name in gone)


def table_bytes(tables: Mapping[str, Table]) -> int:
    """How many bytes the files of a version's tables have."""
    return sum(memoryview(chunk).nbytes for table in tables.values() for chunk in table.chunks())


def folder_bytes(folder: Path, apart: Collection[str] = ()) -> int:
    """Bytes of all files below a folder, but for what lies ``apart`` in it. Raises ``StorageError``."""
    size, pending = 0, [os.fspath(folder)]
    left_out = {os.fspath(folder / name) for name in apart}
    with os_errors(folder, "measure"):
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.path in left_out:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
    return size
