"""From publisher to recipients: who can read a list, who no longer, and what everyone else learns."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import vallum
from tests.release.scenes import NOW, url
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import GuardError, NotEntitledError, StateError, StorageError
from vallum.expression import Scope
from vallum.format.keypair import Suite
from vallum.sync.fetch import TooLargeError
from vallum.sync.levers import accept
from vallum.sync.quarantine import Quarantine, name_of
from vallum_publisher.catalog import Mode

FORMS = [f"site{at}.example/page" for at in range(40)]


def _admit(hotline: Hotline, machine: Machine, name: str = "member") -> None:
    hotline.roster.admit(machine.stream, name, machine.key.public(), now=NOW)


@pytest.mark.parametrize("stream", ["urls.match", "urls.full"])
@pytest.mark.parametrize("suite", Suite)
def test_a_recipient_reads_the_list(hotline: Hotline, tmp_path: Path, stream: str, suite: Suite) -> None:
    machine = Machine(hotline, tmp_path / "a", stream, suite=suite)
    _admit(hotline, machine)
    hotline.publish(FORMS)
    assert machine.synced() == 1
    with vallum.open(machine.config.state) as lists:
        assert lists.match_url("https://site7.example/page")
        assert not lists.match_url("https://site7.example/other")
    hotline.publish(FORMS[5:])
    assert machine.synced() == 2
    with vallum.open(machine.config.state) as lists:
        assert not lists.match_url("https://site2.example/page")


def test_who_has_no_wrap_is_told_what_to_send_to_whom(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    hotline.publish(FORMS)
    error = machine.refused(NotEntitledError)
    assert f"({machine.key.public().fingerprint()[:19]} …)" in str(error)
    assert "--show` prints" in error.hint
    assert "Example Hotline" in error.hint
    _admit(hotline, machine)
    assert machine.synced() == 1


def test_a_revoked_recipient_keeps_what_it_had_and_gets_no_more(hotline: Hotline, tmp_path: Path) -> None:
    stays, goes = Machine(hotline, tmp_path / "a"), Machine(hotline, tmp_path / "b")
    _admit(hotline, stays, "stays")
    _admit(hotline, goes, "goes")
    hotline.publish(FORMS)
    assert stays.synced() == goes.synced() == 1
    hotline.roster.revoke("urls.match", "goes", now=NOW)
    goes.refused(NotEntitledError)
    hotline.publish(FORMS[1:])
    goes.refused(NotEntitledError)
    assert stays.synced() == 2
    with vallum.open(goes.config.state) as lists:
        assert lists.match_url("https://site0.example/page"), "the last good list stays in force"


def test_a_generation_that_does_not_come_into_force_takes_no_key(hotline: Hotline, tmp_path: Path) -> None:
    """This disk takes all of generation 2 but the journal's line: what stays in force can still be synced."""
    machine = Machine(hotline, tmp_path / "a")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    state = machine.config.state
    hotline.publisher.new_generation("urls", reason="leaked", now=NOW)
    journal = state / "journal.jsonl"
    text = journal.read_bytes()
    journal.unlink()
    journal.mkdir()
    with pytest.raises(StorageError):
        machine.sync()
    first, second = "urls.match.1.1.epoch", "urls.match.2.2.epoch"
    assert {first, second} <= {path.name for path in (state / "hotline/keys").iterdir()}
    journal.rmdir()
    journal.write_bytes(text)
    assert machine.synced() == 1
    assert {path.name for path in (state / "hotline/keys").glob("*.epoch")} == {second}


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("pattern", ["*.epoch", "*.pepper", "*.exact"])
def test_what_lies_in_the_place_of_a_key_is_put_right(
    hotline: Hotline, tmp_path: Path, kind: str, pattern: str
) -> None:
    """No sync waits for a pipe, or fails at a folder: the key, or the table, is fetched again."""
    machine = Machine(hotline, tmp_path / "a")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    [path] = machine.config.state.rglob(pattern)
    path.unlink()
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    if pattern != "*.exact":
        hotline.publish(FORMS[1:])
    (machine.config.state / "current.json").unlink()  # a full sync, whatever the clock says
    assert machine.synced() == (1 if pattern == "*.exact" else 2)
    assert path.is_file()
    with vallum.open(machine.config.state) as lists:
        assert lists.match_url("https://site7.example/page")


def test_rotation_costs_who_lags_no_base(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a", "urls.full")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    hotline.publish(FORMS[1:])
    hotline.publish(FORMS[2:])
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[3:])
    path = machine.path()
    assert path[-1][1] == 4
    assert all(start for start, _ in path), f"a base was fetched: {path}"
    newcomer = Machine(hotline, tmp_path / "b", "urls.full")
    _admit(hotline, newcomer, "newcomer")
    assert newcomer.synced() == 4
    assert len([name for name in newcomer.files() if name.endswith(".epoch")]) == 1


def test_a_new_epoch_is_published_without_a_new_version(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    assert hotline.roster.rotate("urls", now=NOW).version == 1
    assert machine.synced() == 1
    assert hotline.publisher.publish("urls", now=NOW).versions == ()


def test_a_new_generation_has_keys_of_its_own(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    done = hotline.publisher.new_generation("urls", reason="test", now=NOW)
    assert (done.generation, done.version) == (2, 1)
    assert machine.synced() == 1
    with vallum.open(machine.config.state) as lists:
        assert lists.match_url("https://site7.example/page")
    assert {name for name in machine.files() if name.endswith(".epoch")} == {
        "hotline/keys/urls.match.2.2.epoch"
    }
    assert {one.generation for one in hotline.publisher.verify()} == {2}


def test_verify_opens_everything(hotline: Hotline, tmp_path: Path) -> None:
    _admit(hotline, Machine(hotline, tmp_path / "a"))
    for at in range(6):
        hotline.publish(FORMS[at:])
        if at == 3:
            hotline.roster.rotate("urls", now=NOW)
    assert {one.stream for one in hotline.publisher.verify()} == {"urls.full", "urls.match"}


@pytest.mark.parametrize("stream", ["urls.match", "urls.full"])
def test_no_lever_lets_a_name_be_blocked_that_never_may(
    hotline: Hotline, tmp_path: Path, stream: str
) -> None:
    """In a `match` edition such a name shows under the list's pepper only."""
    machine = Machine(hotline, tmp_path / "a", stream)
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    never = tmp_path / "never.txt"
    never.write_text("mine.example\n")
    machine.config = replace(machine.config, never_block=never)
    info, catalog = hotline.publisher.catalog.get_list("urls"), hotline.publisher.catalog
    catalog.apply(
        "urls",
        [url("mine.example", scope=Scope.HOST)],
        mode=Mode.ADD,
        actor="test",
        now=NOW,
        pepper=hotline.publisher.custody.pepper(info),
    )
    hotline.publisher.publish("urls", now=NOW)
    machine.refused(GuardError)
    aside = Quarantine(machine.config.state, "hotline").find(stream)
    assert aside is not None
    with pytest.raises(GuardError, match="never-block"):
        accept(machine.config, stream, name_of(aside.state.head), "a try", NOW)
    with vallum.open(machine.config.state) as lists:
        assert not lists.match_url("https://mine.example/")


def test_keys_on_the_clients_disk(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    machine.synced()
    modes = {
        name: machine.mode(name) for name in machine.files() if "/keys/" in name or name.endswith(".exact")
    }
    assert modes.pop("hotline/keys/urls.match.1.1.epoch") == 0o600
    assert modes.pop("hotline/keys/urls.1.pepper") == 0o600
    assert set(modes.values()) == {0o600}
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[1:])
    machine.synced()
    assert "hotline/keys/urls.match.1.2.epoch" in machine.files()


def test_a_key_that_was_lost_is_fetched_though_nothing_is_new(hotline: Hotline, tmp_path: Path) -> None:
    """Somebody removed it: exports need its seed, and the next version the key. A poll would see no news."""
    machine = Machine(hotline, tmp_path / "machine", "urls.full")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    assert machine.synced() == 1
    keys = machine.config.state / "hotline" / "keys"
    for pattern in ("*.epoch", "*.pepper"):
        [lost] = keys.glob(pattern)
        data = lost.read_bytes()
        lost.unlink()
        [source] = machine.sync().sources
        assert source.error is None
        assert lost.read_bytes() == data


def test_a_pepper_that_is_another_is_fetched_though_nothing_is_new(hotline: Hotline, tmp_path: Path) -> None:
    """Its bytes are not the signed ones, its file is there: a process that polls sees it by its next poll."""
    machine = Machine(hotline, tmp_path / "machine")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    with machine.updater() as updater:
        for _ in range(2):
            assert updater.sync(now=NOW).ok
        [pepper] = machine.config.state.rglob("*.pepper")
        right = pepper.read_bytes()
        pepper.write_bytes(bytes(32))
        with pytest.raises(StateError, match="pepper"):
            vallum.open(machine.config.state)
        assert updater.sync(now=NOW).ok
        assert pepper.read_bytes() == right
        [source] = updater.sync(now=NOW).sources
        assert (source.outcome, source.requests) == ("unchanged", 1)


def test_a_wrap_that_is_too_large_says_whom_to_call(hotline: Hotline, tmp_path: Path) -> None:
    """The store puts a megabyte in its place; it is not read to its end."""
    machine = Machine(hotline, tmp_path / "machine")
    _admit(hotline, machine)
    hotline.publish(FORMS)
    for name in hotline.objects():
        if name.startswith("wraps/"):
            machine.swapped[name] = bytes(1 << 20)
    error = machine.refused(TooLargeError)
    assert "more than" in str(error)
    assert "call the publisher" in error.hint
    assert "the last good list stays in force" in error.hint
