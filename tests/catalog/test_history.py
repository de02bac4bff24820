"""Random histories of ingest and publication against a model of plain dictionaries."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.expression import Keyer, Scope
from vallum.testrow import test_url as url_of_test_row
from vallum_publisher.catalog import Catalog, ListSpec, Mode, Record, Status, held, open_catalog

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATE = datetime(2033, 5, 18, 12, tzinfo=UTC)
"""After every ``expires_at`` below."""
PEPPER = b"p" * 32
KEYER = Keyer(PEPPER, 20)
TEST_KEY = KEYER.url_key(Scope.URL, url_of_test_row("urls"))
Labels = tuple[str, ...]

records = st.builds(
    lambda host, ref, labels, status, expired: Record(
        1, f"{host}.example/", ref, labels=tuple(sorted(labels)), status=status, expires_at=expired
    ),
    st.sampled_from("abcdefgh"),
    st.sampled_from(["", "1", "2"]),
    st.sets(st.sampled_from(["x:1:A", "x:1:B", "flag"])),
    st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.WITHDRAWN, Status.DISPUTED]),
    st.sampled_from([0, 0, 0, 1, 2_000_000_000]),
)
batches = st.lists(records, max_size=10, unique_by=lambda record: (record.value, record.ref))
steps = st.one_of(
    st.tuples(st.sampled_from(list(Mode)), batches),
    st.sampled_from(["begin", "finish", "abandon", "reopen", "generation"]),
)


@dataclass
class Model:
    """What the catalog should hold."""

    entries: dict[tuple[bytes, str], Record] = field(default_factory=dict)
    published: dict[bytes, Labels] = field(default_factory=lambda: dict[bytes, Labels]())
    touched: dict[bytes, int] = field(default_factory=dict)
    version: int = 0
    under_way: dict[bytes, Labels | None] | None = None

    def apply(self, mode: Mode, batch: Sequence[Record]) -> tuple[int, int, int, int, int]:
        added = removed = changed = unchanged = absent = 0
        named = {}
        for record in batch:
            at = (key(record), record.ref)
            named[at] = record
            if mode is Mode.REMOVE:
                absent += not any(at[0] == row and at[1] in ("", ref) for row, ref in self.entries)
        if mode is Mode.REMOVE:
            gone = {
                at
                for at in self.entries
                if any(key(one) == at[0] and one.ref in ("", at[1]) for one in batch)
            }
        else:
            for at, record in named.items():
                old = self.entries.get(at)
                added += old is None
                changed += old is not None and old != record
                unchanged += old == record
                self.entries[at] = record
            gone = self.entries.keys() - named if mode is Mode.REPLACE else set()
        for at in gone:
            removed += 1
            del self.entries[at]
        return added, removed, changed, unchanged, absent

    def wanted(self, now: datetime = NOW) -> dict[bytes, Labels]:
        rows: dict[bytes, set[str]] = {TEST_KEY: {"test"}}
        for (at, _ref), record in self.entries.items():
            if record.status is Status.ACTIVE and not 0 < record.expires_at <= now.timestamp():
                rows.setdefault(at, set()).update(record.labels)
        return {at: tuple(sorted(labels)) for at, labels in rows.items()}

    def changes_after(
        self, known: dict[bytes, Labels | None], now: datetime = NOW
    ) -> dict[bytes, Labels | None]:
        wanted = self.wanted(now)
        keys = wanted.keys() | known.keys()
        return {at: wanted.get(at) for at in keys if wanted.get(at) != known.get(at)}

    def ended(self, known: dict[bytes, Labels | None], now: datetime) -> set[bytes]:
        """Rows that are listed, or with other labels, although their entries' time is over."""
        wanted = self.wanted(now)
        over = {
            at
            for (at, _ref), record in self.entries.items()
            if record.status is Status.ACTIVE and NOW.timestamp() < record.expires_at <= now.timestamp()
        }
        listed = {at: labels for at in over if (labels := known.get(at)) is not None}
        return {at for at, labels in listed.items() if at not in wanted or set(labels) - set(wanted[at])}

    def finish(self) -> None:
        assert self.under_way is not None
        self.version += 1
        for at, labels in self.under_way.items():
            self.touched[at] = self.version
            if labels is None:
                del self.published[at]
            else:
                self.published[at] = labels
        self.under_way = None


def key(record: Record) -> bytes:
    assert isinstance(record.value, str)
    return KEYER.url_key(Scope.URL, record.value)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "template.db"
    with open_catalog(path) as catalog:
        catalog.create_list(ListSpec("urls", "url"), actor="ann", now=NOW, pepper=PEPPER)
    return path


@pytest.mark.parametrize("block", [50_000, 3], ids=["one block", "many blocks"])
@settings(max_examples=40, deadline=None)
@given(history=st.lists(steps, max_size=14))
def test_any_history_leads_where_the_model_says(template: Path, block: int, history: list[object]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "BLOCK", block)
        patch.setattr(held, "LOOKUP", min(block, 500))
        path = Path(folder) / "catalog.db"
        shutil.copy(template, path)
        catalog, model = open_catalog(path), Model()
        for step in history:
            catalog = follow(catalog, path, model, step)
            check(catalog, model)
        assert len(catalog.audit()) >= 1
        catalog.close()


def follow(catalog: Catalog, path: Path, model: Model, step: object) -> Catalog:
    match step:
        case "begin" if model.under_way is None:
            changes = model.changes_after({**model.published})
            begun = catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
            assert (begun is None) == (not changes)
            model.under_way = changes or None
        case "finish" if model.under_way is not None:
            catalog.seal_version("urls", model.version + 1, state="0" * 64, tables={"exact": "0" * 64})
            catalog.finish_version("urls", model.version + 1, actor="ann", now=NOW)
            model.finish()
        case "abandon":
            catalog.abandon_version("urls", actor="ann", now=NOW)
            model.under_way = None
        case "reopen":
            catalog.close()
            return open_catalog(path)
        case "generation" if model.under_way is None:
            catalog.open_generation("urls", actor="ann", now=NOW)
            model.published, model.touched, model.version = {}, {}, 0
        case (Mode() as mode, list() as batch):
            done = catalog.apply("urls", batch, mode=mode, actor="ann", now=NOW, pepper=PEPPER)
            expected = model.apply(mode, batch)
            assert (done.added, done.removed, done.changed, done.unchanged, done.absent) == expected
    return catalog


def check(catalog: Catalog, model: Model) -> None:
    under_way = model.under_way or {}
    coming = {**model.published, **under_way}
    for now in (NOW, LATE):
        changes = catalog.pending_changes("urls", now=now)
        assert {change.key: change.labels for change in changes} == model.changes_after(coming, now)
        assert all(change.before == coming.get(change.key) for change in changes)
        assert [change.key for change in changes] == sorted(change.key for change in changes)
        assert catalog.count_pending("urls", now=now) == len(changes)
    assert catalog.count_ended("urls", now=NOW) == 0
    assert catalog.count_ended("urls", now=LATE) == len(model.ended(coming, LATE))

    frozen = catalog.version_changes("urls")
    assert {change.key: change.labels for change in frozen} == under_way
    rows = list(catalog.listed_rows("urls", "exact"))
    assert {row.key: row.labels for row in rows} == {at: one for at, one in coming.items() if one is not None}
    for after in {0, model.version // 2, model.version}:
        touched = {at for at, version in model.touched.items() if version > after} | under_way.keys()
        found = {row.key: row.labels for row in catalog.touched_rows("urls", "exact", after)}
        assert found == {at: coming.get(at) for at in touched}
        assert catalog.touched_keys("urls", "exact", after) == sorted(touched)

    entries = {
        (entry.key, entry.ref): entry for entry in catalog.entries("urls") if entry.ref != "vallum-test"
    }
    assert entries.keys() == model.entries.keys()
    for at, record in model.entries.items():
        assert (entries[at].labels, entries[at].status) == (record.labels, record.status)
    assert catalog.get_list("urls").version == model.version
    asked = {*model.touched, *model.wanted(), *model.published, bytes(12)}
    assert set(catalog.published_keys("urls", "exact", asked)) == model.published.keys()
