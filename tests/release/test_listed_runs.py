"""Runs that a head still lists, though they were published long ago: lost, cut, or collected too early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import HASHES, NOW, digest, fill, publisher
from vallum.errors import FetchError, StateError
from vallum.format.head import RunRef
from vallum.path import shortest_path
from vallum_publisher.release.agreement import public_head
from vallum_publisher.release.metadata import run_key
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.version import StreamHead
from vallum_publisher.store import Listed

STREAM = "hashes.full"


def _memory(scene: Publisher) -> MemoryStore:
    assert isinstance(scene.store, MemoryStore)
    return scene.store


def _head(scene: Publisher) -> StreamHead:
    held = public_head(scene.repository, scene.repository.tip(), STREAM)
    assert held is not None
    return held


def _publish(scene: Publisher, version: int, rows: int) -> None:
    fill(scene.catalog, "hashes", [digest(number) for number in range(version, version + rows)])
    assert scene.publish("hashes", now=NOW).version == version


@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_run_that_the_store_lost_is_not_listed_again(scene: Publisher, how: str) -> None:
    """Somebody tidied the bucket by hand. Whoever is far behind would find out, and stay there."""
    scene.create_list(HASHES, now=NOW)
    for version in range(1, 4):
        _publish(scene, version, 500)
    (file,) = (file for run, file in _head(scene).listed.items() if (run.start, run.end) == (1, 2))
    objects = _memory(scene)._objects
    lost = objects.pop(run_key(file))
    if how == "cut":
        objects[run_key(file)] = replace(lost, data=lost.data[:-1])
    head = scene.store.get("metadata/timestamp.json")
    fill(scene.catalog, "hashes", [digest(number) for number in range(4, 504)])
    with pytest.raises(StateError, match=r"1-1-1-2\.run, of [0-9,]+ bytes, (is missing|has )") as refused:
        scene.publish("hashes", now=NOW)
    assert "copy of the store" in refused.value.hint
    assert scene.store.get("metadata/timestamp.json") == head
    # With the run back, what was begun is finished.
    objects[run_key(file)] = lost
    assert scene.publish("hashes", now=NOW).versions == (4,)
    scene.verify()


def test_a_refresh_says_that_a_listed_run_is_lost_and_signs_all_the_same(scene: Publisher) -> None:
    """Who needs the run comes by the base; to refuse would make the list stale for everybody."""
    scene.create_list(HASHES, now=NOW)
    for version in range(1, 4):
        _publish(scene, version, 500)
    (file,) = (file for run, file in _head(scene).listed.items() if (run.start, run.end) == (1, 2))
    lost = _memory(scene)._objects.pop(run_key(file))
    later = NOW + timedelta(hours=25)
    done = scene.refresh(now=later)
    assert (done.streams, done.refused) == ((STREAM,), {})
    assert "is missing from the store" in done.lacking[STREAM]
    assert "copy of the store" in done.lacking[STREAM]
    assert _head(scene).head.as_of == later
    again = scene.refresh(now=later)
    assert (again.timestamp, again.lacking) == (False, done.lacking), "also when nothing is due"
    assert scene.status(now=later).warnings == (done.lacking[STREAM],)
    with pytest.raises(FetchError) as missing:
        scene.verify()
    assert "copy of the store" in missing.value.hint
    _memory(scene)._objects[run_key(file)] = lost
    later += timedelta(hours=25)
    assert scene.refresh(now=later).lacking == {}
    assert scene.status(now=later).warnings == ()


def test_collecting_leaves_a_way_between_any_two_versions(scene: Publisher) -> None:
    """Published every six hours and collected after each: whoever holds any version, and whoever read any
    head of the last day, finds a way to it of runs that lie in the store; at worst it is the one base."""
    scene.create_list(HASHES, now=NOW)
    store = _memory(scene)
    start = store.now
    heads: list[StreamHead] = []
    collected = bases = 0
    for version in range(1, 25):
        store.now = start + timedelta(hours=6 * version)
        _publish(scene, version, 20)
        heads.append(_head(scene))
        collected += scene.gc(now=store.now).runs
        there = {item.key: item.size for item in store.list("targets/")}
        for known in heads[-5:]:  # read up to 24 hours ago
            sizes: dict[RunRef, int] = {run: there[run_key(file)] for run, file in known.listed.items()}
            assert all(sizes[run] == file.length for run, file in known.listed.items())
            for held in range(known.head.version):
                way = shortest_path(known.head.runs, held, known.head.version, sizes.__getitem__)
                bases += any(run.start == 0 for run in way) and held > 0
    assert collected > 5
    assert bases > 0
    with publisher(scene.workspace, store) as again:
        again.verify()


class _Lagging(MemoryStore):
    """Lists nothing of what it has."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        return iter(())


def test_a_listing_that_lags_loses_no_run(scene: Publisher) -> None:
    """What clients read is there: no new generation is needed."""
    scene.create_list(HASHES, now=NOW)
    _publish(scene, 1, 500)
    lagging = _Lagging()
    lagging._objects = _memory(scene)._objects
    with publisher(scene.workspace, lagging) as opened:
        _publish(opened, 2, 500)
        assert not opened.refresh(now=NOW).lacking
