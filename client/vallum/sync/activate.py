"""Bringing verified versions into force: floors first, then one atomic replace (client.md §7).

A crash before the replace leaves everything as it was, one after it leaves files that nobody refers to; the
next sweep takes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from vallum.access import FILE_MODE
from vallum.allow import clear_leftovers
from vallum.config import Source
from vallum.durable import clear_way, os_errors, remove_files, temporaries, write_durable
from vallum.errors import FormatError, StorageError, UnavailableError
from vallum.journal import record_version
from vallum.pepper import forget_epochs
from vallum.state import (
    FILE,
    Current,
    NewerStateError,
    SourceState,
    StreamState,
    format_current,
    read_current,
)
from vallum.sync.errand import Staged
from vallum.sync.floor import Mark, write_floor
from vallum.sync.kept import (
    DAY,
    LEFT,
    keep,
    left_force,
    list_folders,
    read_kept,
    recover,
    refill,
    state_file,
    worth_keeping,
)
from vallum.sync.place import EVIDENCE, QUARANTINE, TRUST, role_file
from vallum.sync.tables import Proven, sweep


def read_held(state_dir: Path) -> Current:
    """Read what is in force; an absent or torn file is made again of the kept versions (client.md §1.3).

    Raises:
        NewerStateError: a newer release wrote it.
        StorageError: the file cannot be read.
    """
    try:
        return read_current(state_dir)
    except (StorageError, NewerStateError):
        raise
    except (UnavailableError, FormatError):
        return recover(state_dir)


def held_again(state_dir: Path, current: Current, source: Source, proven: Proven) -> SourceState | None:
    """What a sync of a source goes on from: what is in force of it, and what was and is followed again.

    A list that was out of the configuration for a while is no new one: its newest version that is whole on
    this disk is what the next one is judged beside (client.md §1.3).

    Raises:
        FormatError: the floor is damaged.
        StorageError: the state folder cannot be read.
    """
    held = current.sources.get(source.name)
    absent = [stream for stream in source.streams if held is None or stream not in held.streams]
    if not absent:
        return held
    floor = proven.floor(state_dir / source.name)
    again = [(source.name, stream) for stream in absent if stream in floor.streams]
    return refill(state_dir, current, again).sources.get(source.name) if again else held


def activate(
    state_dir: Path,
    before: Current,
    staged: Iterable[Staged],
    now: datetime,
    configured: Collection[str] | None = None,
) -> tuple[Current, list[Staged]]:
    """Bring sources into force together; others that are not ``configured`` any more leave it.

    Returns:
        What is in force now, and the sources as they came out: one whose floor could not be written failed.

    Raises:
        StorageError: ``current.json`` cannot be written; all stays as it was.
    """
    sources, done = dict(before.sources), []
    for item in staged:
        name = item.report.source
        try:
            if item.floor is not None and item.floor != item.below:
                write_floor(state_dir / name, item.floor)  # 7.3
        except StorageError as error:
            done.append(replace(item, report=replace(item.report, outcome="failed", error=error)))
            continue
        sources[name] = item.state
        done.append(item)
    if configured is not None and all(_stands(sources.get(name)) for name in configured):
        sources = {name: state for name, state in sources.items() if name in configured}
    after = Current(sources)
    if after != before:
        _account(state_dir, before, after, now)
        clear_way(state_dir / FILE)
        write_durable(state_dir / FILE, [format_current(after)], mode=FILE_MODE)  # 7.4
        # Not before: nobody shall go back to what never came into force. If it fails, `tidy` does it.
        with suppress(StorageError):
            keep(state_dir, _changed(before, after), now)
    return after, done


def _stands(source: SourceState | None) -> bool:
    """Whether a source may take the place of one that is configured no longer (client.md §1.4).

    It has something in force, or nothing of it was ever published.
    """
    return source is not None and bool(source.streams or not source.failures)


def _account(state_dir: Path, before: Current, after: Current, now: datetime) -> None:
    """Write down what is about to come into force, and what leaves it."""
    for name, source in after.sources.items():
        was = before.sources.get(name)
        for stream, state in source.streams.items():
            held = was.streams.get(stream) if was else None
            done = []
            if held is None or Mark.of(held.head) != Mark.of(state.head):
                done.append("activated")
            if held is not None and held.pin is not None and state.pin is None:
                done.append("pin ended")
            lifted = stream in source.lifted
            if lifted != (was is not None and stream in was.lifted):
                done.append("enforcement lifted" if lifted else "enforced again")
            for what in done:
                record_version(state_dir, now, what, name, stream, state.head)
    for name, stream, state in before.streams():
        if name not in after.sources or stream not in after.sources[name].streams:
            record_version(state_dir, now, LEFT, name, stream, state.head)


def tidy(state_dir: Path, before: Current, after: Current, now: datetime, *, whole: bool = True) -> None:
    """Remove files that no version refers to that is in force, was so before, or is kept (client.md §7.5).

    A reader may have read the old ``current.json`` and not yet opened its tables. Unless ``whole``, only the
    folders of lists that changed are looked into; else all, and what killed writers left goes with it: ours,
    and python-tuf's.

    Raises:
        StorageError: a file cannot be removed.
        BusyError: somebody writes allowances, and has for long.
    """
    streams = [*after.streams()] if whole else [*_changed(before, after)]
    about = {(source, stream) for source, stream, _ in streams}
    named = [item for item in before.streams() if whole or item[:2] in about] + streams
    keep(state_dir, named, now)
    # Not before `current.json` is written: if it cannot be, the version before still needs its keys.
    for source, stream, state in after.streams():
        if state.charter.pepper is not None:
            forget_epochs(state_dir, source, stream, state.head)
    folders = list_folders(state_dir) if whole else []
    for source, stream in {*about, *_lately_left(state_dir, folders, about, now)}:
        kept = worth_keeping(read_kept(state_dir, source, stream), now)
        named += [(source, stream, version.state) for version in kept]
    wanted: list[Path] = []
    for source, stream, state in named:
        wanted += state.files(source, stream).values()
        wanted += [role_file(source, stream, state.head), state_file(source, stream, state.head)]
    if not whole:
        sweep(state_dir, [Path(source, "lists", stream) for source, stream in about], wanted)
        return
    sweep(state_dir, [Path(source, "lists", stream) for source, stream in folders], wanted)
    remove_files(temporaries(state_dir, FILE))
    clear_leftovers(state_dir)
    for source in after.sources:
        folder = state_dir / source
        with os_errors(folder, "read"):
            aside = list(folder.glob(f"{QUARANTINE}/*"))
            foreign = [path for path in (folder / TRUST).glob("tmp*") if path.suffix != ".json"]
        for written in (folder, folder / "keys", folder / EVIDENCE, *aside):
            remove_files(temporaries(written))
        remove_files(foreign)


def _lately_left(
    state_dir: Path, folders: list[tuple[str, str]], in_force: Collection[tuple[str, str]], now: datetime
) -> list[tuple[str, str]]:
    """Lists that left force less than a day ago: a slip in the configuration takes no list (client.md §7.5).

    Raises:
        StorageError: the journal cannot be read.
    """
    out = [folder for folder in folders if folder not in in_force]
    left = left_force(state_dir) if out else {}
    return [folder for folder in out if folder in left and now - left[folder] < DAY]


def _changed(before: Current, after: Current) -> Iterator[tuple[str, str, StreamState]]:
    """What is in force now in another version than before."""
    was = {(source, stream): Mark.of(state.head) for source, stream, state in before.streams()}
    for source, stream, state in after.streams():
        if was.get((source, stream)) != Mark.of(state.head):
            yield source, stream, state
