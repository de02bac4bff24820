"""The operator's levers on what is in force: accept or reject an absurd version, go back to an earlier one.

Each takes the state folder's lock, writes the journal before it acts, and needs no network. None of them
moves a check of trust: only what was verified here can come into force, and the floor never sinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from vallum.config import Config, Source
from vallum.errors import ConfigError, StateError
from vallum.format.charter import split_stream
from vallum.format.head import Head
from vallum.format.table import Table
from vallum.guard import Window
from vallum.journal import record_version
from vallum.lock import WAIT, exclusive
from vallum.pepper import read_pepper
from vallum.state import MAX_STRING, Current, Pin, SourceState, StreamState
from vallum.streams import resolve_stream
from vallum.sync.activate import activate, read_held
from vallum.sync.errand import Staged
from vallum.sync.floor import read_floor
from vallum.sync.judge import Judge, absurd, load_never_block
from vallum.sync.kept import PIN_STANDS, Kept, read_kept
from vallum.sync.place import role_file
from vallum.sync.quarantine import Quarantine, Quarantined, name_of
from vallum.sync.report import SourceReport
from vallum.sync.tables import open_tables, write_version
from vallum.uptime import UNKNOWN, Uptime


def find_stream(config: Config, name: str) -> tuple[Source, str]:
    """Resolve ``urls``, ``urls.match`` or ``source/urls`` to what the configuration follows.

    Raises:
        ConfigError: nothing, or more than one list, is named so.
    """
    sources = {source.name: source for source in config.sources}
    there = [(source.name, stream) for source in config.sources for stream in source.streams]
    source_name, stream = resolve_stream(name, there)
    return sources[source_name], stream


def accept(config: Config, name: str, version: str, reason: str, now: datetime, wait: float = WAIT) -> Head:
    """Bring the version in quarantine into force; the window of its limits starts anew.

    Args:
        config, name: which list (:func:`find_stream`).
        version: as :func:`~vallum.sync.quarantine.name_of` names it, its state included (client.md §6.7).
        reason: for the journal.
        now: this machine's clock.
        wait: seconds to wait for a sync that is under way.

    Raises:
        ConfigError: that version is not in quarantine.
        GuardError: it breaks an absolute, which no lever lifts.
        StateError: its bytes are gone or damaged.
        TrustError: the floor is above it.
        BusyError, StorageError: it did not happen.
    """
    source, stream = find_stream(config, name)
    state_dir = config.state
    with exclusive(state_dir, wait):
        current = read_held(state_dir)
        held = _held(current, source)
        quarantine, aside = _aside(config, source, stream, version)
        new = aside.state
        whole = quarantine.whole(stream, new)
        if whole is None:
            _put(config, current, source, _sync_whole(held), now)
            raise StateError(
                f"{stream}: version {version} is damaged in quarantine",
                hint="`vallum sync` fetches it anew while it is the newest; then accept it",
            )
        tables, role = whole
        judge = Judge(lambda: load_never_block(config.never_block), held.verified_at, now)
        pepper = read_pepper(state_dir, source.name, stream, new.charter)
        keyer = new.charter.codec(split_stream(stream)[1], pepper).keyer
        reasons = judge.absolutes(tables, keyer)
        if reasons:
            raise absurd(stream, new, reasons)
        floor = read_floor(state_dir / source.name).shipped(source.floor)
        floor.check_head(stream, new.head)
        record_version(state_dir, now, "quarantine accepted", source.name, stream, new.head, reason=reason)
        role_of = {role_file(source.name, stream, new.head): role}
        write_version(state_dir, new.files(source.name, stream), tables, role_of)
        state = _with(held, stream, replace(new, window=Window(_rows(tables)), pin=None))
        report = SourceReport(source.name, "synced")
        floor = floor.raised(held.root_version, {stream: new.head})
        _, [done] = activate(state_dir, current, [Staged(report, state, floor)], now)
        if done.report.error is not None:
            raise done.report.error
        quarantine.drop(stream)
    return new.head


def reject(config: Config, name: str, version: str, reason: str, now: datetime, wait: float = WAIT) -> Head:
    """Do not take the version in quarantine, whatever the limits will say, unless it is accepted later.

    Errors as of :func:`accept`.
    """
    source, stream = find_stream(config, name)
    with exclusive(config.state, wait):
        current = read_held(config.state)
        quarantine, aside = _aside(config, source, stream, version)
        if aside.rejected:
            raise ConfigError(
                f"{source.name}/{stream}: version {version} has been rejected already",
                hint="`vallum quarantine accept` takes it all the same",
            )
        record_version(
            config.state, now, "quarantine rejected", source.name, stream, aside.state.head, reason=reason
        )
        quarantine.reject(stream, aside, reason, now.replace(microsecond=0))
        held = _held(current, source)
        _put(config, current, source, _sync_whole(held), now)
    return aside.state.head


def pin(
    config: Config,
    name: str,
    version: str,
    until: datetime,
    reason: str,
    now: datetime,
    wait: float = WAIT,
    uptime: Uptime = UNKNOWN,
) -> Head:
    """Go back to a kept version and stay there until a moment.

    Args:
        config, name: which list (:func:`find_stream`).
        version: ``generation.version``, or its number alone if one generation is kept that has it.
        until: after ``now``.
        reason: for the journal and the status.
        now: this machine's clock.
        wait: seconds to wait for a sync that is under way.
        uptime: how long this machine has been on now; a clock that jumps then ends no pin.

    Raises:
        ConfigError: that version is not kept here, or is ambiguous, or ``until`` is not in the future.
        StateError: its bytes are damaged.
        BusyError, StorageError: it did not happen.
    """
    source, stream = find_stream(config, name)
    if until <= now:
        raise ConfigError("the end of a pin lies in the past", hint="such as --until 2h, or a date to come")
    if len(reason) > MAX_STRING or not reason.isprintable():
        raise ConfigError(f"the reason is not one line of at most {MAX_STRING} characters")
    with exclusive(config.state, wait):
        current = read_held(config.state)
        held = _held(current, source)
        kept = _kept(config, source, stream, version)
        head = kept.state.head
        tables = open_tables(config.state, kept.state.files(source.name, stream), head.tables)
        if not tables:
            raise StateError(f"{stream}: the tables of version {version} are damaged", hint="pin another one")
        end = until.isoformat()
        record_version(config.state, now, "pinned", source.name, stream, head, until=end, reason=reason)
        state = replace(kept.state, window=Window(_rows(tables)), pin=Pin(now, until, reason, uptime))
        _put(config, current, source, _with(held, stream, state), now)
        # 7.7: only this line makes a pin of it for whoever recovers; above it may have come to nothing.
        record_version(config.state, now, PIN_STANDS, source.name, stream, head, until=end, reason=reason)
    return head


def unpin(config: Config, name: str, reason: str, now: datetime, wait: float = WAIT) -> Head:
    """End a pin now; the next sync brings the newest version. Errors as of :func:`pin`."""
    source, stream = find_stream(config, name)
    with exclusive(config.state, wait):
        current = read_held(config.state)
        held = _held(current, source)
        state = held.streams.get(stream)
        # One that has ended stands there until a sync brings something newer.
        if state is None or state.pin is None or state.pin.until <= now:
            raise ConfigError(
                f"{source.name}/{stream} is not pinned", hint="`vallum sync` brings the newest version"
            )
        record_version(config.state, now, "pin removed", source.name, stream, state.head, reason=reason)
        # Not `now`, which the store's clock may contradict: this end is the operator's, and no clock's.
        ended = replace(state, pin=replace(state.pin, until=state.pin.since))
        _put(config, current, source, _with(held, stream, ended), now)
    return state.head


def _kept(config: Config, source: Source, stream: str, version: str) -> Kept:
    """The kept version that ``generation.version`` names, or a version's number alone if only one has it."""
    kept = {one.state.head.number: one for one in read_kept(config.state, source.name, stream)}
    if version in kept:
        return kept[version]
    alike = [name for name in kept if name.partition(".")[2] == version]
    if len(alike) == 1:
        return kept[alike[0]]
    where = f"{source.name}/{stream}"
    if alike:
        raise ConfigError(
            f"{where}: {version} is ambiguous: {', '.join(alike)}", hint="name generation and version"
        )
    raise ConfigError(
        f"{where}: version {version} is not kept here", hint=f"kept: {', '.join(kept) or 'none'}"
    )


def _aside(config: Config, source: Source, stream: str, version: str) -> tuple[Quarantine, Quarantined]:
    quarantine = Quarantine(config.state, source.name)
    aside = quarantine.find(stream)
    where = f"{source.name}/{stream}"
    if aside is None:
        raise ConfigError(f"{where}: nothing is in quarantine")
    if version != name_of(aside.state.head):
        raise ConfigError(
            f"{where}: {version!r} does not name what is in quarantine",
            hint=f"`vallum quarantine show {where}` shows it, and its name",
        )
    return quarantine, aside


def _held(current: Current, source: Source) -> SourceState:
    held = current.sources.get(source.name)
    if held is None:
        raise ConfigError(f"nothing of {source.name} was ever verified here", hint="run `vallum sync` first")
    return held


def _with(held: SourceState, stream: str, state: StreamState) -> SourceState:
    return _sync_whole(replace(held, streams={**held.streams, stream: state}))


def _sync_whole(held: SourceState) -> SourceState:
    """Without a timestamp on record the next sync is a full one."""
    return replace(held, timestamp_sha256="", timestamp_etag="")


def _put(config: Config, current: Current, source: Source, state: SourceState, now: datetime) -> None:
    activate(config.state, current, [Staged(SourceReport(source.name, "synced"), state)], now)


def _rows(tables: Mapping[str, Table]) -> int:
    return sum(len(table.rows) for table in tables.values())
