"""The pre-filter: is any row on this host, by the leading bits of the keys (lookups.md, DESIGN §8).

It may say yes in error, never no. A bitmap over the leading bits answers most questions; the key column
answers the rest. How a URL's host is found is not asked here.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence

from vallum.expression import Keyer

_MAX_BITMAP_BITS = 24
"""A bitmap has at most this many address bits: 2 MB per process and table."""

_top = struct.Struct(">I").unpack_from


class Prefilter:
    """Answers for one table. Immutable; safe to share between threads."""

    __slots__ = ("_begin", "_bitmap", "_coarse", "_hi", "_host_bits")

    def __init__(self, hi: Sequence[int], keyer: Keyer) -> None:
        self._hi = hi
        self._host_bits = keyer.host_bits
        self._begin = keyer.begin(b"host|")
        used = min(keyer.host_bits, _MAX_BITMAP_BITS)
        self._coarse = 32 - used
        self._bitmap = _bitmap(hi, used)

    def may_hold(self, host: bytes) -> bool:
        """Say whether a row on ``host`` is possible; for the bulk of look-ups, hence in few steps."""
        state = self._begin.copy()
        state.update(host)
        slot: int = _top(state.digest())[0] >> self._coarse
        return self._bitmap[slot >> 3] >> (slot & 7) & 1 == 1

    def rows_on(self, host: bytes) -> tuple[int, int, int]:
        """Return the host's part of a key as 96-bit integer, and from where to where its rows can stand."""
        if not self._host_bits:
            return 0, 0, len(self._hi)
        state = self._begin.copy()
        state.update(host)
        top: int = _top(state.digest())[0]
        slot = top >> self._coarse
        if not self._bitmap[slot >> 3] >> (slot & 7) & 1:
            return 0, 0, 0
        width = 64 - self._host_bits
        first = top >> (32 - self._host_bits) << width
        start = bisect_left(self._hi, first)
        return first << 32, start, bisect_left(self._hi, first + (1 << width), start)


def _bitmap(hi: Sequence[int], bits: int) -> bytes:
    if not bits:
        return b"\xff" if len(hi) else b"\x00"
    bitmap = bytearray(max(1, 1 << bits >> 3))
    shift, last = 64 - bits, -1
    for top in hi:
        slot = top >> shift
        if slot != last:
            last = slot
            bitmap[slot >> 3] |= 1 << (slot & 7)
    return bytes(bitmap)
