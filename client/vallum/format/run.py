"""The run file: an immutable step from any version in ``[start, end)`` to ``end`` (format.md §4).

A run with ``start = 0`` is a base: the whole state, which replaces what is held. The header is in clear and
is the cipher's associated data; this module leaves opening a sealed body to its caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vallum.errors import FormatError, StateError, StorageError
from vallum.format import limits
from vallum.format.blocks import compress_columns
from vallum.format.columns import (
    decode_varint,
    decompress,
    encode_varint,
    pack,
    padme,
    unpack,
)
from vallum.format.removal import resolve_removals
from vallum.format.rows import Rows, splice
from vallum.format.section import Codec, Section, check_whole, decode_section, encode_section
from vallum.format.table import EDITIONS, KINDS, SALT_BYTES, Table, recount

MAGIC = b"VRN\x01"
"""Three letters and the format's number."""

RUN_SALT_BYTES = 32
_SEALED = 0x80
_NO_SALT = bytes(SALT_BYTES)
_HEADER = "run.header"
_BODY = "run.body"
_KIND_NAMES = {code: name for name, code in KINDS.items()}
_EDITION_NAMES = {code: name for name, code in EDITIONS.items()}


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What a stranger may read of a run.

    Attributes:
        kind, edition, generation, epoch: where it belongs; as in the charter, the head and the file's name.
        start, end: it leads from any version in ``[start, end)`` to ``end``; a base has ``start = 0``.
        raw_max: the body's decompressed size, rounded up by Padmé; bytes.
        salt: 32 bytes that make the run's key; empty in a public list, whose body is not sealed.
    """

    kind: str
    edition: str
    generation: int
    epoch: int
    start: int
    end: int
    raw_max: int
    salt: bytes = b""

    def format(self) -> bytes:
        """The header's bytes (format.md §4.1)."""
        sealed = _SEALED if self.salt else 0
        numbers = (self.generation, self.epoch, self.start, self.end, self.raw_max)
        return b"".join(
            (
                MAGIC,
                bytes((sealed | EDITIONS[self.edition] << 4 | KINDS[self.kind],)),
                *map(encode_varint, numbers),
                self.salt,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run's header and what its body says: the version's table salt, and one section per table."""

    header: RunHeader
    table_salt: bytes
    sections: tuple[Section, ...]

    @property
    def is_base(self) -> bool:
        """Whether this is the whole state."""
        return self.header.start == 0


def parse_header(data: bytes | memoryview[int]) -> tuple[RunHeader, int]:
    """Read a run's header; return it and where the body begins.

    Raises:
        FormatError: not a run of this format, or a value out of range.
    """
    if data[:3] != MAGIC[:3] or len(data) < 5:
        raise FormatError(_HEADER, "not a run file")
    if data[3] != MAGIC[3]:
        raise FormatError(_HEADER, f"format {data[3]} is unknown here", hint="upgrade vallum on this machine")
    facts, at = data[4], 5
    kind, edition = facts & 0x0F, facts >> 4 & 0x07
    numbers: list[int] = []
    for _ in range(5):
        number, at = decode_varint(_HEADER, data, at)
        numbers.append(number)
    generation, epoch, start, end, raw_max = numbers
    salt = data[at : at + RUN_SALT_BYTES] if facts & _SEALED else b""
    if facts & _SEALED and len(salt) != RUN_SALT_BYTES:
        raise FormatError(_HEADER, "the header is cut short")
    if (
        kind not in _KIND_NAMES
        or edition not in _EDITION_NAMES
        or not 1 <= generation <= limits.MAX_GENERATION
        or not 1 <= epoch <= limits.MAX_EPOCH
        or not start < end <= limits.MAX_VERSION
        or raw_max > limits.RAW
        or padme(raw_max) != raw_max
    ):
        raise FormatError(_HEADER, "the header holds a value out of range")
    header = RunHeader(
        _KIND_NAMES[kind], _EDITION_NAMES[edition], generation, epoch, start, end, raw_max, bytes(salt)
    )
    return header, at + len(salt)


def parse_body(codec: Codec, header: RunHeader, frame: bytes | memoryview[int]) -> Run:
    """Read the zstd frame of a run's body.

    Raises:
        FormatError: anything that :func:`format_body` would not have written.
        StorageError: this machine has too little memory for it.
    """
    try:
        return _parse_body(codec, header, frame)
    except MemoryError:
        raise StorageError(
            f"too little memory to read a run of {header.raw_max} bytes",
            hint="it takes about three times as much",
        ) from None


def _parse_body(codec: Codec, header: RunHeader, frame: bytes | memoryview[int]) -> Run:
    if (header.kind, header.edition) != (codec.kind, codec.edition):
        raise FormatError(_HEADER, "the run is of another kind or edition than its stream")
    match _open(header, frame):
        case [bytes(table_salt), list(sections)] if len(table_salt) in (0, SALT_BYTES):
            if table_salt == _NO_SALT or bool(table_salt) != bool(header.salt):
                raise FormatError(_BODY, "a sealed run has a table salt, an open one has none")
        case _:
            raise FormatError(_BODY, "the body is malformed")
    if len(sections) != len(codec.tables):
        raise FormatError(_BODY, "the body holds another number of tables than the charter names")
    decoded = tuple(
        decode_section(codec, name, section) for name, section in zip(codec.tables, sections, strict=True)
    )
    if header.start == 0:
        for section in decoded:
            check_whole(section)
    return Run(header, table_salt or _NO_SALT, decoded)


def _open(header: RunHeader, frame: bytes | memoryview[int]) -> Any:
    # A function of its own, so that the body's bytes are gone before rows are made of its columns.
    raw = decompress("run.frame", frame, header.raw_max)
    if isinstance(frame, memoryview):
        frame.release()
    if padme(len(raw)) != header.raw_max:
        raise FormatError("run.frame", "raw_max is not the padded size of the body")
    return unpack("run.msgpack", raw, limits.VALUES)


def parse_run(codec: Codec, data: bytes | memoryview[int]) -> Run:
    """Read a run of a public list: the body is the zstd frame itself.

    A view is released once it is decompressed, so that a base need not lie in memory beside its rows.
    """
    header, at = parse_header(data)
    if header.salt:
        raise FormatError(_HEADER, "the run is sealed, its list is public")
    frame = memoryview(data)[at:]
    if isinstance(data, memoryview):
        data.release()
    return parse_body(codec, header, frame)


def _body(codec: Codec, table_salt: bytes, sections: tuple[Section, ...]) -> list[object]:
    salt = b"" if table_salt == _NO_SALT else table_salt
    return [salt, [encode_section(codec, section) for section in sections]]


def format_body(codec: Codec, table_salt: bytes, sections: tuple[Section, ...]) -> bytes:
    """Write the body before compression."""
    return pack(_body(codec, table_salt, sections))


def format_frame(codec: Codec, run: Run, level: int) -> tuple[bytes, int]:
    """Write the zstd frame of a run's body; return it and the header's ``raw_max``.

    Raises:
        FormatError: the body is larger than any client takes.
    """
    frame, size = compress_columns(_body(codec, run.table_salt, run.sections), level)
    if size > limits.RAW:
        raise FormatError(_BODY, f"a body of {size} bytes is larger than {limits.RAW}")
    return frame, padme(size)


def format_run(codec: Codec, run: Run, level: int = 19) -> bytes:
    """Write a run of a public list. ``run.header.raw_max`` is computed here and need not be right."""
    frame, raw_max = format_frame(codec, run, level)
    return replace(run.header, raw_max=raw_max).format() + frame


def apply_run(run: Run, held: Mapping[str, Table], host_bits: int) -> dict[str, Table]:
    """Lead tables to the run's end.

    Args:
        run: a verified run.
        held: the stream's tables by name, all at one version; may be empty for a base.
        host_bits: from the charter; written into the tables' headers.

    Returns:
        The tables at ``run.header.end``. That they are the signed ones is for the caller to check.

    Raises:
        StateError: the run does not begin at or before the version held, or cannot apply to it.
    """
    header = run.header
    result: dict[str, Table] = {}
    for section in run.sections:
        if run.is_base:
            rows = section.adds
        else:
            table = held.get(section.name)
            if table is None or table.generation != header.generation:
                raise StateError("the run is a step, and no table of its generation is held")
            if not header.start <= table.version < header.end:
                raise StateError(
                    f"the run leads from {header.start} to {header.end}, version {table.version} is held"
                )
            rows = _step(table, section)
        if sum(count for _, count in section.counts) != len(rows):
            raise StateError("the rows do not add up to the run's counts")
        if (
            len(rows) > limits.ROWS
            or 1 + sum(map(len, rows.dictionary)) + len(rows.dictionary) > limits.VALUES
        ):
            raise StateError("the run leads to a table that is too large to be opened")
        result[section.name] = Table(
            kind=header.kind,
            edition=header.edition,
            host_bits=host_bits,
            generation=header.generation,
            version=header.end,
            salt=run.table_salt,
            counts=section.counts,
            rows=rows,
        )
    return result


def _step(table: Table, section: Section) -> Rows:
    """The rows after one section of a run that is no base."""
    rows, adds = table.rows, section.adds
    removed = resolve_removals(rows, section.removals)
    if rows.lengths is not None:
        # The counts of an edition without values are the publisher's word; here they can be known.
        replaced = [at for at in map(rows.find, adds.keys()) if at is not None]
        if recount(table.counts, rows, removed + replaced, adds) != section.counts:
            raise StateError("the counts are not those of the values")
    return splice(rows, adds, removed)
