"""What a hostile version leaves on this disk takes no room from an honest one, and has its own bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES
from vallum.errors import GuardError, StorageError
from vallum.expression import Scope
from vallum.sync.floor import EquivocationError
from vallum.sync.place import MOST_EVIDENCE
from vallum.sync.tables import folder_bytes

MANY = listed(*(f"more{number}.example/{'page' * 10}" for number in range(3000)))
ABSURD = listed("192.168.0.1", scope=Scope.HOST)
HOUR = timedelta(hours=1)


def bound(client: Client, more: int) -> int:
    """Let the source fill so many bytes more than it does, and return its quota."""
    quota = folder_bytes(client.state / "hotline") + more
    client.config = replace(
        client.config, sources=tuple(replace(source, quota=quota) for source in client.config.sources)
    )
    return quota


def test_a_large_version_in_quarantine(repository: Repository, client: Client) -> None:
    """It fills most of the quota; the honest one that follows is as large, and comes into force."""
    bound(client, 300_000)
    repository.release("urls", {**listed(*PAGES), **MANY, **ABSURD})
    client.refused(GuardError)
    assert folder_bytes(client.state / "hotline/quarantine") > 200_000
    repository.release("urls", {**listed(*PAGES), **MANY})
    assert client.synced(repository.now + 2 * HOUR).after == 3
    assert not (client.state / "hotline/quarantine/urls.full").exists()


def test_large_versions_of_other_lists_in_quarantine(repository: Repository, client: Client) -> None:
    """The thieves of two lists keep no third one of the source out. What is aside fills the quota once more
    at most: what is too much is not put aside, and is refused all the same.
    """
    for name in ("more", "most"):
        repository.create(name)
        repository.release(name, listed(*PAGES))
    client.config = repository.config(client.state.parent)
    client.synced()
    quota = bound(client, 300_000)
    before = client.in_force()
    for name in ("more", "most"):
        repository.release(name, {**listed(*PAGES), **MANY, **ABSURD})
    repository.release("urls", {**listed(*PAGES), **MANY})
    errors = dict(client.sync().errors())
    assert isinstance(errors.pop("hotline/more.full"), GuardError)
    error = errors.pop("hotline/most.full")
    assert isinstance(error, StorageError)
    assert "quarantine" in error.hint
    assert not errors
    assert 200_000 < folder_bytes(client.state / "hotline/quarantine") < quota
    after = client.in_force()
    assert after.pop("hotline/urls.full")[1] == 2
    assert after.items() <= before.items()


def test_equivocation_without_end(repository: Repository, client: Client) -> None:
    """A thief signs state after state under one number, and makes each role large: a few are kept, then it is
    said where they lie; a new generation is taken all the same.
    """
    bound(client, 1_000_000)
    history = repository.lists["urls"]
    repository.roles["urls.full"].signed.unrecognized_fields["pad"] = "x" * 100_000
    for number in range(MOST_EVIDENCE + 2):
        history.versions[-1] = listed(*PAGES[number + 1 :])
        history.runs.clear()
        repository.fill_role("urls")
        repository.publish()
        error = client.refused(EquivocationError)
    kept = list((client.state / "hotline/evidence").iterdir())
    assert len(kept) == MOST_EVIDENCE
    assert "move them" in error.hint
    client.refused(EquivocationError)
    repository.roles["urls.full"].signed.unrecognized_fields.clear()
    repository.new_generation("urls")
    repository.release("urls", listed(*PAGES))
    assert client.synced(repository.now + 2 * HOUR).generation == 2
