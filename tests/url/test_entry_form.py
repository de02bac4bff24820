"""entry_form: the strict door for listed URLs; check_form: the decoder's question."""

from __future__ import annotations

import pytest
from ada_url import URL
from hypothesis import given, settings

from tests.match.states import url_matcher
from tests.url.urls import urls
from vallum.errors import InputError
from vallum.expression import Scope
from vallum.match.snapshot import Snapshot
from vallum.url import MAX_PATH, canonicalize, check_form, entry_form


@pytest.mark.parametrize(
    ("text", "scope", "form"),
    [
        ("http://Example.com/a/../b?", Scope.URL, "example.com/b"),
        ("example.com", Scope.URL, "example.com/"),
        ("example.com/?q=1", Scope.URL, "example.com/?q=1"),
        ("https://example.com/a#frag", Scope.URL_ANY_QUERY, "example.com/a"),
        ("https://example.com/a/", Scope.PATH_PREFIX, "example.com/a/"),
        ("https://example.com/a", Scope.PATH_PREFIX, "example.com/a"),
        ("https://example.com/", Scope.HOST, "example.com"),
        ("WWW.Example.com.", Scope.DOMAIN, "www.example.com"),
        ("example.com:8443", Scope.HOST, "example.com"),
        ("b\u00fccher.example", Scope.DOMAIN, "xn--bcher-kva.example"),
        ("http://192.0.2.7/x", Scope.URL, "192.0.2.7/x"),
        ("[2001:db8::7]", Scope.HOST, "[2001:db8::7]"),
        ("http://github.io/x", Scope.URL, "github.io/x"),
        ("http://github.io/x", Scope.PATH_PREFIX, "github.io/x"),
    ],
)
def test_accepted(text: str, scope: Scope, form: str) -> None:
    assert entry_form(text, scope) == form
    check_form(form, scope)


@pytest.mark.parametrize(
    ("text", "scope", "reason"),
    [
        ("", Scope.URL, "no host"),
        ("/path", Scope.URL, "no host"),
        ("https:///", Scope.HOST, "no host"),
        ("http://.../", Scope.DOMAIN, "no host"),
        ("https://user:pw@example.com/", Scope.URL, "credentials"),
        ("https://user@example.com/", Scope.HOST, "credentials"),
        ("https://@example.com/", Scope.HOST, "credentials"),
        ("ftp://example.com/x", Scope.URL, "scheme"),
        ("ws://example.com/x", Scope.URL, "scheme"),
        ("mailto:someone@example.com", Scope.URL, "scheme"),
        ("javascript:alert(1)", Scope.URL, "scheme"),
        ("com", Scope.DOMAIN, "public suffix"),
        ("co.uk", Scope.DOMAIN, "public suffix"),
        ("co.uk.", Scope.HOST, "public suffix"),
        ("github.io", Scope.DOMAIN, "public suffix"),
        ("example", Scope.DOMAIN, "public suffix"),
        ("xn--p1ai", Scope.DOMAIN, "public suffix"),
        ("\u0440\u0444", Scope.DOMAIN, "public suffix"),
        ("*", Scope.DOMAIN, "wildcard"),
        ("*.example.com", Scope.DOMAIN, "wildcard"),
        ("http://*/", Scope.URL, "wildcard"),
        ("http://10.1.2.3/x", Scope.URL, "private"),
        ("http://0x7f.1/x", Scope.URL, "private"),
        ("127.0.0.1", Scope.HOST, "private"),
        ("192.168.1.1", Scope.DOMAIN, "private"),
        ("172.31.255.255", Scope.HOST, "private"),
        ("169.254.169.254", Scope.HOST, "private"),
        ("100.64.0.1", Scope.HOST, "private"),
        ("0.0.0.0", Scope.HOST, "private"),  # noqa: S104 - a URL, nothing is bound
        ("224.0.0.1", Scope.HOST, "private"),
        ("255.255.255.255", Scope.HOST, "private"),
        ("[::1]", Scope.HOST, "private"),
        ("[::]", Scope.HOST, "private"),
        ("[fe80::1]", Scope.HOST, "private"),
        ("[fd00::1]", Scope.HOST, "private"),
        ("[::ffff:10.0.0.1]", Scope.HOST, "private"),
        ("[64:ff9b::10.0.0.1]", Scope.HOST, "private"),
        ("[2002:a00:1::]", Scope.HOST, "private"),
        ("localhost", Scope.HOST, "private"),
        ("http://a.localhost:8080/x", Scope.URL, "private"),
        ("printer.local", Scope.HOST, "private"),
        ("corp.internal", Scope.DOMAIN, "private"),
        ("internal", Scope.DOMAIN, "private"),
        ("nas.lan", Scope.DOMAIN, "private"),
        ("nas.home.arpa", Scope.HOST, "private"),
        ("[::ffff:0:192.0.2.9]", Scope.HOST, "private"),
        ("[2001:0:1::1]", Scope.DOMAIN, "private"),
        ("[5f00::1]", Scope.HOST, "reserved range .outside 2000::/3"),
        ("[2001:2::1]", Scope.HOST, "reserved"),
        ("[2001:10::1]", Scope.DOMAIN, "reserved"),
        ("http://[4000::1]/x", Scope.URL, "reserved"),
        ("http://[2001:db8::1]x/page", Scope.URL, "no browser accepts"),
        ("http://example.com:99999/x", Scope.URL, "no port"),
        ("http://example.com:page/x", Scope.PATH_PREFIX, "no port"),
        ("example.com/x", Scope.HOST, "path"),
        ("example.com/x", Scope.DOMAIN, "path"),
        ("example.com/?q", Scope.HOST, "query"),
        ("example.com/x?q", Scope.URL_ANY_QUERY, "query"),
        ("example.com/x?q", Scope.PATH_PREFIX, "query"),
        ("example.com", Scope.PATH_PREFIX, "everything"),
        ("example.com/a/..", Scope.PATH_PREFIX, "everything"),
        ("example.com/" + "a" * 2 * MAX_PATH, Scope.URL, "too long"),
        ("example.com/" + "a" * (MAX_PATH - 36), Scope.PATH_PREFIX, "too long"),
        ("example.com/?" + "\u00e4" * MAX_PATH, Scope.URL, "too long"),
    ],
)
def test_refused_with_a_reason_and_a_hint(text: str, scope: Scope, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        entry_form(text, scope)
    assert raised.value.hint


@pytest.mark.parametrize("below", ["/", "/x", "/" + "x" * 50, "/%41%00" * 40])
def test_the_longest_prefix_covers_what_lies_below_it(below: str) -> None:
    """A path below it is cut, and must not lose the prefix, nor the border behind it."""
    longest = "example.com/" + "a" * (MAX_PATH - 37)
    assert entry_form(longest, Scope.PATH_PREFIX) == longest
    lists = Snapshot([url_matcher([(Scope.PATH_PREFIX, longest, ())])])
    assert lists.match_url(f"http://{longest}{below}")
    assert not lists.match_url(f"http://{longest}x{below}")


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("ftp://secret.example", Scope.URL),
        ("u:p@secret.example", Scope.URL),
        ("*.secret.example", Scope.DOMAIN),
        ("secret.example/?secret", Scope.PATH_PREFIX),
        ("secret.example/secret", Scope.HOST),
    ],
)
def test_a_refusal_never_repeats_the_entry(text: str, scope: Scope) -> None:
    with pytest.raises(InputError) as raised:
        entry_form(text, scope)
    assert "secret" not in f"{raised.value} {raised.value.hint}"


@settings(max_examples=200, deadline=None)
@given(urls)
def test_what_is_accepted_passes_the_decoder(text: str) -> None:
    for scope in Scope:
        try:
            form = entry_form(text, scope)
        except InputError:
            continue
        check_form(form, scope)
        assert form.startswith(canonicalize(text).host)


@pytest.mark.parametrize(
    ("form", "scope"),
    [
        ("example.com", Scope.URL),
        ("/", Scope.URL),
        ("", Scope.HOST),
        ("/", Scope.HOST),
        ("example.com/", Scope.HOST),
        ("Example.com", Scope.HOST),
        ("example.com.", Scope.DOMAIN),
        ("https://example.com/", Scope.URL),
        ("example.com:80/", Scope.URL),
        ("example.com/?", Scope.URL),
        ("example.com/a//b", Scope.URL),
        ("example.com/a/./b", Scope.URL),
        ("example.com/%61", Scope.URL),
        ("example.com/%e4", Scope.URL),
        ("example.com/a b", Scope.URL),
        ("example.com/a#b", Scope.URL),
        ("example.com/a\n", Scope.URL),
        ("example.com\n", Scope.HOST),
        ("example.com/\u00e4", Scope.URL),
        ("example.com/a?b", Scope.URL_ANY_QUERY),
        ("example.com/a?b", Scope.PATH_PREFIX),
        ("example.com/", Scope.PATH_PREFIX),
        ("b\u00fccher.example", Scope.HOST),
        ("1.2.3", Scope.HOST),
        ("01.2.3.4", Scope.HOST),
        ("[::ffff:1.2.3.4]", Scope.HOST),
    ],
)
def test_decoder_refuses(form: str, scope: Scope) -> None:
    with pytest.raises(InputError):
        check_form(form, scope)


def test_decoder_accepts_what_is_rare() -> None:
    check_form("xn--bcher-kva.example", Scope.DOMAIN)
    check_form("[2001:db8::1]/%3F?%23", Scope.URL)
    check_form("w!eird<>ho$^.com/", Scope.URL)
    check_form("%80.example/a", Scope.PATH_PREFIX)


@pytest.mark.parametrize(
    "text",
    [
        "https//x1.example.com/a",
        "http;//x2.example.com/",
        "http://http://x3.example.com/p",
        "https:https://x4.example.com/p",
        "http\uff1a//x7.example.com/p",
        "http://user%3Apw%40x9.example.com/p",
        '"http://x11.example.com/p"',
        "<http://x12.example.com/p>",
        "http://x13.example.com/p,http://x14.example.com/p",
        "http://x19[.]example.com/p",
        "www,x20.example.com/p",
        "x/",
        "http://x21.example.com/p http://x22.example.com/p",
        "http://x.192.0.2.9/p",
        "http://1.2.3.256/p",
        "http://x23.example.com;p",
        "http:// x24.example.com/p",
        "http//",
    ],
)
def test_a_slip_of_the_pen_is_no_entry(text: str) -> None:
    """Each of these has a form, and none of them would ever match a URL: the hotline must hear of it."""
    with pytest.raises(InputError) as raised:
        entry_form(text, Scope.URL)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://x1.example.com/page>", "ends with"),
        ('https://x1.example.com/page"', "ends with"),
        ("https://x1.example.com/?q`", "ends with"),
        ("https://x1.example.com/page#top> ", "ends with"),
        (f"https://{'a' * 64}.example/page", "longer than a name"),
        (f"https://{'a.' * 127}example/page", "longer than a name"),
    ],
)
def test_what_encloses_a_url_and_names_nobody_can_ask_for(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        entry_form(text, Scope.URL)
    assert raised.value.hint


@pytest.mark.parametrize("text", ["a b.com", "ex%ff.com", "ex%61mple.com%40evil.example"])
def test_a_slip_in_a_host_is_no_domain(text: str) -> None:
    for scope in (Scope.DOMAIN, Scope.HOST):
        with pytest.raises(InputError) as raised:
            entry_form(text, scope)
        assert raised.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "https://x1.example.com/a,b;c",
        "https://x_1.example.com/save/http://x2.example.com/",
        "https://x1.example.com/?u=a,http%3A//x2.example.com/",
        "https://x1.example.com/a%3E",
        "https://x1.example.com/a/>/b",
        "https://x1.example.com/it's?q='",
        f"https://{'a' * 63}.example/a",
        "https://b\u00fccher.example/a",
        "https://[2001:db8::1]/a",
        "https://192.0.2.9/a",
        "https://notlocal.example/a",
        "https://mylan.example/a",
        "https://x.atlan/a",
    ],
)
def test_what_only_looks_like_a_slip_is_an_entry(text: str) -> None:
    check_form(entry_form(text, Scope.URL), Scope.URL)


@settings(max_examples=300, deadline=None)
@given(urls)
def test_every_accepted_host_is_one_a_browser_can_ask_for(text: str) -> None:
    try:
        host = entry_form(text, Scope.URL).partition("/")[0]
    except InputError:
        return
    assert URL(f"http://{host}/").hostname == host
    assert host[0] == "[" or ("." in host and not set(host) & set("%\"'<>;,@ *"))
