"""What a catalog makes of entries, on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.catalog.urls import KEYER, LATER, NOW, A, B, key, listed, pending, publish, put, url
from vallum.errors import ConfigError, InputError
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
)


def test_a_new_list_has_one_row_which_no_replacement_removes(catalog: Catalog) -> None:
    (change,) = catalog.pending_changes("urls", now=NOW)
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
    changes = catalog.pending_changes("pics", now=NOW)
    assert [change.table for change in changes] == ["exact", "exact", "pdq"]
    assert changes[2].value == b"\x20" + bytes(range(32))
    assert catalog.count_pending("pics", now=NOW) == 3


def test_times_have_a_zone(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="zone"):
        catalog.expire("urls", actor="ann", now=NOW.replace(tzinfo=None))


def test_values_do_not_show(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    shown = repr(catalog.pending_changes("urls", now=NOW)) + repr([*catalog.entries("urls"), url("a")])
    assert "a.example" not in shown
