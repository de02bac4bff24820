"""One table's part of a run: what each touched key is at the run's end (format.md §4.3 to §4.5).

Added rows have three encodings: bare keys, here, where the edition carries no values;
:mod:`vallum.format.forms` for URLs and :mod:`vallum.format.digests` for the rest, which send values and no
keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vallum.errors import FormatError
from vallum.expression import Keyer
from vallum.format import limits
from vallum.format.columns import decode_u64, encode_u64
from vallum.format.digests import decode_digests, encode_digests
from vallum.format.forms import decode_forms, encode_forms
from vallum.format.removal import Removals, decode_removals, encode_removals, names_any
from vallum.format.rows import Rows, ascends, cast_ids, check_dictionary, id_column, id_width
from vallum.format.table import Counts, check_counts, count_tags, is_valued, parse_label_sets, table_tags
from vallum.labels import LabelSet

_LAYER = "run.section"
_LABELS = "run.labels"
_COUNTS = "run.counts"
_KEYS = "run.keys"


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What a run says about one table.

    Attributes:
        name: the table.
        counts: rows per tag of the whole table at the run's end.
        adds: every touched key that is listed at the run's end, with its labels there.
        removals: every touched key that is not, as prefixes; empty in a base.
    """

    name: str
    counts: Counts
    adds: Rows
    removals: Removals


@dataclass(frozen=True, slots=True)
class Codec:
    """What must be known of a stream to read its runs: fixed facts of its charter, and the keyer."""

    kind: str
    edition: str
    tables: tuple[str, ...]
    keyer: Keyer


def encode_section(codec: Codec, section: Section) -> list[object]:
    """Write a section as the array of format.md §4.3."""
    rows = section.adds
    counts = [[code, count] for code, count in section.counts]
    sets = [list(labels) for labels in rows.dictionary]
    ids: Sequence[int] = rows.label_ids
    columns: list[object] = [encode_u64(rows.hi), rows.lo.tobytes()]
    if is_valued(codec.edition, section.name):
        ids, columns = encode_forms(rows) if codec.kind == "url" else encode_digests(rows)
    return [counts, sets, _encode_ids(ids, len(sets)), *columns, encode_removals(section.removals)]


def decode_section(codec: Codec, name: str, raw: object) -> Section:
    """Read the array of format.md §4.3 and derive keys where values were sent.

    Raises:
        FormatError: anything that :func:`encode_section` would not have written.
    """
    if not isinstance(raw, list):
        raise FormatError(_LAYER, "a section is malformed")
    match raw:
        case [list(counts), list(sets), bytes(ids), *columns, list(removals)]:
            # A base's columns are as large as the table: they are let go of once they have become rows.
            raw.clear()
        case _:
            raise FormatError(_LAYER, "a section is malformed")
    dictionary = parse_label_sets(_LABELS, sets)
    if not is_valued(codec.edition, name):
        adds = _decode_keys(dictionary, ids, columns)
    else:
        unordered = (
            decode_forms(codec.keyer, columns)
            if codec.kind == "url"
            else decode_digests(codec.keyer, name, columns)
        )
        columns.clear()
        adds = unordered.ordered(_decode_ids(dictionary, ids, len(unordered)), dictionary)
        del unordered
        if not ascends(adds.hi, adds.lo):
            raise FormatError(_KEYS, "two values have one key", hint="the publisher must refuse one of them")
    found = decode_removals(removals)
    if names_any(adds, found):
        raise FormatError("run.removals", "a removal names a row that the run adds")
    return Section(name, _decode_counts(codec.kind, name, counts), adds, found)


def check_whole(section: Section) -> None:
    """Require of a base's section that its rows are the whole table: no removals, counts that add up."""
    if section.removals:
        raise FormatError("run.removals", "a base holds removals")
    check_counts(_COUNTS, section.counts, len(section.adds))
    if section.adds.lengths is not None and count_tags(section.adds) != section.counts:
        raise FormatError(_COUNTS, "the counts are not those of the values")


def _decode_counts(kind: str, name: str, raw: list[object]) -> Counts:
    known = table_tags(kind, name)
    counts: list[tuple[int, int]] = []
    for pair in raw:
        match pair:
            case [int(code), int(count)] if code in known and 1 <= count <= limits.ROWS:
                counts.append((code, count))
            case [int(code), int()] if code not in known:
                raise FormatError(
                    _COUNTS, "a tag is not one of this table", hint="upgrade vallum on this machine"
                )
            case _:
                raise FormatError(_COUNTS, "a count is malformed")
    if any(counts[at - 1][0] >= counts[at][0] for at in range(1, len(counts))):
        raise FormatError(_COUNTS, "counts are not in ascending order")
    return tuple(counts)


def _encode_ids(ids: Sequence[int], sets: int) -> bytes:
    """The label column; left out where there is one set only."""
    return id_column(ids, sets).tobytes() if sets > 1 else b""


def _decode_ids(dictionary: Sequence[LabelSet], data: bytes, length: int) -> memoryview[int]:
    if len(dictionary) == 1 and length and not data:
        return memoryview(bytes(length))
    if len(data) != length * id_width(len(dictionary)) or len(dictionary) == 1 or length > limits.ROWS:
        raise FormatError(_LABELS, "the label column has another length than the rows")
    ids = cast_ids(data, len(dictionary))
    check_dictionary(_LABELS, dictionary, ids)
    return ids


def _decode_keys(dictionary: tuple[LabelSet, ...], ids: bytes, columns: list[object]) -> Rows:
    match columns:
        case [bytes(hi), bytes(lo)] if len(hi) == 2 * len(lo):
            pass
        case _:
            raise FormatError(_KEYS, "a section of keys is malformed")
    label_ids = _decode_ids(dictionary, ids, len(lo) // 4)
    high, low = decode_u64(_KEYS, hi), memoryview(lo).cast("I")
    if not ascends(high, low):
        raise FormatError(_KEYS, "keys are not in strictly ascending order")
    return Rows(high, low, label_ids, dictionary, None, memoryview(b""))
