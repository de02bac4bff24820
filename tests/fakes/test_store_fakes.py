"""The fakes themselves: an invariant that cannot fail would prove nothing."""

from __future__ import annotations

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed, Write
from tests.fakes.memory_store import MemoryStore
from vallum.errors import FetchError
from vallum_publisher.store import METADATA, ROOT, RUN, TIMESTAMP, WRAP

HEAD = "metadata/timestamp.json"


def test_a_deleted_key_returns_only_if_its_name_tells_its_bytes() -> None:
    store = MemoryStore()
    for key, kind in (("targets/1.run", RUN), ("wraps/1", WRAP)):
        store.create(key, b"x", kind)
        store.delete(key)
    store.create("targets/1.run", b"x", RUN)
    with pytest.raises(AssertionError, match="returns from deletion"):
        store.create("wraps/1", b"x", WRAP)


def test_what_readers_start_from_is_never_deleted() -> None:
    store = MemoryStore()
    store.create("metadata/1.root.json", b"x", ROOT)
    store.replace(HEAD, b"x", TIMESTAMP, None)
    for key in ("metadata/1.root.json", HEAD):
        with pytest.raises(AssertionError, match="never deleted"):
            store.delete(key)


def test_a_key_is_of_one_kind_and_the_timestamp_of_its_own() -> None:
    store = MemoryStore()
    with pytest.raises(AssertionError, match="is written as a metadata"):
        store.create(HEAD, b"x", METADATA)
    with pytest.raises(AssertionError, match="is written as a timestamp"):
        store.replace("metadata/1.root.json", b"x", TIMESTAMP, None)


def test_a_key_is_no_folder_of_another() -> None:
    store = MemoryStore()
    store.create("targets/a/1.run", b"x", RUN)
    with pytest.raises(AssertionError, match="folder"):
        store.create("targets/a", b"x", RUN)
    with pytest.raises(AssertionError, match="folder"):
        store.create("targets/a/1.run/b", b"x", RUN)


@pytest.mark.parametrize(
    ("fault", "stored", "stored_later"),
    [
        (Fault.NOT_STORED, False, False),
        (Fault.STORED_BUT_ERROR, True, True),
        (Fault.TIMED_OUT, False, True),
    ],
)
def test_each_fault_stores_what_it_says(fault: Fault, stored: bool, stored_later: bool) -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, step=1, fault=fault)
    store.create("targets/0.run", b"x", RUN)
    with pytest.raises(FetchError):
        store.create("targets/1.run", b"x", RUN)
    assert store.met
    assert (inner.get("targets/1.run") is not None) == stored
    store.create("targets/2.run", b"x", RUN)
    assert (inner.get("targets/1.run") is not None) == stored_later
    assert not FaultyStore(inner, step=0).met
    assert store.writes == [Write("create", f"targets/{n}.run", "run", 1) for n in range(3)]


def test_a_late_write_that_lost_changes_nothing() -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, step=0, fault=Fault.TIMED_OUT)
    with pytest.raises(FetchError):
        store.replace(HEAD, b"late", TIMESTAMP, None)
    inner.replace(HEAD, b"his", TIMESTAMP, None)
    store.create("targets/1.run", b"x", RUN)
    stored = inner.get(HEAD)
    assert stored is not None
    assert stored.data == b"his"


@pytest.mark.parametrize(("fault", "stored"), [(Fault.KILLED_BEFORE, False), (Fault.KILLED_AFTER, True)])
def test_a_dead_process_does_nothing_more(fault: Fault, stored: bool) -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, step=0, fault=fault)
    with pytest.raises(Killed):
        store.create("targets/1.run", b"x", RUN)
    assert (inner.get("targets/1.run") is not None) == stored
    for call in (
        lambda: store.create("targets/2.run", b"x", RUN),
        lambda: store.delete("targets/1.run"),
        lambda: store.get("targets/1.run"),
        lambda: store.list(),
    ):
        with pytest.raises(Killed):
            call()
    assert (inner.get("targets/1.run") is not None) == stored
