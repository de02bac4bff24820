"""Table files of a state folder: all of a version or none, written durably, swept (client.md §7)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from vallum.access import FOLDER_MODE, table_mode
from vallum.durable import make_folder, os_errors, sync_folder, write_durable
from vallum.errors import DataError, StorageError
from vallum.format.head import Head
from vallum.format.table import Table
from vallum.sync.floor import FILE as FLOOR
from vallum.sync.floor import read_floor
from vallum.tablefile import open_table


def open_tables(state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]) -> dict[str, Table]:
    """Map all tables of a version, or none: a missing or damaged file counts as not held (client.md §5.1)."""
    try:
        return {name: open_table(state_dir / path, digests[name]) for name, path in files.items()}
    except (StorageError, DataError):
        return {}


class Proven:
    """Files that this process has checked, so that a poll costs a ``stat`` of each (client.md §10.2).

    A command that runs once checks them once; a long-lived process does so again with every full sync.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[str, int, int, int]] = {}
        self._floors: dict[Path, tuple[int, int, int, int, Mapping[str, Head]]] = {}

    def floor_stands(self, folder: Path, root: int, heads: Mapping[str, Head]) -> bool:
        """Say whether a floor is there, and not below what is in force; errors as of ``read_floor``."""
        try:
            status = (folder / FLOOR).stat()
        except OSError:
            return False
        mark = status.st_ino, status.st_size, status.st_mtime_ns, root, heads
        if self._floors.get(folder) != mark:
            floor = read_floor(folder)
            if floor != floor.raised(root, heads):
                return False
            self._floors[folder] = mark
        return True

    def stand(self, state_dir: Path, files: Mapping[str, Path], digests: Mapping[str, str]) -> bool:
        """Say whether all files are there and are the signed ones."""
        for name, path in files.items():
            try:
                status = (state_dir / path).stat()
            except OSError:
                return False
            mark = (digests[name], status.st_ino, status.st_size, status.st_mtime_ns)
            if self._seen.get(path) != mark:
                try:
                    open_table(state_dir / path, digests[name])
                except (StorageError, DataError):
                    return False
                self._seen[path] = mark
        return True


def write_tables(state_dir: Path, files: Mapping[str, Path], tables: Mapping[str, Table]) -> None:
    """Write tables under the names of their version; nothing refers to them yet. Raises ``StorageError``."""
    for name, path in files.items():
        make_folder((state_dir / path).parent, FOLDER_MODE)
        write_durable(state_dir / path, tables[name].chunks(), mode=table_mode(state_dir))


def sweep(state_dir: Path, keep: Iterable[Path]) -> None:
    """Remove what no version refers to, in the lists' folders of all sources.

    Mapped files live on in their readers; names that a reader may still be about to open are in ``keep``.

    Raises:
        StorageError: a file cannot be removed.
    """
    kept = {state_dir / path for path in keep}
    with os_errors(state_dir, "sweep"):
        folders = list(state_dir.glob("*/lists/*"))
    for folder in folders:
        with os_errors(folder, "sweep"):
            gone = [path for path in folder.iterdir() if path not in kept]
            for path in gone:
                path.unlink()
        if gone:
            sync_folder(folder)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder. Raises ``StorageError``."""
    size, pending = 0, [os.fspath(folder)]
    with os_errors(folder, "measure"):
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
    return size
