"""Which runs lead from the version that is held to the head's, in the fewest bytes (client.md §5).

Pure. Versions are the nodes; a run ``(a, b]`` is an edge to ``b`` from *any* version in ``[a, b)``, a base
one from every version and from nothing. Fetching and applying are :mod:`vallum.sync`'s business.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from vallum.errors import StateError
from vallum.format.head import RunRef

REQUEST_BYTES = 256
"""What fetching one more run costs beside its body: about the headers of a request and its answer. It keeps
a client from fetching a dozen small runs where one hardly larger one serves."""


def shortest_path(
    runs: Sequence[RunRef], held: int, wanted: int, size_of: Callable[[RunRef], int]
) -> tuple[RunRef, ...]:
    """Find the cheapest chain of runs from ``held`` to ``wanted``.

    Args:
        runs: the usable ones of the head (those whose epoch key can be had).
        held: the version held, 0 for none (also for one of another generation).
        wanted: the head's version, not below ``held``.
        size_of: bytes of a run; each costs ``REQUEST_BYTES`` more, and at equal cost fewer runs win.

    Raises:
        StateError: no chain leads there.
    """
    if held == wanted:
        return ()
    # A state is the version reached; a useful step always ends above it, or is a base.
    best: dict[int, tuple[int, int]] = {held: (0, 0)}
    came: dict[int, tuple[int, RunRef]] = {}
    queue: list[tuple[int, int, int]] = [(0, 0, held)]
    while queue:
        cost, hops, at = heapq.heappop(queue)
        if at == wanted:
            break
        if (cost, hops) > best[at]:
            continue
        for run in runs:
            usable = run.start == 0 or (at and run.start <= at)
            if not usable or not at < run.end <= wanted:
                continue
            reached = (cost + size_of(run) + REQUEST_BYTES, hops + 1)
            if run.end not in best or reached < best[run.end]:
                best[run.end] = reached
                came[run.end] = (at, run)
                heapq.heappush(queue, (*reached, run.end))
    if wanted not in came:
        raise StateError(
            f"no listed run leads from version {held} to {wanted}",
            hint="the publisher's head is wrong; tell them",
        )
    path: list[RunRef] = []
    at = wanted
    while at != held:
        at, run = came[at]
        path.append(run)
    return tuple(reversed(path))
