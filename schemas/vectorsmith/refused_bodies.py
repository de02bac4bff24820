"""Bases refused for a field of their body, right in everything else (format.md §4.2 to §4.5)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from schemas.vectorsmith import Vectors, vector
from schemas.vectorsmith.bodies import (
    COUNTS,
    GROUPS,
    HI,
    IDS,
    LO,
    PATHS,
    REMOVALS,
    RESTS,
    SETS,
    SHARED,
    TAG_COLUMN,
    URL,
    Body,
    body_of,
    carry,
)
from schemas.vectorsmith.streams import URLS, Row, Stream, digest
from vallum.format.columns import encode_rice, encode_u64


def vectors() -> Vectors:
    """One scenario for each refusal."""
    match, hashes = Stream("url", "match"), Stream("hash", "full")
    two = _body(match, URLS)[1][0]
    hi, lo = two[HI], two[LO]
    md5: list[Row] = [(18, digest(18, at), ()) for at in range(2)]
    pairs: list[Row] = [(1, "a.example/", ()), (1, "b.example/", ())]
    group = _body(hashes, md5)[1][0][GROUPS][0]
    cases: list[tuple[str, str, Stream, list[Row], Callable[[Body], object]]] = [
        (
            "a salt of zeros that is written out",
            "run.body",
            URL,
            URLS,
            lambda body: body.__setitem__(0, bytes(16)),
        ),
        ("a salt in a public list", "run.body", URL, URLS, lambda body: body.__setitem__(0, b"\x01" * 16)),
        ("a salt of another length", "run.body", URL, URLS, lambda body: body.__setitem__(0, b"\x01" * 8)),
        ("no section for a table", "run.body", URL, URLS, lambda body: body[1].clear()),
        ("a section for no table", "run.body", URL, URLS, lambda body: body[1].append(body[1][0])),
        ("a body with something more", "run.body", URL, URLS, lambda body: body.append([])),
        ("a section that is a number", "run.section", URL, URLS, lambda body: body[1].__setitem__(0, 5)),
        ("a section without removals", "run.section", URL, URLS, lambda body: body[1][0].pop()),
        (
            "labels out of order within a set",
            "run.labels",
            URL,
            URLS,
            _section(SETS, [[], ["uk-sap:1:B", "ai_generated"], ["uk-sap:1:A"]]),
        ),
        (
            "label sets out of order",
            "run.labels",
            URL,
            URLS,
            _section(SETS, [[], ["uk-sap:1:A"], ["ai_generated", "uk-sap:1:B"]]),
        ),
        (
            "a label of another spelling",
            "run.labels",
            URL,
            URLS,
            _section(SETS, [[], ["AI_generated"], ["uk-sap:1:A"]]),
        ),
        (
            "a label set that no row uses",
            "run.labels",
            URL,
            URLS,
            _section(SETS, [[], ["ai_generated", "uk-sap:1:B"], ["uk-sap:1:A"], ["zzz"]]),
        ),
        ("a label id without a set", "run.labels", URL, URLS, _section(IDS, bytes((0, 1, 2, 3, 2)))),
        ("a label column of another length", "run.labels", URL, URLS, _section(IDS, bytes((0, 1, 2, 2)))),
        ("a label column that is written out for one set", "run.labels", URL, pairs, _section(IDS, bytes(2))),
        ("an unknown tag in the counts", "run.counts", URL, URLS, _section(COUNTS, [[99, 5]])),
        ("a tag of digests in the counts of URLs", "run.counts", URL, URLS, _section(COUNTS, [[16, 5]])),
        (
            "a count of zero",
            "run.counts",
            URL,
            URLS,
            _section(COUNTS, [[1, 2], [2, 0], [3, 1], [4, 1], [5, 1]]),
        ),
        ("counts out of order", "run.counts", URL, URLS, _section(COUNTS, [[3, 1], [1, 2], [4, 1], [5, 1]])),
        (
            "counts of a base that do not add up",
            "run.counts",
            URL,
            URLS,
            _section(COUNTS, [[1, 3], [3, 1], [4, 1], [5, 1]]),
        ),
        (
            "counts of a base that say other tags than its rows",
            "run.counts",
            URL,
            URLS,
            _section(COUNTS, [[1, 1], [3, 2], [4, 1], [5, 1]]),
        ),
        ("an unknown tag of a row", "run.forms", URL, pairs, _section(TAG_COLUMN, b"\x63")),
        ("a tag of digests for a URL", "run.forms", URL, pairs, _section(TAG_COLUMN, b"\x10")),
        (
            "a tag column that is written out for one tag",
            "run.forms",
            URL,
            pairs,
            _section(TAG_COLUMN, b"\x01\x01"),
        ),
        ("fewer tags than forms", "run.forms", URL, URLS, _section(TAG_COLUMN, b"\x01\x01\x03\x04")),
        ("fewer hosts than forms", "run.forms", URL, pairs, _section(RESTS, b"example.a")),
        ("fewer paths than forms", "run.forms", URL, pairs, _section(PATHS, b"")),
        (
            "a host that shares less than it could",
            "run.forms",
            URL,
            pairs,
            _both(b"\0\0", b"example.a\nexample.b"),
        ),
        ("a host that shares more than there is", "run.forms", URL, pairs, _both(b"\0\x0a", b"example.a\nb")),
        ("a first host that shares something", "run.forms", URL, pairs, _both(b"\x01\x08", b"example.a\nb")),
        ("hosts out of order", "run.forms", URL, pairs, _both(b"\0\x08", b"example.b\na")),
        ("the same form twice", "run.forms", URL, pairs, _both(b"\0\x09", b"example.a\n")),
        (
            "paths of one host out of order",
            "run.forms",
            URL,
            pairs,
            lambda body: (_both(b"\0\x09", b"example.a\n")(body), _section(PATHS, b"y\nx")(body)),
        ),
        ("a slash in a host", "run.forms", URL, pairs, _both(b"\0\x08", b"example.a\nb/c")),
        ("a control character in a host", "run.forms", URL, pairs, _both(b"\0\x08", b"example.a\n\x7f")),
        ("a blank in a path", "run.forms", URL, pairs, _section(PATHS, b"\n ")),
        ("a byte beyond ASCII in a path", "run.forms", URL, pairs, _section(PATHS, b"\n\xe9")),
        ("a form that is not canonical", "run.forms", URL, pairs, _section(PATHS, b"\n%61")),
        ("a host in upper case", "run.forms", URL, pairs, _both(b"\0\0", b"EXAMPLE.a\nexample.b")),
        ("a host entry with a path", "run.forms", URL, [(4, "a.example", ())], _section(PATHS, b"x")),
        ("a path prefix of a whole host", "run.forms", URL, [(3, "a.example/x", ())], _section(PATHS, b"")),
        (
            "a query in an entry for any query",
            "run.forms",
            URL,
            [(2, "a.example/x", ())],
            _section(PATHS, b"x?y"),
        ),
        ("an unknown signal", "run.digests", hashes, md5, _section(GROUPS, [[99, *group[1:]]])),
        (
            "a near match among exact digests",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[32, *group[1:]]]),
        ),
        ("a group of digests twice", "run.digests", hashes, md5, _section(GROUPS, [group, group])),
        ("an empty group of digests", "run.digests", hashes, md5, _section(GROUPS, [[16, b"", b""], group])),
        (
            "a digest that is cut short",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[18, group[1], group[2][:-1]]]),
        ),
        (
            "heads of digests that are no 64-bit integers",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[18, group[1][:-1], group[2]]]),
        ),
        (
            "heads of digests that run over 64 bits",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[18, b"\xff" * 16, group[2]]]),
        ),
        (
            "the same digest twice",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[18, encode_u64([5, 5]), bytes(16)]]),
        ),
        (
            "digests out of order",
            "run.digests",
            hashes,
            md5,
            _section(GROUPS, [[18, encode_u64([5, 5]), bytes((1,)) + bytes(15)]]),
        ),
        ("the same key twice", "run.keys", match, URLS, _keys([1, 1, 2, 3, 4], [7, 7, 7, 7, 7])),
        ("keys out of order", "run.keys", match, URLS, _keys([1, 1, 2, 3, 4], [7, 6, 7, 7, 7])),
        ("keys whose halves differ in number", "run.keys", match, URLS, _section(LO, lo[:-4])),
        ("keys that run over 64 bits", "run.keys", match, URLS, _section(HI, b"\xff" * len(hi))),
        (
            "a base with removals",
            "run.removals",
            URL,
            URLS,
            _section(REMOVALS, [[8, 1, encode_rice([0], 8)]]),
        ),
    ]
    for description, layer, stream, rows, change in cases:
        body = copy.deepcopy(_body(stream, rows))
        change(body)
        yield vector(description, "run", stream.given(carry(stream, body)), layer)


def _body(stream: Stream, rows: list[Row]) -> Body:
    return body_of(stream, stream.base({name: rows if name == "exact" else [] for name in stream.tables}))


def _section(field: int, value: Any) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][field] = value

    return change


def _both(shared: bytes, rests: bytes) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][SHARED], body[1][0][RESTS] = shared, rests

    return change


def _keys(hi: list[int], lo: list[int]) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][HI], body[1][0][LO] = encode_u64(hi), b"".join(half.to_bytes(4, "little") for half in lo)

    return change
