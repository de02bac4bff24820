"""Table files: rows to bytes and digest, and files that are none (format.md §5)."""

from __future__ import annotations

from typing import Any

from schemas.vectorsmith import Vectors, vector
from schemas.vectorsmith.streams import DIGESTS, NEAR, URLS, Row, Stream, counts
from vallum.format.table import Table, format_table

SALT = bytes(range(16))


def build(stream: Stream, name: str, rows: list[Row], salt: bytes = SALT) -> Table:
    """The table of these rows at version 7 of generation 2."""
    return Table(
        stream.kind, stream.edition, stream.host_bits, 2, 7, salt, counts(rows), stream.rows(rows, name)
    )


def vectors() -> Vectors:
    """Rows whose file is given to the byte, and files that are refused."""
    near = Stream("hash", "match", ("exact", "pdq"))
    many: list[Row] = [(1, f"site{at}.example/", (f"l{at % 300}",)) for at in range(600)]
    cases: list[tuple[str, Stream, str, list[Row], bytes]] = [
        ("URLs in full", Stream("url", "full", host_bits=20), "exact", URLS, SALT),
        ("URLs without their text", Stream("url", "match", host_bits=20), "exact", URLS, SALT),
        ("a public list has a salt of zeros", Stream("url", "full"), "exact", URLS, bytes(16)),
        ("digests in full", Stream("hash", "full"), "exact", DIGESTS, SALT),
        ("digests without their values", Stream("hash", "match"), "exact", DIGESTS, SALT),
        ("near matches carry their values in every edition", near, "pdq", NEAR, SALT),
        ("no rows", Stream("url", "full"), "exact", [], SALT),
        ("more than 256 label sets", Stream("url", "match"), "exact", many, SALT),
    ]
    for description, stream, name, rows, salt in cases:
        table = build(stream, name, rows, salt)
        given = {
            "kind": stream.kind, "edition": stream.edition, "table": name, "host_bits": stream.host_bits,
            "generation": 2, "version": 7, "salt": salt.hex(), "pepper": "",
            "rows": [
                {"tag": tag, "text": text if isinstance(text, str) else text.hex(), "labels": list(labels)}
                for tag, text, labels in rows
            ],
        }  # fmt: skip
        yield vector(description, "table", given, file=format_table(table).hex(), sha256=table.digest())
    for description, expect, data in _bad():
        yield vector(description, "table", {"file": data.hex()}, expect)


def _bad() -> list[tuple[str, str, bytes]]:
    url = Stream("url", "full", host_bits=20)
    whole = format_table(build(url, "exact", URLS))
    plain = format_table(build(Stream("url", "match"), "exact", URLS))
    one = format_table(build(url, "exact", URLS[:1]))

    def put(at: int, new: bytes, data: bytes = whole) -> bytes:
        return data[:at] + new + data[at + len(new) :]

    rows, counted = 64 + 16 * 4, 64
    ids = rows + 12 * 5 + 4
    made: list[tuple[str, str, Any]] = [
        ("an empty file is no table", "table.header", b""),
        ("a file cut within its header", "table.header", whole[:63]),
        ("a table with the magic of a run", "table.header", put(0, b"VRN\x01")),
        ("a table of a later format", "table.header", put(4, b"\x02")),
        ("a table of an unknown kind", "table.header", put(5, b"\x03")),
        ("a table of an unknown edition", "table.header", put(6, b"\x03")),
        ("33 host bits", "table.header", put(7, b"\x21")),
        ("generation 0 of a table", "table.header", put(8, bytes(4))),
        ("a label width that its dictionary does not ask for", "table.labels", _widened(one)),
        ("a flag for values that is no flag", "table.header", put(15, b"\x02")),
        ("version 0 of a table", "table.header", put(16, bytes(8))),
        ("a version beyond exact numbers", "table.header", put(16, (1 << 53).to_bytes(8, "little"))),
        ("more rows than the limit", "table.header", put(40, ((1 << 26) + 1).to_bytes(8, "little"))),
        ("a reserved field that is not zero", "table.header", put(52, b"\x01")),
        ("counts of a table out of order", "table.counts",
         put(counted, whole[counted + 16 : counted + 32] + whole[counted : counted + 16])),
        ("counts of a table that do not add up", "table.counts", put(counted + 8, b"\x03")),
        ("counts of a tag of another kind", "table.counts", put(counted, b"\x10", one)),
        ("values in a table that carries none", "table.counts", put(6, b"\x01")),
        ("no values in a table that carries some", "table.counts", put(6, b"\x02", plain)),
        ("a table that is cut short", "table.columns", whole[:-8]),
        ("bytes after a table", "table.columns", whole + bytes(8)),
        ("padding that is not zero", "table.columns", put(rows + 12 * 5, b"\x01", whole)),
        ("lengths of values that do not add up", "table.columns", _lengths(whole)),
        ("keys of a table out of order", "table.columns",
         put(rows, whole[rows + 8 : rows + 16] + whole[rows : rows + 8])),
        ("a label id that the dictionary does not have", "table.labels", put(ids, b"\x07")),
        ("a dictionary in another spelling", "table.msgpack", _respelt(whole)),
    ]  # fmt: skip
    return made


def _widened(table: bytes) -> bytes:
    """One row whose label id takes two bytes; padding hides the difference."""
    return table[:14] + b"\x02" + table[15:]


def _lengths(table: bytes) -> bytes:
    """One value is said to be a byte longer than it is."""
    at = (
        len(table) - int.from_bytes(table[56:64], "little") - -int.from_bytes(table[56:64], "little") % 8 - 16
    )
    return table[:at] + bytes((table[at] + 1,)) + table[at + 1 :]


def _respelt(table: bytes) -> bytes:
    """The first label set, an empty array, becomes nil."""
    at = 64 + 16 * 4 + 5 * 8 + 24 + 8
    assert table[at : at + 2] == b"\x93\x90"  # noqa: S101 - a builder that checks itself
    return table[: at + 1] + b"\xc0" + table[at + 2 :]
