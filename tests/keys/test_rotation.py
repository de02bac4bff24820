"""Changing keys: the chain of roots, what clients follow meanwhile, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

from tests.cli.said import everything
from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.keys.scenes import STREAM, Scene, follow
from tests.release.scenes import NOW, publisher
from vallum.errors import ConfigError, TrustError, VallumError
from vallum_publisher.keys import make_key
from vallum_publisher.release.holders import read_holders
from vallum_publisher.release.rotation import Rotation
from vallum_publisher.release.succession import NewKeys
from vallum_publisher.workspace import open_workspace

ONE = NewKeys()


def _keys(scene: Scene, role: str) -> list[str]:
    return [holder.key for holder in scene.holders() if holder.role == role]


def _root(scene: Scene, number: int) -> Metadata[Root]:
    stored = scene.store.get(f"metadata/{number}.root.json")
    assert stored is not None
    return Metadata[Root].from_bytes(stored.data)


@pytest.mark.parametrize("name", ["root", "targets", "snapshot", "timestamp", "offline", "online", "urls"])
def test_every_role_is_given_new_keys_and_clients_follow(scene: Scene, tmp_path: Path, name: str) -> None:
    """Old clients walk the chain, new ones start at its end, and the publisher goes on."""
    before = {holder.role: holder.key for holder in scene.holders()}
    done = scene.rotation().rotate([name], ONE, now=NOW)
    after = {holder.role: holder.key for holder in scene.holders()}
    changed = {role for role in before if before[role] != after[role]}
    assert changed == set(done.roles)
    assert changed == {
        "offline": {"root", "targets"}, "online": {"snapshot", "timestamp"}, "urls": {STREAM}
    }.get(name, {name})  # fmt: skip
    assert done.root_version == (1 if name == "urls" else 2)
    assert scene.client.synced() == (1, 1)
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)
    assert follow(scene.publisher, scene.store, tmp_path / "newcomer").in_force() == (1, 2)
    scene.publisher.verify()
    with publisher(open_workspace(scene.publisher.workspace.folder), scene.store) as again:
        assert not again.refresh(now=NOW).refused


def test_a_root_is_signed_by_the_old_threshold_and_by_its_own(scene: Scene) -> None:
    scene.rotation().rotate(["root"], NewKeys(number=5), threshold=3, now=NOW)
    old, new = _root(scene, 1).signed, _root(scene, 2)
    for root in (old, new.signed):
        root.verify_delegate("root", new.signed_bytes, new.signatures)
    assert (new.signed.roles["root"].threshold, len(new.signed.roles["root"].keyids)) == (3, 5)
    assert len(new.signatures) == 2 + 3
    assert not set(old.roles["root"].keyids) & set(new.signed.roles["root"].keyids)
    assert set(old.roles["targets"].keyids) == set(new.signed.roles["targets"].keyids)


def test_one_lost_key_of_three_is_replaced_by_the_others(scene: Scene) -> None:
    """Root's keys that are left are as many as must sign: they hand over."""
    lost = _keys(scene, "root")[2]
    (scene.publisher.workspace.folder / "keys/root-3.pem").unlink()
    done = scene.rotation().replace(["offline"], [lost[:8]], ONE, now=NOW)
    assert done.removed == (lost,)
    for role in ("root", "targets"):
        assert lost not in _keys(scene, role)
        assert len(_keys(scene, role)) == 3
    assert scene.client.synced() == (1, 1)


def test_below_the_threshold_nothing_is_changed(scene: Scene) -> None:
    """Two of three root keys are lost: no command can help, and none half does."""
    folder = scene.publisher.workspace.folder
    for number in (2, 3):
        (folder / f"keys/root-{number}.pem").unlink()
    objects, files = dict(scene.store._objects), everything(folder)
    for change in (["offline"], ["online"], ["urls"], ["root"]):
        with pytest.raises(VallumError):
            scene.rotation().rotate(change, ONE, now=NOW)
    assert scene.store._objects == objects
    assert everything(folder) == files
    assert scene.publisher.workspace.begun_root() is None
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)


def test_keys_come_and_go(scene: Scene) -> None:
    rotation = scene.rotation()
    first = _keys(scene, STREAM)
    rotation.replace([STREAM], (), NewKeys(number=2), threshold=2, now=NOW)
    assert len(_keys(scene, STREAM)) == 3
    assert scene.publish("b.example/1") == (1, 2)
    rotation.replace([STREAM], [first[0]], NewKeys(number=0), now=NOW)
    assert len(_keys(scene, STREAM)) == 2
    with pytest.raises(ConfigError, match="2 of 1 keys cannot sign"):
        rotation.replace([STREAM], [_keys(scene, STREAM)[0]], NewKeys(number=0), now=NOW)
    rotation.replace([STREAM], (), NewKeys(number=0), threshold=1, now=NOW)
    assert {holder.threshold for holder in scene.holders() if holder.role == STREAM} == {1}
    assert scene.client.synced() == (1, 2)


def test_renewing_before_it_expires(scene: Scene) -> None:
    later = NOW.replace(year=NOW.year + 1)
    for days, due in ((300, set()), (306, {"root", "targets"})):
        found = scene.publisher.status(now=NOW + timedelta(days=days)).roles
        assert {role.role for role in found if role.due and role.role in ("root", "targets")} == due
    scene.rotation().renew(["offline"], now=later)
    tip = scene.publisher.repository.tip()
    assert tip.root.version == 2
    assert tip.root.expires > later
    assert tip.required_targets().expires > later
    assert scene.client.synced() == (1, 1)
    with pytest.raises(ConfigError, match="renewed by `refresh`"):
        scene.rotation().renew(["online"], now=NOW)


def test_offline_keys_come_on_a_stick(scene: Scene, tmp_path: Path) -> None:
    """The workspace has none of root's keys: they are named for one command, and not kept."""
    keys, stick = scene.publisher.workspace.folder / "keys", tmp_path / "stick"
    stick.mkdir()
    for number in (1, 2, 3):
        (keys / f"root-{number}.pem").rename(stick / f"root-{number}.pem")
    with pytest.raises(VallumError):
        scene.rotation().rotate(["online"], ONE, now=NOW)
    with publisher(open_workspace(scene.publisher.workspace.folder), scene.store) as opened:
        opened.workspace.use_signers([f"file:{stick}/root-1.pem", f"file:{stick}/root-3.pem"])
        Rotation(opened).rotate(["online"], ONE, now=NOW)
        where = {
            holder.reach
            for holder in read_holders(opened.repository, opened.workspace)
            if holder.role == "root"
        }
    assert where == {"away"}
    assert scene.client.synced() == (1, 1)


def test_whoever_brings_a_new_key_is_asked_for_its_passphrase_once(scene: Scene, tmp_path: Path) -> None:
    """The key signs in the same command by which it comes."""
    make_key(tmp_path / "own.pem", "a passphrase")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "a passphrase"

    workspace = open_workspace(scene.publisher.workspace.folder, ask)
    with publisher(workspace, scene.store) as opened:
        Rotation(opened).rotate([STREAM], NewKeys((f"file:{tmp_path}/own.pem",)), now=NOW)
        opened.verify()
    assert asked == ["own"]
    assert scene.client.synced() == (1, 1)


def test_key_rules_hold_for_new_keys(scene: Scene) -> None:
    online = "file:keys/online.pem"
    objects = dict(scene.store._objects)
    for role in ("root", "targets", STREAM):
        with pytest.raises(TrustError, match="online key"):
            scene.rotation().replace([role], (), NewKeys((online,)), now=NOW)
    assert scene.store._objects == objects
    with pytest.raises(ConfigError, match="no role 'nobody'"):
        scene.rotation().rotate(["nobody"], ONE, now=NOW)
    with pytest.raises(ConfigError, match="names no key"):
        scene.rotation().replace(["root"], ["ffff"], ONE, now=NOW)
    with pytest.raises(ConfigError, match="would be shared"):
        scene.rotation().rotate(["online", "urls"], NewKeys((online,)), now=NOW)


STOPS = [
    *(("online", fault) for fault in Fault),
    *((name, Fault.KILLED_AFTER) for name in ("offline", "targets", "urls")),
]


@pytest.mark.parametrize(("name", "fault"), STOPS)
def test_a_change_that_was_stopped_anywhere_is_finished(scene: Scene, name: str, fault: Fault) -> None:
    """Each write of it fails or is the last: the list stays, and the same command again mends it."""
    folder = scene.publisher.workspace.folder
    for step in range(40):
        faulty = FaultyStore(scene.store, step, fault)
        with publisher(open_workspace(folder), faulty) as opened, suppress(VallumError, Killed):
            Rotation(opened).rotate([name], ONE, now=NOW)
        assert scene.client.tries() == (1, 1)
        signed = _immutable(scene)
        with publisher(open_workspace(folder), scene.store) as opened:
            Rotation(opened).rotate([name], ONE, now=NOW)
            opened.refresh(now=NOW)
        assert _immutable(scene).items() >= signed.items()
        assert scene.client.synced() == (1, 1)
        if not faulty.met:
            return
    raise AssertionError("the writes never came to an end")


def _immutable(scene: Scene) -> dict[str, bytes]:
    return {
        key: stored.data
        for key, stored in scene.store._objects.items()
        if key.startswith("metadata/") and key != "metadata/timestamp.json"
    }
