"""One contract, every backend: the sentences of ``ObjectStore``, one test each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from tests.fakes.memory_store import MemoryStore
from vallum.errors import ConfigError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import METADATA, RUN, TIMESTAMP, ObjectStore

HEAD = "metadata/timestamp.json"
WRITERS = 4


def test_what_was_created_is_read_back_and_by_others(connect: Callable[[], ObjectStore]) -> None:
    data = bytes(range(256)) * 5_000  # above what servers keep inline
    connect().create("targets/a/1.run", data, RUN)
    stored = connect().get("targets/a/1.run")
    assert stored is not None
    assert stored.data == data


def test_an_absent_key_is_none(store: ObjectStore) -> None:
    assert store.get("metadata/2.root.json") is None
    store.create("metadata/1.root.json", b"{}", METADATA)
    assert store.get("metadata") is None
    assert store.get("metadata/1.root.json/x") is None


def test_creating_the_same_bytes_twice_is_success(store: ObjectStore) -> None:
    store.create("metadata/1.a.json", b"one", METADATA)
    store.create("metadata/1.a.json", b"one", METADATA)


def test_creating_other_bytes_is_a_conflict_and_changes_nothing(store: ObjectStore) -> None:
    store.create("metadata/1.a.json", b"one", METADATA)
    with pytest.raises(ConflictError, match=r"metadata/1\.a\.json") as raised:
        store.create("metadata/1.a.json", b"two", METADATA)
    assert raised.value.key == "metadata/1.a.json"
    stored = store.get("metadata/1.a.json")
    assert stored is not None
    assert stored.data == b"one"


def test_of_concurrent_creators_exactly_one_wins(connect: Callable[[], ObjectStore]) -> None:
    stores = [connect() for _ in range(WRITERS)]
    barrier = Barrier(WRITERS)

    def create(writer: int) -> bool:
        barrier.wait()
        try:
            stores[writer].create("metadata/7.a.json", b"writer %d" % writer, METADATA)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        won = [writer for writer, ok in enumerate(pool.map(create, range(WRITERS))) if ok]
    assert len(won) == 1
    stored = connect().get("metadata/7.a.json")
    assert stored is not None
    assert stored.data == b"writer %d" % won[0]


def test_a_swap_needs_the_present_tag(store: ObjectStore) -> None:
    first = store.replace(HEAD, b"1", TIMESTAMP, None)
    second = store.replace(HEAD, b"2", TIMESTAMP, first)
    assert first != second
    for outdated in (first, None):
        with pytest.raises(ConflictError):
            store.replace(HEAD, b"3", TIMESTAMP, outdated)
    stored = store.get(HEAD)
    assert stored is not None
    assert (stored.data, stored.tag) == (b"2", second)
    assert store.replace(HEAD, b"3", TIMESTAMP, stored.tag)


def test_a_swap_of_an_absent_key_that_was_expected_is_a_conflict(store: ObjectStore) -> None:
    tag = store.replace("metadata/other/timestamp.json", b"1", TIMESTAMP, None)
    with pytest.raises(ConflictError):
        store.replace(HEAD, b"2", TIMESTAMP, tag)
    assert store.get(HEAD) is None


def test_a_swap_to_the_bytes_already_there_is_success(store: ObjectStore) -> None:
    first = store.replace(HEAD, b"1", TIMESTAMP, None)
    second = store.replace(HEAD, b"2", TIMESTAMP, first)
    assert store.replace(HEAD, b"2", TIMESTAMP, first) == second
    assert store.replace(HEAD, b"2", TIMESTAMP, None) == second


def test_concurrent_swaps_lose_nothing(connect: Callable[[], ObjectStore]) -> None:
    rounds = 5
    stores = [connect() for _ in range(WRITERS)]
    stores[0].replace(HEAD, b"start\n", TIMESTAMP, None)

    def add_lines(writer: int) -> None:
        for turn in range(rounds):
            while True:
                stored = stores[writer].get(HEAD)
                assert stored is not None
                try:
                    line = b"%d %d\n" % (writer, turn)
                    stores[writer].replace(HEAD, stored.data + line, TIMESTAMP, stored.tag)
                except ConflictError:
                    continue
                break

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(add_lines, range(WRITERS)))
    stored = connect().get(HEAD)
    assert stored is not None
    lines = stored.data.decode().splitlines()
    assert sorted(lines[1:]) == sorted(f"{w} {t}" for w in range(WRITERS) for t in range(rounds))


def test_deleting_is_repeatable(store: ObjectStore) -> None:
    store.create("targets/a/1.run", b"run", RUN)
    for _ in range(2):
        store.delete("targets/a/1.run")
        assert store.get("targets/a/1.run") is None
    store.delete("never/there")


def test_the_listing_names_size_and_time(store: ObjectStore) -> None:
    for number in range(3):
        store.create(f"targets/a/{number}.run", b"x" * (number + 1), RUN)
    store.create("metadata/1.a.json", b"{}", METADATA)
    listed = {found.key: found for found in store.list("targets/a/")}
    assert {key: found.size for key, found in listed.items()} == {
        "targets/a/0.run": 1,
        "targets/a/1.run": 2,
        "targets/a/2.run": 3,
    }
    assert len(list(store.list())) == 4
    assert list(store.list("nothing/")) == []
    for found in listed.values():
        assert found.modified.utcoffset() == timedelta(0)
        # The fake stands at its own time; the servers' clock is this machine's.
        assert found.modified > datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "key", ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".lock", "a/.x", "ä", "a b", "a\n"]
)
def test_a_key_that_no_backend_could_hold_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="not a key"):
        MemoryStore().get(key)


def test_an_empty_object_is_refused(store: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="bytes"):
        store.create("metadata/1.a.json", b"", METADATA)
    with pytest.raises(ConfigError, match="bytes"):
        store.replace(HEAD, b"", TIMESTAMP, None)


def test_a_kind_is_written_in_its_own_way_only(store: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="replace only"):
        store.create(HEAD, b"1", TIMESTAMP)
    with pytest.raises(ConfigError, match="create only"):
        store.replace("metadata/1.a.json", b"1", METADATA, None)


def test_the_probe_passes_and_leaves_nothing(store: ObjectStore) -> None:
    store.probe()
    assert list(store.list()) == []
