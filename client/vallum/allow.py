"""What the operator allows, whatever lists say: a page, a host, a host with all below it, or one entry.

It wins over every list of every source. It lies in a file of its own in the state folder, so that taking back
a wrong block waits for no sync; every process that matches re-checks that file once a second. Nothing here
reads a table: how a match is found is :mod:`vallum.match`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

from vallum.durable import os_errors, remove_files, temporaries, write_durable
from vallum.errors import ConfigError, FormatError, InputError, StorageError
from vallum.format.fields import format_time, parse_time
from vallum.host import host_form, is_public_suffix, suffixes
from vallum.journal import record
from vallum.lock import exclusive
from vallum.namedfile import read_names
from vallum.regular import NotRegularError, identity, parse_json, read_bounded
from vallum.url import Canonical, canonicalize, no_host

FILE = "allow.json"
LOCK = "allow.lock"
FORMAT = 1
_LAYER = "allow.json"
_ANEW = "restore it from your backup, or remove it and allow anew"
UNREAD = "what the operator allowed cannot be read, and lists apply to it again"
"""What is to be said of an error of :func:`read_allowances`."""

_MAX_BYTES = 64 << 20
_ID = re.compile(r"(?:[a-z0-9-]+/[a-z0-9.-]+[ :]+)?(?:id )?([0-9A-Fa-f]{16})")
_LIKE_ID = re.compile(r"(?=.*[0-9])[0-9A-Fa-f]{12,20}")
_HOST = re.compile(r"[^/?#\s]+")
_NEVER = datetime.min.replace(tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can say half of a character, UTF-8 cannot


class Kind(StrEnum):
    """What an allowance is about."""

    URL = "url"
    HOST = "host"
    NAMES = "names"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One thing that no list may block.

    Attributes:
        kind, text: the form of a URL; a host; a host with all names below it (``names``); an entry's id.
        since: when it was made.
        until: when it ends; ``None`` for what stands in the operator's file.
        reason: for people.
    """

    kind: Kind
    text: str = field(repr=False)
    since: datetime
    until: datetime | None
    reason: str

    @property
    def handle(self) -> str:
        """16 hex digits that name it where its text must not stand, such as in the journal."""
        return blake2b(f"{self.kind}|{self.text}".encode(), digest_size=8).hexdigest()

    def lasts(self, now: datetime) -> bool:
        """Whether it is in force now."""
        return self.until is None or now < self.until

    def covers(self, url: Canonical | None, ids: Collection[str]) -> bool:
        """Whether it lifts one of some entries, or whatever lists a URL."""
        if self.kind is Kind.ID:
            return self.text in ids
        if url is None:
            return False
        if self.kind is Kind.URL:
            return self.text == str(url)
        return self.text in (suffixes(url.host) if self.kind is Kind.NAMES else (url.host,))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.brief(), "text": self.text, "since": format_time(self.since)}

    def brief(self) -> dict[str, Any]:
        """As :meth:`to_dict`, where its text must not stand."""
        return {
            "handle": self.handle,
            "kind": str(self.kind),
            "until": format_time(self.until) if self.until else None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Allowances:
    """What is allowed at one moment, ready to be asked. Immutable.

    Attributes:
        ends: when the first of them ends, if any does.
    """

    urls: frozenset[str] = field(default=frozenset(), repr=False)
    hosts: frozenset[str] = field(default=frozenset(), repr=False)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    ids: frozenset[str] = frozenset()
    ends: datetime | None = None

    @staticmethod
    def of(entries: Iterable[Allowance], now: datetime) -> Allowances:
        """Those that are in force now."""
        live = [entry for entry in entries if entry.lasts(now)]
        if not live:
            return NOTHING
        texts = {kind: frozenset(entry.text for entry in live if entry.kind is kind) for kind in Kind}
        ends = [entry.until for entry in live if entry.until is not None]
        return Allowances(
            texts[Kind.URL], texts[Kind.HOST], texts[Kind.NAMES], texts[Kind.ID], min(ends, default=None)
        )

    def __bool__(self) -> bool:
        return bool(self.urls or self.hosts or self.names or self.ids)

    def covers(self, url: Canonical) -> bool:
        """Whether a URL may not be blocked, whatever lists it."""
        return (
            str(url) in self.urls
            or url.host in self.hosts
            or (bool(self.names) and not self.names.isdisjoint(suffixes(url.host)))
        )


NOTHING = Allowances()


def parse_subject(text: str) -> tuple[Kind, str]:
    """Read what is to be allowed: 16 hex digits are an id, ``*.host`` means all below it, too.

    An id may stand as look-ups show it, behind ``source/list``.

    Raises:
        InputError: none of these, or what looks like an id with a digit too many or too few.
    """
    text = text.strip()
    if named := _ID.fullmatch(text):
        return Kind.ID, named[1].lower()
    if _LIKE_ID.fullmatch(text):
        raise InputError(
            f"this looks like an id, and has {len(text)} digits",
            hint="an entry's id has 16, as `vallum check` shows it; a host is written with a dot",
        )
    if "/" in text:
        url = canonicalize(text)
        if url.host:
            return Kind.URL, str(url)
        raise no_host(text)
    names = text.startswith("*.")
    host = host_form(text[2:] if names else text) if _HOST.fullmatch(text) else ""
    if not host or "*" in host or host not in suffixes(host):
        raise InputError(
            "this is no URL, host or id that could be allowed",
            hint="such as https://www.example/page, www.example, *.example.com, or an entry's 16 hex digits",
        )
    return (Kind.NAMES if names else Kind.HOST), host


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


def refuse_reach(kind: Kind, text: str) -> None:
    """Refuse what would allow the names of strangers.

    Raises:
        InputError: a public suffix with all names below it.
    """
    if kind is Kind.NAMES and is_public_suffix(text):
        raise InputError(
            f"anybody can register names below {text}: no list could block any of them",
            hint="name the one that is meant, such as *.example.com, or a host",
        )


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
