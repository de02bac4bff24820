"""What lies beside the tables of a version in force is what was signed of it: each full sync sees to that.

It is needed on another day: to put a damaged table back, to recover, to go back, to prove an equivocation.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES
from vallum.errors import GuardError
from vallum.sync.floor import EquivocationError
from vallum.sync.kept import read_kept

HOUR = timedelta(hours=1)


@pytest.fixture
def client(repository: Repository, client: Client) -> Client:
    """Version 2 is in force, version 1 kept."""
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    return client


def beside(client: Client, kind: str, version: str = "1-2") -> Path:
    [path] = client.state.glob(f"hotline/lists/urls.full/{version}-*.{kind}.json")
    return path


@pytest.mark.parametrize("damage", [b"{", b"", b'{"stream": {}}'])
def test_damaged_files_beside_a_table(repository: Repository, client: Client, damage: bytes) -> None:
    """Torn one day, and written again by the next full sync; so the table can be put back a day later, though
    what is newer is in quarantine, and a torn ``current.json`` brings back what was in force.
    """
    paths = [beside(client, kind) for kind in ("role", "state")]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(damage)
    client.synced(repository.now + 2 * HOUR)
    assert paths[0].read_bytes() == before[0]
    assert [kept.state.head.version for kept in read_kept(client.state, "hotline", "urls.full")] == [2, 1]
    repository.release("urls", listed(*PAGES[:9]))
    client.refused(GuardError, repository.now + 4 * HOUR)
    force = client.in_force()
    for name in ("hotline/lists/urls.full/1-2-*.exact", "current.json"):
        [path] = client.state.glob(name)
        path.write_bytes(b"{")
        [(_, error)] = client.sync(repository.now + 6 * HOUR).errors()
        assert isinstance(error, GuardError)
        assert client.in_force() == force


def test_equivocation_and_a_damaged_role(repository: Repository, client: Client) -> None:
    """The role of the state that came first was torn a moment ago: it is said that it is no evidence."""
    beside(client, "role").write_bytes(b"")
    history = repository.lists["urls"]
    history.versions[-1] = listed(*PAGES)
    history.runs.clear()
    repository.fill_role("urls")
    repository.publish()
    error = client.refused(EquivocationError)
    assert "not all of the evidence" in error.hint
    [kept] = (client.state / "hotline/evidence").iterdir()
    assert kept.read_bytes() == repository.objects[repository.name_of("urls.full")]


def test_a_list_that_is_signed_anew(repository: Repository, client: Client) -> None:
    """Role and head are kept as they were signed last, so that one names the runs of the other; since when
    the version is in force stays as it was.
    """
    state = beside(client, "state")
    activated = json.loads(state.read_bytes())["activated"]
    repository.lists["urls"].as_of = repository.now + HOUR
    repository.renew("urls")
    client.synced(repository.now + 2 * HOUR)
    assert beside(client, "role").read_bytes() == repository.objects[repository.name_of("urls.full")]
    [newest, _] = read_kept(client.state, "hotline", "urls.full")
    assert newest.state.head == client.held().head
    assert json.loads(state.read_bytes())["activated"] == activated


def test_what_is_whole_is_not_written_again(repository: Repository, client: Client) -> None:
    """Each full sync compares, and a disk is spared."""
    paths = [beside(client, kind, version) for kind in ("role", "state") for version in ("1-1", "1-2")]
    before = [path.stat().st_ino for path in paths]
    for hours in (2, 4):
        client.synced(repository.now + hours * HOUR)
    assert [path.stat().st_ino for path in paths] == before
