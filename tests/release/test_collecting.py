"""``gc`` beside publications that crashed, were finished days later, or know less than the store does."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, URLS, Founded, fill, publisher, url
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import StateError
from vallum_publisher.release.metadata import run_key
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.sightings import Sightings
from vallum_publisher.store import RUN, ObjectStore, Stored
from vallum_publisher.workspace import Workspace, open_workspace

STREAM = "urls.full"
LONG_AFTER = timedelta(hours=30)
BEFORE_ROLE, BEFORE_SNAPSHOT = 2, 4
"""Writes of a publication that come before its list role, and before its snapshot."""


class Meanwhile(FaultyStore):
    """A store, seen by a ``gc`` during whose first deletion something else happens."""

    def __init__(self, inner: ObjectStore, workspace: Workspace) -> None:
        super().__init__(inner)
        self._store, self._workspace, self.deleted = inner, workspace, 0

    def delete(self, key: str) -> None:
        self.deleted += 1
        if self.deleted == 1:
            with publisher(self._workspace, self._store) as other:
                assert other.publish("urls", now=NOW).version == 2
        super().delete(key)


class Reads(FaultyStore):
    """A store that knows which role files of the list were read."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.roles: list[str] = []

    def get(self, key: str) -> Stored | None:
        if key.endswith(f".{STREAM}.json"):
            self.roles.append(key)
        return super().get(key)


def _collected(workspace: Workspace, store: MemoryStore) -> tuple[int, int]:
    """Collect; how many runs went, and how many roles were read beside the one in force."""
    reads = Reads(store)
    with publisher(workspace, reads) as scene:
        went = scene.gc(now=store.now).runs
    return went, len(reads.roles) - 1


def _begun(founded: Founded, tmp_path: Path) -> tuple[Workspace, MemoryStore]:
    workspace, store = founded.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        scene.create_list(URLS, now=NOW)
        fill(scene.catalog, "urls", [url(f"a{at}.example/") for at in range(40)])
        scene.publish("urls", now=NOW)
        fill(scene.catalog, "urls", [url(f"a{at}.example/") for at in range(60)])
    return workspace, store


def _killed(workspace: Workspace, store: MemoryStore, step: int) -> FaultyStore:
    faulty = FaultyStore(store, step, Fault.KILLED_BEFORE)
    with suppress(Killed), publisher(open_workspace(workspace.folder), faulty) as scene:
        scene.publish("urls", now=NOW)
    assert faulty.met
    return faulty


def _keys(store: MemoryStore) -> set[str]:
    return set(store.keys())


def _listed(scene: Publisher) -> set[str]:
    role = scene.repository.list_role(scene.repository.tip(), STREAM)
    return {run_key(file) for file in role.targets.values() if file.length}


@dataclass(frozen=True)
class Often(Founded):
    """So many versions that runs fall off the list; ``before``: what was listed before the last one."""

    before: frozenset[str]


@pytest.fixture(scope="module")
def often(founded: Founded, tmp_path_factory: pytest.TempPathFactory) -> Often:
    workspace, store = _begun(founded, tmp_path_factory.mktemp("often"))
    with publisher(workspace, store) as scene:
        scene.publish("urls", now=NOW)
        before: set[str] = set()
        for number in range(12):
            before = _listed(scene)
            fill(scene.catalog, "urls", [url(f"b{number}.example/{at}") for at in range(60)])
            scene.publish("urls", now=NOW)
    return Often(workspace.folder, store, frozenset(before))


def _stopped_after_its_role(workspace: Workspace, store: MemoryStore) -> set[str]:
    """A publication that leaves a role which no snapshot names; what was and is listed in force."""
    with publisher(workspace, store) as scene:
        in_force = _listed(scene)
        fill(scene.catalog, "urls", [url(f"c{at}.example/") for at in range(60)])
    _killed(workspace, store, BEFORE_SNAPSHOT)
    return in_force


def test_what_a_crashed_publication_uploaded_waits_for_its_end(founded: Founded, tmp_path: Path) -> None:
    """A publication dies after its runs. A day later it is finished, while a ``gc`` that looked before is
    about to delete what is so old and listed by nobody.
    """
    workspace, store = _begun(founded, tmp_path)
    _killed(workspace, store, BEFORE_ROLE)
    stray = "targets/urls.full/" + "0" * 64 + ".1-0-0-1.run"  # what a lost race left: its version is over
    store.create(stray, b"x", RUN)
    store.now += LONG_AFTER
    shutil.copytree(workspace.folder, tmp_path / "other")
    slow = Meanwhile(store, workspace)
    with publisher(open_workspace(tmp_path / "other"), slow) as scene:
        scene.gc(now=store.now)
    assert slow.deleted
    assert stray not in _keys(store)
    with publisher(open_workspace(workspace.folder), store) as scene:
        assert _listed(scene) <= _keys(store)
        scene.verify()


def test_a_role_that_never_was_in_force_replaces_none(often: Often, tmp_path: Path) -> None:
    """Who read the role before it is a client of a moment ago, however old the crash is."""
    workspace, store = often.copy(tmp_path / "publisher")
    in_force = _stopped_after_its_role(workspace, store)
    store.now += LONG_AFTER
    with publisher(open_workspace(workspace.folder), store) as scene:
        scene.publish("urls", now=NOW)
        assert in_force - _listed(scene), "something is listed no more"
        scene.gc(now=store.now)
        assert in_force <= _keys(store)
        store.now += LONG_AFTER
        assert scene.gc(now=store.now).runs, "a day later nobody needs them"
        assert in_force - _keys(store)
        scene.verify()


def test_a_list_that_rests_keeps_nothing_for_its_renewals(often: Often, tmp_path: Path) -> None:
    workspace, store = often.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        for day in range(1, 5):
            store.now += timedelta(days=1)
            scene.refresh(now=NOW + timedelta(days=day))
        scene.gc(now=store.now)
        kept = {key for key in _keys(store) if key.startswith("targets/")}
        # Which of the files of the version in force took the place of the one before is not told apart.
        assert kept <= often.before | _listed(scene)


def test_a_rest_of_any_length_costs_no_more_to_collect(often: Often, tmp_path: Path) -> None:
    """Each day a timer renews the list and collects; each year that makes 365 roles more."""
    workspace, store = often.copy(tmp_path / "publisher")
    counts = []
    for day in range(1, 13):
        store.now += timedelta(hours=25)
        with publisher(workspace, store) as scene:
            scene.refresh(now=NOW + timedelta(days=day))
        counts.append(_collected(workspace, store))
    with publisher(workspace, store) as scene:
        listed = _listed(scene)
        scene.verify()
    assert often.before - listed, "something is listed no more"
    assert {key for key in _keys(store) if key.startswith("targets/")} == listed
    # All that versions and renewals listed is read while runs may go; what was seen in force ends it.
    assert sum(went for went, _ in counts) > 0
    assert all(read <= 14 for _, read in counts[:3])
    assert counts[3:] == [(0, 0)] * 9


def test_a_history_that_was_never_collected_is_read_once(often: Often, tmp_path: Path) -> None:
    workspace, store = often.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        for day in range(1, 31):
            store.now += timedelta(days=1)
            scene.refresh(now=NOW + timedelta(days=day))
    _, read = _collected(workspace, store)
    assert read >= 30
    store.now += LONG_AFTER
    went, read = _collected(workspace, store)
    assert went
    assert read == 0  # nothing else was in force since
    assert _collected(workspace, store) == (0, 0)
    with publisher(workspace, store) as scene:
        scene.verify()


def test_collecting_daily_while_a_publication_is_stopped(often: Often, tmp_path: Path) -> None:
    """It left a role days ago and is finished now: who read the role before is a client of a moment ago."""
    workspace, store = often.copy(tmp_path / "publisher")
    in_force = _stopped_after_its_role(workspace, store)
    for _ in range(4):
        store.now += LONG_AFTER
        _collected(workspace, store)
    with publisher(workspace, store) as scene:
        scene.publish("urls", now=NOW)
        assert in_force - _listed(scene), "something is listed no more"
    store.now += timedelta(hours=1)
    _collected(workspace, store)
    assert in_force <= _keys(store)
    store.now += LONG_AFTER
    assert _collected(workspace, store)[0], "a day later nobody needs them"


def test_what_was_seen_in_force_before_the_store_was_restored(often: Often, tmp_path: Path) -> None:
    """By its number, what the copy has in force was replaced long ago; clients have read it until now."""
    workspace, store = often.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        copied = dict(store._objects)
        fill(scene.catalog, "urls", [url("c.example/")])
        scene.publish("urls", now=NOW)
    for _ in range(2):
        store.now += LONG_AFTER
        _collected(workspace, store)
    store._objects, store._gone = copied, {}
    with publisher(workspace, store) as scene:
        in_force = _listed(scene)
        scene.new_generation("urls", reason="the store was lost", now=NOW)
        assert not in_force & _listed(scene)
    store.now += timedelta(hours=1)
    _collected(workspace, store)
    assert in_force <= _keys(store)


def test_a_clock_that_was_behind_proves_no_replacement(often: Often, tmp_path: Path) -> None:
    """What it saw in force, it saw before the store had it: who read the role before is a client of now."""
    workspace, store = often.copy(tmp_path / "publisher")
    store.now += LONG_AFTER
    with publisher(workspace, store) as scene:
        in_force = _listed(scene)
        fill(scene.catalog, "urls", [url(f"c{at}.example/") for at in range(60)])
        scene.publish("urls", now=NOW)
        assert in_force - _listed(scene), "something is listed no more"
        scene.gc(now=store.now - 2 * LONG_AFTER)
    store.now += timedelta(hours=1)
    _collected(workspace, store)
    assert in_force <= _keys(store)


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"urls.full": [["x", 1]]}', '{"urls.full": 7}'])
def test_sightings_that_were_damaged_are_lost(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cache" / "in-force.json"
    Sightings(path).add({STREAM: 5}, NOW, NOW)
    assert Sightings(path).replaced_below(STREAM, NOW + LONG_AFTER, {5}) == 5
    assert Sightings(path).replaced_below(STREAM, NOW, {5}) == 0
    path.write_text(damage)
    assert Sightings(path).replaced_below(STREAM, NOW + LONG_AFTER, {5}) == 0
    Sightings(path).add({STREAM: 6}, NOW, NOW)
    assert Sightings(path).replaced_below(STREAM, NOW + LONG_AFTER, {5, 6}) == 6


def test_an_older_catalog_collects_nothing(founded: Founded, tmp_path: Path) -> None:
    """A backup was restored; ``publish`` refuses, and the nightly ``gc`` knows too few of the readers."""
    workspace, store = founded.copy(tmp_path / "publisher")
    catalog = workspace.folder / "catalog.sqlite"
    with publisher(workspace, store) as scene:
        hotline = Hotline(scene)
        hotline.create()
        hotline.publish(["a.example/1"])
    shutil.copy(catalog, tmp_path / "older.sqlite")
    with publisher(workspace, store) as scene:
        hotline = Hotline(scene)
        machine = Machine(hotline, tmp_path / "machine", stream=STREAM)
        gone = Machine(hotline, tmp_path / "gone", stream=STREAM)
        hotline.roster.admit(STREAM, "member", machine.key.public(), now=NOW)
        hotline.roster.admit(STREAM, "former", gone.key.public(), now=NOW)
        hotline.roster.revoke(STREAM, "former", now=NOW)
    shutil.copy(catalog, tmp_path / "newer.sqlite")
    store.now += timedelta(days=3)
    shutil.copy(tmp_path / "older.sqlite", catalog)
    before = _keys(store)
    with publisher(workspace, store) as scene, pytest.raises(StateError, match="catalog") as refused:
        scene.gc(now=store.now)
    assert refused.value.hint
    assert _keys(store) == before
    shutil.copy(tmp_path / "newer.sqlite", catalog)
    with publisher(workspace, store) as scene:
        scene.gc(now=store.now)
    assert machine.synced()


def test_wraps_of_lists_that_another_catalog_has_stay(founded: Founded, tmp_path: Path) -> None:
    """Two publishers, each with a catalog and lists of its own, share a repository."""
    workspace, store = founded.copy(tmp_path / "publisher")
    shutil.copytree(workspace.folder, tmp_path / "other")
    with publisher(workspace, store) as scene:
        hotline = Hotline(scene)
        hotline.create()
        machine = Machine(hotline, tmp_path / "machine", stream=STREAM)
        hotline.roster.admit(STREAM, "member", machine.key.public(), now=NOW)
        hotline.publish(["a.example/1"])
    store.now += timedelta(days=3)
    with publisher(open_workspace(tmp_path / "other"), store) as scene:
        assert scene.gc(now=store.now).wraps == 0
    assert machine.synced()
