"""What one sync of one source goes by, and what it comes back with. Loads no TUF: a poll needs none."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from vallum.config import HardExpiry, Source
from vallum.failure import failures
from vallum.guard import NeverBlock
from vallum.progress import Tell, silent
from vallum.state import SourceState, StreamState
from vallum.sync.fetch import Fetcher
from vallum.sync.floor import Floor
from vallum.sync.freshness import Freshness, freshness, is_ahead
from vallum.sync.place import Place
from vallum.sync.report import SourceOutcome, SourceReport, StreamReport
from vallum.uptime import Uptime

HALF_A_DAY = 12 * 60 * 60
"""Seconds of uptime between two days of failure that count."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = SourceState((), {}, NEVER, 0, NEVER)


@dataclass(frozen=True, slots=True)
class Staged:
    """A source after its sync.

    Attributes:
        report: what came of it.
        state: what shall be in force.
        floor: the floor to write before; ``None`` leaves it as it is.
        below: the floor that is written there, if it is known: an equal one is not written again.
    """

    report: SourceReport
    state: SourceState
    floor: Floor | None = None
    below: Floor | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """One sync of one source.

    Attributes:
        source, place: which, and where on this machine.
        held: as the last sync left it.
        config: digest of the configuration in use.
        fetcher: the way to the store, for this sync.
        never: reads the operator's never-block list.
        now, uptime: this machine's clocks.
        tell: told what is done next.
        started: on the monotonic clock.
    """

    source: Source
    place: Place
    held: SourceState
    config: str
    fetcher: Fetcher
    never: Callable[[], NeverBlock]
    now: datetime
    uptime: Uptime
    tell: Tell = silent
    started: float = field(default_factory=time.monotonic)

    @property
    def streams(self) -> dict[str, StreamState]:
        """What is held of the lists that are followed still."""
        return still_followed(self.source, self.held)

    def report(
        self,
        outcome: SourceOutcome,
        streams: tuple[StreamReport, ...] = (),
        root_version: int | None = None,
    ) -> SourceReport:
        """The report of this source, with all its traffic so far."""
        return SourceReport(
            self.source.name,
            outcome,
            streams,
            root_version or self.held.root_version or None,
            self.fetcher.requests,
            self.fetcher.received,
            time.monotonic() - self.started,
        )


def still_followed(
    source: Source, held: SourceState, unpublished: Collection[str] = ()
) -> dict[str, StreamState]:
    """Leave out lists that are followed no longer: they are not in force any longer.

    They stay while a list that is followed instead has nothing in force (client.md §1.4): a name that is
    mistyped, an edition that cannot be had or a store that is down take nothing away.
    """
    if set(source.streams) - held.streams.keys() - set(unpublished):
        return dict(held.streams)
    return {name: held.streams[name] for name in source.streams if name in held.streams}


def unsynced(
    source: Source,
    held: SourceState | None,
    report: SourceReport,
    now: datetime,
    hard_expiry: HardExpiry,
    uptime: Uptime,
    store: datetime | None = None,
) -> Staged:
    """Stage a source whose sync came to nothing: what was in force stays, and the next sync is a full one.

    Failures are counted by days, for a list to be hard-expired only after as many of them (client.md §9.4):
    by days that follow each other, no sooner than the machine has been on for half a day since the last one,
    and none by a clock that the store's, if it said one, contradicts.
    """
    state = held or NOTHING
    streams = still_followed(source, state)
    today = now.toordinal()
    passed = uptime.since(state.failed_up)
    counts = today > state.failed_on and (passed is None or passed >= HALF_A_DAY) and not is_ahead(now, store)
    state = replace(
        state,
        followed=source.streams,
        streams=streams,
        timestamp_sha256="",
        timestamp_etag="",
        failed_days=state.failed_days + counts,
        failed_on=today if counts else state.failed_on,
        failed_up=uptime if counts else state.failed_up,
        failures=failures(state.failures, report.failed(), now),
    )
    expired = [
        name
        for name, stream in streams.items()
        if freshness(stream, state, now, hard_expiry.days) is Freshness.HARD_EXPIRED
        and (name in state.lifted or not is_ahead(now, store))
    ]
    return Staged(report, replace(state, lifted=tuple(expired) if hard_expiry.opens else ()))
