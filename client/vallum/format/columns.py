"""The codecs below the row: canonical msgpack, bounded zstd, delta-coded and byte-shuffled integers.

Pure, and ignorant of what the numbers mean. Each decoder checks a bound before it allocates and refuses
whatever its encoder would not have written (format.md §4).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from operator import sub
from typing import Any

import msgpack
import zstandard

from vallum.errors import FormatError
from vallum.format import limits

U64_MAX = 2**64 - 1


def pack(value: object) -> bytes:
    """Encode arrays, strings, integers and bytes as canonical msgpack: shortest forms, no maps."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(layer: str, data: bytes, max_items: int) -> Any:
    """Decode canonical msgpack whose arrays hold at most ``max_items``; strings and bins fit in ``data``.

    Raises:
        FormatError: malformed, out of bounds, or another spelling than :func:`pack` would give (msgpack
            itself accepts duplicate keys and long integers).
    """
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            max_array_len=max_items,
            max_bin_len=len(data),
            max_str_len=min(len(data), limits.TEXT),
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise FormatError(layer, f"not msgpack within bounds ({type(error).__name__})") from None
    try:
        same = pack(value) == data
    except (ValueError, TypeError, OverflowError):
        same = False
    if not same:
        raise FormatError(layer, "not the canonical msgpack encoding")
    if not _is_plain(value):
        raise FormatError(layer, "a value is not an array, string, integer or bin")
    return value


def _is_plain(value: object) -> bool:
    """Leave no bool that would pass for an integer, no float, no nil."""
    if type(value) is list:
        return all(map(_is_plain, value))
    return type(value) in (str, int, bytes)


def compress(raw: bytes, level: int) -> bytes:
    """Make one zstd frame that declares its size and stays within the window limit."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(raw), write_content_size=True, write_checksum=False, write_dict_id=False
    )
    if parameters.window_log > 23:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=len(raw), window_log=23, write_content_size=True, write_checksum=False
        )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def decompress(layer: str, frame: bytes, raw_max: int) -> bytes:
    """Open one zstd frame that declares at most ``raw_max`` bytes.

    The declared size is checked first: python-zstandard ignores ``max_output_size`` when a frame declares its
    size (50 MB came out under a limit of 1,000 bytes, DESIGN §5).
    """
    try:
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
    except (zstandard.ZstdError, MemoryError) as error:
        raise FormatError(layer, f"the zstd frame does not decompress ({type(error).__name__})") from None
    if len(raw) != declared.content_size:
        raise FormatError(layer, "the zstd frame holds another size than it declares")
    return raw


def padme(size: int) -> int:
    """Round up to the next Padmé size: at most 12 % more, and O(log log size) bits are told (PURBs, 2019)."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def shuffle(data: bytes | memoryview, width: int) -> bytes:
    """Put all first bytes of fixed-width records together, then all second ones, and so on."""
    return b"".join(bytes(data[plane::width]) for plane in range(width))


def unshuffle(data: bytes, width: int) -> bytearray:
    """Undo :func:`shuffle`; ``len(data)`` is a multiple of ``width``."""
    count = len(data) // width
    out = bytearray(len(data))
    for plane in range(width):
        out[plane::width] = data[plane * count : (plane + 1) * count]
    return out


def encode_sorted(values: Sequence[int], width: int) -> bytes:
    """Encode ascending integers of ``width`` bytes: differences, little-endian, byte-shuffled."""
    if not values:
        return b""
    deltas: Iterable[int] = chain((values[0],), map(sub, values[1:], values))
    if width == 8:
        return shuffle(memoryview(array("Q", deltas)).cast("B"), 8)
    return shuffle(b"".join(delta.to_bytes(width, "little") for delta in deltas), width)


def decode_sorted(layer: str, data: bytes, width: int, bits: int) -> list[int]:
    """Decode what :func:`encode_sorted` wrote; every value fits in ``bits`` bits.

    Equal neighbours are allowed here; the caller knows whether they are.
    """
    if len(data) % width:
        raise FormatError(layer, f"a column of {len(data)} bytes does not hold values of {width}")
    raw = unshuffle(data, width)
    deltas: Iterable[int]
    if width == 8:
        deltas = memoryview(raw).cast("Q")
    else:
        deltas = (int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width))
    values = list(accumulate(deltas))
    if values and values[-1] >> bits:
        raise FormatError(layer, f"a column of sorted values runs over {bits} bits")
    return values
