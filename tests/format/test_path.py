"""The cheapest chain of runs, held against trying every chain."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import StateError
from vallum.format.head import RunRef
from vallum.path import FETCHES, REQUEST_BYTES, shortest_path

SPANS = st.tuples(st.integers(0, 7), st.integers(1, 8)).filter(lambda span: span[0] < span[1])
LADDERS = st.dictionaries(SPANS.map(lambda span: RunRef(*span, 1)), st.integers(0, 1500), max_size=6)


def cost(sizes: dict[RunRef, int], chain: tuple[RunRef, ...]) -> tuple[int, int]:
    return sum(sizes[run] + REQUEST_BYTES for run in chain), len(chain)


def leads(chain: tuple[RunRef, ...], held: int, wanted: int) -> bool:
    at = held
    for run in chain:
        if not (run.start == 0 or (at and run.start <= at)) or run.end <= at:
            return False
        at = run.end
    return at == wanted


@given(LADDERS, st.integers(0, 8), st.integers(1, 8))
@settings(max_examples=300)
def test_no_chain_is_cheaper_and_none_as_cheap_is_shorter(
    sizes: dict[RunRef, int], held: int, wanted: int
) -> None:
    chains = [
        chain
        for length in range(min(len(sizes), 4) + 1)
        for chain in permutations(sizes, length)
        if leads(chain, held, wanted)
    ]
    if not chains:
        with pytest.raises(StateError):
            shortest_path(list(sizes), held, wanted, sizes.__getitem__)
        return
    found = shortest_path(list(sizes), held, wanted, sizes.__getitem__)
    assert leads(found, held, wanted)
    assert cost(sizes, found) <= min(cost(sizes, chain) for chain in chains)


@given(LADDERS, st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=300)
def test_nobody_pays_more_than_a_cold_start(sizes: dict[RunRef, int], held: int, wanted: int) -> None:
    try:
        cold = shortest_path(list(sizes), 0, wanted, sizes.__getitem__)
    except StateError:
        return
    if held <= wanted:
        assert cost(sizes, shortest_path(list(sizes), held, wanted, sizes.__getitem__)) <= cost(sizes, cold)


def test_a_full_head_of_runs_is_searched_at_once() -> None:
    runs = [RunRef(at, at + 1, 1) for at in range(1, 512)]
    assert len(shortest_path([RunRef(0, 1, 1), *runs], 0, 512, lambda run: 1)) == 512


def test_a_cheap_way_of_many_runs_gives_way_to_a_short_one() -> None:
    """Thirteen steps for a byte each against two runs, one of them dearer than all: twelve are the most."""
    steps = [RunRef(at, at + 1, 1) for at in range(1, FETCHES + 2)]
    pair = [RunRef(1, 3, 1)]
    sizes = dict.fromkeys(steps, 1) | {pair[0]: 100_000}
    assert shortest_path([*steps, *pair], 2, FETCHES + 2, sizes.__getitem__) == tuple(steps[1:])
    assert shortest_path([*steps, *pair], 1, FETCHES + 2, sizes.__getitem__) == (*pair, *steps[2:])
    assert len(shortest_path(steps, 1, FETCHES + 2, sizes.__getitem__)) == FETCHES + 1  # there is no other


def test_a_head_full_of_long_runs_is_searched_in_bounded_time() -> None:
    """Each run may be entered from every version before its end."""
    runs = [RunRef(1, at, 1) for at in range(2, 513)]
    assert shortest_path(runs, 1, 512, lambda run: 1) == (runs[-1],)
