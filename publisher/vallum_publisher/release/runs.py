"""Making runs: from the tables at a version and the keys touched on the way there to the files (DESIGN §5).

A run over ``(a, b]`` holds every key touched in it as it is at ``b``, even one that ended as it began: a
minimal net change gives wrong tables to clients that straddle ``a``. Pure but for the time that it takes.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from vallum.errors import StateError
from vallum.expression import KEY_BYTES
from vallum.format.epoch import Epoch
from vallum.format.removal import choose_removals, unique_bits
from vallum.format.rows import Rows, id_column
from vallum.format.run import Run, RunHeader, apply_run, format_run, parse_run
from vallum.format.seal import open_run, seal_run
from vallum.format.section import Codec, Section
from vallum.format.table import Table

Sealed = tuple[Epoch, bytes] | None
"""What a list's runs are sealed with, or ``None`` if it is public."""

_BEYOND = 1 << 8 * KEY_BYTES
_LARGE = 1 << 20
_BEST, _RANDOM = 16, 12


def level_for(kind: str, size: int) -> int:
    """The zstd level for about ``size`` bytes of rows.

    Level 16, whose choices of text make bases of a live feed 1 % smaller than those of level 19, in half the
    time, and 2 to 6 % smaller than level 12: 6 s for a million forms. Many digests get level 12: they do not
    compress, and what there is to win is won in half a second for a million.
    """
    return _RANDOM if kind == "hash" and size > _LARGE else _BEST


def touched_section(name: str, table: Table, touched: Sequence[bytes]) -> Section:
    """Say what each touched key is in ``table``.

    Args:
        name: of the table.
        table: at the run's end, in the edition of the run.
        touched: every key touched in the run's span, ascending.
    """
    rows = table.rows
    added: list[int] = []
    removed: list[tuple[int, int]] = []
    numbers = [int.from_bytes(key) for key in touched]
    place = 0
    for at, number in enumerate(numbers):
        place = rows.lower_bound(number, place)
        following = _key(rows, place) if place < len(rows) else _BEYOND
        if following == number:
            added.append(place)
            continue
        # A key that may have been listed somewhere in the span is listed now, or was touched.
        below = max(numbers[at - 1] if at else -1, _key(rows, place - 1) if place else -1)
        above = min(numbers[at + 1] if at + 1 < len(numbers) else _BEYOND, following)
        bits = unique_bits(number, below if below >= 0 else None, above if above < _BEYOND else None)
        removed.append((number, bits))
    return Section(name, table.counts, select(rows, added), choose_removals(removed))


def make_run(
    codec: Codec,
    tables: Mapping[str, Table],
    start: int,
    epoch: int,
    touched: Mapping[str, Sequence[bytes]],
    sealed: Sealed = None,
) -> bytes:
    """Make the file of the run from ``start`` to the tables' version; a base if ``start`` is 0.

    Args:
        codec: of the stream.
        tables: at the run's end, by name, in the stream's edition.
        start: where it may be applied from.
        epoch: of its content key.
        touched: keys touched since ``start`` by table, ascending; not looked at for a base.
        sealed: of an encrypted list: the epoch and its key.
    """
    end = next(iter(tables.values()))
    sections = tuple(
        Section(name, tables[name].counts, tables[name].rows, ())
        if start == 0
        else touched_section(name, tables[name], touched[name])
        for name in codec.tables
    )
    header = RunHeader(codec.kind, codec.edition, end.generation, epoch, start, end.version, 0)
    weight = sum(12 * len(section.adds) + section.adds.values.nbytes for section in sections)
    run, level = Run(header, end.salt, sections), level_for(codec.kind, weight)
    return format_run(codec, run, level) if sealed is None else seal_run(codec, run, *sealed, level)


def read_run(codec: Codec, data: bytes, sealed: Sealed) -> Run:
    """Read a run like a client that may. Raises ``FormatError``, ``TrustError``."""
    return parse_run(codec, data) if sealed is None else open_run(codec, data, *sealed)


def check_run(
    codec: Codec,
    data: bytes,
    held: Mapping[str, Table],
    digests: Mapping[str, str],
    sealed: Sealed = None,
) -> None:
    """Apply a run like a client that holds ``held`` and require the state that is to be signed.

    Raises:
        StateError: it leads elsewhere.
        FormatError: it does not even decode.
    """
    tables = apply_run(read_run(codec, data, sealed), held, codec.keyer.host_bits)
    if any(tables[name].digest() != digests[name] for name in codec.tables):
        raise StateError("a run does not lead to the state that is to be signed", hint="report this bug")


def select(rows: Rows, places: Sequence[int]) -> Rows:
    """Copy the rows at ascending ``places``, with a dictionary of just their label sets."""
    ids = [rows.label_ids[at] for at in places]
    used = sorted(set(ids))
    number = {old: new for new, old in enumerate(used)}
    dictionary = tuple(rows.dictionary[old] for old in used)
    lengths, values = None, memoryview(b"")
    if rows.lengths is not None:
        lengths = memoryview(array("H", [rows.lengths[at] for at in places]))
        chosen: list[memoryview[int]] = []
        offset = passed = 0
        for at in places:
            offset += sum(rows.lengths[passed:at])  # in C, and nothing to keep for the millions not chosen
            passed = at
            chosen.append(rows.values[offset : offset + rows.lengths[at]])
        values = memoryview(b"".join(chosen))
    return Rows(
        memoryview(array("Q", [rows.hi[at] for at in places])),
        memoryview(array("I", [rows.lo[at] for at in places])),
        id_column([number[old] for old in ids], len(dictionary)),
        dictionary,
        lengths,
        values,
    )


def _key(rows: Rows, at: int) -> int:
    return (rows.hi[at] << 32) | rows.lo[at]
