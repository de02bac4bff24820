"""The pre-filter: could any row stand on this host, or on a name above it (lookups.md §3, DESIGN §8).

It may say "perhaps" in error, never "no". Nearly every look-up ends here, before its URL is read. What is
listed on a host is :mod:`vallum.match.exact`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import random
from typing import Any, Self, TypeVar

from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.rows import Rows
from vallum.host import stands_alone, suffixes
from vallum.match.host_index import TOP

MAX_BITMAP_BITS = 24
"""A bitmap has at most this many address bits: 2 MB per process and table."""

_SLOTS = (1 << MAX_BITMAP_BITS) - 1

CACHED_HOSTS = 12_000
"""How many clean hosts are remembered, as most traffic goes to few: 2 MB."""

_SAMPLE = 1 / 8
"""Which share of clean look-ups is remembered: hosts that come often soon are, and those that come once cost
little and drive few others out."""

_WORTH = 128
"""Once two sampled hosts in a row were remembered, memory is asked first, until so many were not in it:
traffic of ever new hosts does not pay for it."""

_SHORT = 3
_L = "[a-z0-9_-]"
_TOP_LABEL = rf"[a-z]{_L}{{0,62}}+"
AT_A_GLANCE = re.compile(
    rf"https?://(?:{_L}{{1,63}}+\.){{0,4}}?"
    rf"(?:({_L}{{{_SHORT + 1},63}}+\.{_TOP_LABEL})|({_L}{{1,63}}+\.({_L}{{1,{_SHORT}}}+\.{_TOP_LABEL})))/"
).match
"""Reads the host of most URLs without reading on. It is the form's host, unless ``xn--`` is in it. Its stem
(:func:`stem_of`) is the first group, of two labels, or the second, of three, whose last two are the third."""

_CACHED_TOPS = 1024
_TOP_LENGTH = 6
"""Names up to ``com.au`` are few and asked about all the time."""

_SLOTS_PER_ROW = 16
_SECOND, _THIRD = 20, 40
_DOMAIN_TAG = chr(URL_TAGS[Scope.DOMAIN].code)


class NameFilter:
    """For a table that carries its forms: a Bloom filter over names by Python's own string hash.

    Needs no keyed hash, unlike :class:`KeyFilter`, and one question answers for a host and all names above
    it: every row is filed under its host and also under the host's *stem*, the last two labels, or three if
    the second is so short that it may be a public suffix's (``co.uk``). Local to the process, never stored.
    Immutable; safe to share between threads.
    """

    __slots__ = ("bitmap", "mask")

    def __init__(self, bitmap: bytes, mask: int) -> None:
        self.bitmap, self.mask = bitmap, mask

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """File all rows of a table."""
        bits = min(MAX_BITMAP_BITS, max(8, (_SLOTS_PER_ROW * len(rows)).bit_length()))
        bitmap, mask = bytearray(1 << bits >> 3), (1 << bits) - 1
        text, end, last = bytes(rows.values).decode("latin-1"), 0, ""
        for length in rows.lengths or ():
            at, end = end, end + length  # a tag byte and a form
            cut = text.find("/", at, end)
            host = text[at + 1 : cut if cut >= 0 else end]
            if "." not in host and text[at] == _DOMAIN_TAG:
                return cls(b"\xff", 0)  # a whole top-level name: nothing can be ruled out
            if host == last:
                continue
            last = host
            for name in {host, stem_of(host)}:
                code = hash(name)
                for slot in (code & mask, code >> _SECOND & mask, code >> _THIRD & mask):
                    bitmap[slot >> 3] |= 1 << (slot & 7)
        return cls(bytes(bitmap), mask)

    @classmethod
    def union(cls, filters: Sequence[NameFilter]) -> NameFilter:
        """One filter for several tables, which rules out what all of them do; for none, rules out all."""
        if len(filters) == 1:
            return filters[0]
        size, bits = max([1, *(len(each.bitmap) for each in filters)]), 0
        for each in filters:
            # The slots of a smaller bitmap are the low bits of a larger one's.
            bits |= int.from_bytes(each.bitmap * (size // len(each.bitmap)))
        return cls(bits.to_bytes(size), max([0, *(each.mask for each in filters)]))

    def has(self, name: str) -> bool:
        """Say whether a row could stand on just this name."""
        code, bitmap, mask = hash(name), self.bitmap, self.mask
        slot = code & mask
        if not bitmap[slot >> 3] >> (slot & 7) & 1:
            return False
        slot = code >> _SECOND & mask
        if not bitmap[slot >> 3] >> (slot & 7) & 1:
            return False
        slot = code >> _THIRD & mask
        return bool(bitmap[slot >> 3] >> (slot & 7) & 1)

    def names_on(self, host: str) -> list[str]:
        """List those of a host and the names above it on which a row could stand."""
        if not self.mask:
            return suffixes(host)
        if host.count(".") == 1:  # its own stem: nothing more to ask
            return [host]
        at, last = host.find("."), host.rfind(".")
        has = self.has
        found = [host] if has(host) else []
        if stands_alone(host):
            return found
        # No row stands on a top-level name alone, unless it is the host.
        while at < last:
            name = host[at + 1 :]
            if has(name):
                found.append(name)
            at = host.find(".", at + 1)
        return found


def stem_of(host: str) -> str:
    """Return the last two labels of a name, or three if the second has at most three letters."""
    dot = host.rfind(".")
    at = host.rfind(".", 0, dot)
    if at >= 0 and dot - at - 1 <= _SHORT:
        at = host.rfind(".", 0, at)
    return host[at + 1 :]


class KeyFilter:
    """For a table of keys alone: a bitmap over their host bits. Safe to share between threads."""

    __slots__ = (
        "_begin",
        "_begin_domain",
        "_bitmap",
        "_clean_tops",
        "_domains",
        "_fold",
        "_keyer",
        "_narrow",
        "_rows",
    )

    def __init__(self, rows: Rows, keyer: Keyer, *, domains: bool) -> None:
        """``domains`` says that there are rows of scope ``domain``, so that names above a host count."""
        self._rows, self._keyer = rows, keyer
        self._begin = keyer.begin(b"host|").copy
        self._begin_domain = keyer.begin(URL_TAGS[Scope.DOMAIN].prefix.encode("ascii")).copy
        self._narrow = 32 - keyer.host_bits
        self._fold = max(0, keyer.host_bits - MAX_BITMAP_BITS)
        self._bitmap = _bitmap(rows.hi, keyer.host_bits, self._fold)
        self._domains = domains
        self._clean_tops: set[bytes] = set()

    def may_hold(self, host: str) -> bool:
        """Say whether a row could stand on a host or on a name above it."""
        begin, bitmap, narrow, fold = self._begin, self._bitmap, self._narrow, self._fold
        tops = self._clean_tops
        name, top = host.encode(), b""
        while True:
            state = begin()
            state.update(name)
            part = TOP(state.digest())[0] >> narrow
            slot = part >> fold
            if bitmap[slot >> 3] >> (slot & 7) & 1:
                slot = part & _SLOTS
                if (not fold or bitmap[slot >> 3] >> (slot & 7) & 1) and self._confirms(
                    name, host, part << narrow << 64
                ):
                    return True
            at = name.find(b".") + 1
            if not at or not self._domains:
                break
            name = name[at:]
            if name in tops:
                return False
            if not top and len(name) <= _TOP_LENGTH:
                top = name
        if top:
            if len(tops) >= _CACHED_TOPS:
                tops.clear()
            tops.add(top)
        return False

    def _confirms(self, name: bytes, host: str, part: int) -> bool:
        """Ask for the very row, if ``name`` stands above ``host``: a chance hit must not slow all of .com."""
        if len(name) == len(host):
            return True
        state = self._begin_domain()
        state.update(name)
        return self._rows.find(self._keyer.joined(part, state.digest())) is not None


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


Answer = TypeVar("Answer")
LookUp = Callable[[str | bytes], list[Answer]]


def filtered(look_up: LookUp[Answer], filters: Sequence[NameFilter | KeyFilter]) -> LookUp[Answer]:
    """Make the same look-up that answers ``[]`` at once where no table can hold a URL.

    A closure, written flat, since calls are what costs most. It remembers hosts found clean, as most traffic
    goes to few.
    """
    glance, name_hash, draw = AT_A_GLANCE, hash, random
    named = NameFilter.union([table for table in filters if isinstance(table, NameFilter)])
    keyed = [table.may_hold for table in filters if isinstance(table, KeyFilter)]
    bitmap, mask, has = named.bitmap, named.mask, named.has
    clean: set[str] = set()
    worth, repeated = 0, False

    def look_up_rest(url: Any) -> list[Answer]:  # str, or bytes, which raise: cheaper than to ask
        nonlocal worth, repeated
        try:
            if worth and url[: url.index("/", 8)] in clean:
                return []
            found = glance(url)
        except (TypeError, ValueError):
            return look_up(url)
        if found is None:
            return look_up(url)
        stem = found[1]
        if stem is None:
            if has(found[3]):  # a row on these two labels is filed under them
                return look_up(url)
            stem = found[2]
        code = name_hash(stem)
        slot = code & mask
        if bitmap[slot >> 3] >> (slot & 7) & 1:
            slot = code >> _SECOND & mask
            if bitmap[slot >> 3] >> (slot & 7) & 1:
                slot = code >> _THIRD & mask
                if bitmap[slot >> 3] >> (slot & 7) & 1:
                    return look_up(url)
        if "xn--" in stem:
            return look_up(url)
        if keyed:
            host = found[0][found[0].index("/") + 2 : -1]
            if "xn--" in host:
                return look_up(url)
            for may_hold in keyed:
                if may_hold(host):
                    return look_up(url)
        if worth:
            worth -= 1
        if draw() < _SAMPLE:
            start = found[0][:-1]
            if start in clean:
                worth = _WORTH if repeated else worth
                repeated = True
            else:
                repeated = False
                if len(clean) >= CACHED_HOSTS:
                    clean.pop()
                clean.add(start)
        return []

    return look_up_rest
