"""A list's next generation: what only the offline keys can open (DESIGN §4).

The only way to lower a version, to go on from a restored catalog, or to publish a wanted change beyond the
guard's limits. Charter and first heads go live in one snapshot; who uploads and signs is the publisher's
ordinary course.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tuf.api.metadata import Targets

from vallum.errors import ConfigError, StateError
from vallum.format.charter import Charter
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.release.metadata import charter_of
from vallum_publisher.release.version import StreamHead


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


def newest(charter: Charter, public: Mapping[str, StreamHead | None]) -> tuple[int, int]:
    """The highest generation and the highest epoch that the store shows."""
    heads = [held.head for held in public.values() if held]
    generation = max([charter.generation, *(head.generation for head in heads)])
    return generation, max((run.epoch for head in heads for run in head.runs), default=0)


def raise_generation(
    catalog: Catalog,
    info: ListInfo,
    pending: Version | None,
    above: int,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Open generations in the catalog until its own is above the store's; a version under way is given up.

    Raises:
        BusyError, StorageError: the catalog cannot be written.
    """
    details = {"reason": reason, "above": above}
    catalog.record(actor=actor, action="new generation", list_name=info.name, now=now, details=details)
    if pending is not None:
        catalog.abandon_version(info.name, actor=actor, now=now)
    while catalog.get_list(info.name).generation <= above:
        catalog.open_generation(info.name, actor=actor, now=now)
