"""Example rows, and how a stream of a small list makes its runs of them by the book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import shake_128
from typing import Any

from vallum.expression import TAGS, Keyer
from vallum.format.columns import compress, encode_varint, padme
from vallum.format.removal import KEY_BITS, Removals, choose_removals, unique_bits
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, format_body, parse_run
from vallum.format.section import Codec, Section
from vallum.format.table import EDITIONS, KINDS, Counts, Table, format_table, is_valued

Row = tuple[int, str | bytes, tuple[str, ...]]
"""Tag, form or digest, labels."""

URLS: list[Row] = [
    (1, "www.site.example/a/page?id=1", ("uk-sap:1:A",)),
    (1, "www.site.example/a/page?id=2", ("ai_generated", "uk-sap:1:B")),
    (3, "cdn.site.example/b/", ("uk-sap:1:A",)),
    (4, "files.example", ()),
    (5, "other.example", ("uk-sap:1:A",)),
]


def digest(tag: int, number: int) -> bytes:
    """A digest for examples."""
    return shake_128(b"vallum %d %d" % (tag, number)).digest(TAGS[tag].size)


DIGESTS: list[Row] = [
    (tag, digest(tag, number), ("ncmec:1:A1",)) for tag in (16, 18, 19) for number in range(2)
]
NEAR: list[Row] = [(32, digest(32, number), ("ncmec:1:A1",)) for number in range(3)]


@dataclass(frozen=True)
class Stream:
    """One edition of a list, and how to make its runs from rows."""

    kind: str
    edition: str
    tables: tuple[str, ...] = ("exact",)
    pepper: bytes = b""
    host_bits: int = 0

    @property
    def codec(self) -> Codec:
        """What reads its runs."""
        return Codec(self.kind, self.edition, self.tables, Keyer(self.pepper, self.host_bits))

    def key(self, row: Row) -> bytes:
        """A row's key."""
        tag, keyer = TAGS[row[0]], self.codec.keyer
        if isinstance(row[1], str):
            assert tag.scope is not None  # noqa: S101 - a builder that checks itself
            return keyer.url_key(tag.scope, row[1])
        return keyer.digest_key(tag.signal, row[1])

    def rows(self, rows: Sequence[Row], name: str) -> Rows:
        """The columns of a table."""
        values = [bytes((row[0],)) + (row[1].encode() if isinstance(row[1], str) else row[1]) for row in rows]
        valued = is_valued(self.edition, name)
        return Rows.build(
            [self.key(row) for row in rows], [row[2] for row in rows], values if valued else None
        )

    def base(self, tables: dict[str, list[Row]], end: int = 7) -> Run:
        """A base at version ``end``."""
        sections = tuple(
            Section(name, counts(tables[name]), self.rows(tables[name], name), ()) for name in self.tables
        )
        return Run(self._header(0, end), bytes(16), sections)

    def step(self, was: list[Row], now: list[Row], touched: list[Row], start: int = 5, end: int = 7) -> Run:
        """A run of the one table ``exact``; ``touched`` rows that are not in ``now`` are removed."""
        listed = {self.key(row) for row in now}
        union = sorted({int.from_bytes(self.key(row)) for row in (*was, *now, *touched)})
        removed = sorted({int.from_bytes(self.key(row)) for row in touched if self.key(row) not in listed})
        adds = [row for row in now if self.key(row) in {self.key(other) for other in touched}]
        section = Section("exact", counts(now), self.rows(adds, "exact"), removals(removed, union))
        return Run(self._header(start, end), bytes(16), (section,))

    def _header(self, start: int, end: int) -> RunHeader:
        return RunHeader(self.kind, self.edition, 1, 1, start, end, 0)

    def given(self, data: bytes, held: dict[str, Table] | None = None) -> dict[str, Any]:
        """The input of a vector."""
        made: dict[str, Any] = {
            "kind": self.kind,
            "edition": self.edition,
            "tables": list(self.tables),
            "pepper": self.pepper.hex(),
            "host_bits": self.host_bits,
            "run": data.hex(),
        }
        if held is not None:
            made["held"] = {name: format_table(table).hex() for name, table in held.items()}
        return made


def counts(rows: Sequence[Row]) -> Counts:
    """Rows per tag."""
    codes = [row[0] for row in rows]
    return tuple((code, codes.count(code)) for code in sorted(set(codes)))


def removals(removed: Sequence[int], union: Sequence[int]) -> Removals:
    """The prefixes that name ``removed`` and nothing else of ``union``."""
    pairs = []
    for key in removed:
        below = max((other for other in union if other < key), default=None)
        above = min((other for other in union if other > key), default=None)
        pairs.append((key, unique_bits(key, below, above)))
    return choose_removals(pairs)


def removals_apart(removed: Sequence[int], bits: int = 32) -> Removals:
    """Each key in a group of its own, of ``bits`` bits, of one more, and so on: no publisher would."""
    return tuple((bits + at, (key >> KEY_BITS - bits - at,)) for at, key in enumerate(removed))


def header(stream: Stream, raw: bytes, **change: int | bytes) -> bytes:
    """A header's bytes, with fields replaced by what no formatter would write."""
    fields: dict[str, Any] = {
        "magic": b"VRN\x01",
        "facts": EDITIONS[stream.edition] << 4 | KINDS[stream.kind],
        "generation": 1,
        "epoch": 1,
        "start": 0,
        "end": 7,
        "raw_max": padme(len(raw)),
        "salt": b"",
        **change,
    }
    numbers = (fields[name] for name in ("generation", "epoch", "start", "end", "raw_max"))
    written = (number if isinstance(number, bytes) else encode_varint(number) for number in numbers)
    return bytes(fields["magic"] + bytes((fields["facts"],)) + b"".join(written) + fields["salt"])


def over_the_wire(stream: Stream, run: Run) -> Run:
    """A run as its reader has it."""
    return parse_run(stream.codec, file_of(stream, run))


def file_of(stream: Stream, run: Run) -> bytes:
    """A run's file."""
    raw = format_body(stream.codec, run.table_salt, run.sections)
    return header(stream, raw, start=run.header.start, end=run.header.end) + compress(raw, 19)
