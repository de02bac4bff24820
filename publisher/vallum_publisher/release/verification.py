"""The whole repository, checked from outside: what a suspicious subscriber would do who has the time.

Nothing here trusts what the publisher's own code computed; the metadata and runs are read by the client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vallum.errors import ConfigError, DataError, StateError, TrustError
from vallum.format.charter import Charter, split_stream
from vallum.format.epoch import Epoch, check_epoch_key, check_pepper
from vallum.format.head import Head, RunRef
from vallum.format.table import Table
from vallum.path import shortest_path
from vallum.progress import Tell, silent
from vallum.sync.apply import apply_listed, check_head_fits, check_tables
from vallum_publisher.catalog import Catalog
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.recipients.inspection import check_wraps
from vallum_publisher.release.readback import Reading, reading
from vallum_publisher.release.runs import Sealed, read_run
from vallum_publisher.release.tables import FULL, build, edition_of
from vallum_publisher.store import ObjectStore

_NOT_AS_SIGNED = (
    "the catalog holds another key or pepper than was signed: does it belong to another repository, or to "
    "another time (a restored backup)? See deploy/runbooks/restored-catalog.md and lost-or-leaked-pepper.md"
)


@dataclass(frozen=True, slots=True)
class VerifiedStream:
    """One stream that was checked. ``rows`` by table; ``paths`` led to the signed state, ``wraps`` fit."""

    stream: str
    generation: int
    version: int
    state: str
    rows: Mapping[str, int]
    runs: int
    paths: int
    wraps: int = 0


def verify_repository(
    store: ObjectStore,
    root: bytes,
    catalog: Catalog | None = None,
    custody: Custody | None = None,
    tell: Tell = silent,
) -> tuple[VerifiedStream, ...]:
    """Check metadata, every listed run, every way to the head, and the catalog's rows where there is one.

    The wraps of an encrypted list must be those of its recipients (:mod:`.recipients.inspection`); those that
    are nobody's are :mod:`.absence`'s to name.
    Ways begin at nothing, and at each version that some listed run begins or ends at, as far as its tables
    can be made from what is listed. Of a list in two editions, ``match`` must be what follows from ``full``.

    Args:
        store: the repository.
        root: a root of trust.
        catalog: what was meant to be published.
        custody: the keys of encrypted lists.
        tell: told what is checked next.

    Returns:
        The published streams, sorted.

    Raises:
        VallumError: the first thing that is not as it must be.
    """
    verified: list[VerifiedStream] = []
    heads: dict[str, Head] = {}
    full: dict[str, Mapping[str, Table]] = {}
    with reading(store, root) as client:
        for stream in client.top.streams:
            charter = client.client.charter(split_stream(stream)[0])
            if charter is None:
                raise DataError(f"{stream} is delegated, and its list has no charter")
            head = client.client.head(stream)
            if head is not None:
                check_head_fits(stream, charter, head)
                keys = _keys(stream, charter, head, catalog, custody)
                checked = _Stream(client, stream, charter, head, keys, tell)
                done = checked.verify(catalog)
                if charter.pepper is not None and catalog is not None:
                    tell(f"{stream}: comparing its wraps with its recipients")
                    wraps = check_wraps(catalog, store, stream, head.generation, head.epochs)
                    done = replace(done, wraps=wraps)
                verified.append(done)
                heads[stream] = head
                if stream.endswith(f".{FULL}"):
                    full[stream.removesuffix(f".{FULL}")] = checked.tables
        for name, tables in full.items():
            if (match := heads.get(f"{name}.match")) is not None:
                tell(f"{name}: comparing its editions")
                _check_editions(name, tables, match)
    return tuple(verified)


def _keys(
    stream: str, charter: Charter, head: Head, catalog: Catalog | None, custody: Custody | None
) -> tuple[bytes, Mapping[int, Sealed]]:
    """The pepper, and what each epoch's runs are sealed with."""
    if charter.pepper is None:
        return b"", {}
    if catalog is None or custody is None:
        raise ConfigError(f"{stream} is encrypted, and there are no keys here to check it with")
    pepper = custody.pepper(catalog.get_list(split_stream(stream)[0]))
    sealed: dict[int, Sealed] = {}
    for number, commitment in head.epochs.items():
        epoch = Epoch(charter.uid, stream, head.generation, number)
        key = custody.key(epoch)
        try:
            check_epoch_key(epoch, key, commitment)
            check_pepper(epoch, pepper, charter.pepper)
        except TrustError as error:
            # Here it is not a recipient who asks, whose publisher gave him something else.
            raise TrustError(f"{stream}: {error}", hint=_NOT_AS_SIGNED) from None
        sealed[number] = epoch, key
    return pepper, sealed


def _check_editions(name: str, full: Mapping[str, Table], match: Head) -> None:
    """Require that the ``match`` edition is what derives from the ``full`` one."""
    for table, digest in match.tables.items():
        if edition_of(full[table], "match", table).digest() != digest:
            raise StateError(
                f"{name}: the match edition does not follow from the full one",
                hint="its keys signed something else: call whoever holds them",
            )


class _Stream:
    def __init__(
        self,
        client: Reading,
        stream: str,
        charter: Charter,
        head: Head,
        keys: tuple[bytes, Mapping[int, Sealed]],
        tell: Tell,
    ) -> None:
        self._client = client
        self._stream = stream
        self._charter = charter
        self._head = head
        self._tell = tell
        pepper, self._sealed = keys
        self._codec = charter.codec(split_stream(stream)[1], pepper)
        self.tables: Mapping[str, Table] = {}
        self._sizes: dict[RunRef, int] = {}

    def verify(self, catalog: Catalog | None) -> VerifiedStream:
        head = self._head
        for ref in head.runs:
            self._tell(f"{self._stream}: decoding the run from {ref.start} to {ref.end}")
            data = self._data(ref)
            self._sizes[ref] = len(data)
            read_run(self._codec, data, self._sealed.get(ref.epoch))
        tables = self._walk({}, 0, head.version)
        check_tables(head, tables)
        self.tables = tables
        paths = 1 + self._check_ways()
        if catalog is not None:
            self._tell(f"{self._stream}: comparing with the catalog")
            self._check_catalog(catalog)
        rows = {name: len(table.rows) for name, table in tables.items()}
        return VerifiedStream(
            self._stream, head.generation, head.version, head.state, rows, len(head.runs), paths
        )

    def _check_ways(self) -> int:
        """From each version that can be made of a base, the client's way must lead to the signed state."""
        head = self._head
        first = min(ref.end for ref in head.runs if ref.start == 0)
        starts = sorted(
            {at for ref in head.runs for at in (ref.start, ref.end) if first <= at < head.version}
        )
        made = [start for start in starts if self._can_be_made(start)]
        for start in made:
            self._tell(f"{self._stream}: the way from version {start}")
            held = self._walk({}, 0, start)
            check_tables(head, self._walk(held, start, head.version))
        return len(made)

    def _can_be_made(self, version: int) -> bool:
        """Say whether what is listed today still leads to an older version."""
        runs = [ref for ref in self._head.runs if ref.end <= version]
        try:
            shortest_path(runs, 0, version, self._sizes.__getitem__)
        except StateError:
            return False
        return True

    def _walk(self, held: Mapping[str, Table], start: int, end: int) -> Mapping[str, Table]:
        runs = [ref for ref in self._head.runs if ref.end <= end and (start == 0 or ref.start)]
        for ref in shortest_path(runs, start, end, self._sizes.__getitem__):
            sealed = self._sealed.get(ref.epoch)
            held = apply_listed(self._codec, self._head.generation, ref, self._data(ref), held, sealed)
        return held

    def _data(self, ref: RunRef) -> bytes:
        return self._client.run(self._stream, self._head.generation, ref)

    def _check_catalog(self, catalog: Catalog) -> None:
        name, edition = split_stream(self._stream)
        info, pending = catalog.get_list(name), catalog.pending_version(name)
        if (info.generation, info.version) != (self._head.generation, self._head.version) or pending:
            raise StateError(
                f"{name}: the catalog is at version {info.version}, or in the middle of one",
                hint="run vallum-publisher publish first",
            )
        for table_name, digest in self._head.tables.items():
            salt = catalog.versions(name, info.version - 1)[0].salt
            full = build(self._charter, info.version, salt, catalog.listed_rows(name, table_name))
            if edition_of(full, edition, table_name).digest() != digest:
                raise StateError(f"{self._stream}: the catalog's rows are not the signed state")
