"""What time does to a list: warnings, stale, a wrong clock, hard expiry; the clock alone never unblocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES, SHOP, said, unplug
from tests.typed import typed
from vallum.config import HardExpiry
from vallum.state import read_current
from vallum.sync.freshness import Freshness, freshness, half_spent
from vallum.sync.standing import StreamStanding, read_standing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def standing(client: Client, now: datetime) -> StreamStanding:
    [stream] = read_standing(client.config, now).streams
    return stream


def following(client: Client) -> Path:
    """A configuration file of what it follows."""
    [source] = client.config.sources
    path = client.state.parent / "vallum.toml"
    path.write_text(
        f'state = "{client.state}"\n[[source]]\nname = "{source.name}"\nurl = "{source.url}"\n'
        f'root = "{source.root}"\nlists = ["urls"]\n'
    )
    return path


@pytest.fixture
def unplugged(repository: Repository, client: Client) -> Client:
    """A client whose store is gone, and that asks once a sync only."""
    unplug(repository)
    return client


@pytest.mark.parametrize(("hours", "state", "warned"), [
    (0, "fresh", False), (35, "fresh", False), (36, "fresh", True), (71, "fresh", True), (72, "stale", True),
    (24 * 365, "stale", True), (-1, "clock", True), (-24 * 365, "clock", True),
])  # fmt: skip
def test_states(repository: Repository, client: Client, hours: int, state: str, warned: bool) -> None:
    """Half-way to stale there is a warning; in each state the list is enforced."""
    now = repository.now + hours * HOUR
    stream = standing(client, now)
    assert stream.freshness == state
    assert bool(stream.remarks()) == warned
    assert not stream.lifted
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)


def test_half_of_the_metadatas_time(repository: Repository, client: Client) -> None:
    """The list's own signature is new, but the metadata that led to it will expire: it is half-way there."""
    about = read_current(client.state).sources["hotline"]
    short = replace(about, expires=repository.now + 16 * HOUR)
    assert half_spent(client.held(), short, repository.now + 7 * HOUR) is None
    assert half_spent(client.held(), short, repository.now + 9 * HOUR) == short.expires


def _days(client: Client, start: datetime, days: int) -> Iterator[datetime]:
    for day in range(1, days + 1):
        now = (start + day * DAY).replace(hour=12)  # both within one day, whenever the test runs
        for hour in (0, 7):
            assert not client.sync(now + hour * HOUR).ok
        yield now + 11 * HOUR  # of the second day at most 71 hours, of the third at least 72


@pytest.mark.parametrize("opens", [False, True])
def test_hard_expiry(repository: Repository, unplugged: Client, opens: bool) -> None:
    """Ten days of failures beyond the list's age: it stays in force all the same, by default.

    It is lifted only where the operator says so, and enforced again by the first sync that succeeds.
    """
    client = unplugged
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens))
    with vallum.open(client.state) as lists:
        states = []
        for now in _days(client, repository.now, 14):
            states.append(str(standing(client, now).freshness))
        assert states == ["fresh"] * 2 + ["stale"] * 10 + ["hard-expired"] * 2
        assert standing(client, now).lifted is opens
        assert lists.ready(2), lists.problem
        assert bool(lists.match_url(BAD)) is not opens
        assert lists.status()[0].lifted is opens
        # What the operator opened is open: nothing of it is left unchecked, which may well mean blocked.
        assert lists.decide_url(BAD).outcome == ("clean" if opens else "listed")
        assert lists.decide_url(SHOP).outcome == "clean"
        for url, code in ((BAD, 1 if opens else 0), (SHOP, 1)):
            checked = typed(["vallum", "-c", str(following(client)), "check", url], client.state.parent)
            assert checked.code == code, checked.mixed
        repository.answers.clear()
        client.synced(repository.now + HOUR)
        assert lists.ready(2), lists.problem
        assert lists.match_url(BAD)
        assert lists.decide_url(SHOP).outcome == "clean"
        assert standing(client, repository.now + HOUR).freshness is Freshness.FRESH
    assert ("enforcement lifted" in said(client)) is opens
    assert ("enforced again" in said(client)) is opens


def test_a_clock_that_jumps_a_year_ahead_switches_nothing_off(
    repository: Repository, unplugged: Client
) -> None:
    """Whoever can set the clock of a machine and cut its network for a day must not switch blocking off."""
    client = unplugged
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens=True))
    for hour in range(30):
        client.sync(repository.now + 365 * DAY + hour * HOUR)
    now = repository.now + 366 * DAY
    assert standing(client, now).freshness is Freshness.STALE
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)


def test_a_machine_that_was_off_for_a_year(repository: Repository, unplugged: Client) -> None:
    """No sync failed while it was off: it enforces what it has."""
    client = unplugged
    client.config = replace(client.config, hard_expiry=HardExpiry(10, opens=True))
    client.sync(repository.now + 365 * DAY)
    assert standing(client, repository.now + 365 * DAY).freshness is Freshness.STALE


def test_failures_are_forgotten_by_a_success(repository: Repository, unplugged: Client) -> None:
    client = unplugged
    dates = {moment.date() for moment in _days(client, repository.now, 5)}
    dates |= {(repository.now + day * DAY).date() for day in range(1, 6)}
    assert read_current(client.state).sources["hotline"].failed_days == len(dates)
    repository.answers.clear()
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced(repository.now + 6 * DAY)
    about = read_current(client.state).sources["hotline"]
    assert (about.failed_days, about.failed_on) == (0, 0)


def test_a_frozen_list_under_a_live_timestamp(repository: Repository, client: Client) -> None:
    """A stolen online key renews the timestamp for ever: the list's own signature gives it away."""
    now = repository.now + 4 * DAY
    repository.publish_timestamp()
    client.synced(now)
    assert freshness(client.held(), read_current(client.state).sources["hotline"], now) is Freshness.STALE
