"""Rows that come by the million, in the order of a catalog or of a run: no object for each is kept.

What a table's columns are is :mod:`vallum.format.rows`'s business.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from vallum.expression import KEY_BYTES
from vallum.format.rows import Rows
from vallum.format.slabs import Slabs
from vallum.labels import LabelSet

CHUNK = 4096
"""Rows that are handled at a time, where a call for each would cost more than the work."""

_PLACE = 4
_HEAD = KEY_BYTES + _PLACE


class Ordered:
    """Rows with values that come in ascending order of their keys, which is not checked."""

    __slots__ = ("_hi", "_lengths", "_lo", "_size", "_values")

    def __init__(self, expected: int = 0) -> None:
        """Make room for ``expected`` bytes of values, or the heap would be full of holes."""
        self._hi = array("Q")
        self._lo = array("I")
        self._lengths = array("H")
        self._values = bytearray(expected)
        self._size = 0

    def extend(self, keys: bytes, values: Sequence[bytes], width: int = KEY_BYTES) -> None:
        """Append rows: their keys at every ``width`` bytes, a multiple of four; each value a tag byte, then
        the form or raw digest."""
        words = array("I", keys)
        words.byteswap()
        step = width // words.itemsize
        halves = array("I", bytes(8 * len(values)))
        halves[0::2], halves[1::2] = words[1::step], words[0::step]
        self._hi.frombytes(memoryview(halves).cast("B"))
        self._lo.extend(words[2::step])
        self._lengths.extend(map(len, values))
        block = b"".join(values)
        end = self._size + len(block)
        self._values[self._size : end] = block  # grows beyond what was expected
        self._size = end

    def rows(self, ids: memoryview[int], dictionary: tuple[LabelSet, ...]) -> Rows:
        """Make columns of them; ``ids`` are in the same order. To be called once."""
        return Rows(
            memoryview(self._hi),
            memoryview(self._lo),
            ids,
            dictionary,
            memoryview(self._lengths),
            memoryview(self._values)[: self._size],
        )


class Unordered:
    """Rows with values in the order in which a run sends them, waiting to be sorted by their keys."""

    __slots__ = ("_count", "_size", "_slabs")

    def __init__(self, expected: int) -> None:
        """Make room for about ``expected`` rows."""
        self._slabs = Slabs(expected)
        self._count = self._size = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, keys: bytes, values: Sequence[bytes]) -> None:
        """Append rows: their keys one after another; each value a tag byte, then the form or raw digest."""
        records = [
            keys[KEY_BYTES * at : KEY_BYTES * (at + 1)] + (self._count + at).to_bytes(_PLACE) + value
            for at, value in enumerate(values)
        ]
        self._slabs.extend(records)
        self._count += len(records)
        self._size += sum(map(len, values))

    def ordered(self, ids: memoryview[int], dictionary: tuple[LabelSet, ...]) -> Rows:
        """Sort into columns; ``ids`` are in the order in which the rows came. To be called once."""
        rows, places = Ordered(self._size), array("I")
        for records in self._slabs.drain():
            heads = b"".join([record[:_HEAD] for record in records])
            rows.extend(heads, [record[_HEAD:] for record in records], _HEAD)
            if len(dictionary) > 1:
                words = array("I", heads)
                words.byteswap()
                places.extend(words[KEY_BYTES // words.itemsize :: _HEAD // words.itemsize])
        if len(dictionary) > 1:
            ids = memoryview(array(ids.format, map(ids.__getitem__, places)))
        return rows.rows(ids, dictionary)
