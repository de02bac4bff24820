"""The added rows of a URL section: forms, sorted by their hosts read backwards (format.md §4.4.2).

The host is taken out of each form, turned round (``example.com`` becomes ``com.example``), and only what it
does not share with the host before it is sent; paths and queries follow in a column of their own. Keys are
derived by whoever reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vallum.errors import FormatError, InputError
from vallum.expression import KEY_BYTES, TAGS, Keyer, Scope, host_of
from vallum.format import limits
from vallum.format.incoming import CHUNK, Unordered
from vallum.format.rows import Rows
from vallum.url import check_form

_LAYER = "run.forms"
_MOST_SHARED = 255
_SCOPES = {code: tag.scope for code, tag in TAGS.items() if tag.scope is not None}
_BYTE = [bytes((code,)) for code in range(256)]
_BARE = frozenset({Scope.HOST, Scope.DOMAIN})
_HOST_LINES = re.compile(rb"[\x21-.0-\x7e\n]*")
_PATH_LINES = re.compile(rb"[\x21-\x7e\n]*")
_BLOCK = 1 << 18
"""Bytes of text that become lines at a time; more than the longest line."""


def turned(host: str) -> str:
    """Write a host's labels from the last to the first, or back again."""
    return ".".join(reversed(host.split(".")))


def encode_forms(rows: Rows) -> tuple[list[int], list[object]]:
    """Write the rows' values; return their label ids in that order, and the columns of format.md §4.4.2."""
    text = str(rows.values, "ascii")
    lines: list[str] = []  # one object a row, and none that the garbage collector would look at
    start = 0
    for at, length in enumerate(rows.lengths or ()):
        form = text[start + 1 : start + length]
        # Sorts by turned host, form, tag: no byte of them is below the line feed between.
        lines.append(f"{turned(host_of(form))}\n{form}\n{text[start]}{at}")
        start += length
    lines.sort()
    tags, shared, rests, paths, order = [], bytearray(), [], [], []
    previous = ""
    for line in lines:
        backwards, form, last = line.split("\n", 2)
        common = _common(previous, backwards)
        shared.append(common)
        rests.append(backwards[common:])
        paths.append(form[len(backwards) + 1 :])
        tags.append(last[0])
        order.append(int(last[1:]))
        previous = backwards
    codes = "".join(tags).encode("ascii")
    columns: list[object] = [
        codes[:1] if len(set(codes)) == 1 else codes,
        bytes(shared),
        "\n".join(rests).encode("ascii"),
        "\n".join(paths).encode("ascii"),
    ]
    return [rows.label_ids[at] for at in order], columns


def _common(a: str, b: str) -> int:
    """Leading characters that two hosts have in common, as far as one byte can say."""
    most = min(len(a), len(b), _MOST_SHARED)
    if a == b:
        return most
    differ = int.from_bytes(a[:most].encode("ascii")) ^ int.from_bytes(b[:most].encode("ascii"))
    return most - (differ.bit_length() + 7) // 8


def decode_forms(keyer: Keyer, columns: list[object]) -> Unordered:
    """Read the columns of format.md §4.4.2 and derive the keys.

    Raises:
        FormatError: anything that :func:`encode_forms` would not have written, a form that is not canonical
            for its scope included: exports and look-ups are built from it.
    """
    match columns:
        case [bytes(tags), bytes(shared), bytes(rests), bytes(paths)] if len(shared) <= limits.ROWS:
            length = len(shared)
        case _:
            raise FormatError(_LAYER, "a section of forms is malformed")
    if len(set(tags)) == 1 and length > 1:
        # One tag stands for all; written out it would be a second encoding of the same rows.
        tags *= length if len(tags) == 1 else 0
    if len(tags) != length:
        raise FormatError(_LAYER, "there are not as many tags as forms")
    if not set(tags) <= set(_SCOPES):
        raise FormatError(_LAYER, "a tag is not one of URLs", hint="upgrade vallum on this machine")

    rows = Unordered(length)
    parts: list[bytes] = []
    wholes: list[bytes] = []
    values: list[bytes] = []
    begun = {code: keyer.begin(TAGS[code].prefix.encode("ascii")) for code in set(tags)}
    backwards = host = form = ""
    part, last_code = b"", -1
    for code, common, rest, path in zip(
        tags, shared, _lines(rests, length, _HOST_LINES), _lines(paths, length, _PATH_LINES), strict=True
    ):
        last_form = form
        if rest or common != len(backwards):
            if common > len(backwards) or (
                common < _MOST_SHARED and rest[:1] == backwards[common : common + 1]
            ):
                raise FormatError(_LAYER, "a host is not front-coded against the one before it")
            last_backwards, backwards = backwards, backwards[:common] + rest
            if backwards < last_backwards:
                raise FormatError(_LAYER, "hosts are not in ascending order")
            if backwards != last_backwards:
                host, last_form = turned(backwards), ""
                # Forms are sorted by host: one host hash serves all of its rows.
                part = keyer.host_part(host).to_bytes(KEY_BYTES)
        scope = _SCOPES[code]
        form = host if scope in _BARE else f"{host}/{path}"
        if scope in _BARE and path:
            raise FormatError(_LAYER, "an entry of a whole host has a path")
        try:
            check_form(form, scope)
        except InputError:
            # The form itself is nobody's business in a log.
            raise FormatError(_LAYER, f"a form is not canonical for its scope {scope}") from None
        if form < last_form or (form == last_form and code <= last_code):
            raise FormatError(_LAYER, "forms are not in strictly ascending order")
        last_code = code
        text = form.encode("ascii")
        state = begun[code].copy()
        state.update(text)
        parts.append(part)
        wholes.append(state.digest())
        values.append(_BYTE[code] + text)
        if len(values) == CHUNK:
            rows.extend(keyer.joined_all(parts, wholes), values)
            parts, wholes, values = [], [], []
    rows.extend(keyer.joined_all(parts, wholes), values)
    return rows


def _lines(data: bytes, length: int, allowed: re.Pattern[bytes]) -> Iterator[str]:
    """Split a column of text into ``length`` lines, a block at a time: together they are large."""
    if data.count(b"\n") != max(length - 1, 0) or (data and not length):
        raise FormatError(_LAYER, "a column of text has another number of lines than there are forms")
    if not allowed.fullmatch(data):
        raise FormatError(_LAYER, "a column of text is not printable ASCII")
    return _blocks(data) if length else iter(())


def _blocks(data: bytes) -> Iterator[str]:
    at = 0
    while True:
        block = data[at : at + _BLOCK]
        if at + len(block) == len(data):
            yield from block.decode("ascii").split("\n")
            return
        end = block.rfind(b"\n")
        if end < 0:
            raise FormatError(_LAYER, "a line of text is longer than any form")
        yield from block[:end].decode("ascii").split("\n")
        at += end + 1
