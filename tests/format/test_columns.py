"""The codecs below the row: each has one spelling, and asks before it allocates."""

from __future__ import annotations

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vallum.errors import FormatError
from vallum.format import limits
from vallum.format.columns import (
    compress,
    decode_rice,
    decode_u64,
    decode_varint,
    decompress,
    encode_rice,
    encode_u64,
    encode_varint,
    pack,
    padme,
    shuffle,
    unpack,
    unshuffle,
)

PLAIN = st.recursive(
    st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300), st.text(max_size=300)),
    lambda inner: st.lists(inner, max_size=20),
    max_leaves=30,
).filter(lambda value: depth(value) <= 8)


def depth(value: object) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(PLAIN)
def test_unpacking_undoes_packing(value: object) -> None:
    assert unpack("x", pack(value), 10_000) == value


@given(st.binary(max_size=200))
def test_only_one_spelling_of_a_value_is_read(data: bytes) -> None:
    try:
        value = unpack("x", data, 1_000)
    except FormatError:
        return
    assert pack(value) == data
    assert msgpack.unpackb(data, raw=False, strict_map_key=False) == value


@given(PLAIN, st.data())
def test_a_changed_byte_is_refused_or_means_something_else(value: object, data: st.DataObject) -> None:
    packed = bytearray(pack(value))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = unpack("x", bytes(packed), 10_000)
    except FormatError:
        return
    assert pack(changed) == bytes(packed)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "cut short"),
        ("c0", "not an array"),  # nil
        ("c2", "not an array"),  # false
        ("c3", "not an array"),  # true, which Python takes for 1
        ("ca00000000", "not an array"),  # a float
        ("ff", "not an array"),  # -1
        ("80", "not an array"),  # a map
        ("d40000", "not an array"),  # an extension
        ("cc7f", "shortest"),
        ("cd00ff", "shortest"),
        ("ce0000ffff", "shortest"),
        ("cf00000000ffffffff", "shortest"),
        ("dc000f" + "00" * 15, "shortest"),
        ("dd0000000f" + "00" * 15, "shortest"),
        ("d91f" + "61" * 31, "shortest"),
        ("c500ff" + "00" * 255, "shortest"),
        ("a1ff", "UTF-8"),
        ("a3eda080", "UTF-8"),  # a surrogate
        ("9100" + "00", "left over"),
        ("92", "more values"),
        ("ddffffffff", "more values"),
        ("c6ffffffff", "cut short"),
        ("91" * 9 + "00", "too deep"),
    ],
)
def test_msgpack_of_another_spelling_is_refused(data: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        unpack("x", bytes.fromhex(data), 1 if why == "more values" else 100)


def test_the_number_of_values_is_bounded_in_all_and_not_per_array() -> None:
    nested = pack([[[] for _ in range(9)] for _ in range(10)])
    assert len(unpack("x", nested, 101)) == 10
    with pytest.raises(FormatError, match="more values"):
        unpack("x", nested, 100)


@given(st.integers(0, 2**40))
def test_padme_is_tight_idempotent_and_tells_little(size: int) -> None:
    padded = padme(size)
    assert size <= padded <= size + size // 8
    assert padme(padded) == padded


@given(st.integers(2, 2**40))
def test_padme_is_that_of_its_paper(size: int) -> None:
    exponent = size.bit_length() - 1
    zeros = exponent - (exponent.bit_length())
    assert padme(size) == -(-size // 2**zeros) * 2**zeros


def test_a_body_at_the_limit_can_be_declared() -> None:
    assert padme(limits.RAW) == limits.RAW


@given(st.integers(1, 12), st.binary(max_size=120))
def test_unshuffling_undoes_shuffling(width: int, data: bytes) -> None:
    data = data[: len(data) // width * width]
    assert unshuffle(shuffle(data, width), width) == data


@given(st.lists(st.integers(0, 2**64 - 1)).map(sorted))
def test_sorted_integers_come_back(values: list[int]) -> None:
    assert list(decode_u64("x", encode_u64(values))) == values


@given(st.binary(max_size=64))
def test_a_column_of_integers_has_one_spelling(data: bytes) -> None:
    try:
        values = decode_u64("x", data)
    except FormatError:
        return
    assert encode_u64(values) == data


@given(
    st.integers(1, 96).flatmap(lambda bits: st.tuples(st.just(bits), st.sets(st.integers(0, 2**bits - 1))))
)
def test_rice_coded_integers_come_back(case: tuple[int, set[int]]) -> None:
    bits, values = case
    assert decode_rice("x", encode_rice(sorted(values), bits), len(values), bits) == sorted(values)


@given(st.binary(max_size=20), st.integers(1, 40), st.integers(1, 96))
def test_a_rice_coded_column_has_one_spelling(data: bytes, count: int, bits: int) -> None:
    try:
        values = decode_rice("x", data, count, bits)
    except FormatError:
        return
    assert len(values) == count
    assert values[-1] < 2**bits
    assert encode_rice(values, bits) == data


def test_a_rice_coded_column_longer_than_any_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="too long"):
        decode_rice("x", b"\xff" * 1_000, 10, 96)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=5))
def test_varints_come_back(value: int, behind: bytes) -> None:
    encoded = encode_varint(value)
    assert decode_varint("x", encoded + behind, 0) == (value, len(encoded))


@given(st.binary(max_size=12))
def test_a_varint_has_one_spelling(data: bytes) -> None:
    try:
        value, end = decode_varint("x", data, 0)
    except FormatError:
        return
    assert encode_varint(value) == data[:end]
    assert value < 2**64


@given(st.binary(min_size=1, max_size=2_000), st.integers(1, 19))
def test_decompressing_undoes_compressing(raw: bytes, level: int) -> None:
    assert decompress("x", compress(raw, level), len(raw)) == raw


def frame_of(raw: bytes, **options: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, **options)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def test_a_frame_that_declares_more_than_it_may_is_refused_before_it_is_opened() -> None:
    bomb = compress(bytes(50_000_000), 3)
    assert len(bomb) < 5_000
    with pytest.raises(FormatError, match="declares 50000000 bytes, more than 1000"):
        decompress("x", bomb, 1_000)


def declared(frame: bytes, size: int) -> bytes:
    """The frame with another content size: single segment, one byte of size."""
    assert frame[4] == 0x20
    return frame[:5] + bytes((size,)) + frame[6:]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"", "not a zstd frame"),
        (b"\x28\xb5\x2f\xfd", "not a zstd frame"),
        (b"\x50\x2a\x4d\x18\x05\0\0\0hello", "not a zstd frame"),  # skippable
        (b"\x37\xa4\x30\xec" + bytes(20), "not a zstd frame"),  # a dictionary
        (zstandard.ZstdCompressor(write_content_size=False).compress(b"abc"), "does not declare"),
        (compress(b"", 3), "empty"),
        (compress(b"abc", 3) + b"\0", "does not decompress"),
        (compress(b"abc", 3) * 2, "does not decompress"),
        (compress(b"abc" * 30, 3)[:-1], "does not decompress"),
        (declared(compress(b"abc" * 30, 3), 91), "does not decompress"),
        (declared(compress(b"abc" * 30, 3), 89), "does not decompress"),
    ],
)
def test_a_frame_is_refused(frame: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        decompress("x", frame, 1 << 20)


def test_a_window_larger_than_ours_is_refused() -> None:
    raw = bytes(range(256)) * (40 << 12)
    wide = frame_of(raw, source_size=len(raw), window_log=25, write_content_size=True)
    with pytest.raises(FormatError, match="window"):
        decompress("x", wide, len(raw))
    assert decompress("x", compress(raw, 3), len(raw)) == raw
