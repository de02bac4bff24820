"""A list's next generation: what only the offline keys can open (DESIGN §4).

The only way to lower a version, to go on from a restored catalog, to take a list from a thief of its keys, to
change its pepper, or to publish a wanted change beyond the guard's limits. Charter and first heads go live in
one snapshot; who uploads and signs is the publisher's ordinary course.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from tuf.api.metadata import Targets

from vallum.errors import ConfigError, DataError, StateError
from vallum.expression import Keyer
from vallum.format.charter import Charter
from vallum.format.fields import format_time
from vallum.format.limits import MAX_EPOCH
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.release.agreement import public_head
from vallum_publisher.release.metadata import charter_of
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.release.version import StreamHead, streams_of

_APART = timedelta(days=1)


def required_charter(info: ListInfo, targets: Targets) -> Charter:
    """What the store says about a list.

    Raises:
        ConfigError: it was never published.
        StateError: another list has its name there.
    """
    charter = charter_of(info.name, targets)
    if charter is None:
        raise ConfigError(f"{info.name} has no charter in the store", hint="create the list first")
    if charter.uid != info.uid:
        raise StateError(f"{info.name}: the store has another list of this name", hint="use its own catalog")
    return charter


def check_generation(info: ListInfo, targets: Targets) -> None:
    """Refuse to publish below the catalog's generation: clients would refuse such a head.

    Raises:
        StateError: a new generation was begun and not finished.
    """
    if required_charter(info, targets).generation < info.generation:
        raise StateError(
            f"{info.name}: generation {info.generation} was opened here and is not chartered yet",
            hint=f"finish it: vallum-publisher list new-generation {info.name} --reason …",
        )


def check_first(catalog: Catalog, info: ListInfo, now: datetime) -> None:
    """Refuse another generation within a day: more likely the same command was given twice on a bad night.

    Raises:
        ConfigError: this catalog's generation began less than a day ago.
    """
    first = catalog.versions(info.name)[:1]
    if info.generation > 1 and first and now - first[0].created_at < _APART:
        began = f"{info.name}: generation {info.generation} began at {format_time(first[0].created_at)}"
        raise ConfigError(
            f"{began}, less than a day ago",
            hint="if that was this very command, nothing is left to do; else add --again, and every client "
            "fetches the whole list once more",
        )


def heads_before(
    repository: Repository, tip: Tip, info: ListInfo, charter: Charter
) -> tuple[dict[str, StreamHead | None], int]:
    """What the store's heads say, which may be a thief's, and an epoch that is above theirs.

    Nothing is built on them. One that cannot be read counts as none: it must not keep its list from ending.
    """
    heads: dict[str, StreamHead | None] = {}
    for stream in streams_of(info):
        heads[stream] = None
        with suppress(DataError):
            heads[stream] = public_head(repository, tip, stream)
    epochs = [
        run.epoch
        for held in heads.values()
        if held and held.head.generation == charter.generation
        for run in held.head.runs
    ]
    highest = max(epochs, default=0)
    # With no number left above it counts anew: an epoch is of its generation.
    return heads, highest + 1 if highest < MAX_EPOCH else 1


def raise_generation(
    catalog: Catalog,
    info: ListInfo,
    pending: Version | None,
    above: int,
    *,
    reason: str,
    actor: str,
    now: datetime,
    pepper: bytes | None = None,
    secrets: Mapping[str, bytes] | None = None,
) -> None:
    """Open a generation in the catalog, above its own and the store's; a version under way is given up.

    Args:
        catalog, info, pending: as they are.
        above: the store's.
        reason, actor, now: for the audit log.
        pepper: a new one, under which all rows are keyed anew.
        secrets: sealed, that belong to it.

    Raises:
        BusyError, StorageError: the catalog cannot be written.
    """
    details: dict[str, object] = {"reason": reason, "above": above, "new pepper": pepper is not None}
    catalog.record(actor=actor, action="new generation", list_name=info.name, now=now, details=details)
    if pending is not None:
        catalog.abandon_version(info.name, actor=actor, now=now)
    keyer = None if pepper is None else Keyer(pepper, info.host_bits)
    catalog.open_generation(info.name, actor=actor, now=now, above=above, keyer=keyer, secrets=secrets)
