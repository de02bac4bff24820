"""Against an independent implementation of the URL Standard: pywhatwgurl, pure Python."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pywhatwgurl import URL as Independent

from tests.url.urls import plain, urls
from vallum.host import host_form
from vallum.url import Canonical, _path_form, _query_form, canonicalize


def independently(text: str) -> Canonical | None:
    """Read with the other parser, fold with ours; ``None`` if it rejects."""
    try:
        parsed = Independent(text)
    except (ValueError, TypeError):
        return None
    host = host_form(parsed.hostname)
    if host in ("http", "https"):
        return None  # a scheme written twice: no host by our rules (canonicalization.md §3.4)
    return Canonical(host, _path_form(parsed.pathname), _query_form(parsed.search.removeprefix("?")))


_absolute = st.one_of(
    plain.map(lambda text: text if text.startswith("http") else f"https://{text}"),
    urls.map(lambda text: f"http://{text}"),
    urls.map(lambda text: f"https://example.com/{text}"),
    urls.map(lambda text: f"https://example.com?{text}"),
)


@settings(max_examples=300, deadline=None)
@given(_absolute)
@example("http://0x7f.1/")
@example("http://[::ffff:1.2.3.4]/")
@example("http://ex%61mple.com:080/%2e%2e/x?#")
@example("http://fa\u00df.example/")
def test_two_parsers_lead_to_one_form(text: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return  # what a surrogate means is ours to say (canonicalization.md §3.1)
    if any(category(letter) == "Cn" for letter in text):
        return  # the parsers' Unicode tables are of different ages
    theirs = independently(text)
    if theirs is not None and theirs.host:
        assert canonicalize(text) == theirs


@pytest.mark.parametrize(
    "text", ["http://a b/", "http://exa%00mple.com/", "http://example.com:99999/", "http://[::1/"]
)
def test_both_reject_and_we_still_have_a_form(text: str) -> None:
    assert independently(text) is None
    assert canonicalize(text).host
