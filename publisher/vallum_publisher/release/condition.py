"""How a repository stands: versions, what waits, what expires when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from vallum.errors import GuardError, StateError
from vallum.format.head import Head, stale_after
from vallum.guard import NeverBlock
from vallum_publisher.catalog import Catalog, ListInfo
from vallum_publisher.errors import LostError, with_hint
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.release.agreement import public_head, public_heads, public_version, unannounced
from vallum_publisher.release.judgement import check_in_force
from vallum_publisher.release.renewal import (
    clock_doubt,
    head_is_due,
    offline_is_due,
    snapshot_is_due,
    timestamp_is_due,
)
from vallum_publisher.release.repository import LARGEST_NUMBER, Repository, Tip
from vallum_publisher.release.roots import RootCondition, read_roots
from vallum_publisher.release.version import streams_of
from vallum_publisher.workspace import Lifetimes


@dataclass(frozen=True, slots=True)
class RoleCondition:
    """One role's newest file. ``due``: it is to be signed again now."""

    role: str
    number: int
    expires: datetime
    due: bool

    @property
    def jumped(self) -> bool:
        """Whether no honest publisher can have come to such a number."""
        return self.number > LARGEST_NUMBER


@dataclass(frozen=True, slots=True)
class ListCondition:
    """One list.

    Attributes:
        name, kind: of the list.
        generation, version: in the catalog, the last one that this publisher knows to be public.
        public_generation, public: in the store; 0 before the first publication.
        state: of the first stream, as signed; empty before the first publication.
        rows: published, in all tables.
        waiting: rows that the next version would change.
        under_way: the version that a stopped publication left to be finished, or ``None``.
        created, as_of, stale_after: of the head; ``None`` before the first publication.
        problem: why it cannot be published, or not be left as it is, beginning with what it is about; empty
            if all is well.
    """

    name: str
    kind: str
    generation: int
    version: int
    public_generation: int
    public: int
    state: str
    rows: int
    waiting: int
    under_way: int | None
    created: datetime | None
    as_of: datetime | None
    stale_after: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A repository. ``fingerprint`` is the newest root's, to compare by telephone; ``roots`` are all so far,
    the newest first. ``warnings``: what is missing here or in the store, whichever list needs it, which
    publications were stopped, and what is public although its time is over.
    """

    root_version: int
    fingerprint: str
    roots: tuple[RootCondition, ...]
    roles: tuple[RoleCondition, ...]
    lists: tuple[ListCondition, ...]
    warnings: tuple[str, ...]


def read_condition(
    repository: Repository,
    catalog: Catalog,
    custody: Custody,
    never: NeverBlock,
    lifetimes: Lifetimes,
    now: datetime,
    lost: Mapping[str, int],
    warnings: Iterable[str],
) -> Condition:
    """Read how everything stands.

    Args:
        repository, catalog, custody, never, lifetimes: of the workspace.
        now: the time.
        lost: how many wraps the store has lost, by stream.
        warnings: what else is missing (:func:`.absence.absent`).

    Raises:
        TrustError, DataError: the repository does not verify.
        UnavailableError: store or catalog do not answer.
    """
    tip = repository.tip()
    root_due = offline_is_due(tip.root.expires, lifetimes.of("root"), now)
    roles = [RoleCondition("root", tip.root.version, tip.root.expires, root_due)]
    if tip.targets and tip.snapshot and tip.timestamp:
        roles += [
            RoleCondition(
                "targets",
                tip.targets.version,
                tip.targets.expires,
                offline_is_due(tip.targets.expires, lifetimes.of("targets"), now),
            ),
            RoleCondition(
                "snapshot", tip.snapshot.version, tip.snapshot.expires, snapshot_is_due(tip, lifetimes, now)
            ),
            RoleCondition(
                "timestamp",
                tip.timestamp.version,
                tip.timestamp.expires,
                timestamp_is_due(tip, lifetimes, now),
            ),
        ]
    for stream in tip.streams():
        try:
            held, role = public_head(repository, tip, stream), repository.last_role(tip, stream)
        except LostError:
            continue  # its list's problem says so
        due = head_is_due(held, role, tip.number(stream), lifetimes, now)
        roles.append(RoleCondition(stream, role.version, role.expires, due))
    lists = tuple(
        _read_list(
            *(repository, catalog, custody, never, tip, info),
            lost=sum(lost.get(at, 0) for at in streams_of(info)),
            now=now,
        )
        for info in catalog.lists()
    )
    roots = read_roots(repository)
    doubt = filter(None, [clock_doubt(repository, tip, now)])
    stopped = (_stopped(catalog, each) for each in lists if each.under_way is not None)
    return Condition(
        *(tip.root.version, roots[0].fingerprint, roots, tuple(roles), lists),
        (
            *warnings,
            *stopped,
            *overdue(catalog, now).values(),
            *doubt,
        ),
    )


def overdue(catalog: Catalog, now: datetime) -> dict[str, str]:
    """Say of which lists something is public although its time is over, by list: only a version ends that."""
    counted = {info.name: catalog.count_ended(info.name, now=now) for info in catalog.lists()}
    return {
        name: f"{name}: entries whose time is over are still public ({rows:,}): run publish"
        for name, rows in counted.items()
        if rows
    }


def _stopped(catalog: Catalog, each: ListCondition) -> str:
    told = f"{each.name}: version {each.generation}.{each.under_way} is under way; run publish again"
    taken_off = catalog.count_taken_off(each.name)
    return f"{told}: it lists what was taken off since ({taken_off:,})" if taken_off else told


def _read_list(
    repository: Repository,
    catalog: Catalog,
    custody: Custody,
    never: NeverBlock,
    tip: Tip,
    info: ListInfo,
    *,
    lost: int,
    now: datetime,
) -> ListCondition:
    problem = ""
    head: Head | None = None
    pending = catalog.pending_version(info.name)
    if set(streams_of(info)) <= set(tip.streams()):
        try:
            public = public_heads(repository, tip, info)
            head = next((held.head for held in public.values() if held), None)
            public_version(catalog, info, pending, public)
            check_in_force(catalog, info, custody, never)
            if unannounced(catalog, info, public):
                problem = (
                    f"{info.name}: a new key is not public yet, and whoever was revoked reads on: run publish"
                )
            elif lost:
                wraps = f"wraps are gone from the store ({lost})"
                problem = f"{info.name}: {wraps}, and newcomers cannot read: run refresh"
        except (StateError, GuardError, LostError) as error:
            problem = with_hint(error)
    else:
        problem = f"{info.name}: creating the list was stopped; run list create again"
    newest = catalog.versions(info.name, info.version - 1)[-1:]
    return ListCondition(
        name=info.name,
        kind=info.kind,
        generation=info.generation,
        version=info.version,
        public_generation=head.generation if head else 0,
        public=head.version if head else 0,
        state=head.state if head else "",
        rows=sum(newest[0].details["rows"].values()) if newest else 0,
        waiting=catalog.count_pending(info.name, now=now),
        under_way=pending.version if pending else None,
        created=head.created if head else None,
        as_of=head.as_of if head else None,
        stale_after=stale_after(head) if head else None,
        problem=problem,
    )
