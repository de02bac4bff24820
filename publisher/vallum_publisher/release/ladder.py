"""The ladder: which runs a version gets, which stay listed, when the base is renewed (DESIGN §5).

Pure numbers. Each version adds the step ``(v-1, v]``; each multiple of 4, 16, 64, … also the merged run of
that length, so that a client that was away for 300 versions climbs down in a handful of fetches. A run leads
from *any* version in ``[start, end)``, hence runs overlap and a merged one serves clients in its middle too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from vallum.errors import StateError
from vallum.format.head import RunRef
from vallum.path import shortest_path

FACTOR = 4
KEPT = 6
"""Newest runs that stay listed per level. Fewer than ``FACTOR - 1`` would leave gaps with no path at all;
4 are enough, 6 make the worst catch-up 12 % cheaper for 0.7 KB more of compressed metadata."""

BASE_SHARE = 8
"""The base is renewed when the way from it to the head weighs more than this fraction of it…"""
BASE_VERSIONS = 256
"""…or after so many versions…"""
FETCHES = 12
"""…or when a cold start would take more fetches than this, the base among them. A client that missed fewer
than 1,024 versions never needs more either: see :func:`due_runs`."""


def due_runs(version: int) -> list[int]:
    """Starts of the runs that end at ``version``, shortest first; no base among them.

    A merged run that would begin below version 1 begins there: only a base has ``start = 0``.

    Where many rungs are half climbed (255 is 3 runs on each of four), a *shortcut* over the two lowest of
    them, at 6 % of all versions, keeps the way below :data:`FETCHES`.
    """
    starts: list[int] = []
    length = 1
    while version > 1 and length <= version and version % length == 0:
        start = max(version - length, 1)
        if start not in starts:
            starts.append(start)
        length *= FACTOR
    if sum(version // FACTOR**rung % FACTOR for rung in range(4)) > FETCHES - (FACTOR - 1):
        starts.append(version - version % FACTOR**2)
    return starts


def level(run: RunRef) -> int:
    """The rung that a run belongs to: 0 for steps, 1 for those of 4, and so on."""
    rung, length = 0, 1
    while length < run.end - run.start:
        rung, length = rung + 1, length * FACTOR
    return rung


def is_shortcut(run: RunRef) -> bool:
    """Say whether a run ends between the rungs of its level."""
    return run.start > 0 and run.end % FACTOR ** level(run) > 0


def keep_listed(runs: Iterable[RunRef], kept: int = KEPT) -> list[RunRef]:
    """The runs that stay listed, ascending: the newest ``kept`` of each level, and the newest base.

    A shortcut serves the version that it ends at and no later one.
    """
    everything = list(runs)
    newest = max((run.end for run in everything), default=0)
    by_level: dict[int, list[RunRef]] = {}
    listed: list[RunRef] = []
    for run in everything:
        if is_shortcut(run):
            listed += [run] if run.end == newest else []
        else:
            by_level.setdefault(-1 if run.start == 0 else level(run), []).append(run)
    for rung, members in by_level.items():
        members.sort(key=lambda run: run.end)
        listed += members[-1:] if rung == -1 else members[-kept:]
    return sorted(listed, key=lambda run: (run.start, run.end))


def base_is_due(runs: Sequence[RunRef], version: int, size_of: Callable[[RunRef], int]) -> bool:
    """Say whether this version needs a new base.

    Args:
        runs: what would be listed without one; those of ``version`` included.
        version: the version to be published.
        size_of: bytes of a run.
    """
    base = next((run for run in runs if run.start == 0), None)
    if base is None or version - base.end >= BASE_VERSIONS:
        return True
    try:
        way = shortest_path(runs, base.end, version, size_of)
    except StateError:
        # A merged run was not worth listing and no other bridges its span.
        return True
    return len(way) >= FETCHES or BASE_SHARE * sum(map(size_of, way)) > size_of(base)
