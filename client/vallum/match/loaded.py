"""Loading a state for look-ups: which lists are in force, and each one's pepper and tables.

A list that cannot be opened holds back no other one, and is looked up in as it was before. When a state is
loaded is :mod:`vallum.match.lists`'s business.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from vallum.allowance import Allowances
from vallum.durable import os_errors
from vallum.errors import DataError, StateError, StorageError, VallumError
from vallum.expression import Keyer
from vallum.format.charter import split_stream
from vallum.format.table import Table
from vallum.match.exact import Matcher
from vallum.match.snapshot import Snapshot
from vallum.pepper import read_pepper
from vallum.regular import identity
from vallum.state import FILE, Current, StreamState, read_current
from vallum.tablefile import open_table

_EXACT = "exact"
_TRIES = 4
"""Syncs may replace the state and remove the old tables between two steps of ours: then it is read again."""

_AGAIN_SECONDS = 60.0
"""How long a file that was found damaged counts as that: hashing it again would be for some look-up to wait
for. Not for ever, since one that was put right in place may look the same."""


class Gap(NamedTuple):
    """Why a list that is followed is not looked up in as it is in force, and what can be done."""

    says: str
    hint: str = ""

    @classmethod
    def of(cls, error: VallumError) -> Gap:
        """What an error says, without what it holds on to."""
        return cls(str(error), error.hint)


@dataclass(frozen=True, slots=True)
class Opened:
    """One list's tables.

    Attributes:
        stream, state: of which list, and what was signed about it.
        near: signals of near matching that have rows.
        rows: of all its tables.
    """

    stream: str
    state: StreamState
    matcher: Matcher
    near: frozenset[str]
    rows: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is looked up in, and the file that said so.

    Attributes:
        current: what is in force, as far as it could be opened, and else what is looked up in instead.
        tables: by source and stream.
        seen: which file ``current`` was read from.
        missing: followed lists that have nothing yet; another file has to come first.
        wrong: what is to be tried again.
    """

    snapshot: Snapshot
    current: Current
    tables: dict[tuple[str, str], Opened]
    seen: tuple[int, int, int] | None
    missing: tuple[Gap, ...] = ()
    wrong: tuple[Gap, ...] = ()

    def allowing(self, allowed: Allowances) -> Loaded:
        """The same lists with other things allowed."""
        if allowed is self.snapshot.allowed:
            return self
        return replace(self, snapshot=self.snapshot.allowing(allowed))

    def instead_of(self, source: str, stream: str) -> Opened | None:
        """What is looked up in of a list, in another version, or else in another edition."""
        name = split_stream(stream)[0]
        alike = [one for (of, _), one in self.tables.items() if of == source and one.matcher.list == name]
        return self.tables.get((source, stream)) or next(iter(alike), None)


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A table that is not the signed one: which file, until when it is not hashed again, and the error."""

    path: Path
    seen: tuple[int, int, int] | None
    until: float
    gap: Gap


class Loader:
    """Loads the states of one folder, one after the other. For one thread at a time."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir
        self._damaged: dict[tuple[str, str, str], _Damaged] = {}

    def seen(self) -> tuple[int, int, int] | None:
        """What tells one state from the next without reading it; ``None`` if there is none.

        Raises:
            StorageError: the disk does not say.
        """
        path = self._dir / FILE
        with os_errors(path, "look at"):
            try:
                return identity(path)
            except FileNotFoundError:
                return None

    def load(self, held: Loaded | None = None) -> tuple[Loaded, list[VallumError]]:
        """Load the state, in place of what is held.

        Returns:
            It, and what keeps its lists from being looked up in as they are in force. Its snapshot allows
            nothing, unless it is the held one, taken on with what that allows.

        Raises:
            UnavailableError, StorageError, DataError: there is no state, or no list in it.
        """
        for _ in range(_TRIES):
            loaded, errors = self._load(held)
            if not any(isinstance(error, StorageError) for error in errors) or self.seen() == loaded.seen:
                break
        return loaded, errors

    def _load(self, held: Loaded | None) -> tuple[Loaded, list[VallumError]]:
        # Before it is read: whoever replaces it in between is then noticed at the next look.
        seen = self.seen()
        current = read_current(self._dir)
        missing = current.missing()
        lack = current.lack()
        if not any(current.streams()):
            raise lack
        wrong: list[VallumError] = []
        tables: dict[tuple[str, str], Opened] = {}
        lifted: set[str] = set()
        instead = [tuple(name.split("/")) for name in missing]
        for source, stream, state in current.streams():
            if stream in current.sources[source].lifted:
                lifted.add(state.charter.kind)
                continue
            try:
                tables[source, stream] = self._kept(source, stream, state, held)
            except VallumError as error:
                wrong.append(error)
                instead.append((source, stream))
        for source, stream in instead:
            if held is not None and (before := held.instead_of(source, stream)) is not None:
                tables.setdefault((source, before.stream), before)
        loaded = Loaded(
            _snapshot(tables, frozenset(lifted), held),
            _looked_up(current, tables),
            tables,
            seen,
            (Gap.of(lack),) if missing else (),
            tuple(map(Gap.of, wrong)),
        )
        return loaded, [lack, *wrong] if missing else wrong

    def _kept(self, source: str, stream: str, state: StreamState, held: Loaded | None) -> Opened:
        """Open a list, or go on with what is open if that is it."""
        there = held.tables.get((source, stream)) if held else None
        if there and there.state.charter == state.charter and there.state.head.tables == state.head.tables:
            return replace(there, state=state)
        return self._open(source, stream, state)

    def _open(self, source: str, stream: str, state: StreamState) -> Opened:
        pepper = read_pepper(self._dir, source, stream, state.charter)
        tables = {
            name: self._table((source, stream, name), path, state.head.tables[name])
            for name, path in state.files(source, stream).items()
        }
        rows = sum(len(table.rows) for table in tables.values())
        exact = tables.pop(_EXACT)
        keyer = Keyer(pepper, state.charter.host_bits)
        near = frozenset(name for name, table in tables.items() if len(table.rows))
        return Opened(stream, state, Matcher(source, split_stream(stream)[0], exact, keyer), near, rows)

    def _table(self, about: tuple[str, str, str], path: Path, digest: str) -> Table:
        file = self._dir / path
        seen = _identity(file)
        known = self._damaged.get(about)
        if known is not None and (known.path, known.seen) == (path, seen) and time.monotonic() < known.until:
            raise StateError(known.gap.says, hint=known.gap.hint)
        try:
            return open_table(file, digest)
        except DataError as error:
            until = time.monotonic() + _AGAIN_SECONDS
            self._damaged[about] = _Damaged(path, seen, until, Gap.of(error))
            raise


def _snapshot(tables: dict[tuple[str, str], Opened], lifted: frozenset[str], held: Loaded | None) -> Snapshot:
    """Look up in these tables, by the snapshot that is held if it has the same: making one takes time."""
    matchers = [table.matcher for table in tables.values()]
    if (
        held is not None
        and lifted == held.snapshot.lifted
        and list(map(id, matchers)) == list(map(id, held.snapshot.matchers))
    ):
        return held.snapshot
    near = frozenset[str]().union(*(table.near for table in tables.values()))
    return Snapshot(matchers, near, lifted)


def _looked_up(current: Current, tables: dict[tuple[str, str], Opened]) -> Current:
    """What is in force, by what is looked up in; lists that are lifted with it."""
    sources = {
        name: replace(
            about,
            streams={stream: state for stream, state in about.streams.items() if stream in about.lifted}
            | {stream: one.state for (source, stream), one in tables.items() if source == name},
        )
        for name, about in current.sources.items()
    }
    return Current(sources)


def _identity(file: Path) -> tuple[int, int, int] | None:
    try:
        return identity(file)
    except OSError:
        return None  # opening it says why
