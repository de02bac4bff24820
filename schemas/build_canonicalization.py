"""Writes ``vectors/canonicalization/*.json``: one file per family, cases of input, form and reason.

The forms are written by hand after canonicalization.md, not computed: the vectors judge the code.
Run it as ``python schemas/build_canonicalization.py`` after a change here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "vectors" / "canonicalization"

Case = tuple[str | bytes, str, str]

P = "example.com/page"

FAMILIES: dict[str, tuple[str, list[Case]]] = {
    "scheme": (
        "3.2",
        [
            ("http://example.com/page", P, "the scheme is dropped"),
            ("https://example.com/page", P, "http and https are one"),
            ("HTTPS://example.com/page", P, "in any case"),
            ("wss://example.com/page", P, "WebSocket schemes are read alike"),
            ("ftp://example.com/page", P, "so is ftp"),
            ("foo://example.com/page", P, "and any scheme with an authority"),
            ("example.com/page", P, "no scheme: the text begins with the host"),
            ("//example.com/page", P, "scheme-relative"),
            ("example.com:8080/page", P, "a host with a port is no scheme"),
            ("localhost:8080/page", "localhost/page", "nor is one without a dot"),
            ("http:example.com/page", P, "slashes after http: may be missing"),
            ("http:/example.com/page", P, "or too few"),
            ("http://///example.com/page", P, "or too many"),
            ("https:\\\\example.com\\page", P, "backslashes are slashes"),
            ("ht\ntp://exa\tmple.com/pa\rge", P, "tabs and line breaks are dropped anywhere"),
            (" \x00http://example.com/page\x1f ", P, "controls and blanks are dropped at both ends"),
        ],
    ),
    "no-host": (
        "3.4",
        [
            ("", "/", "nothing"),
            ("/page", "/", "a path alone"),
            ("?q", "/", "a query alone"),
            ("http://", "/", "no authority"),
            ("http://user@/page", "/", "credentials alone"),
            ("http://./page", "/", "dots alone"),
            ("mailto:someone@example.com", "/", "no authority in this scheme"),
            ("javascript:alert(1)", "/", "nor in this"),
            ("data:text/html,x", "/", "nor in this"),
            ("file:///etc/passwd", "/", "a file of the reader's own"),
            (
                "\u200bhttp://example.com/page",
                "/",
                "the scheme behind an invisible character is read as host",
            ),
            ("http://https://example.com/page", "/", "and so is one behind another"),
        ],
    ),
    "authority": (
        "3.3",
        [
            ("http://user:password@example.com/page", P, "credentials are dropped"),
            ("http://other.example@example.com/page", P, "even if they look like a host"),
            ("http://a@b@example.com/page", P, "up to the last @"),
            ("http://example.com:80/page", P, "the port is dropped"),
            ("http://example.com:00080/page", P, "however it is written"),
            ("http://example.com:/page", P, "and when it is empty"),
            ("http://example.com:8443/page", P, "also an odd one"),
            ("http://example.com:99999/page", P, "also one that no parser accepts"),
            ("http://example.com:port/page", P, "also one that is no number"),
            ("http://example.com#/page", "example.com/", "the fragment is dropped"),
            (
                "http://example.com\\@other.example/page",
                "example.com/@other.example/page",
                "a backslash ends it",
            ),
        ],
    ),
    "host": (
        "4",
        [
            ("http://EXAMPLE.Com/page", P, "lower case"),
            ("http://ex%61mple.com/page", P, "escapes are undone"),
            ("http://ex%2561mple.com/page", P, "to the last"),
            ("http://ex%25252561mple.com/page", P, "however deep"),
            ("http://example.com./page", P, "the root's dot goes"),
            ("http://..example..com../page", P, "and every other one too many"),
            ("http://example\u3002com/page", P, "ideographic full stops are dots"),
            ("http://example\uff0ecom/page", P, "so are full-width ones"),
            ("http://\uff45\uff58ample.com/page", P, "full-width letters are letters"),
            ("http://exam\u00adple.com/page", P, "soft hyphens are nothing"),
            ("http://exam\u200bple.com/page", P, "so are zero-width blanks"),
            ("http://exam%C2%ADple.com/page", P, "escaped ones too"),
            ("http://b\u00fccher.example/page", "xn--bcher-kva.example/page", "A-labels"),
            ("http://B\u00dcCHER.example/page", "xn--bcher-kva.example/page", "of the lower-case name"),
            ("http://b\u0075\u0308cher.example/page", "xn--bcher-kva.example/page", "composed"),
            ("http://fa\u00df.example/page", "xn--fa-hia.example/page", "as browsers do today"),
            ("http://under_score.example/page", "under_score.example/page", "an underscore stays"),
            (
                f"http://{'A' * 64}.example/page",
                f"{'a' * 64}.example/page",
                "a label longer than the DNS can carry stays",
            ),
        ],
    ),
    "address": (
        "4.3",
        [
            ("http://192.0.2.7/page", "192.0.2.7/page", "an IPv4 address"),
            ("http://3221225991/page", "192.0.2.7/page", "as one number"),
            ("http://0xC0.0x0.0x2.0x7/page", "192.0.2.7/page", "hexadecimal"),
            ("http://0300.0.02.07/page", "192.0.2.7/page", "octal"),
            ("http://192.0.519/page", "192.0.2.7/page", "in three parts"),
            ("http://192.519/page", "192.0.2.7/page", "in two"),
            ("http://192.0.2.7./page", "192.0.2.7/page", "with the root's dot"),
            ("http://192..0.2.7/page", "192.0.2.7/page", "with a dot too many"),
            ("http://%31%39%32.0.2.7/page", "192.0.2.7/page", "escaped"),
            ("http://\uff11\uff19\uff12.0.2.7/page", "192.0.2.7/page", "full-width"),
            ("http://[::ffff:192.0.2.7]/page", "192.0.2.7/page", "IPv4-mapped IPv6"),
            ("http://[::ffff:c000:207]/page", "192.0.2.7/page", "the same in hexadecimal"),
            ("http://[2001:DB8:0:0::7]/page", "[2001:db8::7]/page", "IPv6, compressed"),
            ("[2001:db8::7]:80/page", "[2001:db8::7]/page", "without a scheme"),
            (
                "http://vi\u00ea\u0323t.example/",
                "xn--vit-5kz.example/",
                "marks are put in order and joined (NFC)",
            ),
            ("http://256.0.2.7/page", "256.0.2.7/page", "no address, and no name either: kept as written"),
        ],
    ),
    "rejected-host": (
        "4.4",
        [
            ("http://W!eird<>Ho$^.example/page", "w!eird<>ho$^.example/page", "lower case, else as written"),
            ("http://exam%00ple.com/page", "exam%00ple.com/page", "NUL stays escaped"),
            ("http:// example.com/page", "%20example.com/page", "so does a blank"),
            (b"http://\x01\x80.example/page", "%01%80.example/page", "and what is no UTF-8"),
            ("http://a%2Fb.example/page", "a%2Fb.example/page", "a slash does not end the host"),
            ("http://a%3Fb.example/page", "a%3Fb.example/page", "nor does a question mark"),
            ("http://a%40b.example/page", "a%40b.example/page", "nor is this a user's name"),
            ("http://a%23b.example/page", "a%23b.example/page", "nor this a fragment"),
            ("http://a%253Ab.example/page", "a%3Ab.example/page", "nor this a port"),
            ("http://[fe80::1%25eth0]/page", "%5Bfe80%3A%3A1%25eth0%5D/page", "an address with a zone"),
        ],
    ),
    "path": (
        "5",
        [
            ("http://example.com", "example.com/", "an empty path is /"),
            ("http://example.com/%70%61ge", P, "escapes are undone"),
            ("http://example.com/%2570age", P, "to the last"),
            ("http://example.com/%25252570age", P, "however deep"),
            ("http://example.com/%25%37%30age", P, "even those whose digits are escaped"),
            ("http://example.com/./page", P, "dot segments are resolved"),
            ("http://example.com/x/../page", P, "both kinds"),
            ("http://example.com/../../page", P, "never above the root"),
            ("http://example.com/x/%2e%2E/page", P, "escaped"),
            ("http://example.com/x/%252e%252e/page", P, "escaped twice"),
            ("http://example.com/page/.", "example.com/page/", "a last dot leaves its slash"),
            ("http://example.com/page/x/..", "example.com/page/", "so do two"),
            ("http://example.com//page", P, "empty segments go"),
            ("http://example.com/%2Fpage", P, "escaped slashes are slashes"),
            ("http://example.com/x\\..\\page", P, "backslashes are slashes"),
            ("http://example.com/x%5C..%5Cpage", P, "escaped ones too"),
            ("http://example.com/page/", "example.com/page/", "a trailing slash stays"),
            ("http://example.com/PAGE", "example.com/PAGE", "case stays"),
            ("http://example.com/page;x=1", "example.com/page;x=1", "parameters stay"),
            ("http://example.com/p\u00e4ge", "example.com/p%C3%A4ge", "UTF-8, escaped in upper case"),
            ("http://example.com/p%c3%a4ge", "example.com/p%C3%A4ge", "whoever escaped it"),
            (b"http://example.com/p\xe4ge", "example.com/p%E4ge", "other bytes as they are"),
            ("http://example.com/p\udce4ge", "example.com/p%E4ge", "also as Python carries them"),
            (
                "http://example.com/\ud83d\ude00",
                "example.com/%F0%9F%98%80",
                "a surrogate pair is one character",
            ),
            ("http://example.com/\ud800", "example.com/%EF%BF%BD", "half of one is U+FFFD"),
            ("http://example.com/a b%20c", "example.com/a%20b%20c", "blanks are escaped"),
            ("http://example.com/a%00b", "example.com/a%00b", "so are controls"),
            ("http://example.com/a%23b", "example.com/a%23b", "and #"),
            ("http://example.com/a%3Fb", "example.com/a%3Fb", "and, in a path, ?"),
            ("http://example.com/100%", "example.com/100%25", "and % itself"),
            ("http://example.com/100%zz", "example.com/100%25zz", "also before what is no digit"),
            ("http://example.com/page>", "example.com/page>", "what text leaves at the end stays"),
            ("http://example.com/page%20", "example.com/page%20", "an escaped blank at the end too"),
            ('http://example.com/"<>`{}|^', 'example.com/"<>`{}|^', "nothing else is"),
        ],
    ),
    "query": (
        "5.4",
        [
            ("http://example.com/page?", P, "an empty query goes"),
            ("http://example.com/page?#x", P, "before a fragment too"),
            ("http://example.com?x", "example.com/?x", "the path before it is /"),
            ("http://example.com/page?b=2&a=1", "example.com/page?b=2&a=1", "the order stays"),
            ("http://example.com/page?%61=%2531", "example.com/page?a=1", "escapes are undone to the last"),
            ("http://example.com/page?a=%26%3D", "example.com/page?a=&=", "all of them"),
            ("http://example.com/page?a+b", "example.com/page?a+b", "a plus is no blank"),
            ("http://example.com/page?a b", "example.com/page?a%20b", "blanks are escaped"),
            ("http://example.com/page?a%23b", "example.com/page?a%23b", "so is #"),
            ("http://example.com/page?a?b", "example.com/page?a?b", "a further ? stays"),
            ("http://example.com/page??", "example.com/page??", "even alone"),
            ("http://example.com/page?x//../y\\z", "example.com/page?x//../y\\z", "a query is no path"),
            ("http://example.com/page?a\tb\nc", "example.com/page?abc", "line breaks are dropped"),
            ("http://example.com/page?\u00e4", "example.com/page?%C3%A4", "UTF-8, escaped"),
        ],
    ),
    "length": (
        "6",
        [
            (
                f"http://example.com/{'a' * 16_000}",
                f"example.com/{'a' * 15_966}~bd0639915fa2e94e100d3b8f9fdf7786",
                "a long path is cut, and ends with a digest of the whole",
            ),
            (
                f"http://example.com/page?{'a' * 16_000}",
                f"example.com/page?{'a' * 16_000}",
                "a query of exactly the limit is not",
            ),
            (f"http://{'a' * 501}.example.com/page", "/", "a host of more than 512 characters is not read"),
            (f"http://ex{chr(0xAD) * 506}ample.com/page", P, "padding within 1,024 bytes of UTF-8 is"),
            (f"http://ex{chr(0xAD) * 512}ample.com/page", "/", "beyond that it is not"),
            (
                f"http://{chr(0x6F22) * 60}%7f.com/",
                "/",
                "nor is a host that no parser takes, escapes counted",
            ),
        ],
    ),
}


def render(name: str) -> str:
    """Return one family's file."""
    section, cases = FAMILIES[name]
    rows: list[dict[str, Any]] = []
    for text, form, reason in cases:
        given = {"input_hex": text.hex()} if isinstance(text, bytes) else {"input": text}
        rows.append({**given, "form": form, "reason": reason})
    about = {"family": name, "spec": f"canonicalization.md §{section}", "canon": "v1", "cases": rows}
    return json.dumps(about, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write all families."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FAMILIES:
        (FOLDER / f"{name}.json").write_text(render(name), encoding="ascii")


if __name__ == "__main__":
    main()
