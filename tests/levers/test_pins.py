"""Going back to an earlier version: at once, and ending by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES, SHOP, said
from vallum.errors import ConfigError, StateError
from vallum.expression import Scope
from vallum.sync import levers
from vallum.sync.kept import Kept, worth_keeping

HOUR = timedelta(hours=1)


def test_a_pin_brings_an_earlier_version_back(repository: Repository, blocked_shop: Client) -> None:
    """At once and without network; syncs go on and change nothing; the floor stays where it was."""
    client, now = blocked_shop, repository.now
    floor = (client.state / "hotline/floor.json").read_bytes()
    with vallum.open(client.state) as lists:
        assert lists.match_url(SHOP)
        repository.requests.clear()
        levers.pin(client.config, "urls", "1", now + 2 * HOUR, "it blocks our shop", now)
        assert repository.requests == []
        assert lists.ready(5)
        time.sleep(1.1)
        assert lists.match_url(SHOP) == []
        assert lists.match_url(BAD)
        assert lists.status()[0].pinned_until == now + 2 * HOUR
    assert (client.state / "hotline/floor.json").read_bytes() == floor
    repository.release("urls", {**listed(*PAGES), **listed("shop.example", "x.example", scope=Scope.HOST)})
    report = client.synced(now + HOUR)
    assert (report.outcome, report.after) == ("pinned", 1)
    assert not any(name.startswith("targets/") for name in repository.requests)
    assert said(client)[-3:] == ["pinned", "activated", "pin in force"]


def test_a_pin_ends_by_itself(repository: Repository, blocked_shop: Client) -> None:
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "urls", "1.1", now + 2 * HOUR, "it blocks our shop", now)
    client.synced(now + HOUR)
    assert client.in_force()["hotline/urls.full"][1] == 1
    report = client.synced(now + 2 * HOUR)
    assert (report.outcome, report.after) == ("activated", 2)
    assert client.held().pin is None
    assert said(client)[-1] == "pin ended"


def test_a_pin_survives_damage(repository: Repository, blocked_shop: Client) -> None:
    """`current.json` is torn while a version is pinned: what blocks the shop does not come back by that."""
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "it blocks our shop", now)
    pin = client.held().pin
    for report in ("pinned", "pinned"):
        (client.state / "current.json").write_bytes(b"torn")
        assert client.synced(now + HOUR).outcome == report
        assert client.in_force()["hotline/urls.full"][1] == 1
        assert client.held().pin == pin
    levers.unpin(client.config, "urls", "it was right after all", now + HOUR)
    (client.state / "current.json").write_bytes(b"torn")
    assert client.synced(now + HOUR).after == 2


def test_a_reason_that_could_not_be_read_back(blocked_shop: Client, repository: Repository) -> None:
    """A page of text as the reason of a pin: refused before it makes `current.json` one that nobody reads."""
    for reason in ("x" * 1025, "two\nlines"):
        with pytest.raises(ConfigError, match="one line"):
            levers.pin(blocked_shop.config, "urls", "1", repository.now + HOUR, reason, repository.now)
    assert blocked_shop.synced().outcome == "unchanged"


def test_a_pin_that_the_operator_ends(repository: Repository, blocked_shop: Client) -> None:
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "hotline/urls", "1", now + 48 * HOUR, "wrong", now)
    levers.unpin(client.config, "urls", "it was right after all", now + HOUR)
    assert client.synced(now + HOUR).after == 2
    with pytest.raises(ConfigError):
        levers.unpin(client.config, "urls", "again", now + HOUR)


def test_a_pin_of_weeks_ends_without_a_false_alarm(repository: Repository, blocked_shop: Client) -> None:
    """What came about during a pin of two weeks is not the growth of one week."""
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "urls", "1", now + 24 * 15 * HOUR, "a long dispute", now)
    repository.release("urls", listed(*(f"h{number}.example/" for number in range(15_000))))
    later = now + 24 * 15 * HOUR
    assert client.sync(now + 24 * 14 * HOUR).ok
    report = client.sync(later)
    assert report.sources[0].streams[0].outcome == "activated"


def test_what_cannot_be_pinned(repository: Repository, blocked_shop: Client) -> None:
    """A version that is not kept, one that is damaged, an end in the past, a list that nobody follows."""
    client, now = blocked_shop, repository.now
    for version, until in (("9", now + HOUR), ("1", now), ("2.1", now + HOUR)):
        with pytest.raises(ConfigError):
            levers.pin(client.config, "urls", version, until, "x", now)
    with pytest.raises(ConfigError, match="no followed list"):
        levers.pin(client.config, "other", "1", now + HOUR, "x", now)
    [path] = (client.state / "hotline/lists/urls.full").glob("1-1-*.exact")
    path.write_bytes(b"")
    with pytest.raises(StateError):
        levers.pin(client.config, "urls", "1", now + HOUR, "x", now)


def test_kept_versions_are_few_and_reach_back(repository: Repository, client: Client) -> None:
    """A version every ten minutes for three weeks: never more than six, and always one from yesterday."""
    state, now = client.held(), repository.now
    kept: list[Kept] = []
    for number in range(3 * 7 * 24 * 6):
        moment = now + number * timedelta(minutes=10)
        head = replace(state.head, version=number + 1)
        kept = worth_keeping([Kept(replace(state, head=head), moment), *kept], moment)
        assert len(kept) <= 6
        if number > 2 * 24 * 6:
            assert any(moment - one.activated >= timedelta(hours=20) for one in kept)
