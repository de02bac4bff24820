"""Roles whose thresholds mean what they say; what a list role carries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from tests.release.scenes import NOW, URLS
from vallum.errors import ConfigError, DataError, TrustError
from vallum.sync.roles import check_roles
from vallum_publisher.release.metadata import (
    add_list,
    charter_of,
    head_of,
    make_root,
    make_targets,
    open_role,
)
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.version import charter_for


def _key(keyid: str | None = None) -> SSlibKey:
    key = CryptoSigner.generate_ed25519(keyid).public_key
    assert isinstance(key, SSlibKey)
    return key


def _twin(key: SSlibKey) -> SSlibKey:
    return SSlibKey("another id", key.keytype, key.scheme, {"public": key.keyval["public"].upper()})


@pytest.fixture
def listed(scene: Publisher) -> tuple[Root, Targets]:
    scene.create_list(URLS, now=NOW)
    tip = scene.repository.tip()
    return tip.root, tip.required_targets()


def test_one_key_value_under_two_ids_is_refused(scene: Publisher) -> None:
    """TUF itself counts them twice: one thief would be two people."""
    key, online = _key(), _key()
    root = make_root([key, _twin(key)], 2, online, NOW)
    with pytest.raises(TrustError, match="root has one key under two names"):
        check_roles(root, make_targets(NOW))
    info = scene.create_list(URLS, now=NOW)
    tip = scene.repository.tip()
    keys = {"urls.full": [key, _twin(key)]}
    with pytest.raises(TrustError, match=r"urls\.full has one key under two names"):
        check_roles(tip.root, add_list(tip.required_targets(), "urls", charter_for(info), keys, 2))


def test_the_online_key_signs_nothing_else(scene: Publisher) -> None:
    online = _key()
    with pytest.raises(TrustError, match="a key of the role root is also an online key"):
        check_roles(make_root([_key(), _twin(online)], 1, online, NOW), make_targets(NOW))
    info = scene.create_list(URLS, now=NOW)
    tip = scene.repository.tip()
    online = next(entry.key for entry in scene.workspace.signers() if entry.role == "online")
    targets = add_list(tip.required_targets(), "urls", charter_for(info), {"urls.full": [online]}, 1)
    with pytest.raises(TrustError, match=r"a key of the role urls\.full is also an online key"):
        check_roles(tip.root, targets)


def test_a_new_list_leaves_the_former_targets_alone(listed: tuple[Root, Targets], scene: Publisher) -> None:
    _, targets = listed
    before = targets.to_dict()
    info = scene.catalog.get_list("urls")
    more = add_list(targets, "more", charter_for(info), {"more.full": [_key()]}, 1)
    assert targets.to_dict() == before
    assert charter_of("more", more) == charter_for(info)
    assert charter_of("none", more) is None
    with pytest.raises(ConfigError, match="2 of 1 keys"):
        add_list(targets, "more", charter_for(info), {"more.full": [_key()]}, 2)


def test_delegations_are_terminating_and_reach_their_own_folder_only(listed: tuple[Root, Targets]) -> None:
    delegations = listed[1].delegations
    assert delegations is not None
    assert delegations.roles is not None
    role = delegations.roles["urls.full"]
    assert (role.terminating, role.paths, role.threshold) == (True, ["urls.full/*"], 1)
    assert role.is_delegated_path("urls.full/1-1-0-1.run")
    assert not role.is_delegated_path("urls.match/head")


def test_snapshot_and_timestamp_name_length_and_hash(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    tip = scene.repository.tip()
    assert tip.timestamp is not None
    assert tip.snapshot is not None
    for file in (tip.timestamp.snapshot_meta, *tip.snapshot.meta.values()):
        assert file.length
        assert file.hashes
    assert tip.root.consistent_snapshot


def test_expiries(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    expires = {role.role: role.expires - NOW for role in scene.status(now=NOW).roles}
    assert expires == {
        "root": timedelta(days=365),
        "targets": timedelta(days=365),
        "snapshot": timedelta(days=7),
        "timestamp": timedelta(days=1),
        "urls.full": timedelta(days=30),
    }


def test_a_head_that_lists_a_run_without_a_target_is_refused(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    scene.publish("urls", now=NOW)
    role = scene.repository.list_role(scene.repository.tip(), "urls.full")
    del role.targets["urls.full/1-1-0-1.run"]
    with pytest.raises(DataError, match="no target"):
        head_of("urls.full", role)


def test_a_role_of_another_type_is_refused(listed: tuple[Root, Targets], scene: Publisher) -> None:
    stored = scene.store.get("metadata/1.targets.json")
    assert stored is not None
    with pytest.raises(TrustError, match="another type"):
        open_role(listed[0], "targets", stored.data, Root)
    forged = Metadata(make_targets(NOW)).to_bytes()
    with pytest.raises(TrustError):
        open_role(listed[0], "targets", forged, Targets)
