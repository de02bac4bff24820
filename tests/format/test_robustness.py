"""Whatever comes, decoders raise nothing but VallumError, and hold their bounds."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.vectorsmith.streams import DIGESTS, NEAR, URLS, Stream, file_of, header, over_the_wire
from tests.format.lists import TABLES
from vallum.errors import FormatError, VallumError
from vallum.format import limits
from vallum.format.charter import parse_charter
from vallum.format.columns import compress, pack
from vallum.format.head import parse_head
from vallum.format.run import apply_run, format_body, parse_run
from vallum.format.table import check_table, format_table, parse_table

STREAMS = [
    Stream("url", "full", host_bits=20),
    Stream("url", "match", host_bits=20),
    Stream("hash", "full", TABLES["hash"]),
    Stream("hash", "match", TABLES["hash"]),
]
IDS = [f"{stream.kind}-{stream.edition}" for stream in STREAMS]


def rows_of(stream: Stream) -> dict[str, list[object]]:
    return {"exact": list(URLS)} if stream.kind == "url" else {"exact": list(DIGESTS), "pdq": list(NEAR)}


def read_run(stream: Stream, data: bytes) -> bool:
    try:
        run = parse_run(stream.codec, data)
        for table in apply_run(run, {}, stream.host_bits).values():
            check_table(parse_table(format_table(table)))
    except VallumError:
        return False
    return True


def read_table(data: bytes) -> None:
    try:
        table = parse_table(data)
        check_table(table)
    except VallumError:
        return
    assert format_table(table) == data


@pytest.mark.parametrize("stream", STREAMS, ids=IDS)
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_no_run(stream: Stream, data: bytes) -> None:
    assert not read_run(stream, data)
    assert not read_run(stream, header(stream, data) + data)
    read_run(stream, header(stream, data) + compress(data or b"\0", 1))
    read_table(data)


@pytest.mark.parametrize("stream", STREAMS, ids=IDS)
def test_changed_bodies_are_refused_or_canonical(stream: Stream) -> None:
    """Each changed body is either refused or the one spelling of what it says."""
    rng = random.Random(stream.kind + stream.edition)  # noqa: S311 - the same changes each time
    base = stream.base(rows_of(stream))  # type: ignore[arg-type]  # rows of both kinds
    raw = format_body(stream.codec, bytes(16), base.sections)
    for _ in range(1_500):
        body = bytearray(raw)
        for _ in range(rng.choice((1, 1, 2, 4))):
            change(body, rng)
        data = header(stream, bytes(body)) + compress(bytes(body) or b"\0", 1)
        try:
            run = parse_run(stream.codec, data)
        except VallumError:
            continue
        assert format_body(stream.codec, run.table_salt, run.sections) == bytes(body)


@pytest.mark.parametrize("stream", STREAMS, ids=IDS)
def test_changed_files_raise_nothing_else(stream: Stream) -> None:
    rng = random.Random(stream.kind + stream.edition)  # noqa: S311 - the same changes each time
    run = stream.base(rows_of(stream))  # type: ignore[arg-type]  # rows of both kinds
    good = file_of(stream, run)
    tables = [
        format_table(table) for table in apply_run(over_the_wire(stream, run), {}, stream.host_bits).values()
    ]
    for _ in range(1_500):
        data = bytearray(good)
        change(data, rng)
        read_run(stream, bytes(data))
        for table in tables:
            changed = bytearray(table)
            change(changed, rng)
            read_table(bytes(changed))
    for end in range(len(good)):
        assert not read_run(stream, good[:end])
    for table in tables:
        for end in range(len(table)):
            with pytest.raises(FormatError):
                parse_table(table[:end])


def change(data: bytearray, rng: random.Random) -> None:
    """Flip, drop, double, or overwrite with what tends to hurt."""
    at = rng.randrange(len(data)) if data else 0
    match rng.randrange(5):
        case 0:
            data[at : at + 1] = bytes((rng.randrange(256),))
        case 1:
            del data[at : at + rng.choice((1, 1, 2, 8))]
        case 2:
            data[at:at] = data[at : at + rng.choice((1, 2, 8))]
        case 3:
            data[at : at + 1] = bytes(
                (rng.choice((0x00, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC3, 0xC4, 0xDC, 0xFF)),)
            )
        case 4:
            data[at : at + 4] = b"\xff" * 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=200)
def test_arbitrary_json_is_no_head_and_no_charter(raw: object) -> None:
    for parse in (parse_head, parse_charter):
        with pytest.raises(FormatError):
            parse(raw)


def peak_of(stream: Stream, body: bytes, raw_max: int | None = None) -> int:
    change = {} if raw_max is None else {"raw_max": raw_max}
    data = header(stream, body, **change) + compress(body, 3)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            parse_run(stream.codec, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_of_zeros_is_refused_before_it_is_opened() -> None:
    assert peak_of(STREAMS[0], bytes(200_000_000), raw_max=1024) < 1_000_000


def test_a_bomb_of_empty_arrays_costs_no_multiple_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte on the wire, 64 in memory: 16 million of them would be a gigabyte."""
    size = 4_000_000
    assert peak_of(STREAMS[0], b"\xdd" + size.to_bytes(4) + b"\x90" * size) < 1.2 * size
    monkeypatch.setattr(
        limits, "VALUES", 20_000
    )  # the bound as it is takes a minute to count under tracemalloc
    nested = b"".join(b"\xdc" + (20_000).to_bytes(2) + b"\x90" * 20_000 for _ in range(200))
    assert peak_of(STREAMS[0], b"\xdc" + (200).to_bytes(2) + nested) < 20_000 * 80 + 1.2 * size


def test_a_long_column_of_removals_is_not_unfolded() -> None:
    body = pack([b"", [[[[1, 1]], [], b"", b"", b"", b"", b"", [[96, 1, b"\xff" * 8_000_000]]]]])
    assert peak_of(Stream("url", "full"), body) < 4 * len(body)
