"""What the operator allows, whatever lists say: a page, a host, a host with all below it, or one entry.

It wins over every list of every source. It lies in a file of its own in the state folder, so that taking back
a wrong block waits for no sync; every process that matches re-checks that file once a second. Nothing here
reads a table: how a match is found is :mod:`vallum.match`'s. One allowance is :mod:`vallum.allowance`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from vallum.allowance import NOTHING, Allowance, Allowances, Kind, parse_subject, refuse_reach
from vallum.durable import os_errors, remove_files, temporaries, write_durable
from vallum.errors import ConfigError, FormatError, InputError, StorageError
from vallum.format.fields import parse_time
from vallum.journal import record
from vallum.lock import exclusive
from vallum.namedfile import read_names
from vallum.regular import NotRegularError, identity, parse_json, read_bounded

__all__ = [
    "FILE", "FORMAT", "LOCK", "NOTHING", "UNREAD",
    "AllowFile", "Allowance", "Allowances", "Kind",
    "add", "clear_leftovers", "parse_subject", "pending", "read_allowances", "read_file", "refuse_reach",
    "remove", "settle", "too_wide",
]  # fmt: skip

FILE = "allow.json"
LOCK = "allow.lock"
FORMAT = 1
_LAYER = "allow.json"
_ANEW = "restore it from your backup, or remove it and allow anew"
UNREAD = "what the operator allowed cannot be read, and lists apply to it again"
"""What is to be said of an error of :func:`read_allowances`."""

_MAX_BYTES = 64 << 20
_NEVER = datetime.min.replace(tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can say half of a character, UTF-8 cannot


class AllowFile:
    """The file as a reader sees it: read again when it changes, asked again when something in it ends.

    While it cannot be read, what it said before goes on, each part until its end (client.md §13.3).
    """

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir
        self._seen: tuple[int, int, int] | None = None
        self._entries: tuple[Allowance, ...] = ()
        self._now = NOTHING
        self._asked = _NEVER

    def look(self) -> None:
        """Read the file if it is another one.

        Raises:
            StorageError, FormatError: it cannot be read.
        """
        seen = _seen(self._dir / FILE)
        if seen != self._seen:
            self._entries = read_allowances(self._dir)
            self._seen, self._asked = seen, _NEVER

    def current(self) -> Allowances:
        """What is allowed now; the same object while that is the same."""
        now = datetime.now(UTC)  # noqa: TID251 - an allowance ends by the wall clock, in whoever matches
        if _NEVER < self._asked <= now and (self._now.ends is None or now < self._now.ends):
            return self._now
        # Also when the clock has gone back: what had ended by it has not ended any more.
        self._now, self._asked = Allowances.of(self._entries, now), now
        return self._now


def read_allowances(state_dir: Path) -> tuple[Allowance, ...]:
    """Read all that was allowed, ended ones included until :func:`settle` sweeps them.

    Raises:
        StorageError: the file cannot be read.
        FormatError: it is damaged.
    """
    path = state_dir / FILE
    with os_errors(path, "read"):
        try:
            return _parse_all(read_bounded(path, _MAX_BYTES, _LAYER))
        except FileNotFoundError:
            return ()
        except FormatError as error:
            # Whoever reads this has to find the file: the layer's name gives way to its path.
            reason = str(error).removeprefix(f"{_LAYER}: ")
            raise FormatError(str(path), reason, hint=_ANEW) from None
        except NotRegularError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}", hint=_ANEW) from None


def add(state_dir: Path, allowance: Allowance, now: datetime) -> None:
    """Allow something, in place of an earlier allowance of the same. Durable when it returns.

    Raises:
        BusyError, StorageError, FormatError: it is not allowed.
    """
    with exclusive(state_dir, name=LOCK):
        rest = [entry for entry in read_allowances(state_dir) if entry.handle != allowance.handle]
        _record(state_dir, now, "allowed", allowance)
        _write(state_dir, [*rest, allowance])


def remove(state_dir: Path, text: str, reason: str, now: datetime) -> Allowance:
    """Take an allowance back, named by its text or handle.

    Raises:
        ConfigError: there is none, or it stands in the operator's file.
        InputError, BusyError, StorageError, FormatError: as of :func:`parse_subject` and :func:`add`.
    """
    with exclusive(state_dir, name=LOCK):
        entries = read_allowances(state_dir)
        live = [entry for entry in entries if entry.lasts(now)]
        found = [entry for entry in live if text == entry.handle]
        if not found:
            subject = parse_subject(text)
            found = [entry for entry in live if subject == (entry.kind, entry.text)]
        if not found:
            raise ConfigError("there is no such allowance", hint="`vallum allow list` shows all")
        if found[0].until is None:
            raise ConfigError(
                "that allowance stands in the file `allow` of the configuration", hint="edit it"
            )
        _record(state_dir, now, "allowance removed", found[0], reason)
        _write(state_dir, [entry for entry in entries if entry not in found])
        return found[0]


def read_file(file: Path | None, now: datetime) -> list[Allowance]:
    """What the operator's file allows; it comes into force with the next sync.

    Raises:
        ConfigError: the file cannot be read, or a line is none of what :func:`parse_subject` takes.
    """
    found = []
    for number, text in read_names(file) if file else ():
        try:
            kind, form = parse_subject(text)
        except InputError as error:
            raise ConfigError(f"{file}: line {number}: {error}", hint=error.hint) from None
        found.append(Allowance(kind, form, now, None, f"line {number} of {file.name if file else ''}"))
    return found


def too_wide(file: Path | None, now: datetime) -> list[ConfigError]:
    """What is to be said of lines of the operator's file that :func:`refuse_reach` would not let in.

    They are in force all the same (client.md §8.8). Raises as of :func:`read_file`.
    """
    found = []
    for entry in read_file(file, now):
        try:
            refuse_reach(entry.kind, entry.text)
        except InputError as error:
            found.append(ConfigError(f"{file}: {entry.reason}: {error}", hint=error.hint))
    return found


def pending(state_dir: Path, file: Path | None, now: datetime) -> list[Allowance]:
    """What the operator's file says and no sync has taken over yet; errors as of both readers."""
    there = {(entry.kind, entry.text) for entry in read_allowances(state_dir) if entry.until is None}
    return [entry for entry in read_file(file, now) if (entry.kind, entry.text) not in there]


def settle(state_dir: Path, file: Path | None, now: datetime, signed: datetime) -> None:
    """Take over what the operator's file says now, and sweep what has ended; each sync begins with it.

    Swept is what has ended by this machine's clock and before ``signed``, the newest moment at which a
    publisher signed anything that is in force: a clock that was ahead for a while must not end anything for
    good (client.md §9.5). Nobody heeds what has ended, swept or not.

    Raises:
        ConfigError: as of :func:`read_file`; what it said before goes on.
        BusyError, StorageError, FormatError: as of :func:`add`.
    """
    entries = read_allowances(state_dir)
    wanted = {(entry.kind, entry.text): entry for entry in read_file(file, now)}
    kept = {(entry.kind, entry.text) for entry in entries if entry.until is None}
    ended = min(now, signed)
    if kept == wanted.keys() and all(entry.lasts(ended) for entry in entries):
        return
    with exclusive(state_dir, name=LOCK):
        own = [entry for entry in _swept(state_dir, now, ended) if entry.until is not None]
        if kept != wanted.keys():
            gone = len(kept - wanted.keys())
            details = {"entries": len(wanted), "new": len(wanted.keys() - kept), "gone": gone}
            record(state_dir, now, "allow file taken over", details)
        _write(state_dir, [*wanted.values(), *own])


def clear_leftovers(state_dir: Path) -> None:
    """Remove what a killed writer of this file left. Raises ``StorageError``, ``BusyError``."""
    if temporaries(state_dir, FILE):
        with exclusive(state_dir, name=LOCK):
            remove_files(temporaries(state_dir, FILE))


def _swept(state_dir: Path, now: datetime, ended: datetime) -> list[Allowance]:
    """What had not ended by then; what had is written into the journal."""
    live = []
    for entry in read_allowances(state_dir):
        if entry.lasts(ended):
            live.append(entry)
        else:
            _record(state_dir, now, "allowance ended", entry)
    return live


def _record(state_dir: Path, now: datetime, what: str, about: Allowance, reason: str = "") -> None:
    # Never the text: it is often the very entry of a list.
    record(state_dir, now, what, {**about.brief(), "reason": reason or about.reason})


def _write(state_dir: Path, entries: Sequence[Allowance]) -> None:
    raw = {"format": FORMAT, "allow": [entry.to_dict() for entry in entries]}
    write_durable(state_dir / FILE, [json.dumps(raw, indent=1).encode() + b"\n"], mode=0o640)


def _parse_all(data: bytes) -> tuple[Allowance, ...]:
    raw = parse_json(_LAYER, data)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("allow"), list):
        raise FormatError(_LAYER, "damaged, or of another release")
    return tuple(map(_parse, raw["allow"]))


def _parse(raw: object) -> Allowance:
    if not isinstance(raw, dict):
        raise FormatError(_LAYER, "an allowance is malformed")
    kind, text, reason, until = (raw.get(name) for name in ("kind", "text", "reason", "until"))
    if not isinstance(kind, str) or kind not in set(Kind):
        raise FormatError(_LAYER, "an allowance is of an unknown kind")
    if not isinstance(text, str) or not isinstance(reason, str) or _SURROGATE.search(text + reason):
        raise FormatError(_LAYER, "an allowance is malformed")
    return Allowance(
        Kind(kind),
        text,
        parse_time(_LAYER, raw.get("since")),
        None if until is None else parse_time(_LAYER, until),
        reason,
    )


def _seen(path: Path) -> tuple[int, int, int]:
    with os_errors(path, "look at"):
        try:
            return identity(path)
        except FileNotFoundError:
            return 0, 0, 0
