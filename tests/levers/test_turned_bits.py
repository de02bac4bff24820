"""A bit turns in what is kept of a version's charter and head: no wrong charter comes into force.

The tables would be whole and the look-ups wrong: with other ``host_bits``, or another ``uid``, each misses.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES
from vallum.errors import ConfigError, GuardError
from vallum.sync import levers
from vallum.sync.kept import read_kept
from vallum.sync.quarantine import Quarantine, name_of

HOUR = timedelta(hours=1)
FACTS = ['"host_bits": 2', '"uid": "2']


@pytest.fixture(params=FACTS)
def fact(request: pytest.FixtureRequest) -> str:
    """Which fact of the charter turns."""
    return str(request.param)


def turn(client: Client, pattern: str, fact: str) -> None:
    [path] = client.state.glob(f"hotline/{pattern}")
    text = path.read_text()
    assert fact in text
    path.write_text(text.replace(fact, fact[:-1] + "3"))


def looks_up(client: Client) -> bool:
    with vallum.open(client.state) as lists:
        return bool(lists.match_url(BAD))


def test_a_kept_version_is_pinned(repository: Repository, client: Client, fact: str) -> None:
    """The version that the operator would go back to counts as not there; what is in force stays."""
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    turn(client, "lists/*/1-1-*.state.json", fact)
    with pytest.raises(ConfigError, match="not kept here"):
        levers.pin(client.config, "urls", "1.1", repository.now + 9 * HOUR, "shop", repository.now)
    assert looks_up(client)
    repository.release("urls", listed(*PAGES))
    assert client.synced().after == 3


def test_what_is_in_force_is_recovered(repository: Repository, client: Client, fact: str) -> None:
    """``current.json`` is torn, and what was kept of the newest version is damaged: the one before is whole.

    The next sync brings the newest one again.
    """
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    turn(client, "lists/*/1-2-*.state.json", fact)
    (client.state / "current.json").write_bytes(b"{")
    report = client.synced()
    assert (report.before, report.after) == (1, 2)
    assert looks_up(client)


def test_what_is_in_quarantine_is_accepted(repository: Repository, client: Client, fact: str) -> None:
    """Its record counts as none; the next sync makes it anew, and then it can be accepted."""
    repository.release("urls", listed(*PAGES[:99]))
    client.refused(GuardError)
    aside = Quarantine(client.state, "hotline").find("urls.full")
    assert aside is not None
    turn(client, "quarantine/*/record.json", fact)
    version = name_of(aside.state.head)
    with pytest.raises(ConfigError, match="nothing is in quarantine"):
        levers.accept(client.config, "urls", version, "called", repository.now)
    client.refused(GuardError, repository.now + 2 * HOUR)
    levers.accept(client.config, "urls", version, "called", repository.now)
    assert looks_up(client)
    assert client.synced(repository.now + 4 * HOUR).outcome == "unchanged"


def test_what_a_release_without_digests_kept(repository: Repository, client: Client) -> None:
    """It is read, and can be pinned and accepted."""
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    head = repository.release("urls", listed(*PAGES[:99]))
    client.refused(GuardError)
    for pattern in ("lists/*/*.state.json", "quarantine/*/record.json"):
        for path in client.state.glob(f"hotline/{pattern}"):
            raw = json.loads(path.read_bytes())
            del raw["sha256"]
            path.write_text(json.dumps(raw, indent=1))
    assert len(read_kept(client.state, "hotline", "urls.full")) == 2
    levers.pin(client.config, "urls", "1.1", repository.now + HOUR, "shop", repository.now)
    levers.accept(client.config, "urls", name_of(head), "called", repository.now)
    assert looks_up(client)
