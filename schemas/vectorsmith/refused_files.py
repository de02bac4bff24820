"""Runs refused for their header, frame or msgpack, right in everything else (format.md §4.1, §4.2)."""

from __future__ import annotations

import msgpack
import zstandard

from schemas.vectorsmith import Vectors, vector
from schemas.vectorsmith.bodies import URL, body_of
from schemas.vectorsmith.streams import URLS, header
from vallum.format.columns import compress, padme


def vectors() -> Vectors:
    """One scenario for each refusal."""
    yield from _bad_headers()
    yield from _bad_frames()
    yield from _bad_msgpack()


def _bad_headers() -> Vectors:
    raw = msgpack.packb(body_of(URL, URL.base({"exact": URLS})))
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
    raw = msgpack.packb(body_of(URL, URL.base({"exact": [(1, f"a{at}.example/", ()) for at in range(90)]})))
    frame = compress(raw, 19)
    assert frame[4] == 0x60, "two bytes of content size in a single segment"  # noqa: S101 - a builder that checks itself
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
    raw = msgpack.packb(body_of(URL, URL.base({"exact": URLS})))
    count = msgpack.packb([1, 2])  # the first pair of counts

    def spelt(new: bytes) -> bytes:
        assert raw.count(count) == 1  # noqa: S101 - a builder that checks itself
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
