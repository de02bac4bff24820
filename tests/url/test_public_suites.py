"""Public test suites: WHATWG's (Web Platform Tests), and Safe Browsing's documented vectors.

The WPT files are not part of this repository: VALLUM_WPT names a folder that holds ``urltestdata.json``,
``toascii.json`` and ``IdnaTestV2.json`` (from web-platform-tests, url/resources).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ada_url import URL

from vallum.expression import Scope
from vallum.host import host_form, suffixes
from vallum.match.exact import _borders
from vallum.url import NO_HOST, Canonical, canonicalize, check_form

FOLDER = os.environ.get("VALLUM_WPT", "")
needs_wpt = pytest.mark.skipif(not FOLDER, reason="VALLUM_WPT does not name a folder with the WPT files")


def load(name: str) -> list[Any]:
    cases: list[Any] = json.loads((Path(FOLDER) / name).read_text("utf-8", "surrogatepass"))
    return cases


def folded_host(host: str) -> str:
    """What v1 does to a host that the standard has read, in other words than the code's."""
    host = re.sub(r"\.+", ".", host).strip(".")
    mapped = re.fullmatch(r"\[::ffff:(\w+):(\w+)\]", host)
    if mapped:
        number = int(mapped[1], 16) << 16 | int(mapped[2], 16)
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    return host


@needs_wpt
def test_wpt_urls() -> None:
    """Every http and https case: the host is the standard's, path and query are folds of the standard's."""
    read = refused = 0
    for case in load("urltestdata.json"):
        if isinstance(case, str):
            continue
        base = case["base"]
        if case.get("failure"):
            if re.match(r"\s*https?:", case["input"], re.IGNORECASE):
                url = canonicalize(case["input"])
                assert canonicalize(str(url)) == url
                refused += 1
            continue
        if case["protocol"] not in ("http:", "https:"):
            continue
        text = case["input"]
        if base is not None and not re.match(r"[\s\x00-\x1f]*https?:[/\\]{2}", text, re.IGNORECASE):
            # Only a page can resolve a reference; look-ups get what it resolves to.
            text = str(URL(text.encode("utf-8", "replace").decode(), base).href)
        url = canonicalize(text)
        assert url.host == folded_host(case["hostname"]), case
        again = canonicalize(f"http://example.com{case['pathname']}{case['search']}")
        assert (url.path, url.query) == (again.path, again.query), case
        read += 1
    assert read > 200
    assert refused > 50


@needs_wpt
@pytest.mark.parametrize("name", ["toascii.json", "IdnaTestV2.json"])
def test_wpt_hosts(name: str) -> None:
    """Hosts that the standard reads become the standard's; those that it refuses still get a form."""
    wrong = []
    cases = [case for case in load(name) if isinstance(case, dict)]
    for case in cases:
        text = case["input"]
        host = canonicalize(f"https://{text}/x").host
        if case["output"]:
            if host != folded_host(case["output"]):
                wrong.append(text)
        elif host:
            check_form(host, Scope.HOST)
    # The parser differs from IdnaTestV2 in one case of 2,671.
    assert len(wrong) <= 1, wrong
    assert len(cases) > 80


WPT_EXCERPT = [
    ("http://f:00000000000000/c", "f/c"),
    ("http://f:\n/c", "f/c"),
    ("http://user:pass@foo:21/bar;par?b#c", "foo/bar;par?b"),
    ("http://foo/path;a??e#f#g", "foo/path;a??e"),
    ("http:////foo.example:80/x/..", "foo.example/"),
    ("http://GOO\u200b\u2060\ufeffgoo.example", "googoo.example/"),
    ("http://\uff27\uff4f.example", "go.example/"),
    ("http://www.foo\u3002bar.example", "www.foo.bar.example/"),
    ("http://0Xc0.0250.01", "192.168.0.1/"),
    ("http://[::1.2.3.4x]/", "%5B%3A%3A1.2.3.4x%5D/"),
    ("http://example.com/foo/%2e%2", "example.com/foo/.%252"),
    ("http://example.com/foo%41%7a", "example.com/fooAz"),
    ("http://example.com/\u4f60\u597d", "example.com/%E4%BD%A0%E5%A5%BD"),
    ("http://example.com////../..", "example.com/"),
]


@pytest.mark.parametrize(("text", "form"), WPT_EXCERPT)
def test_cases_of_the_standards_kind(text: str, form: str) -> None:
    assert str(canonicalize(text)) == form


SAME = None
SAFE_BROWSING: list[tuple[str | bytes, str, str | None]] = [
    ("http://host/%25%32%35", "host/%25", SAME),
    ("http://host/%25%32%35%25%32%35", "host/%25%25", SAME),
    ("http://host/%2525252525252525", "host/%25", SAME),
    ("http://host/asdf%25%32%35asd", "host/asdf%25asd", SAME),
    ("http://host/%%%25%32%35asd%%", "host/%25%25%25asd%25%25", SAME),
    ("http://www.google.com/", "www.google.com/", SAME),
    (
        "http://%31%36%38%2e%31%38%38%2e%39%39%2e%32%36/%2E%73%65%63%75%72%65/%77%77%77%2E%65%62%61%79%2E%63%6F%6D/",
        "168.188.99.26/.secure/www.ebay.com/",
        SAME,
    ),
    (
        "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/",
        "195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/",
        SAME,
    ),
    (
        "http://host%23.com/%257Ea%2521b%2540c%2523d%2524e%25f%255E00%252611%252A22%252833%252944_55%252B",
        "host%23.com/~a!b@c%23d$e%25f^00&11*22(33)44_55+",
        SAME,
    ),
    ("http://3279880203/blah", "195.127.0.11/blah", SAME),
    ("http://www.google.com/blah/..", "www.google.com/", SAME),
    ("www.google.com/", "www.google.com/", SAME),
    ("www.google.com", "www.google.com/", SAME),
    ("http://www.evil.com/blah#frag", "www.evil.com/blah", SAME),
    ("http://www.GOOgle.com/", "www.google.com/", SAME),
    ("http://www.google.com.../", "www.google.com/", SAME),
    ("http://www.google.com/foo\tbar\rbaz\n2", "www.google.com/foobarbaz2", SAME),
    ("http://www.google.com/q?", "www.google.com/q?", "www.google.com/q"),  # D1
    ("http://www.google.com/q?r?", "www.google.com/q?r?", SAME),
    ("http://www.google.com/q?r?s", "www.google.com/q?r?s", SAME),
    ("http://evil.com/foo#bar#baz", "evil.com/foo", SAME),
    ("http://evil.com/foo;", "evil.com/foo;", SAME),
    ("http://evil.com/foo?bar;", "evil.com/foo?bar;", SAME),
    (b"http://\x01\x80.com/", "%01%80.com/", SAME),
    ("http://notrailingslash.com", "notrailingslash.com/", SAME),
    ("http://www.gotaport.com:1234/", "www.gotaport.com/", SAME),
    ("  http://www.google.com/  ", "www.google.com/", SAME),
    ("http:// leadingspace.com/", "%20leadingspace.com/", SAME),
    ("http://%20leadingspace.com/", "%20leadingspace.com/", SAME),
    ("%20leadingspace.com/", "%20leadingspace.com/", SAME),
    ("https://www.securesite.com/", "www.securesite.com/", SAME),
    ("http://host.com/ab%23cd", "host.com/ab%23cd", SAME),
    ("http://host.com//twoslashes?more//slashes", "host.com/twoslashes?more//slashes", SAME),
    # Of the same kind, where v1 deviates on purpose.
    ("http://host.com/a%3Fb", "host.com/a?b", "host.com/a%3Fb"),  # D2
    ("http://host.com/a%5Cb", "host.com/a\\b", "host.com/a/b"),  # D3
    ("http://[::ffff:192.0.2.7]/", "[::ffff:c000:207]/", "192.0.2.7/"),  # D4
    ("http://W!eird<>Ho$^.com/", "w!eird<>ho$^.com/", SAME),
]
"""Input, Safe Browsing's form without the scheme, and ours where it deviates (canonicalization.md §9)."""


@pytest.mark.parametrize(("text", "theirs", "ours"), SAFE_BROWSING)
def test_safe_browsing_forms(text: str | bytes, theirs: str, ours: str | None) -> None:
    assert str(canonicalize(text)) == (ours or theirs)


def expressions(url: Canonical) -> list[str]:
    """Host suffixes x path prefixes as v1 tries them, in Safe Browsing's notation."""
    borders = list(_borders(url.path.encode(), 0))
    return [f"{host}{url.path[:border]}" for host in suffixes(url.host) for border in borders]


def test_safe_browsing_expressions() -> None:
    """Their published examples are among what v1 looks up, by scope instead of by suffix (D5)."""
    url = canonicalize("http://a.b.com/1/2.html?param=1")
    assert suffixes(url.host) == ["a.b.com", "b.com", "com"]
    assert [url.path[:border] for border in _borders(url.path.encode(), 0)] == ["/1", "/1/", "/1/2.html"]
    assert suffixes("a.b.c.d.e.f.com") == [
        "a.b.c.d.e.f.com", "b.c.d.e.f.com", "c.d.e.f.com", "d.e.f.com", "e.f.com", "f.com", "com",
    ]  # fmt: skip
    assert suffixes("1.2.3.4") == ["1.2.3.4"]
    assert suffixes("[2001:db8::1]") == ["[2001:db8::1]"]
    assert canonicalize("http://1.2.3.4/1/") == Canonical("1.2.3.4", "/1/", None)


def test_a_failure_to_parse_is_no_way_out() -> None:
    for host in (
        "a b.example",
        "a<b.example",
        "a%00b.example",
        "256.256.256.256",
        "[::1.example",
    ):
        with pytest.raises(ValueError, match="Invalid"):
            URL(f"http://{host}/")
        assert canonicalize(f"http://{host}/x") not in (NO_HOST, canonicalize("http://a.example/x"))
        assert host_form(host)
