"""The pre-filter of a table that carries its forms: a set of names, by Python's own string hash.

A ``full`` edition says its hosts in plain text, so that no keyed hash is needed to rule a host out as
:mod:`vallum.match.prefilter` must for the ``match`` edition. One question answers for a host and all names
above it: every name is filed under its *stem*, the last two labels, or three if the second is so short that
it may be a public suffix's (``co.uk``). Local to the process, never stored. It may say "perhaps" in error,
never "no".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vallum.expression import URL_TAGS, Scope
from vallum.format.rows import Rows

_MAX_BITS = 24
"""A bitmap has at most this many address bits: 2 MB per process and table."""

_SLOTS_PER_ROW = 64
CACHED_NAMES = 16_384
"""How many clean names are remembered, as most traffic goes to few: at most 2 MB."""

_SHORT = 3
_LABEL = "[a-z0-9_-]"
_TOP = r"\.[a-z][a-z0-9_-]*+"
_STEM_AT_A_GLANCE = re.compile(
    rf"https?://(?:[a-z0-9_.-]{{0,200}}\.)?"
    rf"({_LABEL}{{{_SHORT + 1},63}}+{_TOP}|{_LABEL}{{1,63}}+\.({_LABEL}{{1,{_SHORT}}}+{_TOP}))[/?#]"
).match
"""Finds the stem of most URLs' hosts, and of a stem with three labels the last two."""

_DOMAIN_TAG = chr(URL_TAGS[Scope.DOMAIN].code)


class StemFilter:
    """Which stems occur in one table. Immutable; safe to share between threads."""

    __slots__ = ("bitmap", "has_tops", "mask")

    def __init__(self, rows: Rows) -> None:
        bits = min(_MAX_BITS, max(8, (_SLOTS_PER_ROW * len(rows)).bit_length()))
        bitmap, mask = bytearray(1 << bits >> 3), (1 << bits) - 1
        self.has_tops = False
        text, end = bytes(rows.values).decode("latin-1"), 0
        for length in rows.lengths or ():
            at, end = end, end + length  # a tag byte and a form
            cut = text.find("/", at, end)
            stem = stem_of(text[at + 1 : cut if cut >= 0 else end])
            if "." not in stem and text[at] == _DOMAIN_TAG:
                self.has_tops = True
                bitmap, mask = bytearray(b"\xff"), 0  # a whole top-level name: nothing can be ruled out
                break
            slot = hash(stem) & mask
            bitmap[slot >> 3] |= 1 << (slot & 7)
        self.bitmap, self.mask = bytes(bitmap), mask


def stem_of(host: str) -> str:
    """Return the last two labels of a name, or three if the second has at most three letters."""
    labels = host.rsplit(".", 3)
    wanted = 3 if len(labels) > 2 and len(labels[-2]) <= _SHORT else 2
    return ".".join(labels[-wanted:])


def stem_url_filter(filters: Sequence[StemFilter]) -> Callable[[str], bool]:
    """As :func:`vallum.match.prefilter.url_filter`, for tables that have stem filters."""
    glance, name_hash = _STEM_AT_A_GLANCE, hash
    tables = [(table.bitmap, table.mask) for table in filters]
    clean: set[str] = set()

    def is_clean(url: str) -> bool:
        found = glance(url)
        if found is None:
            return False
        stem = found[1]
        if stem in clean:
            return True
        short = found[2]
        for bitmap, mask in tables:
            slot = name_hash(stem) & mask
            if bitmap[slot >> 3] >> (slot & 7) & 1:
                return False
            if short:  # a row on these two labels is filed under them
                slot = name_hash(short) & mask
                if bitmap[slot >> 3] >> (slot & 7) & 1:
                    return False
        if "xn--" in stem:
            return False
        if len(clean) >= CACHED_NAMES:
            clean.clear()
        clean.add(stem)
        return True

    return is_clean
