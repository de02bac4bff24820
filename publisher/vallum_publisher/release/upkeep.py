"""What keeps a repository alive between versions: renewal, garbage collection, a look at how things stand.

What must be signed again is :mod:`.renewal`'s to say, what may go :mod:`.collection`'s, what is wrong
:mod:`.condition`'s and :mod:`.verification`'s. Versions are made by :mod:`.publisher`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vallum.errors import VallumError
from vallum_publisher.errors import ConflictError, with_hint
from vallum_publisher.recipients.inspection import lost_wraps
from vallum_publisher.recipients.wraps import collect_wraps, restore_wraps, upload_wraps
from vallum_publisher.release.absence import absent, lost_runs, stray_warning
from vallum_publisher.release.agreement import public_head, public_heads, public_version
from vallum_publisher.release.collection import RUN_RETENTION, Collected, collect
from vallum_publisher.release.commit import pause
from vallum_publisher.release.condition import Condition, overdue, read_condition
from vallum_publisher.release.course import Course
from vallum_publisher.release.metadata import parse_run_key, role_keys
from vallum_publisher.release.renewal import (
    clock_doubt,
    due_heads,
    renewed,
    snapshot_is_due,
    timestamp_is_due,
)
from vallum_publisher.release.roots import RootCondition, read_roots
from vallum_publisher.release.sightings import Sightings
from vallum_publisher.release.verification import VerifiedStream, verify_repository
from vallum_publisher.release.version import streams_of


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one ``refresh`` signed again; ``refused``: why not, by stream.

    ``lacking``: which listed run the store has lost, by stream, signed again or not. ``overdue``: which lists
    show entries whose time is over. ``doubt``: why this machine's clock may be wrong, if so.
    """

    streams: tuple[str, ...]
    snapshot: bool
    timestamp: bool
    refused: Mapping[str, str]
    lacking: Mapping[str, str]
    wraps: int = 0
    overdue: Mapping[str, str] = field(default_factory=dict)
    doubt: str = ""


class Upkeep(Course):
    """The commands of a timer and of whoever looks after it."""

    def refresh(self, *, now: datetime) -> Refreshed:
        """Sign again what must say that it is still the newest; in one snapshot, nothing if nothing is due.

        A list whose catalog and store disagree is left as it is and named in the answer, due or not; so is
        one that is due and whose keys are not here. All else is renewed. Wraps that the store has lost are
        put back, and those that never came there.

        Raises:
            ConfigError: the online keys cannot be reached.
            ConflictError, UnavailableError: as of ``Publisher.publish``.
        """
        with self.workspace.lock():
            doubt = clock_doubt(self.repository, self.repository.tip(), now)
            done = self._refresh(now)
            wraps = upload_wraps(self.catalog, self.store, self.tell)
            wraps += restore_wraps(self.catalog, self.store, self.tell)
            return replace(done, wraps=wraps, overdue=overdue(self.catalog, now), doubt=doubt)

    def _refresh(self, now: datetime) -> Refreshed:
        lifetimes = self.workspace.settings.lifetimes
        committer = self.committer()
        restored = False
        for tip in self.tips():
            if tip.lost:
                self._make_public(committer, tip, now)
                restored = True
                continue
            lists = self.catalog.lists()
            due, refused = due_heads(self.repository, self.catalog, lists, tip, lifetimes, now)
            if refused and (self.catalog.lists() != lists or self.repository.tip().tag != tip.tag):
                continue  # somebody published while we compared: no wonder that they disagree
            for stream in list(due):
                try:
                    keys = role_keys(tip.required_targets(), stream)
                    self.workspace.keyring.require(stream, *keys)
                except VallumError as error:
                    refused[stream] = with_hint(error)
                    del due[stream]
            snapshot = bool(due) or snapshot_is_due(tip, lifetimes, now)
            if not snapshot and not timestamp_is_due(tip, lifetimes, now):
                lost = lost_runs(self.repository, tip)
                return Refreshed((), restored, restored, refused, lost)
            self.tell(f"signing {', '.join(due) or 'the timestamp'} again")
            try:
                if snapshot or tip.timestamp is None:
                    committer.commit(tip, renewed(due, now), now)
                else:
                    committer.move(tip, tip.timestamp.snapshot_meta, now)
            except ConflictError:
                pause()
                continue
            # Few need a lost run; to let the list go stale for everybody were the worse fault.
            lost = lost_runs(self.repository, tip)
            return Refreshed(tuple(due), snapshot or restored, True, refused, lost)
        raise self.beaten()

    def status(self, *, now: datetime) -> Condition:
        """How everything stands; changes nothing.

        Raises:
            TrustError, DataError: the repository does not verify.
            UnavailableError: store or catalog do not answer.
        """
        never, lifetimes = self.workspace.never_block(), self.workspace.settings.lifetimes
        lost = Counter(wrap.stream for wrap in lost_wraps(self.catalog, self.store))
        warnings = absent(self.workspace, self.catalog, self.repository)
        return read_condition(
            self.repository, self.catalog, self.custody, never, lifetimes, now, lost, warnings
        )

    def roots(self) -> tuple[RootCondition, ...]:
        """All roots of trust so far, the newest first; raises as :meth:`status`."""
        return read_roots(self.repository)

    def verify(self) -> tuple[VerifiedStream, ...]:
        """Check the whole repository against the root of trust and the catalog (``verify_repository``)."""
        self.repository.tip()  # follows newer roots
        root = self.repository.root_bytes
        return verify_repository(self.store, root, self.catalog, self.custody, self.tell)

    def strays(self) -> str:
        """Say that wraps in the store are nobody's (``stray_warning``); empty if none are."""
        return stray_warning(self.catalog, self.store)

    def gc(self, *, now: datetime, retention: timedelta = RUN_RETENTION) -> Collected:
        """Delete runs, metadata and wraps that nobody can need any more (see ``collect``).

        Raises:
            StateError: catalog and store disagree on an encrypted list, and who reads it is not known here:
                nothing is deleted.
            TrustError, DataError: the repository does not verify: nothing is deleted.
        """
        with self.workspace.lock():
            alone = self._check_readers()
            sightings = Sightings(self.workspace.cache / "in-force.json")
            collected = collect(self.repository, sightings, now, retention, tell=self.tell)
            tip = self.repository.tip()
            for stream in tip.streams():
                if held := public_head(self.repository, tip, stream):
                    self._delete_twins(stream, held.head)  # however new: a revoked recipient can open them
            runs = (parse_run_key(item.key) for item in self.store.list("targets/"))
            in_use = {(run.stream, run.generation, run.ref.epoch) for run in runs if run}
            strays_before = now - retention if alone else None
            wraps = collect_wraps(self.catalog, self.store, in_use, strays_before, self.tell)
            return replace(collected, wraps=wraps)

    def _check_readers(self) -> bool:
        """Require that this catalog knows who reads its lists; say whether there are no other lists."""
        tip = self.repository.tip()
        strangers = set(tip.streams())
        for info in self.catalog.lists():
            strangers.difference_update(streams_of(info))
            if not info.public and set(streams_of(info)) <= set(tip.streams()):
                pending = self.catalog.pending_version(info.name)
                public_version(self.catalog, info, pending, public_heads(self.repository, tip, info))
        return not strangers
