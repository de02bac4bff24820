"""Which runs lead from the version that is held to the head's, in the fewest bytes (client.md §5).

Pure. Versions are the nodes; a run ``(a, b]`` is an edge to ``b`` from *any* version in ``[a, b)``, a base
one from every version and from nothing. Fetching and applying are :mod:`vallum.sync`'s business.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeAlias

from vallum.errors import StateError
from vallum.format.head import RunRef

REQUEST_BYTES = 256
"""What fetching one more run costs beside its body: about the headers of a request and its answer. It keeps
a client from fetching a dozen small runs where one hardly larger one serves."""

FETCHES = 12
"""The most runs of a path, as long as some path has no more: they are fetched at once."""


_Chain: TypeAlias = "tuple[RunRef, _Chain] | None"
"""The newest run, and the chain before it."""


def shortest_path(
    runs: Sequence[RunRef], held: int, wanted: int, size_of: Callable[[RunRef], int]
) -> tuple[RunRef, ...]:
    """Find the cheapest chain of at most ``FETCHES`` runs from ``held`` to ``wanted``, or of more if none is.

    Args:
        runs: the usable ones of the head (those whose epoch key can be had).
        held: the version held, 0 for none (also for one of another generation).
        wanted: the head's version, not below ``held``.
        size_of: bytes of a run; each costs ``REQUEST_BYTES`` more, and at equal cost fewer runs win.

    Raises:
        StateError: no chain leads there.
    """
    path = _search(runs, held, wanted, size_of, FETCHES)
    if path is None:
        path = _search(runs, held, wanted, size_of, None)
    if path is None:
        raise StateError(
            f"no listed run leads from version {held} to {wanted}",
            hint="the publisher's head is wrong; tell them",
        )
    return path


def _search(
    runs: Sequence[RunRef], held: int, wanted: int, size_of: Callable[[RunRef], int], most: int | None
) -> tuple[RunRef, ...] | None:
    """Dijkstra's search; with ``most``, a dearer way to a version counts too if it takes fewer runs."""
    fewest: dict[int, int] = {}
    serial = count()  # chains are not compared
    queue: list[tuple[int, int, int, int, _Chain]] = [(0, 0, next(serial), held, None)]
    while queue:
        cost, hops, _, at, chain = heapq.heappop(queue)
        if at == wanted:
            return tuple(reversed(list(_runs_of(chain))))
        if at in fewest and (most is None or hops >= fewest[at]):
            continue
        fewest[at] = hops
        if hops == most:
            continue
        for run in runs:
            # A useful step ends above where it begins; a base begins everywhere.
            if at < run.end <= wanted and (run.start == 0 or (at and run.start <= at)):
                reached = (cost + size_of(run) + REQUEST_BYTES, hops + 1)
                heapq.heappush(queue, (*reached, next(serial), run.end, (run, chain)))
    return None


def _runs_of(chain: _Chain) -> Iterator[RunRef]:
    while chain is not None:
        run, chain = chain
        yield run
