"""One sync of one source: by one conditional request if that proves enough, else whole (client.md §10).

An error of the source ends up in its report and nowhere else: a source that is down or hostile must not hold
back another. What a whole sync is, stands in :mod:`vallum.sync.workflow`, which is loaded only when there is
one: a poll without news needs neither TUF nor cryptography.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from vallum.access import FOLDER_MODE
from vallum.config import HardExpiry
from vallum.durable import is_folder, make_folder
from vallum.pepper import epoch_lies
from vallum.state import StreamState
from vallum.sync.errand import Errand, Staged, unsynced
from vallum.sync.judge import REJECTED, absurd
from vallum.sync.place import QUARANTINE
from vallum.sync.poll import may_poll
from vallum.sync.quarantine import Quarantine, Quarantined
from vallum.sync.report import StreamOutcome, StreamReport, foreseen
from vallum.sync.tables import Proven


class SourceSync:
    """One run of an errand."""

    def __init__(self, errand: Errand, proven: Proven, hard_expiry: HardExpiry) -> None:
        self._errand = errand
        self._proven = proven
        self._hard_expiry = hard_expiry

    def run(self) -> Staged:
        """Sync, cut off at the deadline, and report what came of it."""
        errand = self._errand
        try:
            with errand.fetcher.watched():
                return self._run()
        except Exception as error:  # foreseen: no error of a source may hold back another source
            report = replace(errand.report("failed"), error=foreseen(error))
            return unsynced(
                errand.source, errand.held, report, errand.now, self._hard_expiry, errand.uptime,
                errand.fetcher.date,
            )  # fmt: skip

    def _run(self) -> Staged:
        errand = self._errand
        if self._is_unchanged():
            return Staged(errand.report("unchanged", self._unchanged()), errand.held)
        from vallum.sync.workflow import sync_whole

        if not is_folder(errand.place.folder):
            make_folder(errand.place.folder, FOLDER_MODE)
        errand.place.clear_staging()
        errand.place.clear_cache()
        return sync_whole(errand, self._proven)

    def _is_unchanged(self) -> bool:
        """Ask with one conditional request, where its answer would prove anything (client.md §10)."""
        held = self._errand.held
        if not may_poll(held, self._errand.config, self._errand.source.streams, self._errand.now):
            return False
        name = self._errand.source.name
        if not all(
            self._proven.stand(self._errand.place.state_dir, state.files(name, stream), state.head.tables)
            for stream, state in held.streams.items()
        ):
            return False
        if not all(self._keyed(stream, state) for stream, state in held.streams.items()):
            return False
        # A damaged floor is said at once, not within the hour; one that is gone, a full run writes again.
        floor = self._proven.floor(self._errand.place.folder)
        if floor != floor.raised(
            held.root_version, {name: state.head for name, state in held.streams.items()}
        ):
            return False
        timestamp = self._errand.fetcher.poll(held.timestamp_etag)
        return timestamp is None or sha256(timestamp).hexdigest() == held.timestamp_sha256

    def _keyed(self, stream: str, state: StreamState) -> bool:
        """Whether the keys of a list in force are there (client.md §10.2)."""
        state_dir, name = self._errand.place.state_dir, self._errand.source.name
        if not self._proven.pepper(state_dir, name, stream, state.charter):
            return False  # 6.10: without it every look-up fails
        # 4.6: a lost key is fetched again, for exports and the next version. A pin may outlast its epoch.
        return state.pin is not None or epoch_lies(state_dir, name, stream, state.head)

    def _unchanged(self) -> tuple[StreamReport, ...]:
        place, streams = self._errand.place, self._errand.streams
        anything = is_folder(place.folder / QUARANTINE)
        quarantine = Quarantine(place.state_dir, place.name)
        return tuple(
            self._still(name, streams.get(name), quarantine.find(name) if anything else None)
            for name in self._errand.source.streams
        )

    def _still(self, name: str, state: StreamState | None, aside: Quarantined | None) -> StreamReport:
        """Report a list of which nothing new was heard; an alarm goes on."""
        report = StreamReport(name, "unpublished")
        if state is not None:
            head = state.head
            outcome: StreamOutcome = "unchanged" if state.pin is None else "pinned"
            report = StreamReport(
                name, outcome, head.generation, before=head.version, after=head.version,
                generation_before=head.generation,
            )  # fmt: skip
            if aside is not None and aside.rejected and state.pin is None:
                return replace(report, outcome="rejected", rejected=aside.says)  # 6.7
        if aside is not None and not (aside.rejected and state is not None):
            reasons = REJECTED if aside.rejected else aside.reasons
            return replace(report, outcome="quarantined", error=absurd(name, aside.state, reasons))
        return report
