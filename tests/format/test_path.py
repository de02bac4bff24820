"""The cheapest chain of runs, held against trying every chain."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import StateError
from vallum.format.head import RunRef
from vallum.path import REQUEST_BYTES, shortest_path

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


def test_a_full_head_of_runs_is_searched_at_once() -> None:
    runs = [RunRef(at, at + 1, 1) for at in range(1, 512)]
    assert len(shortest_path([RunRef(0, 1, 1), *runs], 0, 512, lambda run: 1)) == 512
