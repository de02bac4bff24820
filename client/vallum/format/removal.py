"""Removals: the shortest key prefixes that can mean only one row (format.md §4.5).

Over ``(a, b]`` a removed key is named by so many leading bits that no other key listed at any version in
``[a, b]`` begins with them. Keys are grouped under a few lengths of prefix: most need hardly more than the
logarithm of the list's length, those on a host of many rows all bits of the host and some more (ADR 0008).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise

from vallum.errors import FormatError, StateError
from vallum.format import limits
from vallum.format.columns import decode_rice, encode_rice
from vallum.format.rows import Rows

KEY_BITS = 96
_LAYER = "run.removals"

GROUPS = 8
"""The most groups. Over 256 versions of a live feed two took 13.6 bits a removal, eight take 9.8."""
_HEAD_BITS = 64

Removals = tuple[tuple[int, tuple[int, ...]], ...]
"""At most ``GROUPS`` groups ``(bits, ascending prefixes)``, ascending by bits."""


def unique_bits(key: int, below: int | None, above: int | None) -> int:
    """Leading bits that tell ``key`` from its neighbours in the union of all keys of the span.

    Args:
        key: the key as a 96-bit integer.
        below: the next smaller key of the union, or ``None``.
        above: the next larger one, or ``None``.
    """
    shared = max(
        (KEY_BITS - (key ^ other).bit_length() for other in (below, above) if other is not None), default=0
    )
    return shared + 1


def choose_removals(removed: Sequence[tuple[int, int]]) -> Removals:
    """Group ``(key, unique bits)`` under the few lengths of prefix that cost the fewest bytes together."""
    tally = sorted(Counter(bits for _, bits in removed).items())
    before = [0, *accumulate(count for _, count in tally)]
    # For each number of lengths, ascending: what naming their keys costs, and where the groups end.
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for _ in range(GROUPS):
        longer = dict(best)
        for begin, (spent, ends) in best.items():
            for end in range(begin + 1, len(tally) + 1):
                cost = spent + _cost(before[end] - before[begin], tally[end - 1][0])
                if end not in longer or cost < longer[end][0]:
                    longer[end] = (cost, (*ends, end))
        best = longer
    lengths = [tally[end - 1][0] for end in best[len(tally)][1]]
    groups: dict[int, list[int]] = {}
    for key, bits in sorted(removed):
        length = lengths[bisect_left(lengths, bits)]
        groups.setdefault(length, []).append(key >> (KEY_BITS - length))
    return tuple((length, tuple(groups[length])) for length in lengths)


def _cost(count: int, bits: int) -> int:
    """About the bits that a group takes: its head, the low bits and ends of its gaps, their unary parts."""
    low = max(0, bits - count.bit_length())
    return _HEAD_BITS + count * (low + 1) + (1 << bits - low)


def encode_removals(removals: Removals) -> list[list[object]]:
    """Write the groups as ``[bits, number, Rice-coded prefixes]``."""
    return [[bits, len(prefixes), encode_rice(prefixes, bits)] for bits, prefixes in removals]


def decode_removals(raw: object) -> Removals:
    """Read the groups.

    Raises:
        FormatError: too many groups, lengths or prefixes out of order or range.
    """
    if not isinstance(raw, list) or len(raw) > GROUPS:
        raise FormatError(_LAYER, f"removals are not at most {GROUPS} groups")
    groups: list[tuple[int, tuple[int, ...]]] = []
    for group in raw:
        match group:
            case [int(bits), int(count), bytes(column)] if (
                1 <= bits <= KEY_BITS and 1 <= count <= limits.ROWS
            ):
                groups.append((bits, tuple(decode_rice(_LAYER, column, count, bits))))
            case _:
                raise FormatError(_LAYER, "a group of removals is malformed")
    if any(shorter >= longer for (shorter, _), (longer, _) in pairwise(groups)):
        raise FormatError(_LAYER, "groups of removals are not in ascending order of length")
    return tuple(groups)


def names_any(rows: Rows, removals: Removals) -> bool:
    """Whether any prefix begins the key of one of ``rows``."""
    return any(
        _begins(rows, rows.lower_bound(prefix << KEY_BITS - bits), prefix, bits)
        for bits, prefixes in removals
        for prefix in prefixes
    )


def _begins(rows: Rows, at: int, prefix: int, bits: int) -> bool:
    return at < len(rows) and ((rows.hi[at] << 32) | rows.lo[at]) >> KEY_BITS - bits == prefix


def resolve_removals(rows: Rows, removals: Removals) -> list[int]:
    """Find the row that each prefix names; a prefix that names none is fine (format.md §4.5).

    Raises:
        StateError: a prefix names two rows, or two prefixes one row.
    """
    found: list[int] = []
    for bits, prefixes in removals:
        for prefix in prefixes:
            at = rows.lower_bound(prefix << KEY_BITS - bits)
            if _begins(rows, at, prefix, bits):
                found.append(at)
                if _begins(rows, at + 1, prefix, bits):
                    raise StateError(
                        "a removal names two rows", hint="the publisher's run is wrong; tell them"
                    )
    if len(set(found)) != len(found):
        raise StateError("two removals name one row", hint="the publisher's run is wrong; tell them")
    return found
