"""The codecs below the row: canonical msgpack, bounded zstd, delta-coded and byte-shuffled integers.

Pure, and ignorant of what the numbers mean. Each decoder checks a bound before it allocates and refuses
whatever its encoder would not have written (format.md §4).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain
from operator import sub
from typing import Any

import msgpack
import zstandard

from vallum.errors import FormatError
from vallum.format import limits

_WINDOW_LOG = limits.ZSTD_WINDOW.bit_length() - 1
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGE = 1 << 20
_TABLE_LOG = 17
"""Beyond a megabyte, zstd's match finder has tables of so many entries, as a logarithm."""


def pack(value: object) -> bytes:
    """Encode arrays, strings, integers and bytes as canonical msgpack: shortest forms, no maps."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def pack_array(length: int) -> bytes:
    """The head of an array of so many values, which follow it one after another."""
    head: bytes = msgpack.Packer().pack_array_header(length)
    return head


def unpack(layer: str, data: bytes | memoryview[int], max_values: int) -> Any:
    """Decode what :func:`pack` writes: nested lists of ``str``, ``int`` and ``bytes``.

    The format uses so little of msgpack that its one spelling is checked while it is read: a library would
    take other spellings, and would have to be asked for the same bytes again, which costs the body twice.

    Raises:
        FormatError: malformed, of another type, not the shortest spelling, or over ``max_values``.
    """
    reader = _Reader(layer, data, max_values)
    value = reader.value(_DEPTH)
    if reader.at != len(data):
        raise FormatError(layer, "msgpack: bytes are left over")
    return value


_DEPTH = 8
"""Arrays within arrays; the format nests five deep."""

_LONG = {
    0xC4: ("bin", 1, 0), 0xC5: ("bin", 2, 1 << 8), 0xC6: ("bin", 4, 1 << 16),
    0xCC: ("int", 1, 1 << 7), 0xCD: ("int", 2, 1 << 8), 0xCE: ("int", 4, 1 << 16), 0xCF: ("int", 8, 1 << 32),
    0xD9: ("str", 1, 1 << 5), 0xDA: ("str", 2, 1 << 8), 0xDB: ("str", 4, 1 << 16),
    0xDC: ("array", 2, 1 << 4), 0xDD: ("array", 4, 1 << 16),
}  # fmt: skip
"""First byte: type, bytes of the number that follows, and the least number that needs so many."""


class _Reader:
    """A position in canonical msgpack, and how many values may still come."""

    __slots__ = ("_data", "_layer", "_left", "at")

    def __init__(self, layer: str, data: bytes | memoryview[int], max_values: int) -> None:
        self.at = 0
        self._layer, self._data, self._left = layer, memoryview(data), max_values

    def value(self, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise FormatError(self._layer, "msgpack: more values than the limit")
        first = self._take(1)[0]
        if first < 0x80:
            return first
        if 0x90 <= first <= 0x9F:
            return self._array(first & 0x0F, depth)
        if 0xA0 <= first <= 0xBF:
            return self._text(first & 0x1F)
        if first not in _LONG:
            raise FormatError(self._layer, "msgpack: not an array, string, natural number or bin")
        kind, size, least = _LONG[first]
        number = int.from_bytes(self._take(size))
        if number < least:
            raise FormatError(self._layer, "msgpack: not the shortest spelling")
        if kind == "int":
            return number
        if kind == "bin":
            return bytes(self._take(number))
        return self._text(number) if kind == "str" else self._array(number, depth)

    def _array(self, length: int, depth: int) -> list[Any]:
        if not depth:
            raise FormatError(self._layer, "msgpack: arrays are nested too deep")
        if length > self._left:
            raise FormatError(self._layer, "msgpack: more values than the limit")
        return [self.value(depth - 1) for _ in range(length)]

    def _text(self, length: int) -> str:
        try:
            return str(self._take(length), "utf-8")
        except UnicodeDecodeError:
            raise FormatError(self._layer, "msgpack: a string is not UTF-8") from None

    def _take(self, size: int) -> memoryview[int]:
        end = self.at + size
        if end > len(self._data):
            raise FormatError(self._layer, "msgpack: cut short")
        taken = self._data[self.at : end]
        self.at = end
        return taken


def compress(raw: bytes, level: int, blocks: Sequence[int] = ()) -> bytes:
    """Make one zstd frame that declares its size and stays within the window limit.

    Args:
        raw: what to compress.
        level: zstd's.
        blocks: sizes of the stretches that are each to begin a block (:mod:`vallum.format.blocks`).
    """
    best = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(raw))
    # Columns are sorted: what is alike lies close, and a large table of what lies far is slow to search.
    most = _TABLE_LOG if len(raw) > _LARGE else 30
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(raw),
        window_log=min(best.window_log, _WINDOW_LOG),
        hash_log=min(best.hash_log, most),
        chain_log=min(best.chain_log, most),
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    if len(blocks) < 2:
        return compressor.compress(raw)
    stream, view, frame, at = compressor.compressobj(size=len(raw)), memoryview(raw), bytearray(), 0
    for size in blocks:
        frame += stream.compress(view[at : at + size])
        frame += stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        at += size
    return bytes(frame + stream.flush())


def decompress(layer: str, frame: bytes | memoryview[int], raw_max: int) -> bytes:
    """Open one zstd frame that declares at most ``raw_max`` bytes.

    The declared size is checked first: python-zstandard ignores ``max_output_size`` when a frame declares its
    size (50 MB came out under a limit of 1,000 bytes, DESIGN §5).
    """
    try:
        if frame[:4] != _ZSTD_MAGIC:
            # Skippable frames and dictionaries have magic numbers of their own.
            raise FormatError(layer, "not a zstd frame")
        declared = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError:
        raise FormatError(layer, "not a zstd frame") from None
    if declared.content_size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
        raise FormatError(layer, "the zstd frame does not declare its size")
    if declared.content_size > raw_max:
        raise FormatError(
            layer, f"the zstd frame declares {declared.content_size} bytes, more than {raw_max}"
        )
    if declared.window_size > limits.ZSTD_WINDOW or declared.dict_id:
        raise FormatError(layer, "the zstd frame asks for a larger window or a dictionary")
    if declared.content_size == 0:
        # python-zstandard returns b"" without looking at what follows such a header.
        raise FormatError(layer, "the zstd frame is empty")
    try:
        raw = zstandard.ZstdDecompressor(max_window_size=limits.ZSTD_WINDOW).decompress(
            frame, allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise FormatError(layer, "the zstd frame does not decompress to what it declares") from None
    return raw


def padme(size: int) -> int:
    """Round up to the next Padmé size: at most 12 % more, and O(log log size) bits are told (PURBs, 2019)."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def shuffle(data: bytes | memoryview[int], width: int) -> bytes:
    """Put all first bytes of fixed-width records together, then all second ones, and so on."""
    return b"".join(bytes(data[plane::width]) for plane in range(width))


def unshuffle(data: bytes | memoryview[int], width: int) -> bytearray:
    """Undo :func:`shuffle`; ``len(data)`` is a multiple of ``width``."""
    count = len(data) // width
    out = bytearray(len(data))
    for plane in range(width):
        out[plane::width] = data[plane * count : (plane + 1) * count]
    return out


def encode_u64(values: Sequence[int]) -> bytes:
    """Encode ascending 64-bit integers: differences, little-endian, byte-shuffled."""
    if not values:
        return b""
    deltas = array("Q", chain((values[0],), map(sub, values[1:], values)))
    return shuffle(memoryview(deltas).cast("B"), 8)


def decode_u64(layer: str, data: bytes) -> memoryview[int]:
    """Decode what :func:`encode_u64` wrote. Equal neighbours are allowed here; the caller knows better.

    Raises:
        FormatError: not whole integers, more than a table's rows, or a sum of more than 64 bits.
    """
    if len(data) % 8 or len(data) // 8 > limits.ROWS:
        raise FormatError(layer, f"a column of {len(data)} bytes does not hold 64-bit integers within bounds")
    try:
        return memoryview(array("Q", accumulate(memoryview(unshuffle(data, 8)).cast("Q"))))
    except OverflowError:
        raise FormatError(layer, "a column of sorted integers runs over 64 bits") from None


def encode_rice(values: Sequence[int], bits: int) -> bytes:
    """Rice-code strictly ascending integers below ``2**bits``: gaps less one, in unary and binary parts.

    The binary part has ``bits - n.bit_length()`` bits (at least none), which follows from what the reader
    knows, so there is one encoding only. Padded with zero bits to whole bytes.
    """
    low = max(0, bits - len(values).bit_length())
    mask, previous = (1 << low) - 1, -1
    parts: list[str] = []
    for value in values:
        gap = value - previous - 1
        parts.append("1" * (gap >> low) + (f"0{gap & mask:0{low}b}" if low else "0"))
        previous = value
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return int(text or "0", 2).to_bytes(len(text) // 8)


def decode_rice(layer: str, data: bytes, count: int, bits: int) -> list[int]:
    """Decode ``count`` integers that :func:`encode_rice` wrote.

    Raises:
        FormatError: cut short, left over, padding that is not zero, or a value of more than ``bits`` bits.
    """
    low = max(0, bits - count.bit_length())
    if not count * (low + 1) <= 8 * len(data) <= count * (low + 3) + 7:
        # The unary parts of gaps below 2**bits add up to less than 2 * count.
        raise FormatError(layer, "a Rice-coded column is cut short or too long")
    text = f"{int.from_bytes(data):0{8 * len(data)}b}"
    values: list[int] = []
    at, previous = 0, -1
    for _ in range(count):
        end = text.find("0", at)
        if end < 0 or end + low >= len(text):
            raise FormatError(layer, "a Rice-coded column is cut short")
        gap = ((end - at) << low) | int(text[end + 1 : end + 1 + low] or "0", 2)
        at, previous = end + 1 + low, previous + gap + 1
        values.append(previous)
    if len(text) - at >= 8 or "1" in text[at:]:
        raise FormatError(layer, "a Rice-coded column has bits left over")
    if previous >> bits > 0:
        raise FormatError(layer, f"a Rice-coded column runs over {bits} bits")
    return values


def encode_varint(value: int) -> bytes:
    """LEB128 of an unsigned integer, in its shortest form."""
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | (value & 0x7F))
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(layer: str, data: bytes | memoryview[int], at: int) -> tuple[int, int]:
    """Read one LEB128 integer of at most 64 bits; return it and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or value >> 64:
                break
            return value, at
        shift += 7
    raise FormatError(layer, "an integer of the header is cut short, too long or not in its shortest form")
