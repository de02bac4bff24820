"""Judging a verified version before it may come into force (client.md §6.6): the guard, with its memory.

The rules are :mod:`vallum.guard`'s; here they meet what is in force on this machine, and its clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vallum.errors import ConfigError, GuardError, InputError
from vallum.expression import Keyer
from vallum.format.table import Table
from vallum.guard import (
    ON_NEVER_BLOCK,
    PRIVATE,
    PUBLIC_SUFFIXES,
    NeverBlock,
    Window,
    broken_absolutes,
    broken_limits,
    measure,
    never_block,
    whole_weeks,
)
from vallum.namedfile import read_names
from vallum.slips import bare_host
from vallum.state import StreamState

REJECTED = ("you have rejected it, and nothing else is in force",)
"""Why there is no list: where another version is in force, a rejection settles it (client.md §6.7)."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What judging one source's versions needs.

    Attributes:
        never: reads the operator's never-block list.
        verified_at: when a timestamp was last verified before this sync.
        now: this machine's clock.
    """

    never: Callable[[], NeverBlock]
    verified_at: datetime
    now: datetime

    def window(
        self,
        stream: str,
        new: StreamState,
        held: StreamState | None,
        before: Mapping[str, Table],
        after: Mapping[str, Table],
        keyer: Keyer,
    ) -> Window:
        """Judge ``after``, and return the window as it is once ``new`` is in force.

        Args:
            stream: for messages.
            new: what would be in force.
            held: what is in force.
            before: its tables; empty if they are damaged.
            after: those of ``new``.
            keyer: of the list.

        Raises:
            GuardError: with all reasons.
            ConfigError: the never-block list cannot be read.
        """
        reasons = self.absolutes(after, keyer)
        change = measure(before, after)
        window = Window(change.rows)
        # A cold start and a new generation have nothing to be compared with.
        if held is not None and held.head.generation == new.head.generation:
            past = held.window or Window(sum(len(table.rows) for table in before.values()))
            since = self.verified_at if held.pin is None else min(self.verified_at, held.pin.since)
            weeks = whole_weeks(since, self.now)
            past = past.at(self.now)
            reasons = (*broken_limits(past, change, new.charter.wide_per_week, weeks), *reasons)
            window = window if weeks else past.then(self.now, change)
        if reasons:
            raise absurd(stream, new, reasons)
        return window

    def absolutes(self, tables: Mapping[str, Table], keyer: Keyer) -> tuple[str, ...]:
        """What tables hold that no version may hold; errors as of :meth:`window`, but for ``GuardError``."""
        return broken_absolutes(tables, keyer, self.never())


def absurd(stream: str, state: StreamState, reasons: tuple[str, ...]) -> GuardError:
    """The refusal of a version."""
    return GuardError(
        f"{stream}: version {state.head.number} is in quarantine", reasons, hint=way_out(reasons)
    )


def way_out(reasons: tuple[str, ...]) -> str:
    """What an operator can do about a version with such reasons."""
    said = " ".join(reasons)
    if ON_NEVER_BLOCK in said:
        return (
            "is that line of your never-block list wrong? Take it out and run `vallum sync`: no other lever "
            "lifts this; if it is right, call the publisher, and `vallum quarantine reject` ends the alarm"
        )
    if PUBLIC_SUFFIXES in said or PRIVATE in said:
        return "no lever lifts this: call the publisher; `vallum quarantine reject` ends the alarm"
    return "call the publisher; then `vallum quarantine show`, and `accept` or `reject`"


def load_never_block(path: Path | None) -> NeverBlock:
    """Read the operator's file of names.

    Raises:
        ConfigError: it cannot be read, or a line is no host name.
    """
    names = []
    for number, text in read_names(path) if path else ():
        try:
            names.append((number, bare_host(text)))
        except InputError as error:
            raise ConfigError(f"{path}: line {number}: {error}", hint=error.hint) from None
    return never_block(names)
