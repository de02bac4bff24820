"""Damage to what is kept in quarantine: nothing of it comes into force, and a sync puts it back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES
from vallum.errors import StateError
from vallum.journal import read_journal
from vallum.sync import levers
from vallum.sync.quarantine import Quarantine, name_of

HOUR = timedelta(hours=1)


@pytest.fixture(params=["undecided", "rejected", "under a pin"])
def stands(request: pytest.FixtureRequest) -> str:
    """How the version in quarantine stands."""
    return str(request.param)


@pytest.fixture
def absurd(repository: Repository, client: Client, stands: str) -> str:
    """The name of version 2, which is absurd and kept aside; version 1 is in force."""
    head = repository.release("urls", listed(*PAGES[:99]))
    client.sync()
    if stands == "rejected":
        levers.reject(client.config, "urls", name_of(head), "an error of theirs", repository.now)
    elif stands == "under a pin":
        levers.pin(client.config, "urls", "1", repository.now + 48 * HOUR, "for now", repository.now)
    client.sync()
    return name_of(head)


def damage(client: Client, what: str = "a table") -> None:
    pattern = "*.exact" if what == "a table" else "*.role.json"
    [path] = (client.state / "hotline/quarantine/urls.full").glob(pattern)
    if what == "a table":
        path.write_bytes(path.read_bytes()[:-8] + bytes(8))
        return
    path.unlink()
    if "folder" in what:
        path.mkdir()


def accepted(repository: Repository, client: Client, version: str) -> None:
    """It can be accepted, with no network, and is in force."""
    repository.requests.clear()
    levers.accept(client.config, "urls", version, "called", repository.now)
    assert repository.requests == []
    assert client.in_force()["hotline/urls.full"][1] == 2


def refused(repository: Repository, client: Client, version: str) -> None:
    """It cannot be accepted: an error says what to do, and nothing but the next sync is another one."""
    before = read_journal(client.state), client.in_force()
    with pytest.raises(StateError, match="damaged in quarantine") as raised:
        levers.accept(client.config, "urls", version, "called", repository.now)
    assert "`vallum sync`" in raised.value.hint
    assert (read_journal(client.state), client.in_force()) == before
    assert Quarantine(client.state, "hotline").find("urls.full") is not None


@pytest.mark.parametrize("what", ["a table", "the role", "a folder as the role"])
def test_the_sync_that_is_asked_for_puts_it_back(
    repository: Repository, client: Client, absurd: str, what: str
) -> None:
    """The operator accepts what a bad sector has hit: he is told, syncs as he is told, and accepts."""
    damage(client, what)
    refused(repository, client, absurd)
    [stream] = client.sync().sources[0].streams
    assert (stream.after, stream.warning) == (1, None)
    accepted(repository, client, absurd)


def test_nobody_asks_and_it_is_put_back_within_the_hour(
    repository: Repository, client: Client, absurd: str
) -> None:
    """The store is needed for it once, and not while it is whole."""
    damage(client)
    for hours, fetched in ((2, True), (4, False)):
        repository.requests.clear()
        client.sync(repository.now + hours * HOUR)
        assert any(name.startswith("targets/") for name in repository.requests) == fetched
    accepted(repository, client, absurd)


@pytest.mark.parametrize("stands", ["rejected", "under a pin"], indirect=True)
def test_the_store_cannot_put_it_back(repository: Repository, client: Client, absurd: str) -> None:
    """A decision is settled: syncs do not fail for what it keeps, and say that it is not whole."""
    damage(client)
    runs = {
        name: repository.objects.pop(name) for name in [*repository.objects] if name.startswith("targets/")
    }
    for _ in range(2):
        refused(repository, client, absurd)
        [stream] = client.sync().sources[0].streams
        assert (stream.error, stream.after) == (None, 1)
        assert isinstance(stream.warning, StateError)
        assert str(stream.warning).startswith("version 1.2 is damaged in quarantine: targets/")
    repository.objects.update(runs)
    [stream] = client.sync(repository.now + 2 * HOUR).sources[0].streams
    assert stream.warning is None
    accepted(repository, client, absurd)


@pytest.mark.parametrize("stands", ["under a pin"], indirect=True)
def test_a_newer_version_came_meanwhile(repository: Repository, client: Client, absurd: str) -> None:
    """What lies aside is the newest no longer, and a pin lets nothing newer in: it is refused on and on.

    Once the pin has ended, the newest is judged, and takes its place.
    """
    damage(client)
    repository.release("urls", listed(*PAGES[:98]))
    client.sync()
    refused(repository, client, absurd)
    client.sync()
    refused(repository, client, absurd)
    levers.unpin(client.config, "urls", "decided", repository.now)
    client.sync()
    found = Quarantine(client.state, "hotline").find("urls.full")
    assert found is not None
    assert found.state.head.version == 3
    levers.accept(client.config, "urls", name_of(found.state.head), "called", repository.now)
    assert client.in_force()["hotline/urls.full"][1] == 3
