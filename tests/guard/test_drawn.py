"""The drawn feed beside the recorded one: alike in what a guard meets, and as near to its limits."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import pytest

from tests.guard.drawn import STATISTICS
from tests.guard.feed import Step, feeds, steps_of
from tests.guard.machine import Machine
from tests.guard.replay import HOSTS_A_WEEK, away, replay
from vallum import guard


def statistics(steps: list[Step]) -> dict[str, float]:
    """What ``STATISTICS`` says, of any feed."""
    begin, listed = steps[0].at, set[str]()
    sizes, lives, since = list[int](), list[float](), dict[str, datetime]()
    weeks, adds = Counter[int](), Counter[str]()
    for step in steps:
        lives += [(step.at - since[form]).total_seconds() / 3600 for form in step.go]
        since.update(dict.fromkeys(step.come, step.at))
        listed |= step.come
        listed -= step.go
        sizes.append(len(listed))
        weeks[(step.at - begin).days // 7] += len(step.come)
        adds.update(step.come)
    gaps = [(after.at - before.at).total_seconds() / 3600 for before, after in pairwise(steps)]
    come = adds.total()
    hosts = Counter(form.removeprefix("host ").partition("/")[0] for form in adds)
    return {
        "versions": len(steps),
        "sessions": 1 + sum(gap > 6 for gap in gaps),
        "hours without a version, at most": max(gaps),
        "rows at most": max(sizes),
        "rows at last": sizes[-1],
        "rows that come": come,
        "rows that come in the first week": weeks[0],
        "rows that come in the fullest week": max(weeks[week] for week in range(1, 5)),
        "rows that come at once, at most": max(len(step.come) for step in steps),
        "rows that go at once, at most": max(len(step.go) for step in steps),
        "rows that go": sum(len(step.go) for step in steps),
        "hours that a row is listed, median": median(lives),
        "share of versions that bring nothing": sum(not step.come for step in steps) / len(steps),
        "share of versions that bring one row": sum(len(step.come) == 1 for step in steps) / len(steps),
        "share of versions that take none off": sum(not step.go for step in steps) / len(steps),
        "share of what comes that comes again": 1 - len(adds) / come,
        "share of bare hosts in what comes": sum(
            count for form, count in adds.items() if form.startswith("host ")
        ) / come,
        "forms": len(adds),
        "hosts": len(hosts),
        "share of hosts with one form": sum(count == 1 for count in hosts.values()) / len(hosts),
        "forms of the host with most": max(hosts.values()),
    }  # fmt: skip


@feeds
def test_the_statistics(feed: str) -> None:
    """They are what is written, to the digit on any machine: what fails in CI fails at home."""
    written = {name: both[feed == "drawn"] for name, both in STATISTICS.items()}
    assert statistics(steps_of(feed)) == pytest.approx(written, rel=0.01)


def test_the_drawn_feed_is_like_the_recorded_one() -> None:
    recorded, drawn = ({name: both[which] for name, both in STATISTICS.items()} for which in (0, 1))
    assert drawn == pytest.approx(recorded, rel=0.1)


@feeds
@pytest.mark.parametrize(("additions", "hosts"), [(7_000, HOSTS_A_WEEK), (guard.FREE_ADDITIONS, 4_200)])
def test_tighter_limits_would_hold_it_back(
    feed: str, additions: int, hosts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feeds come near: a third less in a week, or a quarter less hosts, and they are stopped."""
    monkeypatch.setattr(guard, "FREE_ADDITIONS", additions)
    machine = Machine(wide_per_week=hosts)
    replay(feed, machine, [step.at for step in steps_of(feed)])
    assert machine.refused


@feeds
def test_an_absence_that_widens_nothing_would_hold_it_back(
    feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_WEEKS", 0)
    machine = Machine(wide_per_week=HOSTS_A_WEEK)
    replay(feed, machine, away(feed, timedelta(days=16), timedelta(days=14)))
    assert machine.refused
