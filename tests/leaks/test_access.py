"""Who may read what is on a client's disk: its owner alone, or the group on demand; keys the sync only."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import vallum
from tests.release.scenes import NOW
from tests.sealing.conftest import founded_hotline, hotline
from tests.sealing.scenes import Hotline, Machine
from vallum.config import parse_config
from vallum.errors import ConfigError

__all__ = ["founded_hotline", "hotline"]

FORMS = [f"site{at}.example/page" for at in range(5)]
KEYS = "hotline/keys/urls.full.1.1.epoch"
TABLES = "hotline/lists/*/*.exact"
PEPPER = "hotline/keys/urls.1.pepper"


@pytest.fixture
def machine(hotline: Hotline, tmp_path: Path) -> Machine:
    """A subscriber of an encrypted list that is published, before his first sync."""
    made = Machine(hotline, tmp_path / "member", "urls.full")
    hotline.roster.admit(made.stream, "member", made.key.public(), now=NOW)
    hotline.publish(FORMS)
    return made


def _modes(machine: Machine, name: str) -> set[int]:
    state = machine.config.state
    return {path.stat().st_mode & 0o777 for path in state.glob(name)}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_by_default_the_owner_alone(machine: Machine, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert machine.synced() == 1
    finally:
        os.umask(before)
    assert machine.config.state.stat().st_mode & 0o777 == 0o700
    assert _modes(machine, TABLES) == _modes(machine, PEPPER) == _modes(machine, KEYS) == {0o600}
    assert (machine.config.state.parent / "recipient.key").stat().st_mode & 0o777 == 0o600
    mine = [path for path in machine.config.state.rglob("*") if "trust" not in path.parts]  # python-tuf's
    assert [path for path in mine if path.stat().st_mode & 0o007] == []


def test_on_demand_its_group(machine: Machine) -> None:
    machine.config = replace(machine.config, group_readable=True)
    assert machine.synced() == 1
    assert machine.config.state.stat().st_mode & 0o777 == 0o750
    assert _modes(machine, TABLES) == _modes(machine, PEPPER) == {0o640}
    assert _modes(machine, KEYS) == {0o600}


def test_a_folder_that_is_open_stays_so(machine: Machine) -> None:
    """A service manager made it, and meant it."""
    machine.config.state.mkdir(0o750)
    machine.config.state.chmod(0o750)
    assert machine.synced() == 1
    assert _modes(machine, TABLES) == _modes(machine, PEPPER) == {0o640}
    assert _modes(machine, KEYS) == {0o600}


def test_the_group_is_let_in_later(machine: Machine) -> None:
    """What lies there already is opened as well, though nothing new was published; the keys are not."""
    assert machine.synced() == 1
    machine.config = replace(machine.config, group_readable=True)
    assert machine.synced() == 1
    assert machine.config.state.stat().st_mode & 0o777 == 0o750
    assert _modes(machine, TABLES) == _modes(machine, PEPPER) == {0o640}
    assert _modes(machine, KEYS) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look things up as somebody else")
@pytest.mark.parametrize("open_to_group", [False, True])
def test_another_user_of_the_group_looks_up_and_gets_no_keys(machine: Machine, open_to_group: bool) -> None:
    machine.config = replace(machine.config, group_readable=open_to_group)
    assert machine.synced() == 1
    state, group, user = machine.config.state, 31001, 31002
    for path in (state, *state.rglob("*")):
        os.chown(path, 0, group, follow_symlinks=False)
    for parent in state.parents:
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o077 == 0:
            parent.chmod(0o711)  # pytest closes its folders to others
    child = os.fork()
    if child == 0:  # no assertion here: only exit codes come back
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            try:
                with vallum.open(state) as lists:
                    found = bool(lists.match_url("https://site1.example/page"))
            except vallum.UnavailableError:
                os._exit(3)
            try:
                (state / KEYS).read_bytes()
            except PermissionError:
                os._exit(1 if found else 4)
            os._exit(5)
        finally:
            os._exit(6)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == (1 if open_to_group else 3)


def test_the_setting_is_true_or_false() -> None:
    source = {"name": "a", "url": "https://lists.example", "root": "r", "lists": ["urls"]}
    raw = {"state": "s", "source": [source], "group_readable": "yes"}
    with pytest.raises(ConfigError, match="neither true nor false"):
        parse_config(raw, Path("vallum.toml"))
    assert parse_config({**raw, "group_readable": True}, Path("vallum.toml")).group_readable
