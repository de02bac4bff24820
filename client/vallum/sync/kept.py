"""Earlier versions that stay on disk, so that an operator can go back to one (client.md §7.6).

Beside the tables of each version in force lies what was signed about it. How many stay is bounded, however
often a list changes: the two before the newest, the oldest of the last hour and of the last day, and the
newest that is older: there is always one from yesterday.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from vallum.access import FILE_MODE, FOLDER_MODE
from vallum.digested import format_digested, parse_digested
from vallum.durable import clear_way, make_folder, os_errors, write_durable
from vallum.errors import FormatError
from vallum.format.charter import is_list_name, is_stream
from vallum.format.fields import format_time, parse_time
from vallum.format.head import Head
from vallum.journal import read_journal
from vallum.regular import read_if_there, read_regular
from vallum.state import Current, Pin, StreamState, format_stream, parse_stream
from vallum.sync.errand import NOTHING
from vallum.sync.floor import FILE as FLOOR
from vallum.sync.floor import Mark
from vallum.sync.tables import open_tables

NEWEST = 3
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_SUFFIX = ".state.json"
_LAYER = "kept version"

PIN_STANDS, LEFT = "pin in force", "left force"
PIN_ENDS = ("pin removed", "pin ended", LEFT)
"""What the journal calls the acts that :func:`pinned` and :func:`left_force` read back."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One version on disk, and when it came into force here."""

    state: StreamState
    activated: datetime


def state_file(source: str, stream: str, head: Head) -> Path:
    """Where what was signed about a version is kept, relative to the state folder."""
    return Path(source, "lists", stream, f"{head.generation}-{head.version}-{head.state[:16]}{_SUFFIX}")


def keep(state_dir: Path, streams: Iterable[tuple[str, str, StreamState]], now: datetime) -> None:
    """Write what was signed about versions in force, where that is not what lies there (client.md §8.3).

    Of two entries of one version the last counts. Raises ``StorageError``.
    """
    wanted = {
        state_dir / state_file(source, stream, state.head): StreamState(state.charter, state.head)
        for source, stream, state in streams
    }
    for path, signed in wanted.items():
        with os_errors(path, "read"):
            data = read_if_there(path)
        there = _parse(data) if data is not None else None
        if there is not None and there.state == signed:
            continue
        activated = now if there is None else there.activated
        make_folder(path.parent, FOLDER_MODE)
        clear_way(path)
        raw = {"activated": format_time(activated), "stream": format_stream(signed)}
        write_durable(path, [format_digested(raw)], mode=FILE_MODE)


def read_kept(state_dir: Path, source: str, stream: str) -> list[Kept]:
    """All versions on disk, the newest first; damaged ones are left out.

    By generation and version, which are signed, not by when they came into force: the clock may have erred.
    """
    folder = state_dir / source / "lists" / stream
    with os_errors(folder, "read"):
        names = [path for path in folder.iterdir() if path.name.endswith(_SUFFIX)] if folder.is_dir() else []
        files = [read_regular(path) for path in names if path.is_file()]  # others are as good as damaged
    found = [kept for kept in map(_parse, files) if kept is not None]
    return sorted(found, key=_order, reverse=True)


@lru_cache(maxsize=64)
def _parse(data: bytes) -> Kept | None:
    """Read what :func:`keep` wrote; ``None`` if it is damaged. At each change the same few files are read."""
    try:
        raw = parse_digested(_LAYER, data)  # 8.3
        if isinstance(raw, dict):
            return Kept(parse_stream(raw.get("stream")), parse_time(_LAYER, raw.get("activated")))
    except FormatError:
        pass  # as if it were not there
    return None


def list_folders(state_dir: Path) -> list[tuple[str, str]]:
    """Source and list of each folder of versions that is ours.

    Others may keep folders of the same shape beside them, such as a copy (client.md §1.3): a source has a
    source's name, and a floor. Raises ``StorageError``.
    """
    with os_errors(state_dir, "read"):
        return [
            (floor.parent.name, folder.name)
            for floor in state_dir.glob(f"*/{FLOOR}")
            if is_list_name(floor.parent.name)
            for folder in (floor.parent / "lists").glob("*")
            if is_stream(folder.name) and folder.is_dir()
        ]


def recover(state_dir: Path) -> Current:
    """What was last in force, as far as whole versions are on this disk, pins included (client.md §1.3).

    Without it a damaged ``current.json`` would make a cold start of the next sync, which would take what is
    in quarantine. When it was verified is not known any more: it counts as stale until a sync succeeds.
    """
    return refill(state_dir, Current(), list_folders(state_dir))


def refill(state_dir: Path, current: Current, wanted: Iterable[tuple[str, str]]) -> Current:
    """What is in force, with the newest whole version on this disk of each source and list of ``wanted``.

    Raises:
        StorageError: the state folder cannot be read.
    """
    sources, pins = dict(current.sources), pinned(read_journal(state_dir))
    for source, stream in wanted:
        kept = _newest(state_dir, source, stream, pins)
        if kept is None:
            continue
        about = sources.get(source) or NOTHING
        if not about.root_version:  # never verified, as far as is known: it counts as that old
            followed = tuple(sorted({*about.followed, stream}))
            about = replace(about, followed=followed, verified_at=max(about.verified_at, kept.activated))
        sources[source] = replace(
            about, streams={**about.streams, stream: kept.state}, timestamp_sha256="", timestamp_etag=""
        )
    return Current(sources)


def _newest(
    state_dir: Path, source: str, stream: str, pins: Mapping[tuple[str, str], tuple[Mark, Pin]]
) -> Kept | None:
    """The pinned version, or the newest one, of those that are whole."""
    versions = read_kept(state_dir, source, stream)
    version, pin = pins.get((source, stream), (None, None))
    held = [
        replace(kept, state=replace(kept.state, pin=pin))
        for kept in versions
        if Mark.of(kept.state.head) == version
    ]
    for kept in (*held, *versions):
        if open_tables(state_dir, kept.state.files(source, stream), kept.state.head.tables):
            return kept
    return None


def left_force(state_dir: Path) -> dict[tuple[str, str], datetime]:
    """When each source and list that is not in force any more was last so. Raises ``StorageError``."""
    left: dict[tuple[str, str], datetime] = {}
    for line in read_journal(state_dir):
        if line.get("what") == LEFT:
            with suppress(FormatError):
                at = parse_time(_LAYER, line.get("at"))
                left[str(line.get("source")), str(line.get("list"))] = at
    return left


def pinned(journal: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[Mark, Pin]]:
    """What the journal says is pinned: by source and list, the version and the pin.

    It alone has that where ``current.json`` is lost; a line that says other than we write is passed over.
    A pin that was asked for and never came into force counts for nothing (client.md §7.7).
    """
    pins: dict[tuple[str, str], tuple[Mark, Pin]] = {}
    for line in journal:
        where = str(line.get("source")), str(line.get("list"))
        if line.get("what") in PIN_ENDS:
            pins.pop(where, None)
        if line.get("what") != PIN_STANDS:
            continue
        try:
            since, until = (datetime.fromisoformat(str(line.get(name))) for name in ("at", "until"))
        except ValueError:
            continue
        if since.tzinfo and until.tzinfo:
            # Whatever a damaged line has there: it is only compared.
            version = Mark(line.get("generation", 0), line.get("version", 0), line.get("state", ""))
            pins[where] = version, Pin(since, until, str(line.get("reason")))
    return pins


def worth_keeping(found: Iterable[Kept], now: datetime) -> list[Kept]:
    """Choose those that stay; ``found`` as of :func:`read_kept`."""
    ordered = list(found)
    # What came into force when the clock was ahead is of no known age, and stays only as one of the newest.
    within_hour = [kept for kept in ordered if timedelta(0) <= now - kept.activated < HOUR]
    within_day = [kept for kept in ordered if HOUR <= now - kept.activated < DAY]
    older = [kept for kept in ordered if now - kept.activated >= DAY]
    chosen = ordered[:NEWEST] + within_hour[-1:] + within_day[-1:] + older[:1]
    return [kept for kept in ordered if kept in chosen]


def _order(kept: Kept) -> tuple[int, int, datetime]:
    return kept.state.head.generation, kept.state.head.version, kept.activated
