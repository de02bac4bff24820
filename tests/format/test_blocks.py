"""Frames in blocks: they unpack to the same bytes, and cost less where columns differ."""

from __future__ import annotations

from hashlib import shake_128

from hypothesis import given
from hypothesis import strategies as st

from vallum.format.blocks import compress_columns
from vallum.format.columns import compress, decompress, encode_u64, pack

VALUES = st.recursive(
    st.one_of(st.binary(max_size=80), st.text(max_size=8), st.integers(0, 2**64 - 1)),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


def drawn(length: int) -> bytes:
    return shake_128(b"%d" % length).digest(length)


@given(VALUES, st.sampled_from((1, 12, 19)))
def test_a_frame_holds_the_bytes_of_pack(value: object, level: int) -> None:
    frame, size = compress_columns(value, level)
    raw = pack(value)
    assert size == len(raw)
    assert decompress("x", frame, size) == raw
    assert len(frame) <= len(compress(raw, level))


def test_columns_longer_than_a_block_come_out_whole() -> None:
    for length in (1, 131_071, 131_072, 131_073, 1_100_000):
        value = [drawn(length), [b"a" * length, "x"], b"", drawn(7)]
        frame, size = compress_columns(value, 3)
        assert decompress("x", frame, size) == pack(value)


def test_random_bytes_do_not_spoil_the_table_of_skewed_ones() -> None:
    """Keys of a few thousand rows: 3 % less than where one table serves all their bytes."""
    heads = encode_u64(sorted(memoryview(drawn(8 * 5000)).cast("Q")))
    value = [heads, drawn(4 * 5000)]
    frame, _ = compress_columns(value, 16)
    least = 5000 * (64 - 12.29 + 1.44) / 8 + 4 * 5000  # of 5,000 random numbers in ascending order
    assert len(frame) < 1.005 * least
    assert len(frame) < 0.985 * len(compress(pack(value), 16))
