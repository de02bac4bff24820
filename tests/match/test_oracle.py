"""Against a naive matcher that compares fields and hashes nothing, over lists and URLs with near misses.

VALLUM_ORACLE_CASES sets the number of lists that are drawn (each is asked about 20 URLs): 5,000 make the
100,000 cases of the release check.
"""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.match.states import Entry, url_matcher
from vallum.allow import NOTHING
from vallum.expression import Scope
from vallum.match.exact import Matcher
from vallum.match.explain import explain
from vallum.match.snapshot import Snapshot
from vallum.url import Canonical, canonicalize

LISTS = int(os.environ.get("VALLUM_ORACLE_CASES", "150"))
URLS_PER_LIST = 20

_hosts = st.sampled_from(
    [
        "example.com", "www.example.com", "a.www.example.com", "xexample.com", "com", "b.example",
        "example.com.b.example", "192.0.2.1", "0.2.0.1", "2.0.0.1", "[2001:db8::1]", "xn--bcher-kva.example",
    ]
)  # fmt: skip
_paths = st.sampled_from(
    [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/",
        "/ab",
        "/a/bc",
        "/A",
        "/a.html",
        "/b",
        "/a/b/c/d/",
        "/a%20b",
        "/a;x",
        "/a/b%3Fc",
    ]
)
_queries = st.sampled_from([None, None, "x", "x=1", "x=1&y=2", "y=2&x=1", "?", "a/b", "X"])
_labels = st.sampled_from([(), ("uk-sap:1:A",), ("uk-sap:1:C",), ("test",), ("other:1:x", "uk-sap:1:B")])
_forms = st.builds(Canonical, _hosts, _paths, _queries)


def _entry(scope: Scope, form: Canonical, labels: tuple[str, ...]) -> Entry:
    if scope in (Scope.HOST, Scope.DOMAIN):
        return scope, form.host, labels
    if scope is Scope.URL:
        return scope, str(form), labels
    path = "/a" if scope is Scope.PATH_PREFIX and form.path == "/" else form.path
    return scope, form.host + path, labels


_entries = st.lists(st.builds(_entry, st.sampled_from(Scope), _forms, _labels), max_size=12)
_peppers = st.sampled_from([b"", bytes(range(32))])
# At 1 to 3 bits most hosts share rows' places, so that only the rest of the key tells them apart.
_editions = st.sampled_from(["full", "match"])
_host_bits = st.sampled_from([0, 1, 3, 20, 24, 25, 32])


def applies(entry: Entry, url: Canonical) -> bool:
    """Say whether an entry lists a URL, in the words of the specification."""
    scope, form, _ = entry
    if scope is Scope.URL:
        return form == str(url)
    if scope is Scope.HOST:
        return form == url.host
    if scope is Scope.DOMAIN:
        is_name = url.host[0] != "[" and not url.host.replace(".", "").isdigit()
        return form == url.host or (is_name and url.host.endswith("." + form))
    host, slash, path = form.partition("/")
    path = slash + path
    if host != url.host:
        return False
    if scope is Scope.URL_ANY_QUERY:
        return path == url.path
    below = path if path.endswith("/") else path + "/"
    return url.path == path or url.path.startswith(below)


def expected(entries: list[Entry], url: Canonical) -> set[tuple[str, tuple[str, ...]]]:
    rows: dict[tuple[Scope, str], set[str]] = {}
    for scope, form, labels in entries:
        rows.setdefault((scope, form), set()).update(labels)
    return {
        (str(scope), tuple(sorted(labels)))
        for (scope, form), labels in rows.items()
        if applies((scope, form, ()), url)
    }


def spelled(url: Canonical, spelling: int) -> str:
    """Write a form as a URL, plainly or oddly."""
    query = "" if url.query is None else f"?{url.query}"
    match spelling:
        case 0:
            return f"https://{url.host}{url.path}{query}"
        case 1:
            return f"HTTP://user@{url.host.upper()}:8080/x/..{url.path}{query}#fragment"
        case 2:
            dot = "" if url.host[0] == "[" else "."
            return f"http:\\\\{url.host}{dot}{url.path.replace('a', '%2561')}{query}"
        case _:
            return f"http://{url.host}{url.path}{query}"


@settings(max_examples=LISTS, deadline=None)
@given(
    _entries,
    _host_bits,
    _peppers,
    _editions,
    st.lists(st.tuples(_forms, st.integers(0, 3)), min_size=URLS_PER_LIST, max_size=URLS_PER_LIST),
)
def test_matches_what_a_naive_reader_of_the_list_matches(
    entries: list[Entry], host_bits: int, pepper: bytes, edition: str, urls: list[tuple[Canonical, int]]
) -> None:
    snapshot = Snapshot([url_matcher(entries, host_bits=host_bits, pepper=pepper, edition=edition)])
    for form, spelling in urls:
        text = spelled(form, spelling)
        # The shortcut first without, then with what it has remembered.
        for _ in range(2):
            found = snapshot.match_url(text)
            assert {(match.scope, match.labels) for match in found} == expected(entries, form), text
        assert found == snapshot.match_fully(text)
        assert found == snapshot.match_url(text.encode())
        # A look-up is written flat; what people are shown is not.
        assert explain(text, snapshot.matchers, NOTHING).matches == tuple(found)


@settings(max_examples=100, deadline=None)
@given(_entries, _host_bits, _editions)
def test_every_entry_is_found_through_the_filter(entries: list[Entry], host_bits: int, edition: str) -> None:
    """No false negatives: each entry's own URL, and one below it, pass the pre-filter."""
    snapshot = Snapshot([url_matcher(entries, host_bits=host_bits, edition=edition)])
    for scope, form, _ in entries:
        below = {
            Scope.PATH_PREFIX: form.rstrip("/") + "/z",
            Scope.HOST: form + "/z?z",
            Scope.DOMAIN: form + "/z",
        }
        for text in (form, below.get(scope, form)):
            assert any(match.scope == scope for match in snapshot.match_url(f"https://{text}"))
        if scope is Scope.DOMAIN and not canonicalize(form).host[0].isdigit() and form[0] != "[":
            assert any(match.scope == scope for match in snapshot.match_url(f"http://z.{form}/"))


def test_ids_are_those_of_the_keys() -> None:
    matcher: Matcher = url_matcher([(Scope.DOMAIN, "example.com", ())], pepper=bytes(32))
    (match,) = Snapshot([matcher]).match_url("http://www.example.com/")
    assert match.id == matcher.keyer.entry_id(matcher.keyer.url_key(Scope.DOMAIN, "example.com"))


def test_many_rows_on_one_host_and_many_borders() -> None:
    entries: list[Entry] = [(Scope.URL, f"example.com/{number}", ()) for number in range(500)]
    deep = "/".join(["d"] * 3000)
    entries += [(Scope.PATH_PREFIX, f"example.com/{deep}", ()), (Scope.PATH_PREFIX, "example.com/d/", ())]
    snapshot = Snapshot([url_matcher(entries, host_bits=20)])
    assert len(snapshot.match_url("http://example.com/499")) == 1
    assert snapshot.match_url("http://example.com/500") == []
    assert len(snapshot.match_url(f"http://example.com/{deep}/x")) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(12, 20), st.sampled_from([0, 6, 20]))
def test_text_and_keys_say_the_same(hosts: int, pages: int, host_bits: int) -> None:
    """Around the number of rows from which a host is looked up by keys, anywhere in a table of some size."""
    entries: list[Entry] = [
        (Scope.PATH_PREFIX if page % 2 else Scope.URL, f"h{host}.example/{page}", ("uk-sap:1:A",))
        for host in range(hosts)
        for page in range(pages if host % 3 == 0 else host % 2 + 1)
    ]
    entries += [(Scope.DOMAIN, f"h{host}.example", ()) for host in range(0, hosts, 2)]
    matcher = url_matcher(entries, host_bits=host_bits)
    by_text = matcher.url_look_up()
    for host in range(hosts):
        for name in (f"h{host}.example", f"www.h{host}.example"):
            for path in ("/", "/0", "/1", "/1/x", f"/{pages - 1}", f"/{pages}"):
                found = by_text(name, path, None)
                assert sorted(found) == sorted(matcher.match_url(name, path, None))
                url = Canonical(name, path, None)
                assert {(match.scope, match.labels) for match in found} == expected(entries, url)
