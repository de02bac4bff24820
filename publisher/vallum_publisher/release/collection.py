"""Garbage collection: what nobody can need any more (DESIGN §5).

A run stays as long as some client may be about to fetch it: listed now, or by any role file that was the
newest one within the retention time, or uploaded by a publication that is not over, whenever it began.
What roles listed is read only as long as some run may go, and no further back than what was in force a
retention time ago (:mod:`.sightings`). Metadata stays for auditors. Wrapped keys are
:mod:`vallum_publisher.recipients`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Signed, Targets

from vallum.errors import DataError
from vallum.format.head import Head
from vallum.progress import Tell, silent
from vallum.sync.fetch import PACKED
from vallum_publisher.errors import LostError
from vallum_publisher.release.metadata import head_of, parse_run_key, run_key
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.release.sightings import Sightings
from vallum_publisher.store import Listed, ObjectStore

RUN_RETENTION = timedelta(hours=24)
METADATA_RETENTION = timedelta(days=400)

_METADATA = re.compile(r"metadata/([1-9][0-9]*)\.([^/]+)\.json")


@dataclass(frozen=True, slots=True)
class Collected:
    """What went: numbers of objects, and their bytes."""

    runs: int
    metadata: int
    bytes: int
    wraps: int = 0


def collect(
    repository: Repository,
    sightings: Sightings,
    now: datetime,
    retention: timedelta = RUN_RETENTION,
    metadata_retention: timedelta = METADATA_RETENTION,
    tell: Tell = silent,
) -> Collected:
    """Delete what is not needed.

    Args:
        repository: whose store it is.
        sightings: what earlier calls saw in force; this one adds to it.
        now: the time; compared with the store's clock.
        retention: how long a run stays after the last role that listed it was replaced.
        metadata_retention: how long metadata stays after it was replaced. Roots stay for ever.
        tell: told what is done next, and how far it has come.

    Raises:
        TrustError, DataError: the repository does not verify; then nothing is deleted.
    """
    tell("listing runs and metadata")
    # Listed before the head is read: what is uploaded meanwhile is not in the listing.
    runs = list(repository.store.list("targets/"))
    histories = _histories(repository.store.list("metadata/"))
    tip = repository.tip()
    if tip.lost:  # what is in force is not known
        raise LostError(tip.lost, hint="run refresh first, which makes it anew")
    since = now - retention
    under_way = _Unfinished(repository, tip)
    old = {run.key for run in runs if run.modified < since and run.key not in under_way}
    unneeded = _Unneeded(repository, tip, histories, sightings, tell).among(old, since)
    if tip.timestamp:  # else what is newest is known, not what is in force
        # A clock that is behind is no proof that something was replaced before the store had it.
        seen = max([now, *(file.modified for history in histories.values() for _, file in history)])
        sightings.add({stream: tip.number(stream) for stream in tip.streams()}, seen, since)
    old_runs = [run for run in runs if run.key in unneeded]
    old_metadata = [
        file
        for role, history in histories.items()
        if role != "root"
        for file, replaced in _replaced(history, tip.number(role))
        if replaced < now - metadata_retention
    ]
    probes = _abandoned_probes(repository.store, since)
    gone = [item.key for item in (*old_runs, *old_metadata, *probes)]
    gone += [item.key + PACKED for item in old_metadata]
    for done, key in enumerate(gone):
        tell(f"deleting, {done:,} of {len(gone):,}")
        repository.store.delete(key)
    size = sum(item.size for item in (*old_runs, *old_metadata))
    return Collected(len(old_runs), len(old_metadata), size)


def closed_twins(stream: str, head: Head, version: int, keys: Iterable[str]) -> list[str]:
    """Which runs hold a version that was published under a later epoch than theirs.

    An attempt that failed before a revocation left them. No head ever listed them, and whoever was revoked
    could read by them what became public after he was.

    Args:
        stream, head: what is public.
        version: which version.
        keys: of runs in the store.
    """
    epochs = {run.epoch for run in head.runs if run.end == version}
    if len(epochs) != 1:
        return []  # public under both, or no longer told
    return [
        key
        for key in keys
        if (run := parse_run_key(key))
        and (run.stream, run.generation, run.ref.end) == (stream, head.generation, version)
        and run.ref.epoch < max(epochs)
    ]


def _abandoned_probes(store: ObjectStore, before: datetime) -> Iterable[Listed]:
    """What a probe left that was stopped half-way (see ``ObjectStore.probe``)."""
    return [item for item in store.list("probe/") if item.modified < before]


def _histories(listed: Iterable[Listed]) -> dict[str, list[tuple[int, Listed]]]:
    """The files of each role, by ascending number."""
    histories: dict[str, list[tuple[int, Listed]]] = {}
    for item in listed:
        match = _METADATA.fullmatch(item.key)
        if match:
            histories.setdefault(match[2], []).append((int(match[1]), item))
    for history in histories.values():
        history.sort(key=lambda pair: pair[0])
    return histories


def _replaced(history: list[tuple[int, Listed]], current: int) -> Iterable[tuple[Listed, datetime]]:
    """Files older than the current one, and when the next one came."""
    for (number, file), (_, following) in pairwise(history):
        if number < current:
            yield file, following.modified


class _Unfinished:
    """Runs of a version that no head names yet.

    A publication that crashed may be finished at any moment, days later, and finds its runs in the store.
    """

    def __init__(self, repository: Repository, tip: Tip) -> None:
        self._heads = {
            stream: head[0] if (head := head_of(stream, repository.list_role(tip, stream))) else None
            for stream in tip.streams()
        }

    def __contains__(self, key: str) -> bool:
        run = parse_run_key(key)
        if run is None or run.stream not in self._heads:
            return False
        head = self._heads[run.stream]
        if head is None or run.generation != head.generation:
            return head is None or run.generation > head.generation
        return run.ref.end > head.version or run.ref.epoch > max(head.epochs, default=run.ref.epoch)


@dataclass(frozen=True)
class _Unneeded:
    """Tells which runs no role lists that was in force within the retention time."""

    repository: Repository
    tip: Tip
    histories: Mapping[str, list[tuple[int, Listed]]]
    sightings: Sightings
    tell: Tell

    def among(self, keys: set[str], since: datetime) -> set[str]:
        """Those of ``keys`` that no role lists that may have been in force at or after ``since``."""
        left = set(keys)
        for stream in self.tip.streams():
            mine = {key for key in keys if key.startswith(f"targets/{stream}/")}
            for listed in self._listings(stream, since):
                mine -= listed
                left -= listed
                if not mine:
                    break
        return left

    def _listings(self, stream: str, since: datetime) -> Iterator[set[str]]:
        """What such roles of a stream list, the one in force first, each read when it is asked for."""
        current, history = self.tip.number(stream), self.histories.get(stream, [])
        role = self.repository.list_role(self.tip, stream)
        yield _listed(role)
        for number, file in history:
            if number > current:
                yield _listed(self._read(stream, number, file))
        replaced = self.sightings.replaced_below(stream, since, {number for number, _ in history})
        version = _version(stream, role)
        last = max((file.modified for number, file in history if number == current), default=since)
        for number, file in reversed(history):
            if number >= current:
                continue
            if number < replaced:
                break
            former = self._read(stream, number, file)
            if (its := _version(stream, former)) not in (None, version):
                # Replaced when the last file of the version after it came, which was in force. Those before
                # it may be of a publication that crashed, and was finished only then.
                if last < since:
                    break
                version, last = its, file.modified
            yield _listed(former)

    def _read(self, stream: str, number: int, file: Listed) -> Targets | None:
        # Keys that have been replaced may have signed it. It is not believed, only asked what it lists: to
        # keep a run too many harms nobody.
        self.tell(f"{stream}: reading what its role {number} listed")
        stored = self.repository.store.get(file.key)
        try:
            signed: Signed | None = Metadata.from_bytes(stored.data).signed if stored else None
        except RepositoryError:
            return None
        return signed if isinstance(signed, Targets) else None


def _version(stream: str, role: Targets | None) -> tuple[int, int] | None:
    """Generation and version that a list role's head says; ``None`` if it says none."""
    try:
        said = head_of(stream, role) if role else None
    except DataError:
        return None
    return (said[0].generation, said[0].version) if said else None


def _listed(role: Targets | None) -> set[str]:
    return {run_key(run) for run in role.targets.values() if run.length} if role else set()
