"""What makes a version absurd: the limits and absolutes of DESIGN §9. Pure; both ends judge by it.

Real disasters are lists that are empty, cut in half or that match everything, signed by the right keys. The
publisher refuses to sign such a version and the client puts it into quarantine; what they do about it is
theirs. *Limits* compare a version with what was in force during the last seven days. *Absolutes* hold for
every version, whatever it is compared with.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from vallum.errors import FormatError
from vallum.expression import TAGS, URL_TAGS, Keyer, Scope
from vallum.format.rows import Rows
from vallum.format.table import Table
from vallum.host import is_public_suffix, private_range, suffixes
from vallum.suffix_names import suffix_names, wildcard_parents

WEEK = timedelta(days=7)
SPAN = timedelta(hours=3)
"""Activations this close together are remembered as one, so that a window stays small."""

FREE_ADDITIONS = 10_000
FREE_REMOVALS = 100
MOST_WEEKS = 3

PUBLIC_SUFFIXES = "rows are public suffixes"
PRIVATE = "rows are private addresses"
ON_NEVER_BLOCK = "rows cover names on the never-block list"
"""The absolutes, as reasons say them behind a scope."""

_WIDE = (Scope.HOST, Scope.DOMAIN)
_WIDE_CODES = frozenset(URL_TAGS[scope].code for scope in _WIDE)
_NEAR, _BLOCK, _LONGEST_BLOCK = 8, 64, 1 << 14
_SHOWN = 3
_LAYER = "window"


@dataclass(frozen=True, slots=True)
class Change:
    """A version against the one before it.

    Attributes:
        rows: it holds, in all tables.
        added: rows whose key the one before does not have; other labels are no addition.
        wide: ``host`` and ``domain`` rows among them; in ``match``, which cannot tell, the growth of their
            number.
    """

    rows: int
    added: int
    wide: int


@dataclass(frozen=True, slots=True)
class Span:
    """Activations that lie close together.

    Attributes:
        first, last: when, in seconds since 1970.
        largest: rows of the largest version.
        rows: of the last one.
        added, wide: sums of what they added.
    """

    first: int
    last: int
    largest: int
    rows: int
    added: int
    wide: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was in force during the last seven days.

    Attributes:
        start: rows in force at its start.
        spans: what came into force since, oldest first.
    """

    start: int
    spans: tuple[Span, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in force now."""
        return self.spans[-1].rows if self.spans else self.start

    @property
    def largest(self) -> int:
        """Rows of the largest version that was in force."""
        return max(self.start, *(span.largest for span in self.spans)) if self.spans else self.start

    @property
    def added(self) -> int:
        """Rows added since its start."""
        return sum(span.added for span in self.spans)

    @property
    def wide(self) -> int:
        """Wide rows added since its start."""
        return sum(span.wide for span in self.spans)

    def at(self, now: datetime, length: timedelta = WEEK) -> Window:
        """The window that ends now: what is older moves its start."""
        edge = now.timestamp() - length.total_seconds()
        gone = bisect_left(self.spans, edge, key=lambda span: span.last)
        return replace(self, start=self.spans[gone - 1].rows if gone else self.start, spans=self.spans[gone:])

    def then(self, now: datetime, change: Change, length: timedelta = WEEK) -> Window:
        """The window after a version has come into force now."""
        window, second = self.at(now, length), int(now.timestamp())
        span = Span(second, second, change.rows, change.rows, change.added, change.wide)
        last = window.spans[-1] if window.spans else None
        if last is None or second - last.first >= SPAN.total_seconds():
            return replace(window, spans=(*window.spans, span))
        merged = Span(
            last.first,
            max(last.last, second),
            max(last.largest, change.rows),
            change.rows,
            last.added + change.added,
            last.wide + change.wide,
        )
        return replace(window, spans=(*window.spans[:-1], merged))


def format_window(window: Window) -> list[Any]:
    """Write a window as JSON values."""
    return [window.start, *(list(astuple(span)) for span in window.spans)]


def parse_window(raw: object) -> Window:
    """Read what :func:`format_window` wrote.

    Raises:
        FormatError: anything else.
    """
    if not isinstance(raw, list) or not raw:
        raise FormatError(_LAYER, "not an array")
    for numbers in ([raw[0]], *raw[1:]):
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise FormatError(_LAYER, "a number is malformed")
    if any(len(numbers) != len(fields(Span)) for numbers in raw[1:]):
        raise FormatError(_LAYER, "a span is malformed")
    return Window(raw[0], tuple(Span(*numbers) for numbers in raw[1:]))


@dataclass(frozen=True, slots=True)
class NeverBlock:
    """Names that no ``host`` or ``domain`` row may cover, each with its line in the operator's file.

    Attributes:
        hosts: the names, as forms.
        domains: they and every name above them, whose ``domain`` rows would cover them.
    """

    hosts: Mapping[str, int] = field(default_factory=dict)
    domains: Mapping[str, int] = field(default_factory=dict)


def never_block(names: Iterable[tuple[int, str]]) -> NeverBlock:
    """Make both of hosts in their forms, behind the numbers of their lines; of several the first counts."""
    hosts: dict[str, int] = {}
    domains: dict[str, int] = {}
    for line, name in names:
        hosts.setdefault(name, line)
        for above in suffixes(name):
            domains.setdefault(above, line)
    return NeverBlock(hosts, domains)


def measure(before: Mapping[str, Table], after: Mapping[str, Table]) -> Change:
    """Compare the tables of two versions of a stream, of one generation."""
    added = wide = 0
    for name, table in after.items():
        held = before.get(name)
        fresh: Sequence[int] = range(len(table.rows)) if held is None else [*_fresh(held.rows, table.rows)]
        added += len(fresh)
        if held is None or table.rows.lengths is None:
            wide += max(0, wide_rows(table) - (wide_rows(held) if held else 0))
        elif wide_rows(table) and fresh:
            codes = _codes(table)
            wide += sum(codes[at] in _WIDE_CODES for at in fresh)
    return Change(sum(len(table.rows) for table in after.values()), added, wide)


def wide_rows(table: Table) -> int:
    """How many ``host`` and ``domain`` rows a table says it has."""
    return sum(count for code, count in table.counts if code in _WIDE_CODES)


def whole_weeks(since: datetime, now: datetime) -> int:
    """Whole weeks of an absence, as far as they count."""
    return max(0, min(MOST_WEEKS, (now - since) // WEEK))


def broken_limits(window: Window, change: Change, wide_per_week: int, weeks: int = 0) -> tuple[str, ...]:
    """Say which limits a version breaks, as reasons for people; empty if none.

    Args:
        window: what was in force (``Window.at``).
        change: the version against what is in force.
        wide_per_week: of the charter.
        weeks: whole weeks without a verified timestamp (:func:`whole_weeks`): they widen the limits, and the
            window starts anew.
    """
    factor = weeks + 1
    if weeks:
        window = Window(window.rows)
    # A half and less; times the absence in whole numbers, so that both ends round alike.
    least = -(-window.largest // 2 ** (weeks + 1)) - FREE_REMOVALS
    most = max(FREE_ADDITIONS, 2 * window.start) * factor
    reasons = []
    if change.rows < least:
        reasons.append(f"it has {change.rows:,} rows, where {window.largest:,} allow no fewer than {least:,}")
    if window.added + change.added > most:
        reasons.append(
            f"{window.added + change.added:,} rows would be added within a week to {window.start:,}, "
            f"at most {most:,} may be"
        )
    if window.wide + change.wide > wide_per_week * factor:
        reasons.append(
            f"{window.wide + change.wide:,} rows of whole hosts or domains would be added within a week, "
            f"the charter allows {wide_per_week * factor:,}"
        )
    return tuple(reasons)


def broken_absolutes(tables: Mapping[str, Table], keyer: Keyer, never: NeverBlock) -> tuple[str, ...]:
    """Say what a version holds that none may hold, as reasons for people; empty if nothing.

    Reasons name entries by their ids only, and names on the never-block list by their lines. Address ranges
    are checked where the text is there (``full``).
    """
    found: dict[str, list[str]] = {}
    for table in tables.values():
        if wide_rows(table):
            named = _in_text(table, never) if table.rows.lengths is not None else _by_key(table, keyer, never)
            for what, at, line in named:
                found.setdefault(what, []).append(covering(keyer.entry_id(table.rows.key(at)), line))
    return tuple(
        f"{len(ids):,} {what} (ids {', '.join(ids[:_SHOWN])}{', …' if len(ids) > _SHOWN else ''})"
        for what, ids in sorted(found.items())
    )


def covering(entry_id: str, line: int) -> str:
    """An entry's id, with the line of the never-block list that it covers, if it does one."""
    return f"{entry_id} for line {line}" if line else entry_id


def _in_text(table: Table, never: NeverBlock) -> Iterator[tuple[str, int, int]]:
    """Yield what no row may be, which row it is, and the line of the never-block list, or 0."""
    rows = table.rows
    starts = list(accumulate(rows.lengths or (), initial=0))
    suffix, parents = suffix_names(), wildcard_parents()
    for at, code in enumerate(_codes(table)):
        if code not in _WIDE_CODES:
            continue
        host = rows.values[starts[at] + 1 : starts[at + 1]].tobytes().decode("ascii")
        scope, above = TAGS[code].scope, host.partition(".")[2]
        # The sets answer for nearly all; the list itself knows the exceptions.
        if (not above or host in suffix or above in parents) and is_public_suffix(host):
            yield f"{scope} {PUBLIC_SUFFIXES}", at, 0
        elif private_range(host):
            yield f"{scope} {PRIVATE}", at, 0
        elif line := (never.hosts if scope is Scope.HOST else never.domains).get(host):
            yield f"{scope} {ON_NEVER_BLOCK}", at, line


def _by_key(table: Table, keyer: Keyer, never: NeverBlock) -> Iterator[tuple[str, int, int]]:
    """As :func:`_in_text`."""
    present = {code for code, _ in table.counts}
    for scope, names in ((Scope.HOST, never.hosts), (Scope.DOMAIN, never.domains)):
        if URL_TAGS[scope].code not in present:
            continue
        for _, at in _hits(table, keyer, scope, suffix_names()):
            yield f"{scope} {PUBLIC_SUFFIXES}", at, 0
        for name, at in _hits(table, keyer, scope, names.keys() - suffix_names()):
            yield f"{scope} {ON_NEVER_BLOCK}", at, names[name]


def _hits(table: Table, keyer: Keyer, scope: Scope, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Hash names forward and yield those that rows are. Most cost one hash: no row has their bits."""
    hi, bits = table.rows.hi, keyer.host_bits
    width = 64 - bits
    for name in names:
        part = keyer.host_part(name)
        if bits:
            first = part >> 32
            start = bisect_left(hi, first)
            if start == len(hi) or hi[start] >= first + (1 << width):
                continue
        at = table.rows.find(keyer.url_key(scope, name, part))
        if at is not None:
            yield name, at


def _fresh(old: Rows, new: Rows) -> Iterator[int]:
    """Yield the rows of ``new`` whose key ``old`` does not have.

    Most of two versions is the same: where a few rows are, what follows is compared by stretches.
    """
    at = held = met = 0
    many, most = len(new), len(old)
    while at < many and held < most:
        if met == _NEAR:
            same = _stretch(new, at, old, held)
            at, held, met = at + same, held + same, 0
            continue
        key, other = new.hi[at], old.hi[held]
        if key == other:
            key, other = new.lo[at], old.lo[held]
        if key < other:
            yield at
        met = met + 1 if key == other else 0
        at += key <= other
        held += key >= other
    yield from range(at, many)


def _stretch(one: Rows, at: int, other: Rows, there: int) -> int:
    """How many rows have the same keys from here on; beyond the end if all."""
    done, size, grows = 0, _BLOCK, True
    while size:
        here, yonder = slice(at + done, at + done + size), slice(there + done, there + done + size)
        # Copied bytes compare by the thousand, elements of a view one by one.
        if (
            one.hi[here].tobytes() == other.hi[yonder].tobytes()
            and one.lo[here].tobytes() == other.lo[yonder].tobytes()
        ):
            done += size
            if not one.hi[at + done : at + done + 1]:
                break
            size = min(2 * size, _LONGEST_BLOCK) if grows else size // 2
        else:
            size, grows = size // 2, False
    return done


def _codes(table: Table) -> list[int]:
    """The tag of each row, of a table that carries values."""
    rows = table.rows
    starts = accumulate(rows.lengths[:-1], initial=0) if rows.lengths else ()
    return list(map(rows.values.__getitem__, starts))
