"""The shortcut for plain URLs says what the full way says, and is taken where it should be."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings

import vallum.url as module
from tests.url.urls import plain, urls
from vallum.errors import InputError
from vallum.expression import Scope
from vallum.url import PLAIN_LENGTH, PLAIN_TAIL, Canonical, canonicalize, check_form


def full_way(text: str) -> Canonical:
    return Canonical(*module._read(text))


@settings(max_examples=800, deadline=None)
@given(plain)
@example("http://1.2.3.4/")
@example("http://1.2.3.04/")
@example("http://1.2.3.256/")
@example("http://a.0x1/")
@example("http://a.b.1/")
@example("http://xn--a.example/")
@example("http://a.xn--a/")
@example("http://example.com/%3F")
@example("http://example.com?%3F")
@example("http://example.com/a/.b/..c")
@example("http://example.com/%20.%20")
def test_shortcut_and_full_way_agree_on_everyday_urls(text: str) -> None:
    assert canonicalize(text) == full_way(text)


@settings(max_examples=400, deadline=None)
@given(urls)
def test_shortcut_and_full_way_agree_on_odd_urls(text: str) -> None:
    assert canonicalize(text) == full_way(text)


@settings(max_examples=300, deadline=None)
@given(urls)
def test_check_form_and_canonicalize_agree(text: str) -> None:
    form = str(full_way(text))
    if form != "/":
        check_form(form, Scope.URL)
    if text != form:
        with pytest.raises(InputError):
            check_form(text, Scope.URL)


@settings(max_examples=600, deadline=None)
@given(plain.map(lambda text: text.removeprefix("http://").removeprefix("https://")) | urls)
@example("/%2F")
@example("/a?%")
@example("/..")
@example("/a//b")
@example("/\udc80")
@example("/a?\n")
@example("/" + "a" * 500)
def test_the_rest_of_a_plain_url_reads_as_the_full_way_does(text: str) -> None:
    """Behind any plain host, whatever comes: the pre-filter has read the host, and asks for no more."""
    for host in ("example.com", "a.b-c.d_e.example"):
        url = f"https://{host}/{text}"
        found = PLAIN_TAIL(url, len(f"https://{host}"))
        if found and len(url) <= PLAIN_LENGTH:
            assert Canonical(host, *found.groups()) == full_way(url)


@pytest.mark.parametrize(
    "text",
    ["https://www.example.com/", "example.com/a/b.html?x=1&y=/", "http://192.0.2.7/a%20b/%C3%A4"],
)
def test_the_shortcut_is_taken(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(text: str) -> module.Parts:
        raise AssertionError(text)

    monkeypatch.setattr(module, "_read", never)
    assert canonicalize(text).host
