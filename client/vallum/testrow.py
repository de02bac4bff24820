"""The harmless row that every list holds (DESIGN §4), made from the list's name alone.

The publisher puts it in when a list is created; a client's self-test looks it up. Both sides make it with
this code, so nothing has to be sent along. URL lists hold a page under a reserved name, hash lists the
SHA-256 of a small grey picture. Pure; byte-identical everywhere (no compressor is involved).
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from vallum.expression import Scope

TEST_SCOPE = Scope.URL
_SIDE = 16
"""Width and height of the picture in pixels."""


def test_url(list_name: str) -> str:
    """Return the form of a URL list's test page; its scope is ``TEST_SCOPE``."""
    return f"test.vallum.example/{list_name}"


def test_picture(list_name: str) -> bytes:
    """Return a hash list's test picture: a PNG of 16 × 16 grey pixels drawn from the list's name."""
    shades = hashlib.shake_128(b"vallum test picture|" + list_name.encode("ascii")).digest(_SIDE * _SIDE)
    # Each scan line begins with filter type 0.
    lines = b"".join(b"\0" + shades[at : at + _SIDE] for at in range(0, len(shades), _SIDE))
    # One stored deflate block: what a compressor emits differs between builds of zlib.
    stored = (
        b"\x78\x01\x01"
        + struct.pack("<HH", len(lines), len(lines) ^ 0xFFFF)
        + lines
        + struct.pack(">I", zlib.adler32(lines))
    )
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", stored), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def test_digest(list_name: str) -> bytes:
    """Return the SHA-256 of :func:`test_picture`, 32 bytes."""
    return hashlib.sha256(test_picture(list_name)).digest()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
