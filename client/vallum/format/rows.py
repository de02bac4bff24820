"""Rows of a table as columns, in bytewise order of their keys, and how changes are spliced in.

A row is a key with its labels and, where the edition carries it, its value: one tag byte and the form's
ASCII or the raw digest. A million tuples cost a gigabyte and seconds; columns cost what the file costs, can
be views of a mapped file, and splice in C speed. Nothing here knows of files, runs or versions.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, repeat
from operator import lshift, lt, or_

from vallum.errors import FormatError, StateError
from vallum.expression import KEY_BYTES
from vallum.labels import LabelSet


def id_width(sets: int) -> int:
    """Bytes of one label id: u8 up to 256 sets, u16 up to 65,536, else u32 (format.md §5.2)."""
    return 1 if sets <= 256 else 2 if sets <= 65_536 else 4


_CODES = {1: "B", 2: "H", 4: "I"}


def id_column(ids: Sequence[int], sets: int) -> memoryview[int]:
    """Make the label column of the width that ``sets`` asks for."""
    return memoryview(array(_CODES[id_width(sets)], ids))


def cast_ids(data: memoryview[int] | bytes | bytearray, sets: int) -> memoryview[int]:
    """View bytes as a label column of the width that ``sets`` asks for."""
    return memoryview(data).cast("B").cast(_CODES[id_width(sets)])  # type: ignore[call-overload,no-any-return]  # typeshed takes literal codes only


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of equal length.

    Attributes:
        hi: first 8 key bytes as big-endian integers, ascending; u64.
        lo: last 4 key bytes likewise; u32.
        label_ids: index into ``dictionary``; u8, u16 or u32.
        dictionary: exactly the label sets in use, ascending.
        lengths: bytes of each value, u16; ``None`` where the edition carries no values.
        values: the values one after another; empty where the edition carries none.
    """

    hi: memoryview[int]
    lo: memoryview[int]
    label_ids: memoryview[int]
    dictionary: tuple[LabelSet, ...]
    lengths: memoryview[int] | None
    values: memoryview[int]

    def __len__(self) -> int:
        return len(self.hi)

    def key(self, at: int) -> bytes:
        """The 12-byte key of one row."""
        return ((self.hi[at] << 32) | self.lo[at]).to_bytes(KEY_BYTES)

    def keys(self) -> Iterator[bytes]:
        """All keys in order."""
        return (((hi << 32) | lo).to_bytes(KEY_BYTES) for hi, lo in zip(self.hi, self.lo, strict=True))

    def labels(self, at: int) -> LabelSet:
        """The labels of one row."""
        return self.dictionary[self.label_ids[at]]

    def lower_bound(self, key: int, first: int = 0) -> int:
        """Index of the first row, from ``first`` on, whose key, as a 96-bit integer, is not below ``key``."""
        hi, top = self.hi, key >> 32
        at = bisect_left(hi, top, first)
        if at == len(hi) or hi[at] != top:
            return at
        # A list's keys may crowd under one half on purpose: no walk.
        return bisect_left(self.lo, key & 0xFFFFFFFF, at, bisect_right(hi, top, at))

    def find(self, key: bytes) -> int | None:
        """Index of the row with this key, or ``None``."""
        top, low = int.from_bytes(key[:8]), int.from_bytes(key[8:])
        hi, lo = self.hi, self.lo
        at = bisect_left(hi, top)
        if at == len(hi) or hi[at] != top:
            return None
        if lo[at] == low:
            return at
        end = bisect_right(hi, top, at)
        at = bisect_left(lo, low, at, end)
        return at if at < end and lo[at] == low else None

    def iter_values(self) -> Iterator[bytes]:
        """The values in order of their keys; nothing in an edition without values."""
        if self.lengths is None:
            return
        at = 0
        for length in self.lengths:
            yield self.values[at : at + length].tobytes()
            at += length

    @staticmethod
    def empty(*, valued: bool) -> Rows:
        """No rows."""
        return Rows.build([], [], [] if valued else None)

    @staticmethod
    def build(keys: Sequence[bytes], labels: Sequence[LabelSet], values: Sequence[bytes] | None) -> Rows:
        """Make columns of rows in any order; the keys differ."""
        dictionary = tuple(sorted(set(labels)))
        index = {set_: at for at, set_ in enumerate(dictionary)}
        order = sorted(range(len(keys)), key=keys.__getitem__)
        numbers = [int.from_bytes(keys[at]) for at in order]
        hi = memoryview(array("Q", [number >> 32 for number in numbers]))
        lo = memoryview(array("I", [number & 0xFFFFFFFF for number in numbers]))
        ids = id_column([index[labels[at]] for at in order], len(dictionary))
        if values is None:
            return Rows(hi, lo, ids, dictionary, None, memoryview(b""))
        ordered = [values[at] for at in order]
        lengths = memoryview(array("H", map(len, ordered)))
        return Rows(hi, lo, ids, dictionary, lengths, memoryview(b"".join(ordered)))


def ascends(hi: Sequence[int], lo: Sequence[int]) -> bool:
    """Whether keys strictly ascend."""
    if all(map(lt, hi, hi[1:])):
        return True  # nearly always, in half the time
    keys = map(or_, map(lshift, hi, repeat(32)), lo)
    return all(a < b for a, b in pairwise(keys))


def check_dictionary(layer: str, dictionary: Sequence[LabelSet], ids: memoryview[int]) -> None:
    """Refuse a dictionary that is not exactly what the rows use."""
    if set(ids) != set(range(len(dictionary))):
        raise FormatError(layer, "the dictionary is not exactly the label sets in use")


def splice(rows: Rows, adds: Rows, removals: Sequence[int]) -> Rows:
    """Drop the rows at ``removals``, then insert or replace ``adds``.

    Args:
        rows: what is held.
        adds: rows to insert; one whose key is held (and not dropped) replaces it.
        removals: indices into ``rows``, in any order, each once.

    Returns:
        New columns; untouched stretches are copied as blocks.
    """
    edits: list[tuple[int, int, int]] = [(at, 1, -1) for at in removals]
    for number in range(len(adds)):
        key = (adds.hi[number] << 32) | adds.lo[number]
        at = rows.lower_bound(key)
        held = at < len(rows) and rows.hi[at] == adds.hi[number] and rows.lo[at] == adds.lo[number]
        edits.append((at, int(held), number))
    # At one index an insertion goes before the row that is dropped or replaced there: its key is smaller.
    edits.sort()

    if (rows.lengths is None) != (adds.lengths is None):
        raise StateError("rows with and without values cannot be spliced")
    offsets = list(accumulate(adds.lengths, initial=0)) if adds.lengths is not None else []
    dictionary, held_map, added_map = _unite(rows, adds)
    id_code = _CODES[id_width(len(dictionary))]
    held_ids = _remap(rows.label_ids, held_map, id_code)
    added_ids = _remap(adds.label_ids, added_map, id_code)

    hi, lo, ids, lengths = array("Q"), array("I"), array(id_code), array("H")
    values: list[memoryview[int]] = []
    at = text_at = 0
    for position, dropped, number in [*edits, (len(rows), 0, -1)]:
        if position > at:
            hi.frombytes(rows.hi[at:position].cast("B"))
            lo.frombytes(rows.lo[at:position].cast("B"))
            ids.frombytes(held_ids[at:position].cast("B"))
            if rows.lengths is not None:
                block = rows.lengths[at:position]
                lengths.frombytes(block.cast("B"))
                size = total(block)
                values.append(rows.values[text_at : text_at + size])
                text_at += size
            at = position
        if number >= 0:
            hi.append(adds.hi[number])
            lo.append(adds.lo[number])
            ids.append(added_ids[number])
            if adds.lengths is not None:
                lengths.append(adds.lengths[number])
                values.append(adds.values[offsets[number] : offsets[number + 1]])
        if dropped and at == position:
            if rows.lengths is not None:
                text_at += rows.lengths[at]
            at += 1
    merged = Rows(
        memoryview(hi),
        memoryview(lo),
        memoryview(ids),
        dictionary,
        memoryview(lengths) if rows.lengths is not None else None,
        memoryview(b"".join(values)),
    )
    return _narrow(merged)


def total(lengths: memoryview[int]) -> int:
    """The sum of a column of lengths, most of which fit one byte: bytes are added up faster than numbers."""
    planes = lengths.tobytes()
    high = planes[1::2]
    return sum(planes[::2]) + (256 * sum(high) if high.count(0) < len(high) else 0)


def _unite(rows: Rows, adds: Rows) -> tuple[tuple[LabelSet, ...], list[int], list[int]]:
    """Merge two dictionaries; return the result and where each old id went."""
    dictionary = tuple(sorted({*rows.dictionary, *adds.dictionary}))
    index = {labels: at for at, labels in enumerate(dictionary)}
    return dictionary, [index[s] for s in rows.dictionary], [index[s] for s in adds.dictionary]


def _remap(ids: memoryview[int], mapping: Sequence[int], code: str) -> memoryview[int]:
    """Rewrite a label column through ``mapping`` into an array of ``code``."""
    if code == ids.format and all(at == new for at, new in enumerate(mapping)):
        return ids
    if code == "B" and ids.format == "B":
        return memoryview(bytes(ids).translate(bytes(mapping).ljust(256, b"\0")))
    return memoryview(array(code, map(mapping.__getitem__, ids)))


def _narrow(rows: Rows) -> Rows:
    """Drop label sets that no row uses any more."""
    ids = rows.label_ids
    if ids.itemsize == 1:
        ids_bytes = ids.tobytes()
        used = [at for at in range(len(rows.dictionary)) if at in ids_bytes]
    else:
        used = sorted(set(ids))
    if len(used) == len(rows.dictionary):
        return rows
    mapping = [0] * len(rows.dictionary)
    for new, old in enumerate(used):
        mapping[old] = new
    dictionary = tuple(rows.dictionary[old] for old in used)
    ids = _remap(ids, mapping, _CODES[id_width(len(dictionary))])
    return Rows(rows.hi, rows.lo, ids, dictionary, rows.lengths, rows.values)
