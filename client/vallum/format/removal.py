"""Removals: the shortest key prefixes that can mean only one row (format.md §4.5).

Over ``(a, b]`` a removed key is named by so many leading bits that no other key listed at any version in
``[a, b]`` begins with them. To keep the column of fixed width, a run has two lengths of prefix: few bits for
most keys, the bits of the worst one for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vallum.errors import FormatError, StateError
from vallum.format import limits
from vallum.format.columns import decode_rice, encode_rice
from vallum.format.rows import Rows

KEY_BITS = 96
_LAYER = "run.removals"

Removals = tuple[tuple[int, tuple[int, ...]], ...]
"""At most two groups ``(bits, ascending prefixes)``, ascending by bits."""


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
    """Group ``(key, unique bits)`` under the two lengths that cost the fewest bytes."""
    if not removed:
        return ()
    tally = sorted(Counter(bits for _, bits in removed).items())
    longest = tally[-1][0]

    def cost(bits: int) -> int:
        few = sum(count for needed, count in tally if needed <= bits)
        return few * bits + (len(removed) - few) * longest

    short = min((bits for bits, _ in tally), key=cost)
    groups: dict[int, list[int]] = {}
    for key, bits in sorted(removed):
        length = short if bits <= short else longest
        groups.setdefault(length, []).append(key >> (KEY_BITS - length))
    return tuple((length, tuple(groups[length])) for length in sorted(groups))


def encode_removals(removals: Removals) -> list[list[object]]:
    """Write the groups as ``[bits, number, Rice-coded prefixes]``."""
    return [[bits, len(prefixes), encode_rice(prefixes, bits)] for bits, prefixes in removals]


def decode_removals(raw: object) -> Removals:
    """Read the groups.

    Raises:
        FormatError: more than two groups, lengths or prefixes out of order or range.
    """
    if not isinstance(raw, list) or len(raw) > 2:
        raise FormatError(_LAYER, "removals are not at most two groups")
    groups: list[tuple[int, tuple[int, ...]]] = []
    for group in raw:
        match group:
            case [int(bits), int(count), bytes(column)] if (
                1 <= bits <= KEY_BITS and 1 <= count <= limits.ROWS
            ):
                groups.append((bits, tuple(decode_rice(_LAYER, column, count, bits))))
            case _:
                raise FormatError(_LAYER, "a group of removals is malformed")
    if len(groups) == 2 and groups[0][0] >= groups[1][0]:
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
