"""Undoing how a text was spelt: escapes, entities, colours, quoted mail; ASCII is all that is looked for.

For :mod:`.leak`. Whether something is an escape cannot be told for sure (`\\n` in a path begins a name), so
each reading of a text counts, the one that it came in as well. What none undoes is in ``leak.UNREAD`` and in
docs/explanation/confidentiality.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from html import unescape

_ROUNDS = 3
"""How often one thing may be spelt within another, such as JSON in a URL in HTML."""

_INVISIBLE = str.maketrans(
    dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF), None)
)
# The first sign decides, so that all others are passed by at once: four times as fast.
_SPELT = re.compile(
    r"""
    [\x1b%&\\=] (?:
    (?<=\x1b) \[[0-9;:?]*[a-z@~]                       # a terminal's colours
    | (?<=\x1b) \][^\x07\x1b]{0,300}(?:\x07|\x1b\\)     # and its links
    | (?<=%) (?:25)*(?P<percent>[0-7][0-9a-f])
    | (?<=&) (?:amp;)*(?P<entity>(?:\#x[0-9a-f]{1,6}|\#[0-9]{1,7}|[a-z]{2,8});)
    | (?<=\\) \\*u\{?0{0,4}(?P<unicode>[0-7][0-9a-f])\}?
    | (?<=\\) \\*x\{?(?P<hexadecimal>[0-7][0-9a-f])\}?
    | (?<=\\) \\*(?P<octal>[01][0-7]{2})
    | (?<=\\) \\*(?P<escape>e|33)(?=\[)
    | (?<=\\) \\*(?P<control>[bfnrtv0])
    | (?<=\\) \\*(?P<sign>[^a-z0-9\s\\])
    | (?<==) (?P<quoted>[0-7][0-9a-f])                 # quoted-printable
    | (?<==) [ \t]*\r?\n
    )
    """,
    re.VERBOSE,
)


def readings(text: str) -> Iterator[str]:
    """A text in lower case as it is, then with one layer of spelling after the other undone."""
    text = text.lower()
    yield text
    for _ in range(_ROUNDS):
        plain = text
        if not plain.isascii():
            plain = unicodedata.normalize("NFKC", plain.translate(_INVISIBLE)).lower()
        plain = _SPELT.sub(_undone, plain)
        if plain == text:
            return
        yield plain
        text = plain


def _undone(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "percent" | "unicode" | "hexadecimal" | "quoted" as name:
            return chr(int(found[name], 16)).lower()
        case "octal":
            return chr(int(found["octal"], 8)).lower()
        case "entity":
            return unescape(f"&{found['entity']}").lower()
        case "escape":
            return "\x1b"
        case "control":
            return " "
        case "sign":
            return found["sign"]
        case _:
            return ""
