"""Bringing verified versions into force: floors first, then one atomic replace (client.md §7).

A crash before the replace leaves everything as it was, one after it leaves files that nobody refers to; the
next sweep takes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vallum.durable import write_durable
from vallum.errors import FormatError, StorageError, UnavailableError
from vallum.state import FILE, Current, format_current, read_current
from vallum.sync.floor import read_floor, write_floor
from vallum.sync.follow import role_file
from vallum.sync.source import Staged
from vallum.sync.tables import FILE_MODE, sweep


def read_held(state_dir: Path) -> Current:
    """Read what is in force; nothing yet, or a torn file, counts as nothing (client.md §8.3).

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        return read_current(state_dir)
    except StorageError:
        raise
    except (UnavailableError, FormatError):
        return Current()


def activate(state_dir: Path, before: Current, staged: Iterable[Staged]) -> tuple[Current, list[Staged]]:
    """Bring sources into force together.

    Returns:
        What is in force now, and the sources as they came out: one whose floor could not be written failed.

    Raises:
        StorageError: ``current.json`` cannot be written; all stays as it was.
    """
    sources, done = dict(before.sources), []
    for item in staged:
        name = item.report.source
        try:
            if item.floor is not None and item.floor != read_floor(state_dir / name):
                write_floor(state_dir / name, item.floor)  # 7.3
        except StorageError as error:
            done.append(replace(item, report=replace(item.report, outcome="failed", error=error)))
            continue
        sources[name] = item.state
        done.append(item)
    after = Current(sources)
    if after != before:
        write_durable(state_dir / FILE, [format_current(after)], mode=FILE_MODE)  # 7.4
    return after, done


def tidy(state_dir: Path, before: Current, after: Current) -> None:
    """Remove files that neither the versions in force nor the ones before them refer to (client.md §7.5).

    A reader may have read the old ``current.json`` and not yet opened its tables.

    Raises:
        StorageError: a file cannot be removed.
    """
    keep: list[Path] = []
    for source, stream, state in (*before.streams(), *after.streams()):
        keep += state.files(source, stream).values()
        keep.append(role_file(source, stream, state.head))
    sweep(state_dir, keep)
