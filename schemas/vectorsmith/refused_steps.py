"""Steps refused for what they remove, or by a client that holds another version (format.md §4.5, §6.3)."""

from __future__ import annotations

from typing import Any

from schemas.vectorsmith import Vectors, vector
from schemas.vectorsmith.bodies import COUNTS, REMOVALS, URL, body_of, carry
from schemas.vectorsmith.streams import URLS, Row, over_the_wire
from vallum.format.columns import encode_rice
from vallum.format.run import apply_run


def vectors() -> Vectors:
    """One scenario for each refusal."""
    held = apply_run(over_the_wire(URL, URL.base({"exact": URLS}, 5)), {}, URL.host_bits)
    keys = [int.from_bytes(key) for key in held["exact"].rows.keys()]  # noqa: SIM118 - a method
    new: Row = (1, "new.example/", ())
    right = URL.step(URLS, [*URLS, new], [new])

    def step(groups: Any = None, counted: Any = None, start: int = 5, end: int = 7) -> bytes:
        body = body_of(URL, right)
        if groups is not None:
            body[1][0][REMOVALS] = groups
        if counted is not None:
            body[1][0][COUNTS] = counted
        return carry(URL, body, start=start, end=end)

    added = int.from_bytes(URL.key(new))
    shared = max(bits for bits in range(1, 96) if len({key >> 96 - bits for key in keys}) < len(keys))
    common = next(
        key >> 96 - shared for key in keys if sum(key >> 96 - shared == k >> 96 - shared for k in keys) > 1
    )
    one = keys[0]
    fewer = [[1, 2], [3, 1], [4, 1], [5, 1]]
    refused: list[tuple[str, str, bytes]] = [
        ("a removal of no bits", "run.removals", step([[0, 1, b"\0"]])),
        ("a removal of more bits than a key has", "run.removals", step([[97, 1, encode_rice([0], 97)]])),
        ("a group of no removals", "run.removals", step([[8, 0, b""]])),
        (
            "more than eight groups of removals",
            "run.removals",
            step([[bits, 1, encode_rice([0], bits)] for bits in range(20, 29)]),
        ),
        (
            "groups of removals out of order",
            "run.removals",
            step([[9, 1, encode_rice([0], 9)], [8, 1, encode_rice([1], 8)]]),
        ),
        ("removals that are cut short", "run.removals", step([[64, 2, encode_rice([5, 2**63], 64)[:-1]]])),
        (
            "removals with a byte left over",
            "run.removals",
            step([[64, 2, encode_rice([5, 2**63], 64) + b"\0"]]),
        ),
        (
            "removals with padding that is not zero",
            "run.removals",
            step([[9, 1, _flipped(encode_rice([0], 9))]]),
        ),
        (
            "a removal that names a row that the run adds",
            "run.removals",
            step([[96, 1, encode_rice([added], 96)]]),
        ),
        ("a removal that names two rows", "state", step([[shared, 1, encode_rice([common], shared)]])),
        (
            "two removals that name one row",
            "state",
            step([[95, 1, encode_rice([one >> 1], 95)], [96, 1, encode_rice([one], 96)]]),
        ),
        ("counts of a step that do not add up", "state", step(counted=fewer)),
        (
            "counts of a step that say other tags than its rows",
            "state",
            step(counted=[[1, 2], [3, 2], [4, 1], [5, 1]]),
        ),
        ("a step that begins after the held version", "state", step(start=6)),
        ("a step that ends at the held version", "state", step(start=4, end=5)),
    ]
    for description, expect, data in refused:
        yield vector(description, "run", URL.given(data, held), expect)
    yield vector("a step for a client that holds nothing", "run", URL.given(step(), {}), "state")


def _flipped(column: bytes) -> bytes:
    return column[:-1] + bytes((column[-1] | 1,))
