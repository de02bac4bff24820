"""Old, frozen, mixed and doubled versions; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import shutil
from datetime import timedelta

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import TrustError
from vallum.state import read_current
from vallum.sync.floor import EquivocationError
from vallum.sync.freshness import Freshness, freshness


def test_rolled_back_metadata(repository: Repository, client: Client) -> None:
    """A store serves yesterday's timestamp again."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    repository.objects.update(old)
    client.refused(TrustError)


def test_roll_back_after_the_cache_was_lost(repository: Repository, client: Client) -> None:
    """TUF alone accepts an old repository once its cache is gone; the floor does not."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    repository.objects = old
    assert "older" in str(client.refused(TrustError))


def test_roll_back_after_everything_but_the_floor_was_lost(repository: Repository, client: Client) -> None:
    """``current.json`` and the cache are gone: the floor still refuses, and nothing is in force."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    (client.state / "current.json").unlink()
    repository.objects = old
    client.refused(TrustError)


def test_a_list_key_rolls_its_list_back(repository: Repository, client: Client) -> None:
    """A stolen list key signs an older version with higher metadata numbers."""
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    repository.lists["urls"].versions.pop()
    repository.renew("urls")
    assert "older" in str(client.refused(TrustError))


def test_equivocation(repository: Repository, client: Client) -> None:
    """One version is signed with two contents, such as for one recipient alone: both are kept as proof."""
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    history = repository.lists["urls"]
    history.versions[-1] = listed("bad.example/for-you-only")
    history.runs.clear()
    head = repository.renew("urls")
    client.refused(EquivocationError)
    evidence = [path.read_bytes() for path in (client.state / "hotline/evidence").iterdir()]
    assert len(evidence) == 2
    states = [head.state, client.held().head.state]
    assert all(any(state.encode() in role and b'"sig"' in role for role in evidence) for state in states)


def test_a_re_signed_head_is_no_equivocation(repository: Repository, client: Client) -> None:
    """The same state in other bytes of metadata is the same state."""
    repository.roles["urls.full"].signed.unrecognized_fields["note"] = "re-signed"
    repository.renew("urls")
    client.synced()


def test_an_expired_timestamp(repository: Repository, client: Client) -> None:
    """A frozen store: the timestamp's life is over. The list stays in force; expiry never unblocks."""
    repository.timestamp.signed.expires = repository.now - timedelta(minutes=1)
    repository.publish_timestamp()
    assert "clock" in client.refused(TrustError).hint


def test_an_expired_list(repository: Repository, client: Client) -> None:
    repository.roles["urls.full"].signed.expires = repository.now - timedelta(minutes=1)
    repository.release("urls", listed("bad.example/c"))
    client.refused(TrustError)


def test_a_clock_that_went_back(repository: Repository, client: Client) -> None:
    """This machine's clock is set back by days: syncs go on, and the alarm stays until the clock is right."""
    past = repository.now - timedelta(days=3)
    repository.release("urls", listed("bad.example/c"))
    for _ in range(2):
        client.synced(past)
        source = read_current(client.state).sources["hotline"]
        assert freshness(client.held(), source, past) == Freshness.CLOCK
