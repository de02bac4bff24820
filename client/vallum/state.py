"""``current.json``: which verified version of each list is in force on this machine (client.md §8).

One atomic replace of this file activates all lists of a sync together. What was signed is kept as it was
signed, and read back by the very parsers of the wire. Writing tables, floors and keys is
:mod:`vallum.sync`'s business; looking things up in the tables is :mod:`vallum.match`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vallum.digested import format_digested, parse_digested
from vallum.durable import os_errors
from vallum.errors import FormatError, UnavailableError
from vallum.failure import Failure, parse_failure
from vallum.format.charter import Charter, format_charter, is_list_name, parse_charter, split_stream
from vallum.format.fields import format_time, parse_time
from vallum.format.head import Head, format_head, parse_head
from vallum.guard import Window, format_window, parse_window
from vallum.regular import NotRegularError, read_bounded
from vallum.uptime import UNKNOWN, Uptime

FORMAT = 1
FILE = "current.json"
_LAYER = "current.json"
MAX_STRING = 1024
"""Characters of a string in it, such as the reason of a pin."""
_MAX_BYTES = 16 << 20
NEVER_SYNCED = (
    "a new machine: run `vallum sync`; one that had lists: restore floor.json first, see "
    "docs/how-to/bad-night.md"
)
"""The way out where nothing was verified yet: to sync without the floor of before would take any old list."""

_MEND = "run `vallum sync`: it recovers from a damaged state"


class NewerStateError(FormatError):
    """A newer release wrote the state folder: no damage that a sync may mend."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The operator holds a list at a version until a moment; ``up`` is the uptime when he said so."""

    since: datetime
    until: datetime
    reason: str
    up: Uptime = UNKNOWN


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream in force: what the offline keys and the list's keys said about it.

    Attributes:
        charter, head: what was signed.
        window: what was in force during the last week; ``None`` if nobody has looked yet.
        pin: why this version is in force and not the newest, if so.
    """

    charter: Charter
    head: Head
    window: Window | None = None
    pin: Pin | None = None

    def files(self, source: str, stream: str, folder_name: str = "lists") -> dict[str, Path]:
        """Table files by table name, relative to the state folder."""
        folder = Path(source, folder_name, stream)
        head = self.head
        return {
            name: folder / f"{head.generation}-{head.version}-{digest[:16]}.{name}"
            for name, digest in head.tables.items()
        }


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source as its last successful sync left it.

    Attributes:
        followed: streams that the configuration names, sorted.
        streams: those of them that are in force.
        verified_at: when a full run of the TUF workflow last succeeded; 1970 before the first.
        root_version: of the root that this run ended with; 0 before the first.
        expires: the earliest expiry of the metadata that this run loaded.
        timestamp_sha256, timestamp_etag: of the ``timestamp.json`` under which every followed list was
            activated, unchanged, quarantined or absent; empty when that does not hold.
        config: digest of the configuration, root file included, under which all this was verified.
        failed_days: on how many different days a sync failed since ``verified_at``.
        failed_on: the last of them, as a proleptic ordinal; 0 for none.
        failed_up: this machine's uptime when that day was counted.
        lifted: streams that are hard-expired and not enforced, because the operator's policy says so.
        failures: what the last sync failed with; empty if it did not (client.md §8.6).
    """

    followed: tuple[str, ...]
    streams: Mapping[str, StreamState]
    verified_at: datetime
    root_version: int
    expires: datetime
    timestamp_sha256: str = ""
    timestamp_etag: str = ""
    config: str = ""
    failed_days: int = 0
    failed_on: int = 0
    failed_up: Uptime = UNKNOWN
    lifted: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Current:
    """Everything in force, by source. ``sources`` is empty before the first sync."""

    sources: Mapping[str, SourceState] = field(default_factory=dict)

    def streams(self) -> Iterator[tuple[str, str, StreamState]]:
        """All streams in force as ``(source, stream, state)``."""
        for source, state in self.sources.items():
            for stream, stream_state in state.streams.items():
                yield source, stream, stream_state

    def names(self) -> list[str]:
        """What is in force, as ``source/stream``."""
        return [f"{source}/{stream}" for source, stream, _ in self.streams()]

    def missing(self) -> list[str]:
        """Followed streams with no verified version in any edition (client.md §1.4), as ``source/stream``."""
        there = {(source, split_stream(stream)[0]) for source, stream, _ in self.streams()}
        return [
            f"{source}/{stream}"
            for source, state in self.sources.items()
            for stream in state.followed
            if (source, split_stream(stream)[0]) not in there
        ]

    def lack(self) -> UnavailableError:
        """Of the lists that are :meth:`missing`, or of any if none is; and what the last sync failed with."""
        missing = self.missing()
        says = f"no verified version of {', '.join(missing) or 'any list'}"
        for source, stream in (name.split("/") for name in missing):
            for failure in self.sources[source].failures:
                if failure.stream in ("", stream):
                    return UnavailableError(f"{says}: {failure}", hint=failure.hint)
        return UnavailableError(says, hint="run `vallum sync` first")


def format_current(current: Current) -> bytes:
    """Encode as JSON, UTF-8, keys sorted; at its end the SHA-256 of what stands before (client.md §8.3)."""
    sources = {
        name: {
            "followed": list(source.followed),
            "streams": {stream: format_stream(state) for stream, state in source.streams.items()},
            "verified_at": format_time(source.verified_at),
            "root_version": source.root_version,
            "expires": format_time(source.expires),
            "timestamp_sha256": source.timestamp_sha256,
            "timestamp_etag": source.timestamp_etag,
            "config": source.config,
            "failed_days": source.failed_days,
            "failed_on": source.failed_on,
            "failed_up": [source.failed_up.boot, source.failed_up.seconds],
            "lifted": list(source.lifted),
            "failures": [failure.to_dict() for failure in source.failures],
        }
        for name, source in current.sources.items()
    }
    return format_digested({"format": FORMAT, "sources": sources})


def parse_current(data: bytes) -> Current:
    """Read what :func:`format_current` wrote.

    Raises:
        NewerStateError: a newer release wrote it.
        FormatError: torn or foreign, or a bit of it has turned.
    """
    raw = parse_digested(_LAYER, data, hint=_MEND)
    written = raw.get("format") if isinstance(raw, dict) else None
    if type(written) is int and written > FORMAT:
        raise NewerStateError(
            _LAYER,
            f"of format {written}, of which this release knows nothing: a newer one wrote this folder",
            hint="upgrade vallum, or give this release a state folder of its own; nothing was changed",
        )
    if not isinstance(raw, dict) or written != FORMAT or not isinstance(raw.get("sources"), dict):
        raise FormatError(_LAYER, "malformed", hint=_MEND)
    try:
        return Current({_source_name(name): _parse_source(source) for name, source in raw["sources"].items()})
    except FormatError as error:
        raise FormatError(_LAYER, str(error).removeprefix(f"{_LAYER}: "), hint=_MEND) from None


def read_current(state_dir: Path) -> Current:
    """Read the file of a state folder.

    Raises:
        UnavailableError: there is none yet.
        StorageError: it cannot be read.
        FormatError: as of :func:`parse_current`.
    """
    path = state_dir / FILE
    with os_errors(path, "read"):
        try:
            data = read_bounded(path, _MAX_BYTES, _LAYER, hint=_MEND)
        except FileNotFoundError:
            raise UnavailableError(
                f"{state_dir}: no list has been verified here yet", hint=NEVER_SYNCED
            ) from None
        except NotRegularError:
            raise FormatError(_LAYER, "damaged, not a regular file", hint=_MEND) from None
    return parse_current(data)


def format_stream(state: StreamState) -> dict[str, Any]:
    """Encode one stream as JSON values."""
    raw: dict[str, Any] = {"charter": format_charter(state.charter), "head": format_head(state.head)}
    if state.window is not None:
        raw["window"] = format_window(state.window)
    if state.pin is not None:
        since, until = format_time(state.pin.since), format_time(state.pin.until)
        up = [state.pin.up.boot, state.pin.up.seconds]
        raw["pin"] = {"since": since, "until": until, "reason": state.pin.reason, "up": up}
    return raw


def parse_stream(raw: object) -> StreamState:
    """Read what :func:`format_stream` made.

    Raises:
        FormatError: anything else.
    """
    if not isinstance(raw, dict):
        raise FormatError(_LAYER, "a list is not an object")
    return StreamState(
        parse_charter(raw.get("charter")),
        parse_head(raw.get("head")),
        parse_window(raw["window"]) if "window" in raw else None,
        _pin(raw["pin"]) if "pin" in raw else None,
    )


def _parse_source(raw: object) -> SourceState:
    if not isinstance(raw, dict):
        raise FormatError(_LAYER, "a source is not an object")
    followed, streams = raw.get("followed"), raw.get("streams")
    if not isinstance(followed, list) or not isinstance(streams, dict):
        raise FormatError(_LAYER, "a source's lists are malformed")
    lifted, failures = raw.get("lifted", []), raw.get("failures", [])
    if not isinstance(lifted, list) or not isinstance(failures, list):
        raise FormatError(_LAYER, "a source's lists are malformed")
    for stream in (*followed, *streams):
        if not isinstance(stream, str):
            raise FormatError(_LAYER, "a source's lists are malformed")
        split_stream(stream)
    return SourceState(
        followed=tuple(followed),
        streams={stream: parse_stream(state) for stream, state in streams.items()},
        verified_at=parse_time(_LAYER, raw.get("verified_at")),
        root_version=_integer(raw.get("root_version")),
        expires=parse_time(_LAYER, raw.get("expires")),
        timestamp_sha256=_hex(raw.get("timestamp_sha256")),
        timestamp_etag=_string(raw.get("timestamp_etag")),
        config=_hex(raw.get("config")),
        failed_days=_integer(raw.get("failed_days", 0)),
        failed_on=_integer(raw.get("failed_on", 0)),
        failed_up=_uptime(raw.get("failed_up", ["", 0])),
        lifted=tuple(map(_string, lifted)),
        failures=tuple(map(parse_failure, failures)),
    )


def _pin(raw: object) -> Pin:
    if not isinstance(raw, dict):
        raise FormatError(_LAYER, "a pin is not an object")
    since, until = (parse_time(_LAYER, raw.get(name)) for name in ("since", "until"))
    return Pin(since, until, _string(raw.get("reason")), _uptime(raw.get("up", ["", 0])))


def _uptime(raw: object) -> Uptime:
    if not isinstance(raw, list) or len(raw) != 2:
        raise FormatError(_LAYER, "an uptime is malformed")
    return Uptime(_string(raw[0]), _integer(raw[1]))


def _source_name(name: Any) -> str:
    # A source's name is a folder of the state: it must not lead out of it.
    if not isinstance(name, str) or not is_list_name(name):
        raise FormatError(_LAYER, "a source's name is malformed")
    return name


def _integer(value: object) -> int:
    if type(value) is not int or value < 0:
        raise FormatError(_LAYER, "a number is malformed")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_STRING or not value.isprintable():
        raise FormatError(_LAYER, "a string is malformed")
    return value


def _hex(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9a-f]{64})?", value):
        raise FormatError(_LAYER, "a digest is malformed")
    return value
