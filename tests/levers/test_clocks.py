"""Clocks that were wrong for a while: nothing ends for good by a clock alone (client.md §9.4, §9.5)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from email.utils import format_datetime

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES, SHOP, said, unplug
from vallum import allow
from vallum.allow import Allowance, Kind, read_allowances
from vallum.config import HardExpiry
from vallum.doctor import BAD as BAD_FINDING
from vallum.doctor import examine
from vallum.errors import FetchError
from vallum.format.fields import format_time
from vallum.state import read_current
from vallum.sync import levers
from vallum.sync.freshness import CLOCK_BEHIND, Freshness
from vallum.sync.standing import read_standing
from vallum.sync.transport import Answer
from vallum.uptime import Uptime

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def allow_shop(client: Client, now: datetime) -> None:
    allow.add(client.state, Allowance(Kind.HOST, "shop.example", now, now + 24 * HOUR, "our shop"), now)


class Jumping(datetime):
    """A clock of the readers of this process that can be wrong."""

    off = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # plain values for all
        return datetime.now(tz) + cls.off  # noqa: TID251 - readers judge by the real clock


def test_a_readers_clock_that_comes_back(
    blocked_shop: Client, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's clock jumps ahead by a year and back: what is allowed still is allowed again."""
    allow_shop(blocked_shop, repository.now)
    monkeypatch.setattr(allow, "datetime", Jumping)
    with vallum.open(blocked_shop.state) as lists:
        assert lists.match_url(SHOP) == []
        monkeypatch.setattr(Jumping, "off", 400 * DAY)
        time.sleep(1.1)
        assert lists.match_url(SHOP)
        monkeypatch.setattr(Jumping, "off", timedelta(0))
        time.sleep(1.1)
        assert lists.match_url(SHOP) == []


def test_a_sync_whose_clock_is_ahead_sweeps_no_allowance(
    blocked_shop: Client, repository: Repository
) -> None:
    """A cron job on a machine whose clock is a year ahead; the next one, in time, finds the allowance."""
    client, now = blocked_shop, repository.now
    allow_shop(client, now)
    client.sync(now + 400 * DAY)
    client.sync(now + 26 * HOUR)
    assert len(read_allowances(client.state)) == 1
    assert "allowance ended" not in said(client)
    repository.now = now + 25 * HOUR
    repository.renew("urls")
    client.synced(now + 26 * HOUR)
    client.synced(now + 26 * HOUR)
    assert read_allowances(client.state) == ()
    assert said(client)[-1] == "allowance ended"


def store_says(repository: Repository, date: datetime) -> None:
    """The store's answers carry its own time."""
    text = format_datetime(date, usegmt=True)
    for name in ("metadata/timestamp.json", "metadata/2.root.json"):
        data = repository.objects.get(name)
        repository.answers[name] = lambda data=data: (  # type: ignore[misc]  # each its own
            Answer(404, date=text) if data is None else Answer(200, iter([data]), date=text)
        )


@pytest.mark.parametrize("date", [False, True])
def test_a_pin_is_not_ended_by_a_clock_that_the_store_contradicts(
    blocked_shop: Client, repository: Repository, date: bool
) -> None:
    """At one sync the clock is 60 hours ahead. Only where a store says no time must the clock be believed."""
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "it blocks our shop", now)
    if date:
        store_says(repository, now)
    assert client.synced(now + 60 * HOUR).outcome == ("pinned" if date else "activated")
    repository.answers.clear()
    client.sync(now + HOUR)
    assert client.in_force()["hotline/urls.full"][1] == (1 if date else 2)
    assert ("pin ended" in said(client)) is not date
    if date:
        store_says(repository, now + 49 * HOUR)
        assert client.synced(now + 49 * HOUR).after == 2


def test_a_pin_is_not_ended_by_a_clock_that_the_machine_contradicts(
    blocked_shop: Client, repository: Repository
) -> None:
    """The store says no time, the clock jumps ahead by 60 hours: the machine was on for a minute."""
    client, now = blocked_shop, repository.now
    up = [Uptime("one", seconds) for seconds in (1000, 1060, 1000 + 48 * 3600)]
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "it blocks our shop", now, uptime=up[0])
    assert client.sync(now + 60 * HOUR, up[1]).sources[0].streams[0].outcome == "pinned"
    assert client.sync(now + HOUR, up[1]).sources[0].streams[0].outcome == "pinned"
    assert client.sync(now + 48 * HOUR, up[2]).sources[0].streams[0].after == 2


def test_the_operator_ends_a_pin_whatever_clocks_say(blocked_shop: Client, repository: Repository) -> None:
    """His machine's clock is ahead of the store's for good: `pin --end` is no matter of time."""
    client, now = blocked_shop, repository.now
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "it blocks our shop", now)
    store_says(repository, now - 5 * HOUR)
    assert client.synced(now + HOUR).outcome == "pinned"
    levers.unpin(client.config, "urls", "it was right after all", now + HOUR)
    assert client.synced(now + HOUR).after == 2


def test_days_that_go_to_and_fro_are_not_counted(repository: Repository, client: Client) -> None:
    """The store is unplugged, and the clock set a day ahead and back, forty times within minutes."""
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens=True))
    unplug(repository)
    for day in (40, 41) * 20:
        client.sync(repository.now + day * DAY)
    assert read_current(client.state).sources["hotline"].failed_days == 2
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)


def test_days_that_go_by_within_minutes_are_not_counted(repository: Repository, client: Client) -> None:
    """The line is cut, and the clock goes a day ahead at each poll: the machine knows how long it was on.

    Somebody who starts it anew each time, and an honest outage, do count.
    """
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens=True))
    unplug(repository)
    for day in range(40):
        client.sync(repository.now + day * DAY, Uptime("one", 1000 + day * 60))
    assert read_current(client.state).sources["hotline"].failed_days == 1
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
    for day in range(40, 45):
        client.sync(repository.now + day * DAY, Uptime("one", 1000 + day * 24 * 3600))
        client.sync(repository.now + day * DAY + HOUR, Uptime("one", 4600 + day * 24 * 3600))
    assert read_current(client.state).sources["hotline"].failed_days == 6
    for day in range(45, 50):
        client.sync(repository.now + day * DAY, Uptime(str(day), 10))
    assert "enforcement lifted" in said(client)


def test_failures_by_a_clock_that_the_store_contradicts_are_not_counted(
    repository: Repository, client: Client
) -> None:
    """The store answers and is honest, the clock goes a day ahead at each poll: nothing is switched off."""
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens=True))
    store_says(repository, repository.now)
    repository.answers["metadata/timestamp.json"] = lambda: Answer(
        500, date=format_datetime(repository.now, usegmt=True)
    )
    for day in range(40, 60):
        client.refused(FetchError, repository.now + day * DAY)
    assert read_current(client.state).sources["hotline"].failed_days == 0
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
    assert "enforcement lifted" not in said(client)
    for day in range(1, 15):
        repository.answers["metadata/timestamp.json"] = lambda day=day: Answer(  # type: ignore[misc]  # each its own
            500, date=format_datetime(repository.now + day * DAY, usegmt=True)
        )
        client.sync(repository.now + day * DAY)
    assert "enforcement lifted" in said(client), "days that the store confirms do count"


def test_a_version_that_came_while_the_clock_was_ahead(repository: Repository, client: Client) -> None:
    """Version 2 came into force a day ahead of time, version 3 in time; then `current.json` is torn.

    The newest is the one with the highest number; a store that is gone cannot make it an older one.
    """
    repository.release("urls", listed(*PAGES, "two.example/"))
    client.synced(repository.now + DAY)
    repository.release("urls", listed(*PAGES, "two.example/", "three.example/"))
    client.synced(repository.now)
    (client.state / "current.json").write_bytes(b"torn")
    unplug(repository)
    client.sync(repository.now + HOUR)
    assert client.in_force()["hotline/urls.full"][1] == 3
    repository.answers.clear()
    assert client.synced(repository.now + DAY + HOUR).after == 3


def test_a_clock_that_was_ahead_for_one_sync(repository: Repository, client: Client) -> None:
    """By 20 hours, and is right again: it is said until when that is seen, and that nothing is to be done."""
    now = repository.now
    client.synced(now + 20 * HOUR)
    client.synced(now)
    [standing] = read_standing(client.config, now).streams
    [remark] = standing.remarks()
    assert standing.freshness is Freshness.CLOCK
    end = now + 20 * HOUR - CLOCK_BEHIND
    assert "nothing is to be done" in remark.hint
    assert format_time(end) in remark.hint
    [found] = [one for one in examine(client.config, now, client.connect) if one.check == "clock"]
    assert (found.level, "it was ahead at that sync" in found.hint) == (BAD_FINDING, True)
    assert read_standing(client.config, end).streams[0].freshness is Freshness.FRESH
