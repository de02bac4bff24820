"""Do catalog and store tell one story? Asked before anything is signed: to go on otherwise forks history."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vallum.errors import StateError
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.errors import LostError
from vallum_publisher.release.metadata import head_of
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.release.version import StreamHead, streams_of


def public_heads(repository: Repository, tip: Tip, info: ListInfo) -> dict[str, StreamHead | None]:
    """What the roles of a list's streams say under ``tip``; ``None`` before the first publication."""
    return {stream: public_head(repository, tip, stream) for stream in streams_of(info)}


def public_head(repository: Repository, tip: Tip, stream: str) -> StreamHead | None:
    """What one stream's role says under ``tip``; of one that is lost, the one before."""
    said = head_of(stream, repository.last_role(tip, stream))
    return StreamHead(*said) if said else None


def readable_heads(repository: Repository, tip: Tip) -> dict[str, StreamHead]:
    """What the roles of all streams say under ``tip``, but of those that were never published or are lost."""
    heads: dict[str, StreamHead] = {}
    for stream in tip.streams():
        with suppress(LostError):
            if held := public_head(repository, tip, stream):
                heads[stream] = held
    return heads


def public_version(
    catalog: Catalog, info: ListInfo, pending: Version | None, public: Mapping[str, StreamHead | None]
) -> int:
    """Return the version of the list's generation that the store shows, 0 for none.

    Args:
        catalog: where past versions are recorded.
        info: the list.
        pending: its version under way.
        public: what each stream's role says.

    Raises:
        StateError: the catalog is older than the store, or the store older than the catalog, or they hold
            different states of one version, or the store has epochs that the catalog does not know.
    """
    found = {(held.head.generation, held.head.version) if held else (0, 0) for held in public.values()}
    if len(found) != 1:
        raise StateError(
            f"{info.name}: its editions are not at one version", hint="somebody else signs for this list"
        )
    generation, version = found.pop()
    if generation < info.generation and not info.version:
        return 0
    under_way = pending.version if pending else 0
    apart = (
        f"{info.name}: the store is at version {generation}.{version}, "
        f"the catalog at {info.generation}.{info.version}"
    )
    if generation > info.generation or (version > info.version and version != under_way):
        raise StateError(
            apart,
            hint="the catalog is older than the store (a restored backup?): open a new generation first",
        )
    if (generation, version) < (info.generation, info.version):
        raise StateError(
            apart,
            hint="the store went back: restore it, or open a new generation",
        )
    if version:
        recorded = (
            pending if pending and version == under_way else catalog.versions(info.name, version - 1)[0]
        )
        for stream in streams_of(info):
            _compare(info, stream, recorded, public[stream])
    for stream, held in public.items():
        _check_epochs(catalog, info, stream, held)
    return version


def unannounced(catalog: Catalog, info: ListInfo, public: Mapping[str, StreamHead | None]) -> Version | None:
    """The newest version, if some stream has an epoch that its head does not name yet.

    Until it does, whoever was revoked by it reads on.
    """
    for stream, held in public.items():
        opened = catalog.epochs(stream)[-1:]
        if not opened or held is None or held.head.generation != info.generation:
            continue
        if opened[0].generation == info.generation and opened[0].number not in held.head.epochs:
            return catalog.versions(info.name, info.version - 1)[0]
    return None


def _check_epochs(catalog: Catalog, info: ListInfo, stream: str, held: StreamHead | None) -> None:
    """Refuse to go on below an epoch that the catalog never opened: it left out who is no reader any more,
    and this catalog would let him in again.
    """
    if held is None or held.head.generation != info.generation:
        return
    known = {
        one.number: one.commitment for one in catalog.epochs(stream) if one.generation == info.generation
    }
    for number, commitment in held.head.epochs.items():
        if known.get(number) != commitment:
            raise StateError(
                f"{stream}: the store has an epoch {number} that is not this catalog's",
                hint="the catalog is older than the store (a restored backup?): "
                "revoke anew whoever was revoked since, then open a new generation",
            )


def _compare(info: ListInfo, stream: str, recorded: Version, held: StreamHead | None) -> None:
    edition = stream.rpartition(".")[2]
    expected = {table: recorded.tables.get(f"{edition}.{table}") for table in info.tables}
    if held is None or dict(held.head.tables) != expected:
        version = f"{recorded.generation}.{recorded.version}"
        raise StateError(
            f"{stream}: version {version} in the store is not the one in the catalog",
            hint="two catalogs publish this list: keep one, and open a new generation from it",
        )
