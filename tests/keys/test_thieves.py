"""Thieves of online and list keys: what they can make clients take, and how each is shaken off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tuf.api.metadata import Targets

from tests.keys.scenes import STREAM, Scene, Thief
from tests.release.scenes import NOW
from vallum.errors import DataError, StateError, TrustError
from vallum.format.head import format_head
from vallum.format.limits import MAX_EPOCH, MAX_GENERATION, MAX_VERSION
from vallum_publisher.catalog.audit import AuditRecord
from vallum_publisher.release.metadata import head_of
from vallum_publisher.release.succession import NewKeys

ONE = NewKeys()


def test_a_thief_of_the_online_key_who_jumped_is_shaken_off(scene: Scene) -> None:
    """He signs timestamp and snapshot at 10⁹ and puts them into the store; clients take them.

    The publisher refuses to go on from there. Root takes his key away; clients come back to low numbers, and
    what he signs afterwards is refused.
    """
    thief = Thief(scene.publisher, scene.signer("online"))
    thief.jump(10**9)
    assert scene.client.synced() == (1, 1)
    for act in (
        lambda: scene.publish("b.example/1"),
        lambda: scene.publisher.refresh(now=NOW + timedelta(hours=12)),
    ):
        with pytest.raises(TrustError, match="somebody else signs") as refused:
            act()
        assert "keys rotate online" in refused.value.hint
    jumped = {role.role for role in scene.publisher.status(now=NOW).roles if role.jumped}
    assert jumped == {"timestamp", "snapshot"}
    mine = thief.timestamp()
    scene.rotation().rotate(["online"], ONE, now=NOW)
    assert scene.publisher.repository.tip().number("timestamp") < 100
    assert scene.client.synced() == (1, 1)
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)
    honest = thief.timestamp()
    thief.put(mine)
    assert "timestamp" in str(scene.client.refused(TrustError))
    assert scene.publish("b.example/1", "b.example/2") == (1, 3)  # over his head
    assert scene.client.synced() == (1, 3)
    assert honest != mine


def _far(role: Targets) -> None:
    _say(role, version=MAX_VERSION)


def _near(role: Targets) -> None:
    _say(role, version=2)


def _far_generation(role: Targets) -> None:
    _say(role, generation=MAX_GENERATION, version=1)


def _no_head(role: Targets) -> None:
    del role.targets[f"{STREAM}/head"]


def _garbage(role: Targets) -> None:
    role.targets[f"{STREAM}/head"].unrecognized_fields["custom"] = {"vallum": {"format": "?"}}


def _unlisted_run(role: Targets) -> None:
    """The highest epoch, in a run that is no target."""
    said = head_of(STREAM, role)
    assert said is not None
    _say(role, runs=tuple(replace(run, epoch=MAX_EPOCH) for run in said[0].runs))


def _say(role: Targets, **changes: object) -> None:
    said = head_of(STREAM, role)
    assert said is not None
    head = replace(said[0], **changes)  # type: ignore[arg-type]  # callers name fields
    role.targets[f"{STREAM}/head"].unrecognized_fields["custom"] = {"vallum": format_head(head)}


LIES = [_far, _near, _far_generation, _no_head, _garbage, _unlisted_run]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.strip("_"))
def test_a_thief_of_the_list_key_is_shaken_off(scene: Scene, lie: Callable[[Targets], None]) -> None:
    """With list key and online key he says whatever he likes in the list's name.

    Nothing of it is ever signed by the publisher; a new generation by the offline keys ends it.
    """
    thief = _Thief(scene)
    thief.lies(lie)
    scene.client.tries()
    with pytest.raises(DataError):
        scene.publish("b.example/1")
    with pytest.raises(DataError) as refused:
        scene.rotation().rotate(["urls"], ONE, now=NOW)
    assert "new-generation urls --new-keys" in refused.value.hint
    publisher = scene.publisher
    holders = scene.rotation().new_holders([STREAM], ONE)
    done = publisher.new_generation("urls", reason="stolen", now=NOW, holders=holders)
    scene.rotation().rotate(["online"], ONE, now=NOW)
    assert (done.generation, done.version) == (2, 1)
    assert scene.client.synced() == (2, 1)
    assert scene.publish("b.example/1", "b.example/2") == (2, 2)
    assert scene.client.synced() == (2, 2)
    publisher.verify()
    thief.lies(_near)
    scene.client.refused(TrustError)
    reasons = [record for record in publisher.catalog.audit() if record.action in ("keys", "new generation")]
    assert [_told(record) for record in reasons] == ["stolen", "online"]


def _told(record: AuditRecord) -> object:
    return record.details.get("reason") or ("online" if "timestamp" in str(record.details["roles"]) else "")


class _Thief:
    """Has copies of both keys, and the right to write into the store."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._keys = scene.signer("online"), scene.signer(f"{STREAM}-1")
        self._number = 1000

    def lies(self, lie: Callable[[Targets], None]) -> None:
        publisher = self._scene.publisher
        role = publisher.repository.list_role(publisher.repository.tip(), STREAM)
        lie(role)
        self._number += 1000
        Thief(publisher, *self._keys).jump(self._number, {STREAM: role})


def test_a_list_key_is_replaced_while_a_version_waits(scene: Scene) -> None:
    """A planned change: same generation, nothing is fetched anew, waiting changes go out afterwards."""
    scene.rotation().rotate(["urls"], ONE, now=NOW)
    assert scene.client.synced() == (1, 1)
    old = scene.signer
    with pytest.raises(ValueError, match="not enough values"):
        old(f"{STREAM}-1")  # the workspace has forgotten it
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)


def test_a_rolled_back_store_is_not_signed_for(scene: Scene) -> None:
    """The thief's snapshot names older roles: after the key was replaced, the newest ones count again."""
    older = scene.publisher.repository.tip()
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)
    thief = Thief(scene.publisher, scene.signer("online"))
    thief.jump(500, meta=older.meta)
    scene.client.refused(TrustError)
    with pytest.raises(StateError):
        scene.publish("b.example/1", "b.example/2")
    scene.rotation().rotate(["online"], ONE, now=NOW)
    assert scene.client.synced() == (1, 2)
    assert scene.publish("b.example/1", "b.example/2") == (1, 3)
    assert scene.client.synced() == (1, 3)
