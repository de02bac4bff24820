"""The table file: a stream's state at one version, byte for byte the same at everyone (format.md §5).

The signed digest *is* the SHA-256 of this file. Opening one costs no copy: the columns are views of the
buffer, which may be a mapped file. Look-ups in it are :mod:`vallum.match`'s business.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate

from vallum.errors import FormatError
from vallum.expression import TAGS, VECTOR_TABLES
from vallum.format import limits
from vallum.format.columns import pack, unpack
from vallum.format.rows import Rows, ascends, cast_ids, check_dictionary, id_width, total
from vallum.labels import MAX_LABELS, LabelSet, is_label

MAGIC = b"VTAB"
FORMAT = 1
KINDS = {"url": 1, "hash": 2}
EDITIONS = {"match": 1, "full": 2}
SALT_BYTES = 16

_KIND_NAMES = {code: name for name, code in KINDS.items()}
_EDITION_NAMES = {code: name for name, code in EDITIONS.items()}
_HEADER = struct.Struct("<4sBBBBIHBBQ16sQIIQ")
_COUNT = struct.Struct("<QQ")
_HEADER_LAYER = "table.header"
_COLUMNS = "table.columns"
_LABELS = "table.labels"
_COUNTS = "table.counts"

Counts = tuple[tuple[int, int], ...]
"""``(tag code, rows)``, ascending by code, no zeros."""


def table_tags(kind: str, name: str) -> frozenset[int]:
    """The tags whose rows a table may hold."""
    return frozenset(
        code for code, tag in TAGS.items() if tag.table == name and (tag.scope is not None) == (kind == "url")
    )


def is_valued(edition: str, name: str) -> bool:
    """Say whether a table carries values: all of ``full``, and vector tables in every edition."""
    return edition == "full" or name in VECTOR_TABLES


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table and what its header says.

    Attributes:
        kind: ``url`` or ``hash``.
        edition: ``match`` or ``full``.
        host_bits: leading key bits that come of the host (format.md §3.1).
        generation, version: what this is the state at.
        salt: 16 random bytes of the version, zeros in a public list.
        counts: rows per tag; in ``match`` the publisher's word.
        rows: the columns.
    """

    kind: str
    edition: str
    host_bits: int
    generation: int
    version: int
    salt: bytes
    counts: Counts
    rows: Rows

    def chunks(self) -> Iterator[bytes | memoryview[int]]:
        """The file's bytes in order, without joining them (see :func:`format_table`)."""
        _require_little_endian()
        rows = self.rows
        dictionary = pack([list(labels) for labels in rows.dictionary])
        valued = rows.lengths is not None
        yield _HEADER.pack(
            MAGIC,
            FORMAT,
            KINDS[self.kind],
            EDITIONS[self.edition],
            self.host_bits,
            self.generation,
            len(self.counts),
            id_width(len(rows.dictionary)),
            int(valued),
            self.version,
            self.salt,
            len(rows),
            len(dictionary),
            0,
            len(rows.values),
        ) + b"".join(_COUNT.pack(code, count) for code, count in self.counts)
        columns = [rows.hi, rows.lo, rows.label_ids, memoryview(dictionary)]
        if rows.lengths is not None:
            columns += [rows.lengths, rows.values]
        for column in columns:
            yield column.cast("B")
            yield bytes(-column.nbytes % 8)

    def digest(self) -> str:
        """SHA-256 of the file as lower-case hex: what the head signs."""
        state = sha256()
        for chunk in self.chunks():
            state.update(chunk)
        return state.hexdigest()

    def at(self, generation: int, version: int, salt: bytes, counts: Counts, rows: Rows) -> Table:
        """The table of another version of the same list and edition."""
        return replace(self, generation=generation, version=version, salt=salt, counts=counts, rows=rows)


def format_table(table: Table) -> bytes:
    """Encode a table as its file's bytes."""
    return b"".join(table.chunks())


def parse_table(data: bytes | memoryview[int]) -> Table:
    """Open a table without copying its columns.

    Checks structure in time independent of the number of rows, but for the dictionary. That the rows are in
    order is proved by the signed digest, or by :func:`check_table` for a file of unknown origin.

    Raises:
        FormatError: not a table of this format, cut short, or with bytes left over.
    """
    _require_little_endian()
    view = memoryview(data).cast("B")
    if len(view) < _HEADER.size:
        raise FormatError(_HEADER_LAYER, f"{len(view)} bytes are too few for a header")
    (
        magic,
        version_of_format,
        kind,
        edition,
        host_bits,
        generation,
        count_of_counts,
        width,
        valued,
        version,
        salt,
        length,
        dictionary_length,
        zero,
        values_length,
    ) = _HEADER.unpack_from(view)
    if magic != MAGIC:
        raise FormatError(_HEADER_LAYER, "not a table file")
    if version_of_format != FORMAT:
        raise FormatError(
            _HEADER_LAYER,
            f"format {version_of_format} is unknown here",
            hint="upgrade vallum on this machine",
        )
    if kind not in _KIND_NAMES or edition not in _EDITION_NAMES or valued > 1 or zero or host_bits > 32:
        raise FormatError(_HEADER_LAYER, "the header holds a value out of range")
    if not generation or not 1 <= version <= limits.MAX_VERSION or length > limits.ROWS:
        raise FormatError(_HEADER_LAYER, "the header holds a value out of range")
    at = _HEADER.size
    counts = _parse_counts(view[at : at + _COUNT.size * count_of_counts], count_of_counts, length)
    at += _COUNT.size * count_of_counts

    def take(size: int) -> memoryview[int]:
        nonlocal at
        column, end = view[at : at + size], at + size + -size % 8
        if len(view) < end:
            raise FormatError(_COLUMNS, "the file is cut short")
        if any(view[at + size : end]):
            raise FormatError(_COLUMNS, "padding is not zero")
        at = end
        return column

    hi, lo, ids = take(8 * length), take(4 * length), take(width * length)
    sets = parse_label_sets(_LABELS, unpack("table.msgpack", take(dictionary_length), limits.VALUES))
    lengths = take(2 * length).cast("H") if valued else None
    values = take(values_length) if valued else memoryview(b"")
    if at != len(view) or (not valued and values_length):
        raise FormatError(_COLUMNS, "bytes are left over")
    if not _is_coherent(_KIND_NAMES[kind], _EDITION_NAMES[edition], bool(valued), counts):
        raise FormatError(_COUNTS, "the counts are not those of one table of this kind and edition")
    if width != id_width(len(sets)):
        raise FormatError(_LABELS, "the label column has another width than its dictionary asks for")
    return Table(
        kind=_KIND_NAMES[kind],
        edition=_EDITION_NAMES[edition],
        host_bits=host_bits,
        generation=generation,
        version=version,
        salt=salt,
        counts=counts,
        rows=Rows(hi.cast("Q"), lo.cast("I"), cast_ids(ids, len(sets)), sets, lengths, values),
    )


def _is_coherent(kind: str, edition: str, valued: bool, counts: Counts) -> bool:
    """Whether some table of this kind and edition carries values as said, and may hold these tags."""
    codes = {code for code, _ in counts}
    return any(
        is_valued(edition, name) == valued and codes <= table_tags(kind, name)
        for name in {tag.table for tag in TAGS.values()}
        if table_tags(kind, name)
    )


def check_table(table: Table) -> None:
    """Check what :func:`parse_table` leaves to the digest: order, dictionary, values.

    Raises:
        FormatError: the table is not the canonical one of its rows.
    """
    rows = table.rows
    if not ascends(rows.hi, rows.lo):
        raise FormatError(_COLUMNS, "keys are not in strictly ascending order")
    check_dictionary(_LABELS, rows.dictionary, rows.label_ids)
    if rows.lengths is None:
        return
    if sum(rows.lengths) != len(rows.values) or 0 in rows.lengths:
        raise FormatError(_COLUMNS, "the values' lengths do not add up")
    if count_tags(rows) != table.counts:
        raise FormatError(_COUNTS, "the counts are not those of the values")


def count_tags(rows: Rows) -> Counts:
    """Count rows per tag, of rows that carry values."""
    starts = accumulate(rows.lengths[:-1], initial=0) if rows.lengths else ()
    return tuple(sorted(Counter(map(rows.values.__getitem__, starts)).items()))


def recount(counts: Counts, rows: Rows, dropped: Sequence[int], adds: Rows) -> Counts:
    """Counts after ``dropped`` rows have gone and ``adds`` have come; for rows that carry values."""
    tally = Counter(dict(counts))
    at = start = 0
    for row in sorted(dropped):
        start += total(rows.lengths[at:row]) if rows.lengths else 0
        at = row
        tally[rows.values[start]] -= 1
    tally.update(dict(count_tags(adds)))
    return tuple(sorted((code, count) for code, count in tally.items() if count))


def parse_label_sets(layer: str, raw: object) -> tuple[LabelSet, ...]:
    """Turn a decoded dictionary into label sets (format.md §2)."""
    if not isinstance(raw, list):
        raise FormatError(layer, "the label dictionary is not an array")
    sets: list[LabelSet] = []
    for labels in raw:
        if not isinstance(labels, list) or len(labels) > MAX_LABELS:
            raise FormatError(layer, "a label set is not an array within bounds")
        if not all(isinstance(label, str) and is_label(label) for label in labels):
            raise FormatError(layer, "a label is malformed")
        if any(not labels[at - 1] < labels[at] for at in range(1, len(labels))):
            raise FormatError(layer, "the labels of a set are not in strictly ascending order")
        sets.append(tuple(labels))
    if len(sets) > limits.LABEL_SETS or any(not sets[at - 1] < sets[at] for at in range(1, len(sets))):
        raise FormatError(layer, "label sets are not in strictly ascending order, or too many")
    return tuple(sets)


def check_counts(layer: str, counts: Counts, length: int) -> None:
    """Refuse counts that are unknown, unsorted, zero, or do not add up to ``length``."""
    codes = [code for code, _ in counts]
    if any(code not in TAGS for code in codes):
        raise FormatError(layer, "a tag is unknown here", hint="upgrade vallum on this machine")
    if codes != sorted(set(codes)) or any(count < 1 for _, count in counts):
        raise FormatError(layer, "counts are not ascending, or one is zero")
    if sum(count for _, count in counts) != length:
        raise FormatError(layer, "counts do not add up to the rows")


def _parse_counts(view: memoryview[int], number: int, length: int) -> Counts:
    if len(view) != _COUNT.size * number:
        raise FormatError(_COUNTS, "the file is cut short")
    counts: Counts = tuple(_COUNT.iter_unpack(view))
    check_counts(_COUNTS, counts, length)
    return counts


def build_table(
    *,
    kind: str,
    edition: str,
    name: str,
    host_bits: int,
    generation: int,
    version: int,
    salt: bytes,
    counts: Counts,
    keys: Sequence[bytes] = (),
    labels: Sequence[LabelSet] = (),
    values: Sequence[bytes] = (),
) -> Table:
    """Make a table of rows in any order; ``values`` are dropped where the edition carries none."""
    rows = Rows.build(keys, labels, values if is_valued(edition, name) else None)
    return Table(kind, edition, host_bits, generation, version, salt, counts, rows)


def _require_little_endian() -> None:
    # Columns are used in place; a big-endian machine would have to swap them, which nobody has asked for.
    if sys.byteorder != "little" or array("I").itemsize != 4 or array("Q").itemsize != 8:
        raise FormatError("table", "this machine is not little-endian")
