"""Garbage collection: what nobody can need any more (DESIGN §5).

A run stays as long as some client may be about to fetch it: listed now, or by any role file that was the
newest one within the retention time, or uploaded by a publication that is not over, whenever it began.
Metadata stays for auditors. Wrapped keys are :mod:`vallum_publisher.recipients`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Signed, Targets

from vallum.errors import DataError
from vallum.format.head import Head
from vallum.progress import Tell, silent
from vallum.sync.fetch import PACKED
from vallum_publisher.release.metadata import head_of, parse_run_key, run_key
from vallum_publisher.release.repository import Repository, Tip
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
    now: datetime,
    retention: timedelta = RUN_RETENTION,
    metadata_retention: timedelta = METADATA_RETENTION,
    tell: Tell = silent,
) -> Collected:
    """Delete what is not needed.

    Args:
        repository: whose store it is.
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
    needed = _needed_runs(repository, tip, histories, now - retention, tell)
    under_way = _Unfinished(repository, tip)
    old_runs = [
        run
        for run in runs
        if run.key not in needed and run.modified < now - retention and run.key not in under_way
    ]
    old_metadata = [
        file
        for role, history in histories.items()
        if role != "root"
        for file, replaced in _replaced(history, tip.number(role))
        if replaced < now - metadata_retention
    ]
    probes = _abandoned_probes(repository.store, now - retention)
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


def _needed_runs(
    repository: Repository,
    tip: Tip,
    histories: dict[str, list[tuple[int, Listed]]],
    since: datetime,
    tell: Tell,
) -> set[str]:
    """Keys of the runs that roles in force at or after ``since`` list; orphans of a crash count too."""
    needed: set[str] = set()
    for stream in tip.streams():
        current = tip.number(stream)
        role = repository.list_role(tip, stream)
        needed |= _listed(role)
        history = histories.get(stream, [])
        for number, file in history:
            if number > current:
                needed |= _listed(_unverified(repository.store, file))
        version, last = (
            _version(stream, role),
            max((f.modified for n, f in history if n == current), default=since),
        )
        for number, file in reversed(history):
            if number >= current:
                continue
            tell(f"{stream}: reading what its role {number} listed")
            former = _unverified(repository.store, file)
            if (its := _version(stream, former)) not in (None, version):
                # Replaced when the last file of the version after it came, which was in force. Those before
                # it may be of a publication that crashed, and was finished only then.
                if last < since:
                    break
                version, last = its, file.modified
            needed |= _listed(former)
    return needed


def _unverified(store: ObjectStore, file: Listed) -> Targets | None:
    # Keys that have been replaced may have signed it. It is not believed, only asked what it lists: to keep a
    # run too many harms nobody.
    stored = store.get(file.key)
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
