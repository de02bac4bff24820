"""Sorting byte strings by the million, slab by slab, so that what is sorted at a time fits processor caches.

As Python objects, short strings take three times their bytes, and objects met in sorted order lie anywhere in
memory: both cost more than the sorting. Here they wait as plain bytes, in the slab of their first bytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

SLAB = 1 << 14
"""Strings in a slab, roughly."""

_MOST = 1024
_BATCH = 1 << 14
_CROWD = 8
"""A slab of so many slabs' strings is divided again: rows of one host have keys that begin alike."""
_SAMPLE = 32
"""Strings looked at to find one border."""


class Slabs:
    """Byte strings of at most 65,535 bytes in any order, to be drained once in ascending order."""

    __slots__ = ("_borders", "_divides", "_lengths", "_slabs", "_waiting")

    def __init__(self, expected: int, borders: Sequence[bytes] | None = None) -> None:
        """Make slabs for about ``expected`` strings, or such as these ``borders`` divide."""
        count = min(_MOST, 1 << (expected // SLAB).bit_length())
        self._divides = borders is None
        self._borders = borders or [(number * 65536 // count).to_bytes(2) for number in range(1, count)]
        self._slabs = [bytearray() for _ in range(len(self._borders) + 1)]
        self._lengths = [array("H") for _ in self._slabs]
        self._waiting: list[bytes] = []

    def extend(self, strings: Sequence[bytes]) -> None:
        """Add some."""
        self._waiting += strings
        if len(self._waiting) >= _BATCH:
            self._spread()

    def drain(self) -> Iterator[list[bytes]]:
        """Yield all in ascending order, a slab at a time, which is gone from here by then."""
        self._spread()
        self._slabs.reverse()
        self._lengths.reverse()
        while self._slabs:
            slab, lengths = self._slabs.pop(), self._lengths.pop()
            if self._divides and len(lengths) > _CROWD * SLAB:
                divided = _divide(slab, lengths)
                del slab, lengths
                yield from divided.drain()
            else:
                strings = _cut(bytes(slab), lengths)
                del slab, lengths
                strings.sort()
                yield strings

    def _spread(self) -> None:
        strings, at = self._waiting, 0
        strings.sort()
        ends = [*(bisect_left(strings, border) for border in self._borders), len(strings)]
        for slab, lengths, end in zip(self._slabs, self._lengths, ends, strict=True):
            if at < end:
                some = strings[at:end]
                slab += b"".join(some)
                lengths.extend(map(len, some))
                at = end
        self._waiting = []


def _divide(slab: bytearray, lengths: Sequence[int]) -> Slabs:
    """Spread a crowded slab over slabs of about equal numbers."""
    starts = array("Q", accumulate(lengths, initial=0))
    some = len(lengths) // (_SAMPLE * (len(lengths) // SLAB))
    sample = sorted(bytes(slab[starts[at] : starts[at + 1]]) for at in range(0, len(lengths), some))
    divided = Slabs(0, sample[_SAMPLE::_SAMPLE])
    for at in range(0, len(lengths), _BATCH):
        end = min(at + _BATCH, len(lengths))
        divided.extend(_cut(bytes(slab[starts[at] : starts[end]]), lengths[at:end]))
    return divided


def _cut(data: bytes, lengths: Sequence[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
