"""The catalog's promises, on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers.postgresql import postgresql_server, postgresql_url  # noqa: F401 - fixtures
from vallum.errors import BusyError, ConfigError, DataError, InputError, StateError, StorageError
from vallum.expression import Keyer, Scope
from vallum.testrow import test_url as url_of_test_row
from vallum_publisher.catalog import (
    TEST_REF,
    Catalog,
    KeyCollisionError,
    ListSpec,
    Mode,
    Record,
    Status,
    open_catalog,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEYER = Keyer(b"", 20)
A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)


def url(name: str, *labels: str, ref: str = "", status: Status = Status.ACTIVE, expires: int = 0) -> Record:
    return Record(
        1, f"{name}.example/x", ref, labels=tuple(sorted(labels)), status=status, expires_at=expires
    )


def key(name: str) -> bytes:
    return KEYER.url_key(Scope.URL, f"{name}.example/x")


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    where = (
        tmp_path / "catalog.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    )
    with open_catalog(where) as opened:
        opened.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        yield opened


def put(catalog: Catalog, *records: Record, mode: Mode = Mode.REPLACE) -> tuple[int, int, int, int]:
    done = catalog.apply("urls", records, mode=mode, actor="ann", now=NOW)
    return done.added, done.removed, done.changed, done.unchanged


def publish(catalog: Catalog) -> int:
    version = catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    assert version is not None
    catalog.seal_version("urls", version.version, state=f"{version.version:064}", tables={"exact": "0" * 64})
    return catalog.finish_version("urls", version.version, actor="ann", now=NOW).version


def listed(catalog: Catalog) -> dict[bytes, tuple[str, ...] | None]:
    rows = list(catalog.listed_rows("urls", "exact"))
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    return {row.key: row.labels for row in rows}


def pending(catalog: Catalog) -> dict[bytes, tuple[tuple[str, ...] | None, tuple[str, ...] | None]]:
    return {change.key: (change.before, change.labels) for change in catalog.pending_changes("urls")}


def test_a_new_list_has_one_row_which_no_replacement_removes(catalog: Catalog) -> None:
    (change,) = catalog.pending_changes("urls")
    assert change.value == b"\x01" + url_of_test_row("urls").encode()
    assert (change.labels, change.before, change.tag) == (("test",), None, 1)
    put(catalog)
    publish(catalog)
    assert put(catalog) == (0, 0, 0, 0)
    assert list(listed(catalog).values()) == [("test",)]
    with pytest.raises(InputError, match="test row"):
        put(catalog, Record(1, url_of_test_row("urls")), mode=Mode.REMOVE)
    with pytest.raises(InputError, match="test row"):
        put(catalog, Record(1, "a.example/x", TEST_REF))


def test_replace_add_and_remove(catalog: Catalog) -> None:
    assert put(catalog, url("a", *A), url("b", *A)) == (2, 0, 0, 0)
    assert put(catalog, url("a", *A), url("b", *A)) == (0, 0, 0, 2)
    assert put(catalog, url("b", *B), url("c", *A)) == (1, 1, 1, 0)
    assert put(catalog, url("a", *A), url("c", *A), mode=Mode.ADD) == (1, 0, 0, 1)
    done = catalog.apply("urls", [url("a"), url("never")], mode=Mode.REMOVE, actor="ann", now=NOW)
    assert (done.removed, done.absent) == (1, 1)
    publish(catalog)
    assert listed(catalog) == {
        key("b"): B,
        key("c"): A,
        KEYER.url_key(Scope.URL, url_of_test_row("urls")): ("test",),
    }


def test_changes_that_cancel_out_make_no_version(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    publish(catalog)
    put(catalog, url("b", *A))
    assert pending(catalog) == {key("a"): (A, None), key("b"): (None, A)}
    put(catalog, url("a", *A))
    assert pending(catalog) == {}
    assert catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW) is None
    assert catalog.get_list("urls").version == 1


def test_a_row_has_the_union_of_its_active_entries(catalog: Catalog) -> None:
    put(
        catalog,
        url("a", *A, ref="1"),
        url("a", *B, ref="2"),
        url("a", "test", ref="3", status=Status.DISPUTED),
    )
    publish(catalog)
    assert listed(catalog)[key("a")] == (*A, *B)
    put(catalog, url("a", ref="1"), mode=Mode.REMOVE)
    assert pending(catalog) == {key("a"): ((*A, *B), B)}
    put(catalog, url("a", *B, ref="2", status=Status.WITHDRAWN), mode=Mode.ADD)
    assert pending(catalog) == {key("a"): ((*A, *B), None)}
    # A removal without report number means every report.
    assert put(catalog, url("a"), mode=Mode.REMOVE)[1] == 2
    publish(catalog)
    assert key("a") not in listed(catalog)
    (gone,) = [row for row in catalog.touched_rows("urls", "exact", 1) if row.key == key("a")]
    assert gone.labels is None


def test_entries_keep_every_field_and_what_is_not_said_stays(catalog: Catalog) -> None:
    full = Record(
        1, "a.example/x", "R-1", "c1", ("ai_generated", "jurisdiction:1:GB", "subject:1:page", "uk-sap:1:A"),
        Status.ACTIVE, 1_700_000_000, 1_700_000_001, 1_700_000_002, 1_900_000_000,
    )  # fmt: skip
    put(catalog, full)
    assert put(catalog, full._replace(added_at=0, updated_at=0, verified_at=0)) == (0, 0, 0, 1)
    (entry,) = catalog.entries("urls", key("a"))
    assert (entry.ref, entry.content_id, entry.labels, entry.status) == (
        "R-1",
        "c1",
        full.labels,
        full.status,
    )
    parts = entry.classification
    assert (parts.labels, parts.flags, parts.subjects, parts.jurisdictions) == (
        A,
        ("ai_generated",),
        ("page",),
        ("GB",),
    )
    assert [moment and int(moment.timestamp()) for moment in (
        entry.added_at, entry.updated_at, entry.verified_at, entry.expires_at
    )] == [1_700_000_000, 1_700_000_001, 1_700_000_002, 1_900_000_000]  # fmt: skip
    assert entry.changed_version == 0
    publish(catalog)
    assert next(catalog.entries("urls", key("a"))).changed_version == 1
    assert put(catalog, full._replace(verified_at=1_700_000_009)) == (0, 0, 1, 0)
    assert pending(catalog) == {}, "a date alone makes no version"


def test_expiry_takes_an_entry_off(catalog: Catalog) -> None:
    soon = int(LATER.timestamp())
    put(catalog, url("a", *A, expires=soon), url("a", *B, ref="2"), url("b", *A, expires=soon))
    put(catalog, url("old", *A, expires=int(NOW.timestamp())), mode=Mode.ADD)
    publish(catalog)
    assert key("old") not in listed(catalog)
    assert catalog.expire("urls", actor="ann", now=NOW) == 0
    assert catalog.expire("urls", actor="ann", now=LATER) == 2
    assert pending(catalog) == {key("a"): ((*A, *B), B), key("b"): (A, None)}
    assert catalog.expire("urls", actor="ann", now=LATER) == 0


def test_a_version_under_way_is_read_back_exactly_while_ingest_goes_on(catalog: Catalog) -> None:
    put(catalog, url("a", *A), url("b", *A))
    publish(catalog)
    put(catalog, url("a", *B), url("c", *A))
    version = catalog.begin_version("urls", salt=b"s" * 16, actor="ann", now=NOW)
    frozen = catalog.version_changes("urls")
    put(catalog, url("d", *A))
    sealed = catalog.seal_version(
        "urls", 2, state="f" * 64, tables={"exact": "e" * 64}, details={"runs": [1, 2]}
    )
    assert catalog.version_changes("urls") == frozen
    assert catalog.pending_version("urls") == sealed
    assert version is not None
    assert (sealed.version, sealed.salt, sealed.changes, sealed.published_at) == (2, b"s" * 16, 3, None)
    assert {change.key: change.labels for change in frozen} == {key("a"): B, key("b"): None, key("c"): A}
    with pytest.raises(BusyError):
        catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    with pytest.raises(StateError, match="another state"):
        catalog.seal_version("urls", 2, state="0" * 64, tables={"exact": "e" * 64})
    for other in (1, 3):  # what was computed for them must not pass for this one's
        with pytest.raises(StateError, match="not under way"):
            catalog.seal_version("urls", other, state="f" * 64, tables={"exact": "e" * 64})
    assert {row.key: row.labels for row in catalog.touched_rows("urls", "exact", 1)} == {
        key("a"): B, key("b"): None, key("c"): A
    }  # fmt: skip
    assert listed(catalog).keys() >= {key("a"), key("c")}
    done = catalog.finish_version("urls", 2, actor="ann", now=LATER)
    assert done.published_at == LATER
    assert catalog.finish_version("urls", 2, actor="bob", now=LATER + LATER.resolution) == done
    assert pending(catalog) == {key("a"): (B, None), key("c"): (A, None), key("d"): (None, A)}
    assert [v.version for v in catalog.versions("urls", 1)] == [2]
    assert catalog.versions("urls")[1].details == {"runs": [1, 2]}


def test_an_abandoned_version_waits_for_the_next(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    before = catalog.pending_changes("urls")
    catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    with pytest.raises(StateError, match="sealed"):
        catalog.finish_version("urls", 1, actor="ann", now=NOW)
    abandoned = catalog.abandon_version("urls", actor="ann", now=NOW)
    assert abandoned is not None
    assert catalog.abandon_version("urls", actor="ann", now=NOW) is None
    assert catalog.pending_changes("urls") == before
    with pytest.raises(StateError, match="under way"):
        catalog.finish_version("urls", 1, actor="ann", now=NOW)
    assert publish(catalog) == 1


def test_a_new_generation_publishes_everything_anew(catalog: Catalog) -> None:
    put(catalog, url("a", *A), url("b", *A))
    publish(catalog)
    put(catalog, url("b", *A))
    publish(catalog)
    info = catalog.open_generation("urls", actor="ann", now=NOW)
    assert (info.generation, info.version) == (2, 0)
    assert {change.before for change in catalog.pending_changes("urls")} == {None}
    assert publish(catalog) == 1
    assert [row.key for row in catalog.touched_rows("urls", "exact", 0)] == sorted(listed(catalog))
    assert len(listed(catalog)) == 2
    assert catalog.versions("urls")[0].generation == 2


def test_a_key_with_another_expression_is_refused_and_audited(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(catalog, url("a", *A))
    real = Keyer.url_key
    # Nobody can make a real collision: one other URL is given the key of the first.
    monkeypatch.setattr(
        Keyer,
        "url_key",
        lambda self, scope, form, part=None: real(
            self, scope, "a.example/x" if form == "evil.example/x" else form, None
        ),
    )
    with pytest.raises(KeyCollisionError) as caught:
        put(catalog, url("b", *A), url("evil", *B), mode=Mode.ADD)
    assert "example" not in str(caught.value)
    assert caught.value.entry_id == KEYER.entry_id(key("a"))
    assert key("b") not in pending(catalog), "nothing of the batch was applied"
    assert catalog.audit()[-1].action == "alarm: key collision"
    with pytest.raises(KeyCollisionError):
        put(catalog, url("evil", *B), url("a", *A))
    with pytest.raises(KeyCollisionError):
        put(catalog, url("evil"), mode=Mode.REMOVE)


def test_a_batch_is_whole_or_not_at_all(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    before = pending(catalog)
    with pytest.raises(InputError, match="contradict"):
        put(catalog, url("b", *A), url("c", *A), url("c", *B))
    with pytest.raises(InputError, match="sha256"):
        put(catalog, url("b", *A), Record(16, bytes(range(32))))
    with pytest.raises(ConfigError, match="no list"):
        catalog.apply("nope", [], mode=Mode.ADD, actor="ann", now=NOW)
    assert pending(catalog) == before
    assert put(catalog, url("a", *A), url("a", *A)) == (0, 0, 0, 1)


def test_the_wrong_pepper_is_noticed(catalog: Catalog) -> None:
    spec = ListSpec("secret", "hash")
    catalog.create_list(spec, actor="ann", now=NOW, pepper=b"p" * 32)
    record = Record(16, bytes(range(32)))
    with pytest.raises(ConfigError, match="pepper"):
        catalog.apply("secret", [record], mode=Mode.ADD, actor="ann", now=NOW, pepper=b"q" * 32)
    assert catalog.apply("secret", [record], mode=Mode.ADD, actor="ann", now=NOW, pepper=b"p" * 32).added == 1
    with pytest.raises(ConfigError, match="pepper"):
        catalog.create_list(ListSpec("x", "url"), actor="ann", now=NOW)


@pytest.mark.parametrize(
    "spec",
    [
        ListSpec("Urls", "url", public=True),
        ListSpec("urls", "url", public=True),
        ListSpec("a", "domains", public=True),
        ListSpec("a", "url", public=True, editions=("match",)),
        ListSpec("a", "url", public=True, tables=("pdq",)),
        ListSpec("a", "hash", public=True, host_bits=8),
        ListSpec("a", "url", public=True, appeal_url="http://a.example/"),
        ListSpec("a", "url", public=True, appeal_url="https://a.example/ä"),
        ListSpec("a", "url", public=True, appeal_url="https://a.example/a b"),
        ListSpec("a", "url", public=True, appeal_url="https://"),
        ListSpec("a", "url", public=True, publisher="x\n"),
        ListSpec("a", "url", public=True, publisher="x\ud800"),
        ListSpec("a", "url", public=True, jurisdiction="ä" * 129),
        ListSpec("a", "url", public=True, wide_per_week=1 << 53),
        ListSpec("a", "url", public=True, min_poll=3601),
        ListSpec("a", "url", public=True, max_age=15 * 86400),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(catalog: Catalog, spec: ListSpec) -> None:
    with pytest.raises(ConfigError):
        catalog.create_list(spec, actor="ann", now=NOW)
    assert [info.name for info in catalog.lists()] == ["urls"]


def test_digests_of_two_tables(catalog: Catalog) -> None:
    catalog.create_list(ListSpec("pics", "hash", public=True), actor="ann", now=NOW)
    sha, pdq = Record(16, bytes(range(32)), "R", "c"), Record(32, bytes(range(32)), "R", "c", A)
    catalog.apply("pics", [pdq, sha], mode=Mode.REPLACE, actor="ann", now=NOW)
    changes = catalog.pending_changes("pics")
    assert [change.table for change in changes] == ["exact", "exact", "pdq"]
    assert changes[2].value == b"\x20" + bytes(range(32))
    assert catalog.count_pending("pics") == 3


def test_the_audit_log_is_chained_and_append_only(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        put(catalog, url("a", *A))
        publish(catalog)
        log = catalog.audit()
        assert [(record.seq, record.actor, record.action) for record in log] == [
            (1, "ann", "list create"), (2, "ann", "ingest"),
            (3, "ann", "begin version"), (4, "ann", "publish"),
        ]  # fmt: skip
        assert log[1].details == {"mode": "replace", "added": 1, "removed": 0, "changed": 0}
        assert "a.example" not in repr(log)
    with sqlite3.connect(path) as raw:
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            raw.execute("UPDATE audit SET actor = 'eve'")
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            raw.execute("DELETE FROM audit")
        raw.execute("DROP TRIGGER audit_no_UPDATE")
        raw.execute("UPDATE audit SET actor = 'eve' WHERE seq = 2")
    raw.close()
    with open_catalog(path) as catalog, pytest.raises(DataError, match="record 2"):
        catalog.audit()


def test_a_second_writer_is_told_so_and_readers_are_not_held_up(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog, open_catalog(path, busy_seconds=0.1) as other:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError) as caught:
            put(other, url("a", *A))
        assert "PostgreSQL" in caught.value.hint
        assert len(other.pending_changes("urls")) == 1
        writer.execute("ROLLBACK")
        writer.close()
        assert put(other, url("a", *A)) == (1, 0, 0, 0)


def test_publishers_who_share_a_server_wait_for_each_other(request: pytest.FixtureRequest) -> None:
    where = request.getfixturevalue("postgresql_url")
    with open_catalog(where) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)

        def work(number: int) -> None:
            with open_catalog(where, busy_seconds=30) as mine:
                for step in range(5):
                    put(mine, url(f"h{number}-{step}", f"x:1:{step}"), mode=Mode.ADD)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(catalog.pending_changes("urls")) == 21
        assert len(catalog.audit()) == 21


def test_a_full_disk_leaves_the_catalog_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        before = catalog.pending_changes("urls")
    with open_catalog(path) as catalog:
        # SQLite's own limit answers as a full disk does.
        from sqlalchemy import event

        event.listen(
            catalog._engine,
            "connect",
            lambda connection, _record: connection.execute("PRAGMA max_page_count = 1"),
        )
        catalog._engine.dispose()
        with pytest.raises(StorageError) as caught:
            put(catalog, *(url(f"h{number}", *A) for number in range(2000)))
        assert "full" in str(caught.value)
        assert catalog.pending_changes("urls") == before


def test_the_file_is_private_and_errors_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(f"sqlite:///{path}") as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    with pytest.raises(ConfigError, match="no catalog"):
        open_catalog(tmp_path / "other.db", create=False)
    with pytest.raises(StorageError, match="cannot make"):
        open_catalog(tmp_path / "nowhere" / "catalog.db")
    for wrong in ("mysql://localhost/x", "nonsense://x", "sqlite://"):
        with pytest.raises(ConfigError):
            open_catalog(wrong)
    (tmp_path / "junk.db").write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(StorageError):
        open_catalog(tmp_path / "junk.db")


def test_times_have_a_zone(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="zone"):
        catalog.expire("urls", actor="ann", now=NOW.replace(tzinfo=None))


def test_values_do_not_show(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    shown = repr(catalog.pending_changes("urls")) + repr(list(catalog.entries("urls"))) + repr(url("a"))
    assert "a.example" not in shown
