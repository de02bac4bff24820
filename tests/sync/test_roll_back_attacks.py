"""Old, frozen, mixed and doubled versions; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from tuf.api.metadata import MetaFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import DataError, TrustError
from vallum.state import read_current
from vallum.sync.fetch import TIMESTAMP
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
    """``current.json`` and the cache are gone: the floor refuses, and what was kept is in force again."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    before = client.in_force()
    shutil.rmtree(client.state / "hotline/trust")
    (client.state / "current.json").unlink()
    repository.objects = old
    [(_, error)] = client.sync().errors()
    assert isinstance(error, TrustError)
    assert client.in_force() == before


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


@pytest.mark.parametrize("lies", ["our role is a folder", "the evidence is a file"])
def test_equivocation_whose_evidence_cannot_be_kept(
    repository: Repository, client: Client, lies: str
) -> None:
    """This disk is broken as well: the alarm is the same, and what was offered is kept if anything can be."""
    [ours] = (client.state / "hotline/lists/urls.full").glob("1-1-*.role.json")
    evidence = client.state / "hotline/evidence"
    if lies == "the evidence is a file":
        evidence.write_bytes(b"x")
    else:
        ours.unlink()
        ours.mkdir()
    history = repository.lists["urls"]
    history.versions[-1] = listed("bad.example/for-you-only")
    history.runs.clear()
    head = repository.renew("urls")
    error = client.refused(EquivocationError)
    if lies == "the evidence is a file":
        assert "evidence could be kept" in error.__notes__[0]
        assert "evidence could be kept" in error.hint
    else:
        [kept] = evidence.iterdir()
        assert head.state.encode() in kept.read_bytes()


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


def _version(repository: Repository, role: str) -> int:
    number, _, _ = repository.name_of(role).removeprefix("metadata/").partition(".")
    return int(number)


@pytest.mark.parametrize("role", ["snapshot", "targets", "urls.full"])
def test_one_role_is_rolled_back(repository: Repository, client: Client, role: str) -> None:
    """With stolen online keys an old version of one role is put under a new timestamp."""
    old = dict(repository.objects)
    lower = _version(repository, role)
    repository.charter(
        "urls", replace(repository.lists["urls"].charter, appeal_url="https://hotline.example/APPEAL")
    )
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    assert _version(repository, role) > lower
    if role == "snapshot":
        repository.timestamp.signed.version += 1
        data = old[f"metadata/{lower}.snapshot.json"]
        repository.timestamp.signed.snapshot_meta = MetaFile.from_data(lower, data, ["sha256"])
    else:
        data = old[f"metadata/{lower}.{role}.json"]
        repository.snapshot.signed.version += 1
        repository.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(lower, data, ["sha256"])
        repository.sign("snapshot")
        repository.put("snapshot")
        repository.publish_timestamp()
    repository.sign("timestamp")
    repository.put("timestamp")
    client.refused(TrustError)


@pytest.mark.parametrize("role", ["targets", "urls.full"])
def test_mix_and_match(repository: Repository, client: Client, role: str) -> None:
    """A store without any key serves today's snapshot over yesterday's file, under today's name."""
    yesterday = repository.objects[repository.name_of(role)]
    repository.charter(
        "urls", replace(repository.lists["urls"].charter, appeal_url="https://hotline.example/APPEAL")
    )
    repository.release("urls", listed("bad.example/c"))
    repository.objects[repository.name_of(role)] = yesterday
    client.refused(DataError)


def test_a_freeze_is_seen_before_it_succeeds(repository: Repository, client: Client) -> None:
    """A store serves one timestamp for ever: the list warns half-way, is stale in time, and is enforced."""
    repository.release("urls", listed("bad.example/hidden"))
    frozen = repository.objects[TIMESTAMP]
    client.synced()
    repository.release("urls", listed("bad.example/new"))
    repository.objects[TIMESTAMP] = frozen
    for hours, state in ((1, Freshness.FRESH), (71, Freshness.FRESH), (72, Freshness.STALE)):
        now = repository.now + timedelta(hours=hours)
        assert client.synced(now).after == 2
        source = read_current(client.state).sources["hotline"]
        assert freshness(client.held(), source, now) == state


def test_a_timestamp_that_jumped_ahead_and_came_back(repository: Repository, client: Client) -> None:
    """A thief of the timestamp key jumps to 10⁹; the old store shows up again. Nothing moves until root does.

    How the owner recovers is told in tests/levers/test_recovery.py.
    """
    true = repository.timestamp.signed.version
    repository.timestamp.signed.version = 10**9
    repository.publish_timestamp()
    client.synced()
    repository.timestamp.signed.version = true
    repository.release("urls", listed("bad.example/c"))
    for _ in range(2):
        client.refused(TrustError)
