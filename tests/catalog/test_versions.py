"""Versions of a list: what begins one, what it freezes, what follows."""

from __future__ import annotations

import pytest

from tests.catalog.urls import LATER, NOW, A, B, key, listed, pending, publish, put, url
from vallum.errors import BusyError, StateError
from vallum_publisher.catalog import (
    Catalog,
)


def test_changes_that_cancel_out_make_no_version(catalog: Catalog) -> None:
    put(catalog, url("a", *A))
    publish(catalog)
    put(catalog, url("b", *A))
    assert pending(catalog) == {key("a"): (A, None), key("b"): (None, A)}
    put(catalog, url("a", *A))
    assert pending(catalog) == {}
    assert catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW) is None
    assert catalog.get_list("urls").version == 1


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
    before = catalog.pending_changes("urls", now=NOW)
    catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    with pytest.raises(StateError, match="sealed"):
        catalog.finish_version("urls", 1, actor="ann", now=NOW)
    abandoned = catalog.abandon_version("urls", actor="ann", now=NOW)
    assert abandoned is not None
    assert catalog.abandon_version("urls", actor="ann", now=NOW) is None
    assert catalog.pending_changes("urls", now=NOW) == before
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
    assert {change.before for change in catalog.pending_changes("urls", now=NOW)} == {None}
    assert publish(catalog) == 1
    assert [row.key for row in catalog.touched_rows("urls", "exact", 0)] == sorted(listed(catalog))
    assert len(listed(catalog)) == 2
    assert catalog.versions("urls")[0].generation == 2


def test_entries_whose_time_is_over_count_as_off_the_list(catalog: Catalog) -> None:
    ends = int(LATER.timestamp())
    one, other = url("c", *A, expires=ends, ref="1"), url("c", *B, ref="2")
    put(catalog, url("a", *A), url("b", *A, expires=ends), one, other)
    assert catalog.count_ended("urls", now=LATER) == 0  # nothing of it is public
    publish(catalog)
    assert (catalog.count_ended("urls", now=NOW), catalog.count_pending("urls", now=NOW)) == (0, 0)
    assert (catalog.count_ended("urls", now=LATER), catalog.count_pending("urls", now=LATER)) == (2, 2)
    changes = catalog.pending_changes("urls", now=LATER)
    assert {change.key: (change.before, change.labels) for change in changes} == {
        key("b"): (A, None), key("c"): (A + B, B)
    }  # fmt: skip
    catalog.expire("urls", actor="ann", now=LATER)
    assert (catalog.count_ended("urls", now=LATER), catalog.count_pending("urls", now=LATER)) == (0, 2)


def test_what_is_taken_off_while_a_version_is_under_way_waits(catalog: Catalog) -> None:
    publish(catalog)
    put(catalog, url("a", *A))
    catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    assert (catalog.count_pending("urls", now=NOW), catalog.count_taken_off("urls")) == (0, 0)
    put(catalog)
    assert pending(catalog) == {key("a"): (A, None)}
    assert (catalog.count_pending("urls", now=NOW), catalog.count_taken_off("urls")) == (1, 1)
    assert catalog.abandon_left("urls", actor="ann", now=LATER) is not None
    assert (pending(catalog), catalog.count_taken_off("urls")) == ({}, 0)
