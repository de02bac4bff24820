"""However a leaked file is spelt: strings, URLs, expressions, HTML, mails, terminals' logs."""

from __future__ import annotations

import json
import quopri
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.export.leaked import HASHES, UID, URLS, exported_lines, found_in, owners_of, seed_of
from vallum.format.decoys import DECOYS, decoys_for


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04X}" for char in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "JSON string": json.dumps,
    "JSON string in JSON": lambda text: json.dumps({"file": json.dumps(text)}),
    "JSON string, CR LF": lambda text: json.dumps(text.replace("\n", "\r\n")),
    "JSON, all escaped": _escaped,
    "Python, tabs": lambda text: repr(text.replace("\n", "\t")),
    "after = as JSON spells it": lambda text: text.replace("\n", "\\u003d"),
    "percent": lambda text: "\n".join(quote(f"https://{line}", safe="") for line in text.split()),
    "percent, all of it": lambda text: "".join(f"%{ord(char):02x}" for char in text),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "expression": lambda text: "\n".join(f"^(.*\\.)?{re.escape(line)}$" for line in text.split()),
    "ANSI": lambda text: "\n".join(f"\x1b[01;31m\x1b[K{line}\x1b[m\x1b[K" for line in text.split()),
    "ANSI within": lambda text: text.replace(".", "\x1b[31m.\x1b[0m").replace("a", "a\x1b[0m"),
    "ANSI as JSON": lambda text: json.dumps("".join(f"\x1b[1m{line}\x1b[0m\n" for line in text.split())),
    "[ . ]": lambda text: text.replace(".", " [.] "),
    "dot": lambda text: text.replace(".", " dot "),
    "DOT": lambda text: text.replace(".", "DOT"),
    "no dot": lambda text: text.replace(".", ""),
    "other dots": lambda text: text.replace(".", "。"),
    "entities": lambda text: text.replace(".", "&#46;").replace("/", "&sol;").replace("a", "&#x61;"),
    "entities twice": lambda text: text.replace("\n", "&amp;#10;"),
    "octal": lambda text: text.replace(".", "\\056").replace("\n", "\\012"),
    "hyphens": lambda text: text.replace("\n", "-x\n-"),
    "letters": lambda text: text.replace("\n", "x\nx"),
    "one row": lambda text: text.replace("\n", "_"),
    "columns": lambda text: text.replace(".", ";"),
    "archives' order": lambda text: "\n".join(
        f"{','.join(reversed(line.split('/')[0].split('.')))})/" for line in text.split()
    ),
    "mail": lambda text: quopri.encodestring(text.replace("\n", " ").encode()).decode(),
    "invisible": lambda text: text.replace("e", "e\u200b").replace("o", "\u00ado"),
    "wide": lambda text: text.translate({code: code + 0xFEE0 for code in range(33, 127)}),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_however_it_is_spelt(spelling: str) -> None:
    """A file in a string, a URL, an expression, a terminal's log, a mail: each decoy is found."""
    text = "\n".join(exported_lines(decoys_for(seed_of(3), UID, URLS), 500)) + "\n"
    assert found_in(SPELLINGS[spelling](text).encode()) == {3: DECOYS}


@pytest.mark.parametrize(
    "write",
    [
        lambda text: f"sha256%3A{text}%0A",
        lambda text: f"\\u003d{text}\\u000a",
        lambda text: f"\\f{text}\\b",
        lambda text: f"0x{text}",
        lambda text: f"{text[:9]}\x1b[31m{text[9:]}",
        lambda text: f"{text}bc",
        str.upper,
    ],
)
def test_however_a_digest_is_spelt(write: Callable[[str], str]) -> None:
    owners = owners_of(5, "hash")
    lines = [write(decoy.text) for decoy in decoys_for(seed_of(2), UID, HASHES)]
    for data in ("\n".join(lines), json.dumps("\n".join(lines))):
        assert found_in(data.encode(), owners) == {2: DECOYS}
