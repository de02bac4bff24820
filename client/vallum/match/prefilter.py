"""The pre-filter: is any row on this host, by the leading bits of the keys (lookups.md §3, DESIGN §8).

It may say yes in error, never no. A bitmap over the leading bits answers most questions; the key column
answers the rest. What is listed on the host is :mod:`vallum.match.exact`'s business.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Sequence

from vallum.expression import Keyer
from vallum.match.names import CACHED_NAMES
from vallum.url import HOST_AT_A_GLANCE

_MAX_BITMAP_BITS = 24
"""A bitmap has at most this many address bits: 2 MB per process and table."""

_TOP = struct.Struct(">I8x")
"""The leading 32 bits of a key, which hold the host bits."""

_CACHED_TOPS = 1024


class Prefilter:
    """Answers for one table. Immutable; safe to share between threads."""

    __slots__ = ("_begin", "_bitmap", "_coarse", "_hi", "_host_bits")

    def __init__(self, hi: Sequence[int], keyer: Keyer, *, bitmap: bool = True) -> None:
        """Without a bitmap, ``rows_on`` asks the key column alone: for tables that have a better filter."""
        self._hi = hi
        self._host_bits = keyer.host_bits
        self._begin = keyer.begin(b"host|")
        used = min(keyer.host_bits, _MAX_BITMAP_BITS) if bitmap else 0
        self._coarse = 32 - used
        self._bitmap = _bitmap(hi, used)

    def rows_on(self, host: str) -> tuple[int, int, int]:
        """Return the host's part of a key as 96-bit integer, and from where to where its rows can stand."""
        hi = self._hi
        if not self._host_bits:
            return 0, 0, len(hi)
        state = self._begin.copy()
        state.update(host.encode())
        top: int = _TOP.unpack(state.digest())[0]
        slot = top >> self._coarse
        if not self._bitmap[slot >> 3] >> (slot & 7) & 1:
            return 0, 0, 0
        width = 64 - self._host_bits
        first = top >> (32 - self._host_bits) << width
        start = end = bisect_left(hi, first)
        limit, rows = first + (1 << width), len(hi)
        while end < rows and hi[end] < limit:  # mostly one row or two
            if end - start == 8:
                end = bisect_left(hi, limit, end)
                break
            end += 1
        return first << 32, start, end


def url_filter(filters: Sequence[tuple[Prefilter, bool]]) -> Callable[[str], bool]:
    """Make the question "is this URL clearly on a host without rows in any table", for texts as they come.

    "No" leaves everything open. Each filter says whether its table has rows of scope ``domain``, so that
    names above the host count too. Nearly every look-up ends here: a closure, written flat, since calls are
    what costs most. Hosts found clean are remembered, as most traffic goes to few.
    """
    glance, top_of = HOST_AT_A_GLANCE, _TOP.unpack
    tables = [(table._begin.copy, table._bitmap, table._coarse, domains) for table, domains in filters]
    clean: set[str] = set()
    clean_tops: set[str] = set()

    def is_clean(url: str) -> bool:
        found = glance(url)
        if found is None:
            return False
        host = found[1]
        if host in clean:
            return True
        if "xn--" in host:
            return False
        top = ""
        for copy, bitmap, coarse, domains in tables:
            name = host
            while True:
                state = copy()
                state.update(name.encode())
                slot = top_of(state.digest())[0] >> coarse
                if bitmap[slot >> 3] >> (slot & 7) & 1:
                    return False
                if not domains:
                    break
                at = name.find(".") + 1
                if not at:
                    top = name
                    break
                name = name[at:]
                if name in clean_tops:  # they are few and asked about all the time
                    break
        if top:
            if len(clean_tops) >= _CACHED_TOPS:
                clean_tops.clear()
            clean_tops.add(top)
        if len(clean) >= CACHED_NAMES:
            clean.clear()
        clean.add(host)
        return True

    return is_clean


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
