"""Sorting slab by slab, held against ``sorted``."""

from __future__ import annotations

from hashlib import shake_128
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from vallum.format.slabs import SLAB, Slabs


@given(st.lists(st.lists(st.binary(min_size=1, max_size=5))), st.sampled_from((0, SLAB, 5 * SLAB, 1 << 26)))
def test_what_is_drained_is_all_of_it_in_order(batches: list[list[bytes]], expected: int) -> None:
    slabs = Slabs(expected)
    for batch in batches:
        slabs.extend(batch)
    assert list(chain.from_iterable(slabs.drain())) == sorted(chain.from_iterable(batches))


def test_strings_that_crowd_on_a_first_byte_are_not_sorted_all_at_once() -> None:
    """As rows of one large host do: their keys begin alike."""
    data = shake_128(b"crowd").digest(16 * 9 * SLAB)
    strings = [b"\x55\x55" + data[at : at + 4 + at // 16 % 13] for at in range(0, len(data), 16)]
    slabs = Slabs(len(strings))
    slabs.extend(strings)
    drained = list(slabs.drain())
    assert max(map(len, drained)) < 2 * SLAB
    assert list(chain.from_iterable(drained)) == sorted(strings)


def test_strings_that_are_all_alike_cannot_be_divided_and_come_out_all_the_same() -> None:
    slabs = Slabs(0)
    slabs.extend([b"alike"] * (8 * SLAB + 1))
    assert list(chain.from_iterable(slabs.drain())) == [b"alike"] * (8 * SLAB + 1)
