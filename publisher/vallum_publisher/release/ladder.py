"""The ladder: which runs a version gets, which stay listed, when the base is renewed (ADR 0009 and 0013).

Pure numbers. Each version adds the step ``(v-1, v]``; each multiple of 4, 16, 32, … also the merged run of
that length, so that a client that was away for 300 versions climbs down in a handful of fetches. A run leads
from *any* version in ``[start, end)``, hence a merged one serves clients in its middle too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean

from vallum.errors import StateError
from vallum.format.head import RunRef
from vallum.path import FETCHES, shortest_path

RUNGS = {1: 4, 4: 4, 16: 4, 32: 8, 128: 4, 256: 4, 512: 3}
"""Lengths of runs, each a multiple of the one before, and how many of each stay listed: at least as many as
lead to the next rung, and more where clients would else have to enter a much longer run in its middle."""
FACTOR, KEPT = 4, 3
"""Beyond, each length is so many times the one before, and so many stay."""

BASE_SHARE = 16
"""The base is renewed when the way from it to the head weighs more than this fraction of it…"""
VERSION_BYTES = 80_000
"""…but so late that bases and runs together write no more than this a version on average, unless the runs
alone write more (ADR 0013)…"""
BASE_VERSIONS = 256
"""…and at the latest after so many versions, or when a cold start would take more fetches than it may."""


def rungs(longest: int) -> Iterator[int]:
    """Lengths of runs up to ``longest``."""
    yield from (length for length in RUNGS if length <= longest)
    length = max(RUNGS) * FACTOR
    while length <= longest:
        yield length
        length *= FACTOR


def due_runs(version: int) -> list[int]:
    """Starts of the runs that end at ``version``, shortest first; no base among them.

    A merged run that would begin below version 1 begins there: only a base has ``start = 0``.
    """
    if version == 1:
        return []
    starts = (max(version - length, 1) for length in rungs(version) if version % length == 0)
    return list(dict.fromkeys(starts))


def rung_of(run: RunRef) -> int:
    """The rung that a run belongs to, by its length; one cut off at version 1 counts as whole."""
    return next(length for length in rungs(FACTOR * run.end) if length >= run.end - run.start)


def keep_listed(runs: Iterable[RunRef]) -> list[RunRef]:
    """The runs that stay listed, ascending: the newest few of each rung, and the newest base."""
    by_rung: dict[int, list[RunRef]] = {}
    for run in runs:
        by_rung.setdefault(0 if run.start == 0 else rung_of(run), []).append(run)
    listed: list[RunRef] = []
    for rung, members in by_rung.items():
        kept = 1 if rung == 0 else RUNGS.get(rung, KEPT)
        listed += sorted(members, key=lambda run: run.end)[-kept:]
    return sorted(listed, key=lambda run: (run.start, run.end))


def base_is_due(
    runs: Sequence[RunRef],
    version: int,
    size_of: Callable[[RunRef], int],
    share: int = BASE_SHARE,
    most: int = VERSION_BYTES,
) -> bool:
    """Say whether this version needs a new base.

    Args:
        runs: what would be listed without one; those of ``version`` included.
        version: the version to be published.
        size_of: bytes of a run.
        share, most: other values to be measured (``benchmarks/sync_bytes.py --frontier``).
    """
    base = next((run for run in runs if run.start == 0), None)
    if base is None or version - base.end >= BASE_VERSIONS:
        return True
    try:
        way = shortest_path(runs, 0, version, size_of)
    except StateError:
        # A merged run was not worth listing and no other bridges its span.
        return True
    if len(way) > FETCHES:
        return True
    size = size_of(base)
    left = most - _written(runs, size_of)
    affordable = left <= 0 or size <= left * (version - base.end)
    return affordable and share * sum(map(size_of, way[1:])) > size


def _written(runs: Iterable[RunRef], size_of: Callable[[RunRef], int]) -> float:
    """Bytes that runs write a version on average, bases apart: one of each rung in so many versions."""
    by_rung: dict[int, list[int]] = {}
    for run in runs:
        if run.start:
            by_rung.setdefault(rung_of(run), []).append(size_of(run))
    return sum(fmean(sizes) / rung for rung, sizes in by_rung.items())
