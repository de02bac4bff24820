"""How everything stands on this machine, for ``status``, ``doctor`` and monitoring. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from vallum.allow import Allowance, pending, read_allowances, too_wide
from vallum.config import Config
from vallum.errors import VallumError
from vallum.failure import Failure
from vallum.format.fields import format_time
from vallum.format.head import stale_after
from vallum.pepper import read_pepper
from vallum.state import Pin, SourceState, StreamState, read_current
from vallum.sync.freshness import Freshness, clock_until, freshness, half_spent
from vallum.sync.judge import way_out
from vallum.sync.quarantine import Quarantine, Quarantined
from vallum.tablefile import open_table

LINGERS = (
    "not in the configuration any more; it stays in force until all that is in it has something in force"
)
FREE = "if it should be followed, put it back; else correct or take out what cannot be had, too"
"""What is said of a list that lingers (client.md §1.4), and what can be done."""


class Remark(NamedTuple):
    """A sentence for an operator, and what he can do, if anything."""

    says: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """One list in force.

    Attributes:
        state, about: what is in force, and its source.
        rows: of all its tables.
        freshness: what its age means.
        stale_at: when it will be stale, if half of the time until then has passed; ``None`` otherwise.
        aside: what is in quarantine.
        pin: the operator's, while it lasts.
        lifted: whether it is not enforced, since it is hard-expired and the operator's policy says so.
        lingering: whether it is followed no longer (client.md §1.4).
    """

    source: str
    stream: str
    state: StreamState
    about: SourceState
    rows: int
    freshness: Freshness
    stale_at: datetime | None
    aside: Quarantined | None
    pin: Pin | None
    lifted: bool
    lingering: bool

    @property
    def expires(self) -> datetime:
        """From when on it is stale, unless it is signed anew (client.md §9.1)."""
        return min(stale_after(self.state.head), self.about.expires)

    @property
    def name(self) -> str:
        """``source/stream``."""
        return f"{self.source}/{self.stream}"

    def remarks(self) -> list[Remark]:
        """What an operator should know."""
        said = []
        again = "run `vallum sync`; if it succeeds, call the publisher"
        if self.freshness is Freshness.CLOCK:
            until = format_time(clock_until(self.state, self.about))
            hint = (
                "set the clock by NTP; if it is right, it was ahead at a sync, or the publisher's was: "
                f"nothing is to be done, and this ends by itself at {until}"
            )
            said.append(Remark("its times contradict this machine's clock", hint))
        elif self.freshness is not Freshness.FRESH:
            enforced = "not enforced any more" if self.lifted else "still enforced"
            since = format_time(self.expires)
            said.append(Remark(f"{self.freshness} since {since}, {enforced}", again))
        elif self.stale_at is not None:
            stale = format_time(self.stale_at)
            said.append(Remark(f"half of its time is over: it will be stale at {stale}", again))
        if self.lingering:
            said.append(Remark(LINGERS, FREE))
        if self.pin is not None:
            said.append(Remark(f"pinned until {format_time(self.pin.until)}: {self.pin.reason}"))
        if self.aside is not None:
            hint = "" if self.aside.rejected else way_out(self.aside.reasons)
            said.append(Remark(self.aside.says, hint))
        return said

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        head, pin = self.state.head, self.pin
        return {
            "source": self.source,
            "list": self.stream,
            "generation": head.generation,
            "version": head.version,
            "state": head.state,
            "rows": self.rows,
            "as_of": format_time(head.as_of),
            "verified_at": format_time(self.about.verified_at),
            "freshness": str(self.freshness),
            "lifted": self.lifted,
            "lingering": self.lingering,
            "pinned": {"until": format_time(pin.until), "reason": pin.reason} if pin else None,
            "quarantined": self.aside.to_dict() if self.aside else None,
            "warnings": [remark.says for remark in self.remarks()],
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How everything stands.

    Attributes:
        sources: as their last syncs left them, by name.
        streams: the lists in force.
        missing: those that are followed and are not in force, as ``source/stream``.
        allowed: what the operator allows.
        unsettled: why what his file allows now cannot be taken over, if so.
        unread: why what was allowed cannot be read, so that nothing is allowed, if so.
        pending: lines of the operator's file of allowances that no sync has taken over yet.
        too_wide: what is to be said of lines of it that allow the names of strangers.
    """

    sources: Mapping[str, SourceState]
    streams: tuple[StreamStanding, ...]
    missing: tuple[str, ...]
    allowed: tuple[Allowance, ...]
    unsettled: VallumError | None = None
    pending: int = 0
    unread: VallumError | None = None
    too_wide: tuple[Remark, ...] = ()

    def failing(self) -> Iterator[tuple[str, Failure]]:
        """What the last syncs failed with, by ``source`` or ``source/stream``."""
        for source, about in self.sources.items():
            for failure in about.failures:
                yield f"{source}/{failure.stream}" if failure.stream else source, failure

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is allowed is told by handles."""
        wrong = self.unread or self.unsettled
        return {
            "lists": [stream.to_dict() for stream in self.streams],
            "missing": list(self.missing),
            "failures": [
                {"source": source, **failure.to_dict()}
                for source, about in self.sources.items()
                for failure in about.failures
            ],
            "allowed": [entry.brief() for entry in self.allowed],
            "allow_error": str(wrong) if wrong is not None else None,
            "allow_pending": self.pending,
            "allow_warnings": [remark.says for remark in self.too_wide],
        }


def read_standing(config: Config, now: datetime) -> Standing:
    """Read how everything stands.

    Raises:
        UnavailableError: nothing was ever verified here.
        StateError, StorageError, FormatError: the state folder is damaged or cannot be read; not of what is
            allowed, which keeps nobody from seeing how lists stand.
    """
    current = read_current(config.state)
    followed = config.followed()
    streams = []
    for source, stream, state in current.streams():
        about = current.sources[source]
        read_pepper(config.state, source, stream, state.charter)  # without it nothing can be looked up
        streams.append(
            StreamStanding(
                source,
                stream,
                state,
                about,
                # Hashed, as by every reader that opens it: what is damaged must not be called fresh.
                sum(
                    len(open_table(config.state / path, state.head.tables[name]).rows)
                    for name, path in state.files(source, stream).items()
                ),
                freshness(state, about, now, config.hard_expiry.days),
                half_spent(state, about, now),
                Quarantine(config.state, source).find(stream),
                # Where nothing newer could come into force, the state keeps one that has ended.
                state.pin if state.pin is not None and now < state.pin.until else None,
                stream in about.lifted,
                f"{source}/{stream}" not in followed,
            )
        )
    held = {standing.name for standing in streams}
    # By the configuration of today: a source that was added and never synced has no state at all.
    missing = dict.fromkeys(name for name in (*current.missing(), *followed) if name not in held)
    unsettled: VallumError | None = None
    unread: VallumError | None = None
    wide: tuple[Remark, ...] = ()
    try:
        wide = tuple(Remark(str(each), each.hint) for each in too_wide(config.allow, now))
    except VallumError as error:
        unsettled = error
    allowed: list[Allowance] = []
    coming: list[Allowance] = []
    try:
        entries = read_allowances(config.state)
        allowed = [entry for entry in entries if entry.lasts(now)]
        coming = [] if unsettled else pending(config.state, config.allow, now)
    except VallumError as error:
        unread = error
    return Standing(
        current.sources, tuple(streams), tuple(missing), tuple(allowed), unsettled, len(coming), unread, wide
    )
