"""The publisher's tables: kept in files between publications, brought up to date from the catalog.

Tables here are always of the ``full`` edition; what an edition shows is derived (:func:`edition_of`).
A file is believed only if it has the digest that the catalog recorded; without one, all is read from the
catalog again, which costs seconds per million rows instead of a tenth.
"""

from __future__ import annotations

import os
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

from vallum.durable import make_folder, os_errors
from vallum.errors import DataError, StorageError
from vallum.format.charter import Charter
from vallum.format.incoming import CHUNK, Ordered
from vallum.format.rows import Rows, id_column, splice
from vallum.format.table import Table, count_tags, is_valued
from vallum.labels import LabelSet
from vallum.tablefile import open_table
from vallum_publisher.catalog import Catalog, ListRow

FULL = "full"

_TELL_EVERY = 50_000


def edition_of(table: Table, edition: str, name: str) -> Table:
    """What an edition shows of a full table; the rows' keys and labels are the same in each."""
    if edition == FULL:
        return table
    rows = table.rows
    if not is_valued(edition, name):
        rows = replace(rows, lengths=None, values=memoryview(b""))
    return replace(table, edition=edition, rows=rows)


def advance(table: Table, version: int, salt: bytes, touched: Sequence[ListRow]) -> Table:
    """Bring a table to ``version``.

    Args:
        table: of any earlier version of the same generation.
        version, salt: of the new one.
        touched: every row that a version after the table's touched, as it is at ``version``.
    """
    rows = table.rows
    counts = dict(table.counts)
    removals: list[int] = []
    added: list[ListRow] = []
    for row in touched:
        at = rows.find(row.key)
        if row.labels is None:
            if at is not None:
                removals.append(at)
                counts[row.value[0]] = counts.get(row.value[0], 0) - 1
            continue
        added.append(row)
        if at is None:
            counts[row.value[0]] = counts.get(row.value[0], 0) + 1
    new = splice(rows, _rows(added), removals)
    return table.at(
        table.generation, version, salt, tuple(sorted((code, n) for code, n in counts.items() if n)), new
    )


def build(charter: Charter, version: int, salt: bytes, listed: Iterable[ListRow]) -> Table:
    """Make a table of everything that is listed, by key."""
    ordered, numbers, ids = Ordered(), dict[LabelSet, int](), array("I")
    each = iter(listed)
    while some := list(islice(each, CHUNK)):
        ordered.extend(b"".join([row.key for row in some]), [row.value for row in some])
        ids.extend([numbers.setdefault(row.labels or (), len(numbers)) for row in some])
    dictionary = tuple(sorted(numbers))
    final = {numbers[labels]: at for at, labels in enumerate(dictionary)}
    rows = ordered.rows(id_column(array("I", map(final.__getitem__, ids)), len(dictionary)), dictionary)
    return Table(
        kind=charter.kind,
        edition=FULL,
        host_bits=charter.host_bits,
        generation=charter.generation,
        version=version,
        salt=salt,
        counts=count_tags(rows),
        rows=rows,
    )


def _counted(rows: Iterable[ListRow], tell: Callable[[str], None]) -> Iterator[ListRow]:
    for done, row in enumerate(rows):
        if done % _TELL_EVERY == 0:
            tell(f"reading all rows, {done:,} so far")
        yield row


def _rows(rows: Sequence[ListRow]) -> Rows:
    labels: list[LabelSet] = [row.labels or () for row in rows]
    return Rows.build([row.key for row in rows], labels, [row.value for row in rows])


@dataclass(frozen=True)
class HeldTables:
    """A list's tables at one version, by name, with their digests as hex."""

    version: int
    tables: Mapping[str, Table]
    digests: Mapping[str, str]


class TableCache:
    """Table files of all lists below one folder. Losing any of them costs time only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(
        self, name: str, generation: int, recorded: Mapping[int, Mapping[str, str]]
    ) -> HeldTables | None:
        """Open the newest tables of which all files have the recorded digests.

        Args:
            name: the list.
            generation: of the list; files of another are no use.
            recorded: digest of each table by name, by version.
        """
        for version in sorted(recorded, reverse=True):
            tables: dict[str, Table] = {}
            for table, digest in recorded[version].items():
                with suppress(StorageError, DataError):
                    tables[table] = open_table(self._path(name, generation, version, table), digest)
            if tables.keys() == recorded[version].keys() and tables:
                return HeldTables(version, tables, recorded[version])
        return None

    def store(self, name: str, table_name: str, table: Table) -> str:
        """Write a table and return its digest as hex. Not synced to disk: a torn file is not believed."""
        path = self._path(name, table.generation, table.version, table_name)
        make_folder(path.parent, 0o700)
        state = sha256()
        temporary = path.parent / f".{secrets.token_hex(8)}"
        with os_errors(path, "write"):
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    for chunk in table.chunks():
                        state.update(chunk)
                        file.write(chunk)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
        return state.hexdigest()

    def prune(self, name: str, keep: int, generation: int) -> None:
        """Delete the files of all other versions of a list."""
        for path in (self._folder / name).glob("*"):
            if not path.name.startswith(f"{generation}-{keep}."):
                path.unlink(missing_ok=True)

    def _path(self, name: str, generation: int, version: int, table: str) -> Path:
        return self._folder / name / f"{generation}-{version}.{table}"


def current_tables(
    catalog: Catalog,
    cache: TableCache,
    name: str,
    charter: Charter,
    version: int,
    salt: bytes,
    tell: Callable[[str], None],
) -> tuple[HeldTables | None, HeldTables]:
    """Compute a list's tables at ``version``, the one under way or the newest published.

    Args:
        catalog, cache: where rows and former tables are.
        name, charter: of the list.
        version, salt: of the tables.
        tell: told how far a reading of all rows has come.

    Returns:
        The tables that were held before, if any, and those of ``version``; the latter are in the cache.
    """
    recorded = {
        done.version: {table: done.tables[f"{FULL}.{table}"] for table in charter.tables}
        for done in catalog.versions(name, max(version - 64, 0))
    }
    held = cache.load(name, charter.generation, recorded)
    tables: dict[str, Table] = {}
    digests: dict[str, str] = {}
    for table_name in charter.tables:
        if held is None:
            rows = _counted(catalog.listed_rows(name, table_name), tell)
            table = build(charter, version, salt, rows)
        else:
            touched = list(catalog.touched_rows(name, table_name, held.version))
            table = advance(held.tables[table_name], version, salt, touched)
        tables[table_name] = table
        digests[table_name] = cache.store(name, table_name, table)
    return held, HeldTables(version, tables, digests)
