"""Runs that are refused: one for each reason, right in everything else (format.md §4)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgpack
import zstandard

from schemas.vectorsmith import Vectors, vector
from schemas.vectorsmith.streams import URLS, Row, Stream, digest, header, over_the_wire
from vallum.format.columns import compress, encode_rice, encode_u64, padme
from vallum.format.run import apply_run, format_body

Body = list[Any]
"""``[salt, [section…]]`` as plain lists."""

URL = Stream("url", "full", host_bits=20)
COUNTS, SETS, IDS, TAG_COLUMN, SHARED, RESTS, PATHS, REMOVALS = range(8)
HI, LO = 3, 4
GROUPS = 3


def _body(stream: Stream, rows: list[Row], start: int = 0) -> Body:
    run = stream.base({name: rows if name == "exact" else [] for name in stream.tables})
    return msgpack.unpackb(format_body(stream.codec, bytes(16), run.sections), raw=False)  # type: ignore[no-any-return] # msgpack is untyped


def _section(field: int, value: Any) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][field] = value

    return change


def vectors() -> Vectors:
    """One scenario for each refusal; each run is right in everything else."""
    yield from _bad_headers()
    yield from _bad_frames()
    yield from _bad_msgpack()
    yield from _bad_bodies()
    yield from _bad_steps()


def _bad_headers() -> Vectors:
    raw = msgpack.packb(_body(URL, URLS))
    frame = compress(raw, 19)
    size = padme(len(raw))
    cases: list[tuple[str, bytes]] = [
        ("an empty file is no run", b""),
        ("a run with the magic of a table", header(URL, raw, magic=b"VTAB") + frame),
        ("a run of a later format", header(URL, raw, magic=b"VRN\x02") + frame),
        ("a run cut within its header", header(URL, raw)[:7]),
        ("an unknown kind", header(URL, raw, facts=0x23) + frame),
        ("an unknown edition", header(URL, raw, facts=0x31) + frame),
        ("a run of another kind than its stream", header(URL, raw, facts=0x22) + frame),
        ("a run of another edition than its stream", header(URL, raw, facts=0x11) + frame),
        ("generation 0", header(URL, raw, generation=0) + frame),
        ("epoch 0", header(URL, raw, epoch=0) + frame),
        ("a generation beyond 32 bits", header(URL, raw, generation=1 << 32) + frame),
        ("a run that leads nowhere", header(URL, raw, start=7) + frame),
        ("a run that leads back", header(URL, raw, start=8) + frame),
        ("a version beyond exact numbers in JSON", header(URL, raw, end=1 << 53) + frame),
        ("a number of the header in a longer form", header(URL, raw, generation=b"\x81\x00") + frame),
        ("a number of the header beyond 64 bits", header(URL, raw, end=b"\xff" * 9 + b"\x02") + frame),
        ("a raw_max that is no Padmé size", header(URL, raw, raw_max=size + 1) + frame),
        ("a raw_max beyond the limit", header(URL, raw, raw_max=padme(1 << 32)) + frame),
        ("a sealed run in a public list", header(URL, raw, facts=0xA1, salt=b"\x01" * 32) + frame),
        ("a sealed run cut within its salt", header(URL, raw, facts=0xA1, salt=b"\x01" * 31)),
    ]
    for description, data in cases:
        yield vector(description, "run", URL.given(data), "run.header")


def _bad_frames() -> Vectors:
    raw = msgpack.packb(_body(URL, [(1, f"a{at}.example/", ()) for at in range(90)]))
    frame = compress(raw, 19)
    assert frame[4] == 0x60, "two bytes of content size in a single segment"  # noqa: S101, a builder that checks itself
    size = int.from_bytes(frame[5:7], "little")
    unsized = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(raw)
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=24, write_content_size=True)
    streamed = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    window = streamed.compress(raw) + streamed.flush()
    window = (
        window[:4]
        + bytes((window[4] | 0x40,))
        + window[5:6]
        + (len(raw) - 256).to_bytes(2, "little")
        + window[6:]
    )
    bomb = compress(bytes(1 << 20), 19)

    def resized(by: int) -> bytes:
        return frame[:5] + (size + by).to_bytes(2, "little") + frame[7:]

    cases: list[tuple[str, bytes]] = [
        ("a body that is no zstd frame", header(URL, raw) + b"\0" * 40),
        ("a skippable frame", header(URL, raw) + b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"),
        ("a frame that does not declare its size", header(URL, raw) + unsized),
        ("a frame that declares more than raw_max", header(URL, raw) + bomb),
        ("a frame that declares more than it holds", header(URL, bytes(len(raw) + 1)) + resized(1)),
        ("a frame that declares less than it holds", header(URL, raw) + resized(-1)),
        (
            "a raw_max larger than the body's Padmé size",
            header(URL, raw, raw_max=2 * padme(len(raw))) + frame,
        ),
        ("a frame that asks for a window of 16 MiB", header(URL, raw) + window),
        ("a frame that asks for a dictionary", header(URL, raw) + frame[:4] + b"\x61\x07" + frame[5:]),
        ("bytes after the frame", header(URL, raw) + frame + b"\0"),
        ("a second frame after the frame", header(URL, raw) + frame + compress(b"x", 19)),
        ("a frame that is cut short", header(URL, raw) + frame[:-1]),
        ("a frame of nothing", header(URL, b"") + compress(b"", 19)),
    ]
    for description, data in cases:
        yield vector(description, "run", URL.given(data), "run.frame")


def _bad_msgpack() -> Vectors:
    raw = msgpack.packb(_body(URL, URLS))
    count = msgpack.packb([1, 2])  # the first pair of counts

    def spelt(new: bytes) -> bytes:
        assert raw.count(count) == 1  # noqa: S101, a builder that checks itself
        return bytes(raw.replace(count, new))

    cases: list[tuple[str, bytes]] = [
        ("an integer in two bytes where one does", spelt(b"\x92\x01\xcc\x02")),
        ("an integer in nine bytes where one does", spelt(b"\x92\x01\xcf" + (2).to_bytes(8))),
        ("an array in three bytes where one does", spelt(b"\xdc\x00\x02\x01\x02")),
        ("true for a number", spelt(b"\x92\xc3\x02")),
        ("nil for a number", spelt(b"\x92\x01\xc0")),
        ("a float for a number", spelt(b"\x92\x01\xcb" + bytes(8))),
        ("a negative number", spelt(b"\x92\x01\xff")),
        ("a map for a pair", spelt(b"\x81\x01\x02")),
        ("an extension type", spelt(b"\xd5\x00\x01\x02")),
        ("a bin in three bytes where two do", b"\x92\xc5\x00\x00" + raw[3:]),
        ("an array that declares more than there is", b"\xdd\xff\xff\xff\xff" + raw[1:]),
        ("a bin that declares more than there is", b"\x92\xc6\xff\xff\xff\xff" + raw[3:]),
        ("arrays nested too deep", b"\x91" * 64 + b"\x00"),
        ("more values than the limit", b"\xdd" + ((1 << 20) + 1).to_bytes(4) + b"\x00" * ((1 << 20) + 1)),
        ("bytes after the body", raw + b"\0"),
        ("a body that is cut short", raw[:-1]),
        ("text that is not UTF-8", raw.replace(b"\xaauk-sap", b"\xaauk\xffsap", 1)),
    ]
    for description, body in cases:
        yield vector(description, "run", URL.given(header(URL, body) + compress(body, 19)), "run.msgpack")


def _bad_bodies() -> Vectors:
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
        raw = msgpack.packb(body)
        yield vector(description, "run", stream.given(header(stream, raw) + compress(raw, 19)), layer)


def _both(shared: bytes, rests: bytes) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][SHARED], body[1][0][RESTS] = shared, rests

    return change


def _keys(hi: list[int], lo: list[int]) -> Callable[[Body], object]:
    def change(body: Body) -> None:
        body[1][0][HI], body[1][0][LO] = encode_u64(hi), b"".join(half.to_bytes(4, "little") for half in lo)

    return change


def _bad_steps() -> Vectors:
    held = apply_run(over_the_wire(URL, URL.base({"exact": URLS}, 5)), {}, URL.host_bits)
    keys = [int.from_bytes(key) for key in held["exact"].rows.keys()]  # noqa: SIM118, a method
    new: Row = (1, "new.example/", ())
    right = URL.step(URLS, [*URLS, new], [new])

    def step(groups: Any = None, counted: Any = None, start: int = 5, end: int = 7) -> bytes:
        body = msgpack.unpackb(format_body(URL.codec, bytes(16), right.sections), raw=False)
        if groups is not None:
            body[1][0][REMOVALS] = groups
        if counted is not None:
            body[1][0][COUNTS] = counted
        raw = msgpack.packb(body)
        return header(URL, raw, start=start, end=end) + compress(raw, 19)

    added = int.from_bytes(URL.key(new))
    shared = max(bits for bits in range(1, 96) if len({key >> 96 - bits for key in keys}) < len(keys))
    common = next(
        key >> 96 - shared for key in keys if sum(key >> 96 - shared == k >> 96 - shared for k in keys) > 1
    )
    one = keys[0]
    fewer = [[1, 2], [3, 1], [4, 1], [5, 1]]
    refused: list[tuple[str, str, bytes]] = [
        ("a removal of no bits", "run.removals", step([[0, 1, b"\0"]])),
        ("a removal of more bits than a key has", "run.removals", step([[97, 1, encode_rice([0], 97)]])),
        ("a group of no removals", "run.removals", step([[8, 0, b""]])),
        (
            "more than eight groups of removals",
            "run.removals",
            step([[bits, 1, encode_rice([0], bits)] for bits in range(20, 29)]),
        ),
        (
            "groups of removals out of order",
            "run.removals",
            step([[9, 1, encode_rice([0], 9)], [8, 1, encode_rice([1], 8)]]),
        ),
        ("removals that are cut short", "run.removals", step([[64, 2, encode_rice([5, 2**63], 64)[:-1]]])),
        (
            "removals with a byte left over",
            "run.removals",
            step([[64, 2, encode_rice([5, 2**63], 64) + b"\0"]]),
        ),
        (
            "removals with padding that is not zero",
            "run.removals",
            step([[9, 1, _flipped(encode_rice([0], 9))]]),
        ),
        (
            "a removal that names a row that the run adds",
            "run.removals",
            step([[96, 1, encode_rice([added], 96)]]),
        ),
        ("a removal that names two rows", "state", step([[shared, 1, encode_rice([common], shared)]])),
        (
            "two removals that name one row",
            "state",
            step([[95, 1, encode_rice([one >> 1], 95)], [96, 1, encode_rice([one], 96)]]),
        ),
        ("counts of a step that do not add up", "state", step(counted=fewer)),
        (
            "counts of a step that say other tags than its rows",
            "state",
            step(counted=[[1, 2], [3, 2], [4, 1], [5, 1]]),
        ),
        ("a step that begins after the held version", "state", step(start=6)),
        ("a step that ends at the held version", "state", step(start=4, end=5)),
    ]
    for description, expect, data in refused:
        yield vector(description, "run", URL.given(data, held), expect)
    yield vector("a step for a client that holds nothing", "run", URL.given(step(), {}), "state")


def _flipped(column: bytes) -> bytes:
    return column[:-1] + bytes((column[-1] | 1,))
