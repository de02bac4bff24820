"""Percent-escapes: undone to the last, and written back where a form needs them (canonicalization.md §5).

Pure and linear in the input's length. What is a path and what a host is said elsewhere.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_DIGITS = "0123456789ABCDEFabcdef"
_HEX = frozenset(_DIGITS.encode("ascii"))
_VALUE = {f"{high}{low}".encode("ascii"): bytes([int(high + low, 16)]) for high in _DIGITS for low in _DIGITS}
_ROUNDS = 3

_CUT_BYTES = 16


def unescape(data: bytes) -> bytes:
    """Undo escapes until none is left.

    Escapes cannot overlap and each one undone shortens the text, so the order does not matter and the end is
    always the same: no bound on the rounds is needed, and canonicalizing twice changes nothing.
    """
    for _ in range(_ROUNDS):
        if b"%" not in data:
            return data
        shorter = _ESCAPE.sub(lambda found: _VALUE[found[1]], data)
        if len(shorter) == len(data):
            return data
        data = shorter
    return _unescape_deep(data)


def _unescape_deep(data: bytes) -> bytes:
    """Undo any depth in one pass: rounds alone would take quadratic time on ``%25252525…``."""
    out = bytearray()
    for byte in data:
        out.append(byte)
        while len(out) >= 3 and out[-3] == 0x25 and out[-2] in _HEX and out[-1] in _HEX:
            out[-3:] = _VALUE[bytes(out[-2:])]
    return bytes(out)


def escape(data: bytes, unsafe: re.Pattern[bytes], limit: int) -> str:
    """Write ``data`` as ASCII, what ``unsafe`` finds as ``%XX``, in at most ``limit`` characters."""
    text = unsafe.sub(lambda found: b"%%%02X" % found[0][0], data[: limit + 1]).decode("ascii")
    return _fit(text, data, limit)


def _fit(text: str, whole: bytes, limit: int) -> str:
    """Cut escaped text that is longer than ``limit``, and end it with ``~`` and a digest of the whole.

    The digest keeps two long texts apart that differ behind the cut; ``~`` keeps an escape before the cut
    from running into the digest.
    """
    if len(text) <= limit:
        return text
    mark = _cut_mark(whole)
    keep = limit - len(mark)
    partial = text.find("%", keep - 2, keep)
    return text[: partial if partial >= 0 else keep] + mark


def shorten(text: str, limit: int) -> str:
    """Cut raw text that is longer than ``limit``; a digest stands for the rest of it."""
    if len(text) <= limit:
        return text
    return text[:limit] + _cut_mark(text[limit:].encode("utf-8", "surrogatepass"))


def _cut_mark(data: bytes) -> str:
    return f"~{blake2b(data, digest_size=_CUT_BYTES).hexdigest()}"
