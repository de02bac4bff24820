"""The added rows of a digest section: raw digests, sorted within each signal (format.md §4.4.3).

The first eight bytes of each are sent as differences, the rest as they are: they are random. Keys are derived
by whoever reads.
"""

from __future__ import annotations

from array import array
from itertools import islice

from vallum.errors import FormatError
from vallum.expression import TAGS, Keyer, Tag
from vallum.format import limits
from vallum.format.columns import decode_u64, encode_u64
from vallum.format.incoming import CHUNK, Unordered
from vallum.format.rows import Rows
from vallum.format.slabs import Slabs

_LAYER = "run.digests"
_HEAD = 8
"""Leading bytes of a digest that are delta-coded."""
_PLACE = 4


def encode_digests(rows: Rows) -> tuple[list[int], list[object]]:
    """Write the rows' values; return their label ids in that order, and the columns of format.md §4.4.3."""
    per_tag: dict[int, Slabs] = {}
    values = rows.iter_values()
    for first in range(0, len(rows), CHUNK):
        some: dict[int, list[bytes]] = {}
        for at, value in enumerate(islice(values, CHUNK), first):
            # One object a row, which sorts as its digest does; the place behind it finds the label id again.
            some.setdefault(value[0], []).append(value[1:] + at.to_bytes(_PLACE))
        for code, records in some.items():
            if code not in per_tag:
                per_tag[code] = Slabs(len(rows))
            per_tag[code].extend(records)
    groups: list[list[object]] = []
    places = array("I")
    for code in sorted(per_tag):
        heads, rests = array("Q"), bytearray()
        for records in per_tag[code].drain():
            heads.frombytes(b"".join([record[:_HEAD] for record in records]))
            rests += b"".join([record[_HEAD:-_PLACE] for record in records])
            places.frombytes(b"".join([record[-_PLACE:] for record in records]))
        heads.byteswap()
        groups.append([code, encode_u64(heads), bytes(rests)])
    places.byteswap()
    return list(map(rows.label_ids.__getitem__, places)), [groups]


def decode_digests(keyer: Keyer, table: str, columns: list[object]) -> Unordered:
    """Read the columns of format.md §4.4.3 and derive the keys.

    Raises:
        FormatError: anything that :func:`encode_digests` would not have written.
    """
    match columns:
        case [list(groups)]:
            pass
        case _:
            raise FormatError(_LAYER, "a section of digests is malformed")
    found: list[tuple[Tag, memoryview[int], bytes]] = []
    previous = -1
    for group in groups:
        match group:
            case [int(code), bytes(heads), bytes(rests)] if heads and code > previous:
                found.append((_digest_tag(code, table), decode_u64(_LAYER, heads), rests))
            case _:
                raise FormatError(_LAYER, "a group of digests is malformed")
        previous = code
        group.clear()  # a base's columns are as large as the table
        del heads, rests
    rows = Unordered(sum(len(firsts) for _, firsts, _ in found))
    for tag, firsts, rests in found:
        _decode_group(keyer, tag, firsts, rests, rows)
    return rows


def _digest_tag(code: int, table: str) -> Tag:
    tag = TAGS.get(code)
    if tag is None or tag.scope is not None or tag.table != table:
        raise FormatError(_LAYER, "a tag is not one of this table", hint="upgrade vallum on this machine")
    return tag


def _decode_group(keyer: Keyer, tag: Tag, firsts: memoryview[int], rests: bytes, rows: Unordered) -> None:
    size = tag.size - _HEAD
    if len(rests) != size * len(firsts) or len(rows) + len(firsts) > limits.ROWS:
        raise FormatError(_LAYER, "a column of digests has another length than its heads, or is too long")
    begun = keyer.begin(tag.prefix.encode("ascii"))
    code, last, at = bytes((tag.code,)), b"", 0
    keys: list[bytes] = []
    values: list[bytes] = []
    for first in firsts:
        digest = first.to_bytes(_HEAD) + rests[at : at + size]
        if digest <= last:
            raise FormatError(_LAYER, "digests are not in strictly ascending order")
        state = begun.copy()
        state.update(digest.hex().encode("ascii"))
        keys.append(state.digest())
        values.append(code + digest)
        last = digest
        at += size
        if len(keys) == CHUNK:
            rows.extend(b"".join(keys), values)
            keys, values = [], []
    rows.extend(b"".join(keys), values)
