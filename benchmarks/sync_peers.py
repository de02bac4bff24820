"""What others would send: models of Safe Browsing's delta, and lists and changes as compressed text."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import zstandard


def rice_bytes(values: Sequence[int], bits: int) -> int:
    """Size of Safe Browsing's RiceDelta coding of distinct integers (first value, parameter, coded gaps)."""
    ordered = sorted(values)
    if not ordered:
        return 0
    gaps = [b - a for a, b in pairwise(ordered)]
    coded = 0
    if gaps:
        guess = max(0, int(math.log2(max(1, sum(gaps) / len(gaps)) * 0.69)))
        coded = min(
            sum((gap >> low) + 1 + low for gap in gaps) for low in range(max(0, guess - 1), guess + 3)
        )
    return bits // 8 + 3 + (coded + 7) // 8


def safe_browsing_bytes(before: set[bytes], after: set[bytes]) -> int:
    """Model of a v5 HashList partial update with 16-byte additions: the exact delta, checksum, version."""
    held = sorted(int.from_bytes(prefix) for prefix in before)
    removed = [bisect_left(held, int.from_bytes(prefix)) for prefix in before - after]
    added = [int.from_bytes(prefix) for prefix in after - before]
    return rice_bytes(added, 128) + rice_bytes(removed, 32) + 32 + 8


def text_delta_bytes(changes: Mapping[bytes, bool]) -> int:
    """Size of a version's changes as text by zstd -19, as RRDP, NRTMv4 and ClamAV send them."""
    return _packed(f"{'+' if listed else '-'}{_line(value)}" for value, listed in sorted(changes.items()))


def text_list_bytes(values: Iterable[bytes]) -> int:
    """Size of the whole list as sorted text by zstd -19."""
    return _packed(sorted(map(_line, values)))


def _packed(lines: Iterable[str]) -> int:
    text = "".join(f"{line}\n" for line in lines)
    return len(zstandard.ZstdCompressor(level=19).compress(text.encode()))


def _line(value: bytes) -> str:
    """A row's value as others would write it."""
    return f"http://{value[1:].decode()}" if value[0] < 16 else value[1:].hex()
