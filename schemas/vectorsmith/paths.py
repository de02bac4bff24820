"""Which runs lead to the head in the fewest bytes (format.md §6.3)."""

from __future__ import annotations

from schemas.vectorsmith import Vectors, vector

Runs = list[list[int]]

LADDER: Runs = [
    [0, 12, 90000], [1, 16, 26000], [8, 12, 7000], [12, 16, 6400],
    [13, 14, 1800], [14, 15, 1700], [15, 16, 1900],
]  # fmt: skip
"""From, to, bytes."""


def vectors() -> Vectors:
    """Chains, straddling, bases, ties and dead ends. No vector depends on a tie in bytes and runs."""
    cases: list[tuple[str, Runs, int, int, Runs | None]] = [
        ("a client that holds the newest version fetches nothing", LADDER, 16, 16, []),
        ("one version behind takes the newest run", LADDER, 15, 16, [[15, 16]]),
        ("small runs are taken where they are cheaper than the merged one", LADDER, 13, 16,
         [[13, 14], [14, 15], [15, 16]]),
        ("a run that begins before the held version is usable", [[8, 12, 7000], [12, 16, 6400]], 10, 16,
         [[8, 12], [12, 16]]),
        ("a merged run is taken where it is cheaper than small ones",
         [[1, 2, 5000], [1, 3, 9000], [2, 3, 5000]], 1, 3, [[1, 3]]),
        ("a cold client begins with the base and goes on with runs", LADDER, 0, 16, [[0, 12], [12, 16]]),
        ("a cold client cannot begin with a run that is no base", [[1, 2, 10]], 0, 2, None),
        ("a base is taken by an old client where it is cheaper", [[0, 9, 100], [1, 9, 200]], 3, 9, [[0, 9]]),
        ("a run that begins after the held version is of no use", [[5, 9, 10]], 4, 9, None),
        ("a run that ends at the held version is of no use", [[3, 4, 10]], 4, 5, None),
        ("a run more must save more than the 256 bytes that a request costs",
         [[1, 2, 500], [1, 3, 1255], [2, 3, 500]], 1, 3, [[1, 3]]),
        ("a run more is taken where it saves more than a request costs",
         [[1, 2, 500], [1, 3, 1257], [2, 3, 500]], 1, 3, [[1, 2], [2, 3]]),
        ("a detour over a base that ends later than a run is found",
         [[0, 7, 600], [3, 8, 1500], [7, 8, 300]], 4, 8, [[0, 7], [7, 8]]),
        ("a cheap path of thirteen runs is not taken where there is one of twelve",
         [*([at, at + 1, 1] for at in range(1, 14)), [1, 3, 100000]], 1, 14,
         [[1, 3], *([at, at + 1] for at in range(3, 14))]),
        ("a path of thirteen runs is taken where there is no other",
         [[at, at + 1, 1] for at in range(1, 14)], 1, 14, [[at, at + 1] for at in range(1, 14)]),
        ("the held version lies beyond the head", [[1, 2, 10]], 3, 2, None),
    ]  # fmt: skip
    for description, runs, held, wanted, path in cases:
        given = {"runs": runs, "held": held, "wanted": wanted}
        if path is None:
            yield vector(description, "path", given, "state")
        else:
            yield vector(description, "path", given, path=path)
