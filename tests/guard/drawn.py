"""A feed drawn from numbers, with the statistics of a recorded one that may not be carried along.

The recorded one is 39 days of a public list of phishing pages. Twice a day it has a session: up to 500 rows
at once, then a few more with each version of the next hour; all are taken off two weeks later.
:data:`STATISTICS` has what was measured of it, beside what is drawn here.

What matters to a guard is how near they come to its limits. Of what may be added within a week, of what
``HOSTS_A_WEEK`` allows, and the largest step up and down in shares of the list (from 5,000 rows on)::

                       added          hosts          step up        step down
    every version      0.76  0.79     0.81  0.81     0.09  0.09     0.04  0.03
    hourly             0.76  0.79     0.80  0.80     0.10  0.09     0.04  0.05
    daily              0.81  0.84     0.85  0.85     0.21  0.19     0.11  0.08
    every three days   0.88  0.95     0.93  0.93     0.45  0.58     0.22  0.21
    away for 14 days   0.76  0.79     0.80  0.80     1.71  1.78     0.84  0.89
    away for 28 days   0.76  0.79     0.72  0.78     1.90  1.73     0.81  0.89

(the recorded one first). Nothing ever shrinks below 0.93 of the largest, in either.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any

STATISTICS = {
    "versions": (2097, 2265),
    "sessions": (79, 79),
    "hours without a version, at most": (11.6, 11.4),
    "rows at most": (15_837, 15_110),
    "rows at last": (14_902, 13_944),
    "rows that come": (39_629, 39_310),
    "rows that come in the first week": (7567, 7862),
    "rows that come in the fullest week": (7576, 7164),
    "rows that come at once, at most": (500, 500),
    "rows that go at once, at most": (508, 500),
    "rows that go": (24_727, 25_366),
    "hours that a row is listed, median": (348, 348),
    "share of versions that bring nothing": (0.0048, 0.0044),
    "share of versions that bring one row": (0.513, 0.517),
    "share of versions that take none off": (0.61, 0.582),
    "share of what comes that comes again": (0.127, 0.119),
    "share of bare hosts in what comes": (0.516, 0.531),
    "forms": (34_607, 34_632),
    "hosts": (28_532, 28_076),
    "share of hosts with one form": (0.927, 0.903),
    "forms of the host with most": (372, 396),
}
"""Of the recorded feed, and of the drawn one; rows are forms that an intake takes."""

_BEGIN, _FIRST = 1_731_672_000, 302
"""12:00 on 15 November 2024, and how many seconds later the first session begins."""
_STEPS = 0.8191725134, 0.6710436067, 0.5497004779
"""Multiples of these are spread evenly between 0 and 1, and in three dimensions."""
_SESSIONS, _HALF_DAY = 79, 12 * 3600
_LIFE = 14 * 24 * 3600
_HEAVY = {43: 3, 65: 7}
"""Two sessions have a version each minute, and so many times as much in it."""
_BURST, _PLATFORMS = 500, 73


class _Drawing:
    """What has been listed so far, and by whom the next draw is made."""

    def __init__(self) -> None:
        # Only `random` of it, which is the same in every release of Python.
        self._draw = Random(1).random  # noqa: S311 - to be drawn again
        self._hosts: list[str] = []
        self._gone: list[str] = []
        self._listed: set[str] = set()
        self._made = self._small = 0
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(_PLATFORMS)))

    def minutes(self, often: float) -> list[int]:
        """The minutes of a session's hour in which a further version comes."""
        return [minute for minute in range(1, 59) if self._draw() < often]

    def few(self, times: int) -> int:
        """So many rows come with a further version: one or two, seldom ten, hardly ever none."""
        self._small += 1
        if self._small % 280 == 0:
            return 0
        size = 1
        while self._draw() < 0.44:
            size += 1
        return size * times

    def come(self, size: int, bare: float, again: float) -> list[str]:
        """Draw URLs, so many of them bare hosts; ``again`` is the share of those that had gone before."""
        urls: list[str] = []
        while len(urls) < size:
            url = self._again() if self._draw() < again and self._gone else self._new(bare)
            if url not in self._listed:
                self._listed.add(url)
                urls.append(url)
        return urls

    def go(self, urls: list[str]) -> None:
        """Take these off."""
        self._listed.difference_update(urls)
        self._gone += urls

    def second(self) -> int:
        """The second of the minute in which a session begins."""
        return 2 + int(9 * self._draw())

    def _again(self) -> str:
        """One that went lately, or long ago: as likely an hour as a week ago, in logarithms."""
        back = int(300 * 97 ** self._draw())
        url = self._gone[-min(back, len(self._gone))]
        # A third come back in another spelling.
        return url.swapcase().replace("HTTP", "http") if self._draw() < 0.3 else url

    def _new(self, bare: float) -> str:
        self._made += 1
        if self._draw() < bare:
            return f"https://h{self._made}.example/"
        return f"https://{self._host()}/page{self._made}"

    def _host(self) -> str:
        """Of a page: mostly a new one, else one that had pages before, or one of those where anybody may."""
        chance = self._draw()
        if chance < 0.185:
            return f"platform{bisect(self._weights, self._draw() * self._weights[-1])}.example"
        if chance < 0.37 and self._hosts:
            return self._hosts[int(self._draw() * len(self._hosts))]
        self._hosts.append(f"p{self._made}.example")
        return self._hosts[-1]


def draw() -> Iterator[dict[str, Any]]:
    """Yield versions in the form of a recorded feed: ``{"at", "add", "remove"}``; the same ones each time."""
    drawing = _Drawing()
    held: dict[bool, list[tuple[int, list[str]]]] = {False: [], True: []}
    for session in range(_SESSIONS):
        # What differs from session to session is spread evenly, so that few of them are enough.
        often, less, hosts = (session * step % 1 for step in _STEPS)
        begin = _BEGIN + session * _HALF_DAY + (drawing.second() if session else _FIRST)
        minutes = range(1, 60) if session in _HEAVY else drawing.minutes(0.1 + 0.72 * often)
        again = 0.46 * min(1, max(0, session - 26) / 40)
        for minute in [0, *minutes]:
            at, kind = begin + 60 * minute, minute == 0
            # What came together goes together, two weeks later; where that is missed, everything shifts.
            gone: list[str] = []
            while held[kind] and at - held[kind][0][0] >= _LIFE and not (kind and gone):
                gone += held[kind].pop(0)[1]
            drawing.go(gone)
            size = _BURST - int(320 * less**5) if kind else drawing.few(_HEAVY.get(session, 1))
            come = drawing.come(size, 0.2 + 0.64 * hosts if session else 0.83, again)
            held[kind].append((at, come))
            yield {"at": at, "add": come, "remove": gone}
