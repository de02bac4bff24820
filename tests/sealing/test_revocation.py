"""A revocation that fails half way: nobody may believe that it is done, and whatever runs next ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.release.scenes import NOW, publisher
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import NotEntitledError, VallumError
from vallum_publisher.catalog import ListSpec
from vallum_publisher.workspace import open_workspace

FORMS = [f"site{at}.example/page" for at in range(10)]


@contextmanager
def another_command(hotline: Hotline) -> Iterator[Hotline]:
    """The same hotline in a process of its own, which opens its keys anew."""
    folder = hotline.publisher.workspace.folder
    with publisher(open_workspace(folder), hotline.store) as opened:
        yield Hotline(opened)


@pytest.fixture
def member(hotline: Hotline, tmp_path: Path) -> Machine:
    machine = Machine(hotline, tmp_path / "member")
    hotline.roster.admit(machine.stream, "member", machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    assert machine.synced() == 1
    return machine


@pytest.fixture
def half(hotline: Hotline, member: Machine) -> Machine:
    """The list's key is away while its only member is revoked."""
    key = hotline.publisher.workspace.folder / "keys" / "urls.match-1.pem"
    away = key.rename(key.with_suffix(".away"))
    with another_command(hotline) as desk:
        with pytest.raises(VallumError) as caught:
            desk.roster.revoke(member.stream, "member", now=NOW)
        [note] = caught.value.__notes__
        assert "recorded as revoked, but reads on" in note
        assert "reads on: run publish" in desk.publisher.status(now=NOW).lists[0].problem
    assert member.sync().ok, "so it is: the status must say it"
    away.rename(key)
    return member


@pytest.mark.parametrize("how", ["revoke", "publish", "refresh"])
def test_whatever_runs_next_ends_it(hotline: Hotline, half: Machine, how: str) -> None:
    with another_command(hotline) as desk:
        if how == "revoke":
            assert desk.roster.revoke(half.stream, "member", now=NOW).uploaded
        elif how == "publish":
            assert desk.publisher.publish("urls", now=NOW).uploaded
        else:
            done, failed = desk.roster.rotate_due(now=NOW)
            assert ([each.list for each in done], failed) == (["urls"], {})
        assert desk.publisher.status(now=NOW).lists[0].problem == ""
        assert not desk.roster.revoke(half.stream, "member", now=NOW).uploaded
        desk.publisher.verify()
        desk.publish(FORMS[1:])
    half.refused(NotEntitledError)
    assert hotline.publisher.catalog.epochs(half.stream)[-1].number == 2, "one epoch for one revocation"


def test_a_new_generation_without_the_offline_keys_leaves_the_list_as_it_is(
    hotline: Hotline, member: Machine
) -> None:
    """The offline keys travel. Meanwhile the list must go on, and somebody must be revocable."""
    keys = hotline.publisher.workspace.folder / "keys"
    moved = [key.rename(key.with_suffix(".away")) for key in keys.glob("root-*.pem")]
    assert moved
    with another_command(hotline) as desk:
        info = desk.publisher.catalog.get_list("urls")
        for pepper in (False, True):
            with pytest.raises(VallumError, match="key"):
                desk.publisher.new_generation("urls", reason="leaked", now=NOW, new_pepper=pepper)
        assert desk.publisher.catalog.get_list("urls") == info
        assert desk.publisher.status(now=NOW).lists[0].problem == ""
        assert desk.publish(FORMS[1:]) == 2
        assert desk.roster.revoke(member.stream, "member", now=NOW).uploaded
        desk.publisher.verify()
    member.refused(NotEntitledError)


def test_a_list_without_the_offline_keys_is_not_begun(hotline: Hotline) -> None:
    for key in (hotline.publisher.workspace.folder / "keys").glob("root-*.pem"):
        key.rename(key.with_suffix(".away"))
    with another_command(hotline) as desk:
        with pytest.raises(VallumError, match="key"):
            desk.publisher.create_list(ListSpec("pictures", "hash"), now=NOW)
        assert [info.name for info in desk.publisher.catalog.lists()] == ["urls"]
