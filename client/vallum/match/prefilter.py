"""The pre-filter: could any row stand on this host, or on a name above it (lookups.md §3, DESIGN §8).

It may say "perhaps" in error, never "no". Nearly every look-up ends here, before its URL is read. What is
listed on a host is :mod:`vallum.match.exact`'s business.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from itertools import combinations, islice
from random import random
from typing import Any, Self

from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.rows import Rows
from vallum.host import ADDRESS_ENDS, stands_alone, suffixes
from vallum.match.answer import Match
from vallum.match.host_index import TOP
from vallum.match.policy import most_severe_first
from vallum.url import MAX_INPUT, PLAIN_LENGTH, PLAIN_TAIL

MAX_BITMAP_BITS = 24
"""A bitmap has at most this many address bits: 2 MB per process and table."""

_SLOTS = (1 << MAX_BITMAP_BITS) - 1

CACHED_HOSTS = 10_500
"""How many clean hosts are remembered, as most traffic goes to few: at most 2 MB, as none longer than
``_LONGEST`` is."""

_LONGEST = 80
_SAMPLE = 1 / 8
"""Which share of clean look-ups is remembered: hosts that come often soon are, and those that come once cost
little and drive few others out."""

_WORTH = 256
"""Once a sampled host was remembered already, memory is asked first, until so many hosts were not in it:
traffic of ever new hosts does not pay for it."""

_SHORT = 3
_L = "[a-z0-9_-]"
_TOP_LABEL = rf"[a-z]{_L}{{0,62}}+"
_LONG_NAME = rf"{_L}{{{_SHORT + 1},63}}+\.{_TOP_LABEL}"
_SHORT_NAME = rf"{_L}{{1,{_SHORT}}}+\.{_TOP_LABEL}"
AT_A_GLANCE = re.compile(
    rf"https?://(?:(?:www\.)?(?:{_L}{{1,63}}+\.){{0,4}}?"
    rf"(?:({_LONG_NAME})|({_L}{{1,63}}+\.({_SHORT_NAME})))|({_SHORT_NAME}))/"
).match
"""Reads the host of most URLs without reading on. It is the form's host, unless ``xn--`` is in it. Its stem
(:func:`stem_of`) is the first group, of two labels; or the second, of three, whose last two are the third; or
the fourth, which is all of the host."""

_CACHED_TOPS = 1024
_TOP_LENGTH = 6
"""Names up to ``com.au`` are few and asked about all the time."""

_CELL = 32
_BITS_PER_ROW = 32
_MAX_CELL_BITS = 19
"""Bits of a cell's number: 2 MB of cells at most."""

_PATTERN_BITS = 9
_PATTERNS = tuple(
    sum(1 << bit for bit in bits)
    for bits in islice(combinations(range(_CELL), 4), 0, 70 << _PATTERN_BITS, 70)
)
"""Four bits of a cell each, 512 of all 35,960 choices. A cell's number and a pattern's together have less
than 30 bits, which Python handles in one piece: a second place to look would cost more."""

_ALL = (1 << _PATTERN_BITS) - 1
_DOMAIN_TAG = chr(URL_TAGS[Scope.DOMAIN].code)


class NameFilter:
    """For a table that carries its forms: a Bloom filter over names by Python's own string hash.

    Needs no keyed hash, unlike :class:`KeyFilter`, and one question answers for a host and all names above
    it: every row is filed under its host and also under the host's *stem*, the last two labels, or three if
    the second is so short that it may be a public suffix's (``co.uk``). Local to the process, never stored.
    Python keys its string hash anew in each process, so nobody can choose names that pass.
    Immutable; safe to share between threads.

    Attributes:
        cells: a name can be among the rows only if all bits of its pattern are 0 in its cell.
        mask: which bits of a name's hash count: the last ones for the pattern, those before for the cell.
    """

    __slots__ = ("cells", "mask")

    def __init__(self, cells: array[int], mask: int) -> None:
        self.cells, self.mask = cells, mask

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """File all rows of a table."""
        bits = min(_MAX_CELL_BITS, (_BITS_PER_ROW * len(rows) // _CELL).bit_length())
        cells, mask = array("I", b"\xff" * (_CELL // 8 << bits)), (1 << bits + _PATTERN_BITS) - 1
        text, end, last = bytes(rows.values).decode("latin-1"), 0, ""
        for length in rows.lengths or ():
            at, end = end, end + length  # a tag byte and a form
            cut = text.find("/", at, end)
            host = text[at + 1 : cut if cut >= 0 else end]
            if "." not in host and text[at] == _DOMAIN_TAG and not stands_alone(host):
                return cls(array("I", [0]), _ALL)  # a whole top-level name: nothing can be ruled out
            if host == last:
                continue
            last = host
            for name in {host, stem_of(host)}:
                slot = hash(name) & mask
                cells[slot >> _PATTERN_BITS] &= ~_PATTERNS[slot & _ALL]
        return cls(cells, mask)

    @classmethod
    def union(cls, filters: Sequence[NameFilter]) -> NameFilter:
        """One filter for several tables, which rules out what all of them do; for none, rules out all."""
        if len(filters) == 1:
            return filters[0]
        size = max([1, *(len(each.cells) for each in filters)])
        whole = (1 << size * _CELL) - 1
        for each in filters:
            # A smaller filter's cell numbers are the last bits of a larger one's.
            whole &= int.from_bytes(each.cells.tobytes() * (size // len(each.cells)))
        return cls(
            array("I", whole.to_bytes(size * _CELL // 8)), max([_ALL, *(each.mask for each in filters)])
        )

    def has(self, name: str) -> bool:
        """Say whether a row could stand on just this name."""
        slot = hash(name) & self.mask
        return not self.cells[slot >> _PATTERN_BITS] & _PATTERNS[slot & _ALL]

    def names_on(self, host: str) -> list[str]:
        """List those of a host and the names above it on which a row could stand."""
        cells, mask, patterns = self.cells, self.mask, _PATTERNS
        if mask == _ALL:
            return suffixes(host)
        last = host.rfind(".")
        if host.find(".") == last:  # its own stem, or a single label: nothing more to ask
            return [host]
        if host[-1] in ADDRESS_ENDS and stands_alone(host):
            return [host]
        # No row stands on a top-level name alone, unless it is the host.
        found, at, name = [], -1, host
        while True:
            slot = hash(name) & mask
            if not cells[slot >> _PATTERN_BITS] & patterns[slot & _ALL]:
                found.append(name)
            at = host.find(".", at + 1)
            if at == last:
                return found
            name = host[at + 1 :]


def stem_of(host: str) -> str:
    """Return the last two labels of a name, or three if the second has at most three letters."""
    dot = host.rfind(".")
    at = host.rfind(".", 0, dot)
    if at >= 0 and dot - at - 1 <= _SHORT:
        at = host.rfind(".", 0, at)
    return host[at + 1 :]


class KeyFilter:
    """For a table of keys alone: a bitmap over their host bits. Safe to share between threads.

    Attributes:
        may_hold: says whether a row could stand on a host or on a name above it.
    """

    __slots__ = ("may_hold",)

    def __init__(self, rows: Rows, keyer: Keyer, *, domains: bool) -> None:
        """``domains`` says that there are rows of scope ``domain``, so that names above a host count."""
        self.may_hold = _key_filter(rows, keyer, domains=domains)


def _key_filter(rows: Rows, keyer: Keyer, *, domains: bool) -> Callable[[str], bool]:
    begin, read_top = keyer.begin(b"host|").copy, TOP
    begin_domain = keyer.begin(URL_TAGS[Scope.DOMAIN].prefix.encode("ascii")).copy
    narrow, fold = 32 - keyer.host_bits, max(0, keyer.host_bits - MAX_BITMAP_BITS)
    coarse = narrow + fold
    bitmap, first_bits = _bitmap(rows.hi, keyer.host_bits, fold), _SLOTS
    clean_tops: set[bytes] = set()

    def confirms(name: bytes, top: int) -> bool:
        """Ask for the very row on a name above a host: a chance hit must not slow all of .com."""
        state = begin_domain()
        state.update(name)
        return rows.find(keyer.joined(top >> narrow << narrow << 64, state.digest())) is not None

    def marked(top: int) -> bool:
        """Ask for the last bits too, where there are more than the bitmap has."""
        slot = top >> narrow & first_bits
        return bool(bitmap[slot >> 3] >> (slot & 7) & 1)

    def may_hold(host: str) -> bool:
        name = host.encode()
        state = begin()
        state.update(name)
        top = read_top(state.digest())[0]
        slot = top >> coarse
        if bitmap[slot >> 3] >> (slot & 7) & 1 and (not fold or marked(top)):
            return True
        if not domains:
            return False
        short = b""
        while at := name.find(b".") + 1:
            name = name[at:]
            if len(name) <= _TOP_LENGTH:
                if name in clean_tops:
                    return False
                short = short or name
            state = begin()
            state.update(name)
            top = read_top(state.digest())[0]
            slot = top >> coarse
            if bitmap[slot >> 3] >> (slot & 7) & 1 and (not fold or marked(top)) and confirms(name, top):
                return True
        if short:
            if len(clean_tops) >= _CACHED_TOPS:
                clean_tops.clear()
            clean_tops.add(short)
        return False

    return may_hold


def _bitmap(hi: Sequence[int], bits: int, fold: int) -> bytes:
    """Mark the leading ``bits`` of all keys; if ``fold`` of them are too many, their first and last ones."""
    if not bits:
        return b"\xff" if len(hi) else b"\x00"
    bitmap = bytearray(max(1, 1 << (bits - fold) >> 3))
    shift, last = 64 - bits, -1
    for top in hi:
        part = top >> shift
        if part != last:
            last = part
            for slot in (part >> fold, part & _SLOTS) if fold else (part,):
                bitmap[slot >> 3] |= 1 << (slot & 7)
    return bytes(bitmap)


LookUp = Callable[[str | bytes], list[Match]]
MatchUrl = Callable[[str, str, str | None], list[Match]]
"""A look-up of host, path and query of a canonical form."""


def filtered(read: LookUp, answer: MatchUrl, filters: Sequence[NameFilter | KeyFilter]) -> LookUp:
    """Make the same look-up as ``read`` that answers ``[]`` at once where no table can hold a URL.

    A closure, written flat, since calls are what costs most. It remembers hosts found clean, as most traffic
    goes to few. Threads may share it: what one of them loses of the other's memory costs time alone.

    Args:
        read: looks any URL up, in full.
        answer: looks host, path and query of a canonical form up. Spares the parser a plain URL.
        filters: of all tables.
    """
    glance, tail, name_hash, draw = AT_A_GLANCE, PLAIN_TAIL, hash, random
    named = NameFilter.union([table for table in filters if isinstance(table, NameFilter)])
    keyed = [table.may_hold for table in filters if isinstance(table, KeyFilter)]
    cells, mask, patterns = named.cells, named.mask, _PATTERNS
    clean: set[str] = set()
    worth = 0

    def read_on(url: str, end: int) -> list[Match]:
        host = url[8 if url[4] == "s" else 7 : end]
        if len(url) <= PLAIN_LENGTH and "xn--" not in host and (rest := tail(url, end)):
            path, query = rest.groups()
            matches = answer(host, path, query)
            return most_severe_first(matches) if len(matches) > 1 else matches
        return read(url)

    def look_up(url: Any) -> list[Match]:  # str, or bytes, which raise: cheaper than to ask
        nonlocal worth
        try:
            if len(url) > MAX_INPUT:  # what is too long is so on any host
                return read(url)
            if worth and url[: url.index("/", 8)] in clean:
                return []
            found = glance(url)
        except (TypeError, ValueError):
            return read(url)
        if found is None:
            return read(url)
        stem = found[1]
        if stem is None:
            name = found[3]
            if name is None:
                stem = found[4]
            else:
                slot = name_hash(name) & mask  # a row on these two labels is filed under them
                if not cells[slot >> _PATTERN_BITS] & patterns[slot & _ALL]:
                    return read_on(url, found.end() - 1)
                stem = found[2]
        slot = name_hash(stem) & mask
        if not cells[slot >> _PATTERN_BITS] & patterns[slot & _ALL]:
            return read_on(url, found.end() - 1)
        if "xn--" in stem:
            return read(url)
        if keyed:
            end = found.end() - 1
            host = url[8 if url[4] == "s" else 7 : end]
            if "xn--" in host:
                return read(url)
            for may_hold in keyed:
                if may_hold(host):
                    return read_on(url, end)
        if left := worth:  # read once: two threads must not count it below nothing
            worth = left - 1
        if draw() < _SAMPLE:
            start = url[: found.end() - 1]
            if start in clean:
                worth = _WORTH
            elif len(start) <= _LONGEST:
                if len(clean) >= CACHED_HOSTS:
                    clean.pop()
                clean.add(start)
        return []

    return look_up
