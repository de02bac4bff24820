"""A real feed through the guard, at every rhythm of polling: an honest list is never held back.

The feed is named by the environment (``VALLUM_FEED``, see ``benchmarks/feed.py`` for its form).
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from tests.guard.machine import Follower, Machine
from vallum.errors import InputError
from vallum.expression import Scope
from vallum.guard import FREE_ADDITIONS
from vallum.url import entry_form

FEED = os.environ.get("VALLUM_FEED", "")
needs_feed = pytest.mark.skipif(not FEED, reason="VALLUM_FEED names no recorded feed")
HOSTS_A_WEEK = FREE_ADDITIONS
"""What a charter must allow that lists some 2,500 bare hosts a week, and began with nearly all of them."""


@dataclass(frozen=True)
class Step:
    """What one version of the feed changes: forms that come and go."""

    at: datetime
    come: frozenset[str]
    go: frozenset[str]


def _form(url: str) -> str | None:
    """The form, of a bare host with ``host`` before it; ``None`` for what an intake refuses."""
    try:
        form = entry_form(url, Scope.URL)
    except InputError:
        return None
    host, slash, rest = form.partition("/")
    if slash and not rest:
        with suppress(InputError):  # a public suffix, say: then it is listed as a page
            return f"host {entry_form(host, Scope.HOST)}"
    return form


@cache
def _steps() -> list[Step]:
    forms: dict[str, str | None] = {}
    urls: dict[str, set[str]] = {}
    found = []
    path = Path(FEED)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            raw = json.loads(line)
            was: dict[str, bool] = {}
            for url, listed in [(url, False) for url in raw["remove"]] + [(url, True) for url in raw["add"]]:
                if url not in forms:
                    forms[url] = _form(url)
                form = forms[url]
                if form is None:
                    continue
                held = urls.setdefault(form, set())
                was.setdefault(form, bool(held))
                held.add(url) if listed else held.discard(url)
            come = frozenset(form for form, before in was.items() if urls[form] and not before)
            go = frozenset(form for form, before in was.items() if before and not urls[form])
            found.append(Step(datetime.fromtimestamp(raw["at"], UTC), come, go))
    return found


def _polls(every: timedelta, start: datetime, end: datetime) -> list[datetime]:
    return [start + every * number for number in range(int((end - start) / every) + 1)]


def _replay(machine: Machine, polls: Iterable[datetime]) -> set[str]:
    """Let a machine poll at these times; what is listed at the last of them."""
    steps, follower, listed = iter(_steps()), Follower(machine), set[str]()
    step = next(steps, None)
    for now in polls:
        while step is not None and step.at <= now:
            follower.touch(step.come | step.go, listed)
            listed |= step.come
            listed -= step.go
            step = next(steps, None)
        if listed:
            follower.poll(now, listed)
    return listed


@needs_feed
def test_every_version() -> None:
    machine = Machine(wide_per_week=HOSTS_A_WEEK)
    _replay(machine, [step.at for step in _steps()])
    assert machine.refused == []
    assert machine.rows > FREE_ADDITIONS


@needs_feed
@pytest.mark.parametrize("hours", [1, 24, 72])
def test_polling_at_a_rhythm(hours: int) -> None:
    first, last = _steps()[0].at, _steps()[-1].at
    for offset in (0, hours / 3, hours / 2):
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        _replay(machine, _polls(timedelta(hours=hours), first + timedelta(hours=offset), last))
        assert machine.refused == [], offset


@needs_feed
@pytest.mark.parametrize("days", [14, 17, 21, 28])
def test_after_an_absence(days: int) -> None:
    """Polls, is away for weeks, comes back and polls on; wherever in the feed that falls."""
    first, last = _steps()[0].at, _steps()[-1].at
    rhythm, away = timedelta(hours=6), timedelta(days=days)
    for begin in range(1, (last - first - away).days, 3):
        leave = first + timedelta(days=begin)
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        _replay(machine, _polls(rhythm, first, leave) + _polls(rhythm, leave + away, last))
        assert machine.refused == [], begin


@needs_feed
def test_the_feed_where_the_charter_does_not_allow_hosts() -> None:
    """The same feed under the default of 50 new hosts a week: stopped."""
    machine = Machine()
    _replay(machine, [step.at for step in _steps()[:50]])
    assert machine.refused


@needs_feed
@pytest.mark.parametrize(("factor", "step"), [(1.10, 12), (0.95, 15)])
def test_the_feed_grown_or_shrunk_by_the_hour(factor: float, step: int) -> None:
    """From its states of several days on, rows are invented or left out every hour."""
    for begin in range(400, len(_steps()), 300):
        machine = Machine(wide_per_week=HOSTS_A_WEEK)
        now = _steps()[begin - 1].at
        size = float(len(_replay(machine, [step.at for step in _steps()[:begin]])))
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
