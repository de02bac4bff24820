"""A publisher in a temporary folder with a store in memory, and what tests do with it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from tests.fakes.memory_store import MemoryStore
from vallum.expression import DIGEST_TAGS, URL_TAGS, Scope
from vallum.format.head import Head
from vallum.format.section import Codec
from vallum.format.table import Table, build_table
from vallum.labels import LabelSet
from vallum.path import shortest_path
from vallum.sync.apply import apply_listed, check_tables
from vallum_publisher.catalog import Catalog, ListSpec, Mode, Record
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import reading
from vallum_publisher.store import ObjectStore
from vallum_publisher.workspace import Workspace, open_workspace

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - python-tuf judges expiry by the real clock

URLS = ListSpec("urls", "url", public=True)
HASHES = ListSpec("hashes", "hash", public=True)


@dataclass(frozen=True)
class Founded:
    """A founded repository to start from: a folder and a store, to be copied."""

    folder: Path
    store: MemoryStore

    def copy(self, to: Path) -> tuple[Workspace, MemoryStore]:
        """Both, as if founded anew."""
        shutil.copytree(self.folder, to)
        return open_workspace(to), self.copy_store()

    def copy_store(self) -> MemoryStore:
        """The store alone."""
        store = MemoryStore()
        store._objects = copy.copy(self.store._objects)
        store._puts = self.store._puts  # no tag of the copy names another content of the original
        return store


@contextmanager
def publisher(workspace: Workspace, store: ObjectStore) -> Iterator[Publisher]:
    """An open publisher."""
    with workspace.open_catalog(create=True) as catalog:
        yield Publisher(workspace, catalog=catalog, store=store)


def url(form: str, labels: LabelSet = (), scope: Scope = Scope.URL) -> Record:
    return Record(URL_TAGS[scope].code, form, labels=labels)


def digest(number: int, labels: LabelSet = ()) -> Record:
    return Record(DIGEST_TAGS["sha256"].code, sha256(number.to_bytes(8)).digest(), labels=labels)


def fill(catalog: Catalog, name: str, records: Iterable[Record], at: datetime = NOW) -> None:
    """Make ``records`` (and the test row) all that the list holds."""
    catalog.apply(name, list(records), mode=Mode.REPLACE, actor="test", now=at)


def read_tables(store: ObjectStore, root: bytes, stream: str) -> tuple[Head, dict[str, Table]] | None:
    """What a new client gets, by the client's code; ``None`` before the first publication."""
    with reading(store, root) as client:
        head = client.client.head(stream)
        if head is None:
            return None
        charter = client.client.charter(stream.rpartition(".")[0])
        assert charter is not None
        codec = charter.codec(stream.rpartition(".")[2])
        runs = {ref: client.run(stream, head.generation, ref) for ref in head.runs}
    tables: dict[str, Table] = {}
    for ref in shortest_path(head.runs, 0, head.version, lambda ref: len(runs[ref])):
        tables = apply_listed(codec, head.generation, ref, runs[ref], tables)
    check_tables(head, tables)
    return head, tables


def listed_values(store: ObjectStore, root: bytes, stream: str) -> set[bytes]:
    """The values that a new client gets, without the test row's."""
    read = read_tables(store, root, stream)
    if read is None:
        return set()
    _, tables = read
    found: set[bytes] = set()
    for table in tables.values():
        for at, value in enumerate(table.rows.iter_values()):
            if "test" not in table.rows.labels(at):
                found.add(value)
    return found


def table_of(codec: Codec, version: int, rows: dict[bytes, tuple[LabelSet, bytes]]) -> Table:
    """The table that ``rows`` (labels and value by key) must make."""
    tally: dict[int, int] = {}
    for _, value in rows.values():
        tally[value[0]] = tally.get(value[0], 0) + 1
    return build_table(
        kind=codec.kind,
        edition=codec.edition,
        name="exact",
        host_bits=codec.keyer.host_bits,
        generation=1,
        version=version,
        salt=bytes(16),
        counts=tuple(sorted(tally.items())),
        keys=list(rows),
        labels=[labels for labels, _ in rows.values()],
        values=[value for _, value in rows.values()],
    )
