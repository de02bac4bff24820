"""Letting a machine follow a feed, polling as it likes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.guard.feed import steps_of
from tests.guard.machine import Follower, Machine

HOSTS_A_WEEK = 5_500
"""What a charter must allow that brings some 3,600 bare hosts a week: who polls every three days counts
5,110, those of a week and of three days before."""


def polls(every: timedelta, start: datetime, end: datetime) -> list[datetime]:
    """Moments from ``start`` to ``end``."""
    return [start + every * number for number in range(int((end - start) / every) + 1)]


def away(feed: str, leaves: timedelta, absence: timedelta) -> list[datetime]:
    """Moments of a machine that polls four times a day, leaves for an absence, comes back and polls on."""
    first, last, rhythm = steps_of(feed)[0].at, steps_of(feed)[-1].at, timedelta(hours=6)
    return polls(rhythm, first, first + leaves) + polls(rhythm, first + leaves + absence, last)


def replay(feed: str, machine: Machine, moments: Iterable[datetime]) -> set[str]:
    """Let a machine poll at these times; what is listed at the last of them."""
    steps, follower, listed = iter(steps_of(feed)), Follower(machine), set[str]()
    step = next(steps, None)
    for now in moments:
        while step is not None and step.at <= now:
            follower.touch(step.come | step.go, listed)
            listed |= step.come
            listed -= step.go
            step = next(steps, None)
        if listed:
            follower.poll(now, listed)
    return listed
