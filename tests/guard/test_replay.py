"""A feed through the guard, at every rhythm of polling: an honest list is never held back.

It is one that is drawn, always, and the recorded one beside it where there is one (:mod:`tests.guard.feed`).
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.guard.feed import feeds, steps_of
from tests.guard.machine import Machine
from tests.guard.replay import HOSTS_A_WEEK, away, polls, replay
from vallum.guard import FREE_ADDITIONS

pytestmark = feeds


def test_every_version(feed: str) -> None:
    machine = Machine(wide_per_week=HOSTS_A_WEEK)
    replay(feed, machine, [step.at for step in steps_of(feed)])
    assert machine.refused == []
    assert machine.rows > FREE_ADDITIONS


@pytest.mark.parametrize("hours", [1, 24, 72])
def test_polling_at_a_rhythm(feed: str, hours: int) -> None:
    first, last = steps_of(feed)[0].at, steps_of(feed)[-1].at
    for offset in (0, hours / 3, hours / 2):
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        replay(feed, machine, polls(timedelta(hours=hours), first + timedelta(hours=offset), last))
        assert machine.refused == [], offset


@pytest.mark.parametrize("days", [14, 17, 21, 28])
def test_after_an_absence(feed: str, days: int) -> None:
    """Polls, is away for weeks, comes back and polls on; wherever in the feed that falls."""
    absence, whole = timedelta(days=days), steps_of(feed)[-1].at - steps_of(feed)[0].at
    for begin in range(1, (whole - absence).days, 3):
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        replay(feed, machine, away(feed, timedelta(days=begin), absence))
        assert machine.refused == [], begin


def test_the_feed_where_the_charter_does_not_allow_hosts(feed: str) -> None:
    """The same feed under the default of 50 new hosts a week: stopped."""
    machine = Machine()
    replay(feed, machine, [step.at for step in steps_of(feed)[:50]])
    assert machine.refused


@pytest.mark.parametrize(("factor", "step"), [(1.10, 12), (0.95, 15)])
def test_the_feed_grown_or_shrunk_by_the_hour(feed: str, factor: float, step: int) -> None:
    """From its states of several days on, rows are invented or left out every hour."""
    steps = steps_of(feed)
    for begin in range(400, len(steps), 300):
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        now = steps[begin - 1].at
        size = float(len(replay(feed, machine, [step.at for step in steps[:begin]])))
        assert machine.refused == []
        for number in range(1, 16):
            now += timedelta(hours=1)
            before, size = int(size), size * factor
            if not machine.sync(now, int(size), max(0, int(size) - before)):
                assert number <= step, "what the feed did before comes on top"
                break
        else:
            # A small list may always grow by 10,000 rows a week.
            assert factor > 1
            assert size < FREE_ADDITIONS * 2
