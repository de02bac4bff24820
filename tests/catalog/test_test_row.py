"""The row that every list holds is made of its name alone, alike everywhere."""

from __future__ import annotations

import hashlib
import zlib

from vallum import testrow
from vallum.expression import Scope
from vallum.url import entry_form


def test_the_page_is_a_form_under_a_reserved_name() -> None:
    form = testrow.test_url("urls-1")
    assert form == "test.vallum.example/urls-1"
    assert entry_form(f"https://{form}", Scope.URL) == form


def test_the_picture_is_a_png_that_never_changes() -> None:
    picture = testrow.test_picture("pics")
    assert hashlib.sha256(picture).digest() == testrow.test_digest("pics")
    assert (
        testrow.test_digest("pics").hex()
        == "38cade5a97ffd93810e1f16cea244e0bb7abcbceaae9a77b024dd563ada6e4f8"
    )
    assert testrow.test_picture("pics2") != picture
    # Chunk by chunk, as any reader of PNG does.
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(picture):
        size = int.from_bytes(picture[at : at + 4])
        name, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        assert int.from_bytes(picture[at + 8 + size : at + 12 + size]) == zlib.crc32(name + data)
        chunks[name] = data
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"][:8] == bytes([0, 0, 0, 16, 0, 0, 0, 16])
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == 16 * 17
    assert set(pixels[::17]) == {0}
