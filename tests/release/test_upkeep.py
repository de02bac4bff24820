"""Renewal, status, invitations, garbage collection, and the check of the whole repository."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes.faulty_store import FaultyStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import HASHES, NOW, URLS, digest, fill, publisher, url
from vallum.errors import ConfigError, DataError, StateError, VallumError
from vallum.format.columns import compress
from vallum.invitation import parse_invitation
from vallum_publisher.release.agreement import public_head
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import check_published
from vallum_publisher.release.repository import Repository
from vallum_publisher.store import RUN
from vallum_publisher.workspace import Workspace, open_workspace


def _memory(scene: Publisher) -> MemoryStore:
    assert isinstance(scene.store, MemoryStore)
    return scene.store


def _as_of(scene: Publisher, stream: str) -> datetime:
    held = public_head(scene.repository, scene.repository.tip(), stream)
    assert held is not None
    return held.head.as_of


def _refresh_writes(scene: Publisher, at: datetime) -> list[str]:
    store = FaultyStore(scene.store)
    with publisher(scene.workspace, store) as counted:
        counted.refresh(now=at)
    return [write.key for write in store.writes]


def test_renewal_by_the_hour(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    scene.create_list(HASHES, now=NOW)
    scene.publish("urls", now=NOW)
    assert _refresh_writes(scene, NOW + timedelta(hours=7)) == []
    # After 8 hours the timestamp alone.
    assert _refresh_writes(scene, NOW + timedelta(hours=8)) == ["metadata/timestamp.json"]
    assert _refresh_writes(scene, NOW + timedelta(hours=9)) == []
    # After a third of max_age (72 h) the head says again that it is the newest, all in one snapshot.
    assert _refresh_writes(scene, NOW + timedelta(hours=24)) == [
        "metadata/3.urls.full.json",
        "metadata/3.urls.full.json.zst",
        "metadata/5.snapshot.json",
        "metadata/5.snapshot.json.zst",
        "metadata/timestamp.json",
    ]
    assert _as_of(scene, "urls.full") == NOW + timedelta(hours=24)
    # A list role without a head is renewed before it expires.
    writes = _refresh_writes(scene, NOW + timedelta(days=15))
    assert writes[:4:2] == ["metadata/2.hashes.full.json", "metadata/4.urls.full.json"]
    scene.verify()


def test_renewal_of_the_snapshot_alone(scene: Publisher) -> None:
    assert _refresh_writes(scene, NOW + timedelta(days=4)) == [
        "metadata/2.snapshot.json",
        "metadata/2.snapshot.json.zst",
        "metadata/timestamp.json",
    ]


def test_what_a_clock_that_was_ahead_signed_is_renewed_at_once(scene: Publisher) -> None:
    """For a year it could be shown to clients as the newest."""
    scene.create_list(URLS, now=NOW)
    ahead = NOW + timedelta(days=365)
    scene.publish("urls", now=ahead)
    assert _as_of(scene, "urls.full") == ahead
    # Which of the two clocks is wrong nobody here can know.
    assert [told for told in scene.status(now=NOW + timedelta(minutes=5)).warnings if "this clock" in told]
    done = scene.refresh(now=NOW + timedelta(minutes=5))
    assert "this clock says" in done.doubt
    assert (done.streams, done.snapshot, done.timestamp) == (("urls.full",), True, True)
    assert _as_of(scene, "urls.full") == NOW + timedelta(minutes=5)
    assert not scene.status(now=NOW + timedelta(minutes=6)).warnings
    assert _refresh_writes(scene, NOW + timedelta(minutes=10)) == []
    scene.verify()


def test_renewal_leaves_alone_what_catalog_and_store_disagree_on(scene: Publisher) -> None:
    for spec in (URLS, HASHES):
        scene.create_list(spec, now=NOW)
        scene.publish(spec.name, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    later = NOW + timedelta(hours=30)
    with publisher(scene.workspace, _store_gone_back(scene)) as restored:
        done = restored.refresh(now=later)
    assert done.streams == ("hashes.full",)
    assert "store is at version 1.1, the catalog at 1.2" in done.refused["urls.full"]
    assert "restore it, or open a new generation" in done.refused["urls.full"], "the way out as well"


def test_a_list_whose_keys_are_away_keeps_no_other_list_from_being_renewed(scene: Publisher) -> None:
    """Two people have its keys, and neither is at the timer's machine."""
    for spec in (URLS, HASHES):
        scene.create_list(spec, now=NOW)
        scene.publish(spec.name, now=NOW)
    (scene.workspace.folder / "keys/urls.full-1.pem").rename(scene.workspace.folder / "stick.pem")
    later = NOW + timedelta(hours=30)
    with publisher(open_workspace(scene.workspace.folder), scene.store) as timer:
        done = timer.refresh(now=later)
        assert (done.streams, done.snapshot, done.timestamp) == (("hashes.full",), True, True)
        assert "no key file" in done.refused["urls.full"]
        assert "--sign-with" in done.refused["urls.full"]
        assert _as_of(timer, "hashes.full") == later
        assert _as_of(timer, "urls.full") == NOW
        timer.workspace.use_signers(["file:stick.pem"])
        assert timer.refresh(now=later).streams == ("urls.full",)
        timer.verify()


def _store_gone_back(scene: Publisher) -> MemoryStore:
    """The store as it was one publication ago: seen from here, it went back."""
    store = MemoryStore()
    store._objects = dict(_memory(scene)._objects)
    tip = scene.repository.tip()
    former = f"metadata/{tip.number('snapshot') - 1}.snapshot.json"
    assert former in store._objects
    # Sign the head that points to it anew, as an online key in the wrong hands could.
    from vallum_publisher.release.commit import committer_of
    from vallum_publisher.release.metadata import meta_file

    data = store._objects[former].data
    repository = Repository(store, scene.workspace.root_bytes())
    committer_of(scene.workspace, repository).move(tip, meta_file(tip.number("snapshot") - 1, data), NOW)
    return store


def test_status(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/x")])
    (fresh,) = scene.status(now=NOW).lists
    assert (fresh.public, fresh.version, fresh.waiting, fresh.stale_after, fresh.problem) == (
        0,
        0,
        2,
        None,
        "",
    )
    scene.publish("urls", now=NOW)
    now = scene.status(now=NOW)
    (listed,) = now.lists
    assert (listed.public, listed.rows, listed.waiting, listed.under_way) == (1, 2, 0, None)
    assert listed.stale_after == NOW + timedelta(hours=72)
    assert [role.role for role in now.roles] == ["root", "targets", "snapshot", "timestamp", "urls.full"]
    assert not any(role.due for role in now.roles)
    due = scene.status(now=NOW + timedelta(days=1)).roles
    assert {role.role for role in due if role.due} == {"timestamp", "urls.full"}
    assert len(now.fingerprint.split()) == 16


def test_invitation(scene: Publisher) -> None:
    with pytest.raises(ConfigError, match="no lists"):
        scene.invite()
    scene.create_list(URLS, now=NOW)
    scene.create_list(HASHES, now=NOW)
    everything = parse_invitation(scene.invite())
    assert everything.streams == ("hashes.full", "urls.full")
    assert (everything.publisher, everything.contact) == ("Example Hotline", "desk@hotline.example")
    assert parse_invitation(scene.invite(["urls"])).streams == ("urls.full",)
    nowhere = replace(scene.workspace.settings, public_url="")
    workspace = Workspace(scene.workspace.folder, nowhere, lambda name: name)
    with publisher(workspace, scene.store) as mute, pytest.raises(ConfigError, match="clients fetch from"):
        mute.invite()


def test_gc_keeps_what_a_slow_client_may_still_fetch(scene: Publisher) -> None:
    scene.create_list(HASHES, now=NOW)
    store = _memory(scene)
    start = store.now
    for version in range(12):
        store.now = start + timedelta(hours=6 * version)
        fill(scene.catalog, "hashes", [digest(number) for number in range(version, version + 3)])
        scene.publish("hashes", now=NOW)
    now = store.now
    # An upload under way, and one that was given up two days ago.
    scene.store.create("targets/hashes.full/fresh.run", b"x", RUN)
    store.now = now - timedelta(days=2)
    scene.store.create("targets/hashes.full/stale.run", b"x", RUN)
    store.now = now
    in_force = {}
    for item in store.list("metadata/"):
        if item.key.endswith(".hashes.full.json"):
            in_force[item.key] = item.modified
    before = set(store.keys())
    gone = scene.gc(now=now)
    after = set(store.keys())
    assert gone.metadata == 0
    assert gone.runs == len(before) - len(after) > 0
    assert "targets/hashes.full/fresh.run" in after
    assert "targets/hashes.full/stale.run" not in after
    # Each role file that was the newest one in the last 24 hours still finds all of its runs.
    recent = [key for key, modified in in_force.items() if modified >= now - timedelta(hours=24)]
    assert len(recent) == 5
    for key in recent:
        assert _runs_listed(store, key) <= after
    assert scene.gc(now=now).runs == 0
    scene.verify()


def test_gc_keeps_metadata_for_400_days_and_roots_for_ever(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    store = _memory(scene)
    start = store.now
    for version in range(3):
        fill(scene.catalog, "urls", [url(f"a.example/{version}")])
        store.now = start + timedelta(days=200 * version)
        scene.publish("urls", now=NOW)
    assert scene.gc(now=start + timedelta(days=399)).metadata == 0
    scene.gc(now=start + timedelta(days=601))
    left = sorted(item.key for item in store.list("metadata/"))
    assert left == [
        "metadata/1.root.json",
        "metadata/2.targets.json",
        "metadata/2.targets.json.zst",
        "metadata/3.urls.full.json",
        "metadata/3.urls.full.json.zst",
        "metadata/4.snapshot.json",
        "metadata/4.snapshot.json.zst",
        "metadata/4.urls.full.json",
        "metadata/4.urls.full.json.zst",
        "metadata/5.snapshot.json",
        "metadata/5.snapshot.json.zst",
        "metadata/timestamp.json",
    ]
    fill(scene.catalog, "urls", [url("b.example/x")])
    scene.publish("urls", now=NOW)
    scene.verify()


def test_verify_says_what_it_checked(scene: Publisher) -> None:
    scene.create_list(HASHES, now=NOW)
    for version in range(7):
        fill(scene.catalog, "hashes", [digest(number) for number in range(version, 2000 + version)])
        scene.publish("hashes", now=NOW)
    (checked,) = scene.verify()
    assert (checked.stream, checked.version, checked.rows) == ("hashes.full", 7, {"exact": 2001, "pdq": 0})
    assert checked.paths == 5  # from nothing, and from versions 1, 4, 5 and 6; no listed run leads to 2 or 3


def test_verify_tells_what_it_does(scene: Publisher) -> None:
    """It is long work: what a terminal shows is drawn of this (tests/cli/test_progress.py)."""
    scene.create_list(HASHES, now=NOW)
    scene.publish("hashes", now=NOW)
    told: list[str] = []
    scene.tell = told.append
    scene.verify()
    assert any("decoding the run" in line for line in told)
    assert any("comparing with the catalog" in line for line in told)


@pytest.mark.parametrize("where", ["run", "role", "snapshot", "timestamp"])
@pytest.mark.parametrize("how", ["flipped", "short", "long", "gone"])
def test_verify_refuses_one_wrong_byte_anywhere(scene: Publisher, where: str, how: str) -> None:
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url(f"a.example/{number}") for number in range(9)])
    scene.publish("urls", now=NOW)
    objects = _memory(scene)._objects
    part = {
        "run": ".run",
        "role": "2.urls.full.json",
        "snapshot": "3.snapshot.json",
        "timestamp": "timestamp.json",
    }
    (key,) = [key for key in objects if key.endswith(part[where])]
    data = objects.pop(key)
    changed = {
        "flipped": data.data[:-20] + bytes((data.data[-20] ^ 1,)) + data.data[-19:],
        "short": data.data[:-1],
        "long": data.data + b" ",
    }
    if how != "gone":
        objects[key] = replace(data, data=changed[how])
    if where == "timestamp" and how == "long":
        scene.verify()  # white space around JSON is not signed
        return
    with pytest.raises(VallumError):
        scene.verify()


def test_verify_refuses_packed_metadata_that_says_something_else(scene: Publisher) -> None:
    """Clients would read the twin, stock clients the plain file: two publics of one repository."""
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/1")])
    scene.publish("urls", now=NOW)
    held = public_head(scene.repository, scene.repository.tip(), "urls.full")
    assert held is not None
    objects = _memory(scene)._objects
    key = "metadata/2.urls.full.json.zst"
    objects[key] = replace(objects[key], data=compress(b"{}", 3))
    with pytest.raises(DataError, match="not what the plain file says"):
        scene.verify()
    with pytest.raises(DataError, match="not what the plain file says"):
        check_published(scene.store, scene.repository.root_bytes, {"urls.full": held.head})
    del objects[key]
    scene.verify()  # without a twin the plain file serves everybody


def test_verify_refuses_a_catalog_with_other_rows(scene: Publisher) -> None:
    from sqlalchemy import text

    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    fill(scene.catalog, "urls", [url("b.example/x")])
    scene.catalog.begin_version("urls", salt=bytes(16), actor="test", now=NOW)
    with pytest.raises(StateError, match="in the middle"):
        scene.verify()
    scene.catalog.abandon_version("urls", actor="test", now=NOW)
    scene.verify()
    with scene.catalog._engine.begin() as connection:
        connection.execute(
            text("UPDATE list_rows SET published = 0 WHERE value = :v"), {"v": b"\x01a.example/x"}
        )
    with pytest.raises(StateError, match="rows"):
        scene.verify()


def _runs_listed(store: MemoryStore, key: str) -> set[str]:
    from tuf.api.metadata import Metadata, Targets

    from vallum_publisher.release.metadata import run_key

    stored = store.get(key)
    assert stored is not None
    role = Metadata[Targets].from_bytes(stored.data).signed
    return {run_key(target) for target in role.targets.values() if target.length}
