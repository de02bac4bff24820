"""Where the blocks of a zstd frame begin: at the borders of columns whose bytes are spread differently.

A block has one Huffman table for its literals, and zstd begins a new block by itself only between matches.
Columns of keys, digests and removals have none: their random bytes would spoil the table of the skewed ones
beside them (2 to 12 % of a run). Readers need not know: any frame is as good as another (format.md §1.2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from vallum.format.columns import compress, pack, pack_array

_BLOCK = 128 << 10
"""The most that one block holds (RFC 8878 §3.1.1.2.4); a longer column begins one in any case."""
_SMALL = 16 << 10
"""Up to so many bytes the frame without borders is made as well, for it may be smaller."""
_HEADER_BITS = 24
_SYMBOL_BITS = 3.5
"""What a block costs, and each byte value in its Huffman table, about."""
_EIGHTHS = 8
"""Integers are byte-shuffled, so each eighth of their column is spread in its own way."""


def compress_columns(value: object, level: int) -> tuple[bytes, int]:
    """Make one zstd frame of the bytes that ``pack`` would write; return it and the size unpacked."""
    blocks = list(_blocks(_pieces(value)))
    raw = b"".join(blocks)
    frame = compress(raw, level, tuple(map(len, blocks)))
    if len(blocks) > 1 and len(raw) <= _SMALL:
        frame = min(frame, compress(raw, level), key=len)
    return frame, len(raw)


def _pieces(value: object) -> Iterator[bytes]:
    """The bytes of ``pack(value)``, cut wherever another kind of bytes may begin."""
    if isinstance(value, list):
        yield pack_array(len(value))
        for item in value:
            yield from _pieces(item)
        return
    packed = pack(value)
    if not isinstance(value, bytes) or len(value) < _EIGHTHS or len(value) % _EIGHTHS:
        yield packed
        return
    size, at = len(value) // _EIGHTHS, len(packed) - len(value)
    yield packed[: at + size]
    for start in range(at + size, len(packed), size):
        yield packed[start : start + size]


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces for as long as one table for both costs no more than two."""
    current: list[bytes] = []
    tally, bits = Counter[int](), 0.0
    for piece in pieces:
        long = len(piece) > _BLOCK
        own = Counter[int]() if long else Counter(piece)
        joined, apart = tally + own, _bits(own)
        together = _bits(joined)
        if current and (long or together > bits + apart):
            yield b"".join(current)
            current, tally, bits = [], own, apart
        else:
            tally, bits = joined, together
        current.append(piece)
        if long:
            yield b"".join(current)
            current, tally, bits = [], Counter(), 0.0
    if current:
        yield b"".join(current)


def _bits(tally: Counter[int]) -> float:
    """About what a block of such bytes costs: raw, or by its Huffman table."""
    size = tally.total()
    coded = sum(count * math.log2(size / count) for count in tally.values())
    return _HEADER_BITS + min(8.0 * size, coded + _SYMBOL_BITS * len(tally))
