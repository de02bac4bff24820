"""One sync of one source: everything short of bringing it into force (client.md §2 to §6).

An error of the source ends up in its report and nowhere else: a source that is down or hostile must not hold
back another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from vallum.config import Config, HardExpiry, Source
from vallum.durable import make_folder, os_errors, remove_files
from vallum.errors import DataError, GuardError, TrustError, VallumError
from vallum.guard import NeverBlock
from vallum.state import SourceState, StreamState
from vallum.sync.fetch import Fetcher
from vallum.sync.floor import Floor, read_floor
from vallum.sync.follow import NEVER, Follower
from vallum.sync.freshness import Freshness, freshness
from vallum.sync.judge import Judge, absurd
from vallum.sync.keys import SourceKeys
from vallum.sync.place import Place
from vallum.sync.poll import may_poll
from vallum.sync.quarantine import Quarantine
from vallum.sync.report import SourceOutcome, SourceReport, StreamOutcome, StreamReport
from vallum.sync.roles import TopLevel
from vallum.sync.tables import FOLDER_MODE, Proven
from vallum.sync.transport import Transport
from vallum.sync.trust import Repository

_NOTHING = SourceState((), {}, NEVER, 0, NEVER)


@dataclass(frozen=True, slots=True)
class Staged:
    """A source after its sync: what shall be in force, and the floor to write before (``None``: as it is)."""

    report: SourceReport
    state: SourceState
    floor: Floor | None = None


class SourceSync:
    """One run. ``transport`` is open, and closed by the caller."""

    def __init__(
        self,
        config: Config,
        source: Source,
        held: SourceState | None,
        digest: str,
        transport: Transport,
        proven: Proven,
        never: Callable[[], NeverBlock],
        now: datetime,
    ) -> None:
        self._place = Place(config.state, source.name, source.quota)
        self._source = source
        self._hard_expiry = config.hard_expiry
        self._config = digest
        self._never = never
        self._proven = proven
        self._now = now
        self._started = time.monotonic()
        self._fetcher = Fetcher(transport, source.deadline)
        self._held = held or _NOTHING
        self._streams = _followed(source, self._held)

    def run(self) -> Staged:
        """Sync, and report what came of it."""
        try:
            make_folder(self._place.folder, FOLDER_MODE)
            _clear(self._place.staging)
            if self._is_unchanged():
                return Staged(self._report("unchanged", self._unchanged()), self._held)
            return self._plain_if_need_be()
        except Exception as error:  # _known: no error of a source may hold back another source
            report = replace(self._report("failed", ()), error=_known(error))
            return unsynced(self._source, self._held, report, self._now, self._hard_expiry)

    def _is_unchanged(self) -> bool:
        """Ask with one conditional request, where its answer would prove anything (client.md §10)."""
        held = self._held
        if not may_poll(held, self._config, self._source.streams, self._now):
            return False
        name = self._source.name
        if not all(
            self._proven.stand(self._place.state_dir, state.files(name, stream), state.head.tables)
            for stream, state in held.streams.items()
        ):
            return False
        # A damaged floor is said at once, not within the hour; one that is gone, a full run writes again.
        floor = read_floor(self._place.folder)
        heads = {stream: state.head for stream, state in held.streams.items()}
        if floor != floor.raised(held.root_version, heads):
            return False
        timestamp = self._fetcher.poll(held.timestamp_etag)
        return timestamp is None or sha256(timestamp).hexdigest() == held.timestamp_sha256

    def _plain_if_need_be(self) -> Staged:
        """Run the workflow; once more by the plain files where a packed twin may be what is wrong.

        client.md §2.6: what is there for speed alone must not keep anybody from the list.
        """
        try:
            staged = self._full()
        except TrustError:
            if not self._fetcher.go_plain():
                raise
            return self._full()
        doubted = any(isinstance(stream.error, TrustError) for stream in staged.report.streams)
        return self._full() if doubted and self._fetcher.go_plain() else staged

    def _full(self) -> Staged:
        floor = read_floor(self._place.folder).shipped(self._source.floor)
        floor = floor.raised(
            self._held.root_version, {name: state.head for name, state in self._streams.items()}
        )
        repository = Repository(self._place.folder / "trust", self._source.root_bytes(), self._fetcher)
        top = repository.refresh()
        floor.check_root(top.root_version)  # 3.3
        judge = Judge(self._never, self._held.verified_at, self._now)
        source = self._source
        keys = SourceKeys(self._place.state_dir, source.name, source.recipient, self._fetcher)
        # 6.9: the configuration is another one, or the last sync was not content.
        rejudge = self._held.config != self._config or not self._held.timestamp_sha256
        follower = Follower(self._place, repository, top, floor, judge, keys, rejudge)
        streams = dict(self._streams)
        expires = [top.expires]
        reports = [self._follow(follower, stream, streams, expires) for stream in self._source.streams]
        good = all(report.error is None for report in reports)
        # 10.1: what is in quarantine stays there under the same timestamp.
        whole = all(report.error is None or report.outcome == "quarantined" for report in reports)
        return Staged(
            replace(
                self._report("synced" if good else "partial", tuple(reports)), root_version=top.root_version
            ),
            SourceState(
                followed=self._source.streams,
                streams=streams,
                # 9.2: the newest moment ever; otherwise a clock that went back would soon look right again.
                verified_at=max(self._now, self._held.verified_at),
                root_version=top.root_version,
                expires=min(expires),
                timestamp_sha256=top.timestamp_sha256 if whole else "",
                timestamp_etag=self._etag(top) if whole else "",
                config=self._config,
            ),
            floor.raised(top.root_version, {name: state.head for name, state in streams.items()}),
        )

    def _follow(
        self, follower: Follower, stream: str, streams: dict[str, StreamState], expires: list[datetime]
    ) -> StreamReport:
        held = self._streams.get(stream)
        before = None if held is None else held.head.version
        started, requests, received = time.monotonic(), self._fetcher.requests, self._fetcher.received
        report = StreamReport(stream, "failed", before=before, after=before)
        try:
            followed = follower.follow(stream, held)
        except Exception as error:  # _known: no error of a list may hold back another list
            generation = None if held is None else held.head.generation
            outcome: StreamOutcome = "quarantined" if isinstance(error, GuardError) else "failed"
            report = replace(report, outcome=outcome, generation=generation, error=_known(error))
        else:
            if followed is None:
                report = replace(report, outcome="unpublished")
            else:
                head = followed.state.head
                streams[stream] = followed.state
                expires.append(followed.expires)
                same = held is not None and (held.head.generation, before) == (head.generation, head.version)
                report = replace(
                    report,
                    outcome="pinned"
                    if followed.state.pin is not None
                    else "unchanged"
                    if same and not followed.path
                    else "activated",
                    generation=head.generation,
                    after=head.version,
                    path=tuple((ref.start, ref.end) for ref in followed.path),
                    warning=followed.warning,
                    error=followed.alarm,
                )
        return replace(
            report,
            requests=self._fetcher.requests - requests,
            bytes=self._fetcher.received - received,
            seconds=time.monotonic() - started,
        )

    def _etag(self, top: TopLevel) -> str:
        # python-tuf keeps its own timestamp when one of the same version but with other bytes comes.
        came = self._fetcher.timestamp_sha256
        return self._fetcher.timestamp_etag if came == top.timestamp_sha256 else ""

    def _unchanged(self) -> tuple[StreamReport, ...]:
        return tuple(self._still(name, self._streams.get(name)) for name in self._source.streams)

    def _still(self, name: str, state: StreamState | None) -> StreamReport:
        """Report a list of which nothing new was heard; an alarm goes on."""
        aside = Quarantine(self._place.state_dir, self._place.name).find(name)
        report = StreamReport(name, "unpublished")
        if state is not None:
            head = state.head
            outcome: StreamOutcome = "unchanged" if state.pin is None else "pinned"
            report = StreamReport(name, outcome, head.generation, before=head.version, after=head.version)
        if aside is not None:
            return replace(report, outcome="quarantined", error=absurd(name, aside.state, aside.reasons))
        return report

    def _report(self, outcome: SourceOutcome, streams: tuple[StreamReport, ...]) -> SourceReport:
        return SourceReport(
            self._source.name,
            outcome,
            streams,
            self._held.root_version or None,
            self._fetcher.requests,
            self._fetcher.received,
            time.monotonic() - self._started,
        )


def unsynced(
    source: Source, held: SourceState | None, report: SourceReport, now: datetime, hard_expiry: HardExpiry
) -> Staged:
    """Stage a source whose sync came to nothing: what was in force stays, and the next sync is a full one.

    Failures are counted by days, for a list to be hard-expired only after as many of them (client.md §9.4).
    """
    state = held or _NOTHING
    streams = _followed(source, state)
    today = now.toordinal()
    state = replace(
        state,
        followed=source.streams,
        streams=streams,
        timestamp_sha256="",
        timestamp_etag="",
        failed_days=state.failed_days + (today != state.failed_on),
        failed_on=today,
    )
    expired = [
        name
        for name, stream in streams.items()
        if freshness(stream, state, now, hard_expiry.days) is Freshness.HARD_EXPIRED
    ]
    return Staged(report, replace(state, lifted=tuple(expired) if hard_expiry.opens else ()))


def _followed(source: Source, held: SourceState) -> dict[str, StreamState]:
    """Leave out lists that are followed no longer: they are not in force any longer."""
    return {name: held.streams[name] for name in source.streams if name in held.streams}


def _clear(staging: Path) -> None:
    """Remove what a killed sync left."""
    with os_errors(staging, "clear"):
        left = list(staging.iterdir()) if staging.is_dir() else []
    remove_files(left)


def _known(error: Exception) -> VallumError:
    """Turn what nobody foresaw into a refusal, naming its class and place: its text may hold anything."""
    if isinstance(error, VallumError):
        return error
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f" in {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    return DataError(f"an unforeseen {type(error).__name__}{where}", hint="please report it to vallum")
