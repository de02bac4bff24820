"""A publisher who lost too many root keys, and operators who take another root of his, or are not fooled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.keys.scenes import Scene, follow
from tests.release.scenes import NOW, publisher
from vallum.errors import ConfigError, InputError, TrustError, VallumError
from vallum.invitation import Invitation, parse_invitation, root_fingerprint
from vallum.journal import read_journal
from vallum.sync.floor import read_floor
from vallum.sync.reroot import replace_root
from vallum_publisher.release.rotation import Rotation
from vallum_publisher.release.succession import NewKeys
from vallum_publisher.workspace import open_workspace

THREE = NewKeys(number=3)


def _lose_root(scene: Scene) -> None:
    for number in (2, 3):
        (scene.publisher.workspace.folder / f"keys/root-{number}.pem").unlink()


def _invited(scene: Scene) -> Invitation:
    return parse_invitation(scene.publisher.invite())


def test_another_root_is_refused_until_an_operator_takes_it(scene: Scene, tmp_path: Path) -> None:
    """The list stays throughout, the floor never sinks, and what is published afterwards arrives."""
    _lose_root(scene)
    with pytest.raises(VallumError):
        scene.rotation().rotate(["offline"], NewKeys(), now=NOW)
    done = scene.rotation().replace_root(THREE, threshold=2, reason="lost", now=NOW)
    assert done.root_version == 2
    assert scene.publish("b.example/1") == (1, 2)
    scene.client.refused(TrustError)
    invited = _invited(scene)
    replaced = replace_root(scene.client.config, "hotline", invited, root_fingerprint(invited.root), NOW)
    assert (replaced.before, replaced.version) == (1, 2)
    assert scene.client.synced() == (1, 2)
    assert read_floor(scene.client.config.state / "hotline").root == 2
    journal = [line for line in read_journal(scene.client.config.state) if line["what"] == "root replaced"]
    assert [(line["old"], line["new"]) for line in journal] == [
        (replaced.old_fingerprint, replaced.fingerprint)
    ]
    assert follow(scene.publisher, scene.store, tmp_path / "newcomer").in_force() == (1, 2)
    scene.rotation().rotate(["offline", "online"], NewKeys(), now=NOW)  # the chain goes on from there
    assert scene.client.synced() == (1, 2)
    scene.publisher.verify()
    [record] = [each for each in scene.publisher.catalog.audit() if each.details.get("reason") == "lost"]
    assert record.action == "keys"


def test_a_root_that_nobody_vouched_for_is_not_taken(scene: Scene) -> None:
    """An invitation by mail is anybody's: another fingerprint, another address, a lower number."""
    held = scene.client.config.sources[0].root_bytes()
    first = _invited(scene)
    scene.rotation().rotate(["offline"], NewKeys(), now=NOW)
    assert scene.client.synced() == (1, 1)
    second = _invited(scene)
    said, old = root_fingerprint(second.root), root_fingerprint(first.root)
    config = scene.client.config
    with pytest.raises(InputError, match="fingerprint is not that"):
        replace_root(config, "hotline", second, old, NOW)
    with pytest.raises(ConfigError, match="version 1, and 2 was verified here before"):
        replace_root(config, "hotline", first, old, NOW)
    with pytest.raises(ConfigError, match="no source is named"):
        replace_root(config, "elsewhere", second, said, NOW)
    config = replace(config, path=config.state.parent / "vallum.toml")
    with pytest.raises(ConfigError, match="another address"):
        replace_root(config, "hotline", replace(second, url="https://rival.example/v"), said, NOW)
    assert config.sources[0].root_bytes() == held
    assert "root replaced" not in json.dumps(read_journal(config.state))
    assert scene.client.synced() == (1, 1)


def test_another_root_without_the_online_key(scene: Scene) -> None:
    """The key that must sign the rest is not there: nothing is begun, and no subscriber is cut off."""
    _lose_root(scene)
    online = scene.publisher.workspace.folder / "keys/online.pem"
    away = online.rename(online.with_suffix(".away"))
    with pytest.raises(ConfigError, match=r"online\.pem"):
        scene.rotation().replace_root(THREE, threshold=2, reason="lost", now=NOW)
    away.rename(online)
    assert not any("2.root" in key for key in scene.store._objects)
    assert scene.client.synced() == (1, 1)
    assert not [told for told in scene.publisher.status(now=NOW).warnings if "root" in told]


def test_another_root_that_was_stopped_anywhere_is_finished(scene: Scene) -> None:
    """No root's number is signed twice, and the publisher is never left without one to go on from."""
    _lose_root(scene)
    folder = scene.publisher.workspace.folder
    for step in range(40):
        faulty = FaultyStore(scene.store, step, Fault.KILLED_AFTER)
        with publisher(open_workspace(folder), faulty) as opened:
            try:
                Rotation(opened).replace_root(THREE, threshold=2, reason="lost", now=NOW)
            except (VallumError, Killed):
                assert faulty.met
        roots = {key: each.data for key, each in scene.store._objects.items() if ".root.json" in key}
        assert scene.client.tries() == (1, 1)
        with publisher(open_workspace(folder), scene.store) as opened:
            warned = any("run the same `keys` command" in told for told in opened.status(now=NOW).warnings)
            assert warned == (opened.workspace.begun_root() is not None)
            Rotation(opened).renew(["offline"], now=NOW)
            assert not opened.refresh(now=NOW).refused
            invited = parse_invitation(opened.invite())
        now = {key: each.data for key, each in scene.store._objects.items() if ".root.json" in key}
        assert now.items() >= roots.items()
        replace_root(scene.client.config, "hotline", invited, root_fingerprint(invited.root), NOW)
        assert scene.client.synced() == (1, 1)
        if not faulty.met:
            return
    raise AssertionError("the writes never came to an end")
