"""canonicalize: one form, never an error, nothing left to fold, in linear time."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.match.states import url_matcher
from tests.url.urls import plain, raw_bytes, urls
from vallum.allow import NOTHING
from vallum.errors import InputError
from vallum.expression import Scope
from vallum.match.explain import SHOWN_PROBES, explain
from vallum.match.snapshot import Snapshot
from vallum.url import MAX_INPUT, NO_HOST, Canonical, canonicalize

FORM_LIMIT = 32 * 1024


def check_invariants(url: Canonical) -> None:
    form = str(url)
    assert canonicalize(form) == url
    assert form.isascii()
    assert form.isprintable()
    assert " " not in form
    assert len(form) <= FORM_LIMIT
    assert url.path.startswith("/")
    assert "//" not in url.path
    assert "?" not in url.path
    assert not {".", ".."} & set(url.path.split("/"))
    assert "/" not in url.host
    assert "?" not in url.host
    assert url.query != ""
    assert form.partition("/")[0] == url.host
    if not url.host:
        assert url == NO_HOST


@settings(max_examples=600, deadline=None)
@given(urls)
def test_any_text_has_one_form(text: str) -> None:
    check_invariants(canonicalize(text))


@settings(max_examples=250, deadline=None)
@given(raw_bytes)
def test_any_bytes_have_one_form(data: bytes) -> None:
    check_invariants(canonicalize(data))


@settings(max_examples=250, deadline=None)
@given(plain)
def test_everyday_urls_have_one_form(text: str) -> None:
    check_invariants(canonicalize(text))
    assert canonicalize(text.encode()) == canonicalize(text)


@settings(max_examples=300, deadline=None)
@given(urls, st.integers(1, 6))
def test_escaping_again_and_again_changes_nothing(text: str, times: int) -> None:
    form = str(canonicalize(f"http://example.com/{text}"))
    escaped = form.removeprefix("example.com")
    # Once every byte, then the percent signs alone: the length stays linear.
    escaped = "".join(f"%{ord(letter):02x}" if letter not in "/?%" else letter for letter in escaped)
    escaped = escaped.replace("%", "%" + "25" * times)
    assert str(canonicalize(f"http://example.com{escaped}")) == form


@pytest.mark.parametrize(
    "big",
    [
        "http://h/" + "%25" * 2_000_000,
        "http://h/" + "%" + "25" * 2_500_000,
        "http://h/" + "%25%32%35" * 600_000,
        "http://h/" + "/../a" * 1_000_000,
        "http://h/?" + "\x00" * 5_000_000,
        "http://" + "a." * 2_500_000,
        "http://" + "%" * 5_000_000,
        "http://" + "xn--a." * 900_000,
        "http://" + "ü." * 2_500_000,
        "http://" + "[" * 5_000_000,
        "\udc80" * 5_000_000,
        "\udc80\ud83d\ude00" * 1_700_000,
        "@" * 5_000_000,
        ":" * 5_000_000,
        "1." * 2_500_000,
        "example.com/" + "a" * 5_000_000,
        "example.com/" + "a/" * 2_500_000,
        "a" * 5_000_000,
        " " * 5_000_000,
        "/" * 5_000_000,
    ],
    ids=lambda big: repr(big[:16]),
)
def test_five_megabytes_take_bounded_time(big: str) -> None:
    begun = time.process_time()
    url = canonicalize(big)
    # Generous: the slowest takes 2.5 s on an idle core, most 0.2, while a quadratic step would take minutes.
    assert time.process_time() - begun < 5
    check_invariants(url)


def test_long_urls_that_differ_behind_the_cut_stay_apart() -> None:
    for tail, sizes in (("", (20_000, 40_000)), ("?", (20_000, 40_000, MAX_INPUT, 2 * MAX_INPUT))):
        for size in sizes:
            long = f"http://example.com/{tail}{'a' * size}"
            assert canonicalize(long + "b") != canonicalize(long + "c")
            assert canonicalize(long + "b").host == "example.com"


def test_a_long_query_leaves_host_and_path_whole() -> None:
    url = canonicalize("http://example.com/a/b?" + "x" * 100_000)
    assert (url.host, url.path) == ("example.com", "/a/b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "/path?q",
        "?q",
        "#f",
        "http:",
        "http://",
        "http://#f",
        "http://?q",
        "http://user@/x",
        "http://.../x",
        "mailto:a@b.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "about:blank",
        "file:///etc/passwd",
        "urn:x:y",
    ],
)
def test_no_host(text: str) -> None:
    assert canonicalize(text) == NO_HOST


@pytest.mark.parametrize(
    "padded",
    [
        " " * MAX_INPUT + "http://example.com/page",
        "http://example.com/page" + " \n" * MAX_INPUT,
        "ht" + "\t" * MAX_INPUT + "tp://example.com/page",
        "http://example.com/page#" + "x" * MAX_INPUT,
        "http://example.com/page" + "\u0000" * MAX_INPUT,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_padding_that_does_not_count(padded: str) -> None:
    assert str(canonicalize(padded)) == "example.com/page"


@pytest.mark.parametrize(
    "padded",
    [
        "http://" + "a" * MAX_INPUT + "@example.com/page",
        "http:" + "/" * MAX_INPUT + "example.com/page",
        "http://" + "\u00ad" * MAX_INPUT + "example.com/page",
        "http://example.com/" + "a/../" * 60_000 + "page",
        "http://example.com/" + "a" * MAX_INPUT,
        ("http://" + "%61" * MAX_INPUT + "@example.com/page").encode(),
        b"http://" + b"\xff" * MAX_INPUT + b"@example.com/page",
    ],
    ids=lambda text: repr(text[:16]),
)
def test_an_undecided_host_or_path_is_no_answer(padded: str | bytes) -> None:
    assert canonicalize(padded) == NO_HOST
    snapshot = Snapshot([url_matcher([(Scope.URL, "example.com/page", ())], host_bits=20, edition="full")])
    with pytest.raises(InputError, match="longer than 262,144 characters: not looked up") as raised:
        snapshot.match_url(padded)
    assert raised.value.hint
    assert "longer than" in explain(padded, [], NOTHING).lines()[0]


def test_a_path_too_long_is_so_on_any_host() -> None:
    """The filter alone could tell that nothing is listed there, and `explain` would say otherwise."""
    snapshot = Snapshot([url_matcher([(Scope.URL, "example.com/page", ())])])
    for _ in range(40):  # hosts found clean are remembered
        assert snapshot.match_url("http://clean.example/") == []
        with pytest.raises(InputError, match="not looked up"):
            snapshot.match_url("http://clean.example/" + "a" * MAX_INPUT)


def test_explaining_a_deep_path_stays_short() -> None:
    """Attack: 7,900 segments, for each of which two expressions of up to 16,000 characters are tried."""
    url = "http://example.com/" + "d/" * 7_900
    rows = [(Scope.PATH_PREFIX, "example.com/" + "d/" * depth, ()) for depth in (1, 7_000)]
    shown = explain(url, [url_matcher(rows)], NOTHING)
    assert len(shown.matches) == 2
    assert len(shown.lists[0].probes) == SHOWN_PROBES + 1
    assert shown.lists[0].left_out == shown.to_dict()["lists"][0]["left_out"] > 15_000
    said = "\n".join(shown.lines())
    assert "more that hit nothing" in said
    assert len(said) < 100_000
    assert len(json.dumps(shown.to_dict())) < 200_000
