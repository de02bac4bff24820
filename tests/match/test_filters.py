"""The pre-filters never rule out what could be listed, for hosts and lists of any shape."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.match.states import url_matcher
from tests.url.urls import plain, urls
from vallum.errors import InputError
from vallum.expression import Scope, propose_host_bits
from vallum.host import stands_alone
from vallum.match.prefilter import AT_A_GLANCE, CACHED_HOSTS, KeyFilter, NameFilter, stem_of
from vallum.match.snapshot import Snapshot
from vallum.url import canonicalize

_label = st.one_of(
    st.sampled_from(["co", "uk", "t", "www", "com", "abcd", "example"]),
    st.from_regex(r"[a-z0-9_-]{1,5}", fullmatch=True),
)
_host = st.lists(_label, min_size=1, max_size=5).map(".".join)


@settings(max_examples=400, deadline=None)
@given(
    _host,
    st.integers(0, 4),
    st.sampled_from(["full", "match"]),
    st.sampled_from(list(Scope)),
    st.sampled_from("/?#"),
)
@example("www.t.co", 1, "full", Scope.DOMAIN, "/")
@example("www.co.uk", 2, "full", Scope.DOMAIN, "/")
@example("a.b.co.uk", 3, "full", Scope.DOMAIN, "?")
def test_rows_on_a_host_or_above_it_pass(
    host: str, drop: int, edition: str, scope: Scope, border: str
) -> None:
    form = canonicalize(f"http://{host}/page").host
    if not form or stands_alone(form):
        return
    listed = form
    if scope is Scope.DOMAIN:
        listed = ".".join(form.split(".")[drop:]) or form
    stored = (
        listed
        if scope in (Scope.HOST, Scope.DOMAIN)
        else f"{listed}/"
        if scope is not Scope.PATH_PREFIX
        else f"{listed}/p"
    )
    path = "p" if scope is Scope.PATH_PREFIX else ""
    text = f"https://{host}/p" if path else f"https://{host}{'/' if scope is Scope.URL else border}"
    for bits in (0, 4, 20):
        found = Snapshot([url_matcher([(scope, stored, ())], host_bits=bits, edition=edition)]).match_url(
            text
        )
        assert [match.scope for match in found] == [scope]


@settings(max_examples=600, deadline=None)
@given(st.one_of(urls, plain, _host.map(lambda host: f"http://{host}/x")))
@example("http://a..example.com/")
@example("http://.example.com/")
@example("http://" + "a." * 300 + "example.com/")
@example("http://www.www.com/")
@example("http://www.co.uk/")
@example("http://www.abcd.com/")
@example("http://www.abc.com/")
@example("http://a.www.abc.com/")
@example("http://t.co/")
@example("http://www.t.co/")
@example("http://xn--a.b.www.abcd.com/")
def test_a_glance_sees_what_the_full_way_reads(text: str) -> None:
    host = canonicalize(text).host
    seen = AT_A_GLANCE(text)
    if seen and "xn--" not in seen[0]:
        assert seen[0].partition("//")[2][:-1] == host
    stem = seen and (seen[1] or seen[2] or seen[4])
    if stem and "xn--" not in stem:
        assert stem == stem_of(host)
        assert seen is None or seen[3] is None or stem.endswith(f".{seen[3]}")


@settings(max_examples=300, deadline=None)
@given(urls, st.sampled_from(["full", "match"]))
def test_with_and_without_shortcut(text: str, edition: str) -> None:
    snapshot = Snapshot(
        [url_matcher([(Scope.DOMAIN, "example.com", ()), (Scope.URL, "a/", ())], edition=edition)]
    )
    try:
        expected = snapshot.match_fully(text)
    except InputError:
        with pytest.raises(InputError):
            snapshot.match_url(text)
    else:
        assert snapshot.match_url(text) == snapshot.match_url(text) == expected


def test_several_tables_and_more_hosts_than_are_remembered() -> None:
    matchers = [
        url_matcher([(Scope.HOST, "one.example", ())], edition="match"),
        url_matcher([(Scope.DOMAIN, "two.example", ())], edition="full", pepper=bytes(32)),
    ]
    snapshot = Snapshot(matchers)
    for number in range(20_000):
        assert snapshot.match_url(f"http://h{number}.t{number % 2000}/") == []
    assert snapshot.match_url("http://one.example/")
    assert snapshot.match_url("http://www.two.example/")
    assert snapshot.match_url("http://www.one.example/") == []


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "www.example.com",
        "a.b.example.com",
        "x.com",
        "www.x.com",
        "a.x.com",
        "a.co.uk",
        "a.b.co.uk",
    ],
)
def test_everyday_hosts_are_seen(host: str) -> None:
    seen = AT_A_GLANCE(f"https://{host}/")
    assert seen
    assert (seen[1] or seen[2] or seen[4]) == stem_of(host)


@pytest.mark.parametrize(
    "text", ["https://" + "a." * 100_000, "https://" + "a" * 200_000, "https://" + "." * 200_000]
)
def test_glances_are_linear(text: str) -> None:
    assert AT_A_GLANCE(text) is None


def test_host_bits_are_few_and_enough() -> None:
    assert propose_host_bits(0) == 0
    assert propose_host_bits(16_384) == 20
    assert propose_host_bits(10**9) == 32
    for hosts in (1, 10, 1_000, 50_000, 2_000_000):
        fill = hosts / 2 ** propose_host_bits(hosts)
        assert 1 / 91 < fill < 1 / 45


def test_the_filter_is_as_full_as_proposed() -> None:
    """What a holder of the list learns per guessed host: a name that is not listed passes one time in 64."""
    entries = [(Scope.URL, f"listed{number}.example/", ()) for number in range(4096)]
    prefilter = url_matcher(entries, host_bits=propose_host_bits(4096), edition="match").prefilter
    assert isinstance(prefilter, KeyFilter)
    passed = sum(1 for number in range(20_000) if prefilter.may_hold(f"innocent{number}.example"))
    assert 1 / 90 < passed / 20_000 < 1 / 45
    assert all(prefilter.may_hold(f"listed{number}.example") for number in range(4096))


def test_names_that_are_not_listed_seldom_pass() -> None:
    prefilter = url_matcher(
        [(Scope.URL, f"www.listed{number}.example/", ()) for number in range(4096)]
    ).prefilter
    assert isinstance(prefilter, NameFilter)
    assert sum(1 for number in range(20_000) if prefilter.has(f"innocent{number}.example")) < 200
    for number in range(4096):
        assert prefilter.has(f"www.listed{number}.example")
        assert prefilter.has(f"listed{number}.example")


def test_patterns_hold_no_surprise() -> None:
    assert re.fullmatch("com|example.com", stem_of("example.com"))
    assert stem_of("www.example.com") == "example.com"
    assert stem_of("a.www.example.co.uk") == "example.co.uk"
    assert stem_of("t.co") == "t.co"
    assert stem_of("com") == "com"


@pytest.mark.parametrize("host_bits", [4, 20, 24, 25, 32])
def test_a_name_above_a_host_passes_only_for_a_row_of_its_own(host_bits: int) -> None:
    """Where many names share leading bits, each top-level name would else let all its hosts through."""
    entries = [(Scope.URL, f"listed{number}.example/", ()) for number in range(500)]
    entries += [(Scope.DOMAIN, f"domain{number}.example", ()) for number in range(500)]
    prefilter = url_matcher(entries, host_bits=host_bits, edition="match").prefilter
    assert isinstance(prefilter, KeyFilter)
    for number in range(500):
        assert prefilter.may_hold(f"listed{number}.example")
        assert prefilter.may_hold(f"domain{number}.example")
        assert prefilter.may_hold(f"a.b.domain{number}.example")
    if host_bits >= 20:
        assert sum(1 for number in range(5000) if prefilter.may_hold(f"h{number}.t{number % 50}")) < 100


def test_several_tables_share_one_filter() -> None:
    """Tables of unlike sizes, one of which lists a whole top-level name: none is ruled out by another."""
    big = url_matcher([(Scope.URL, f"listed{number}.example/", ()) for number in range(3000)])
    small = url_matcher([(Scope.DOMAIN, "t.co", ())])
    tops = url_matcher([(Scope.DOMAIN, "test", ())])
    for matchers in ([big, small], [small, big], [small, big, tops], [tops], []):
        snapshot = Snapshot(matchers)
        for number in range(3000):
            assert bool(snapshot.match_url(f"http://listed{number}.example/")) == (big in matchers)
            assert snapshot.match_url(f"http://innocent{number}.example/") == []
        assert bool(snapshot.match_url("http://www.t.co/x")) == (small in matchers)
        assert bool(snapshot.match_url("http://any.test/")) == (tops in matchers)


def test_what_is_remembered_speaks_for_its_host_alone() -> None:
    """Asked so often that memory is asked first: a clean host's name elsewhere in a URL is nothing."""
    snapshot = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())])])
    for number in range(2000):
        assert snapshot.match_url(f"https://clean.example/{number}") == []
        for text in (
            f"https://clean.example@listed.example/{number}",
            f"https:/listed.example/clean.example/{number}",
            f"https://listed.example/https://clean.example/{number}",
            f"https://clean.example:1@listed.example/{number}",
            f"https://clean.example\\@www.listed.example/../{number}".replace("\\", ""),
            f"//listed.example/clean.example/{number}",
        ):
            assert len(snapshot.match_url(text)) == 1, text


def remembered(snapshot: Snapshot) -> set[str]:
    look_up = snapshot._look_up
    cells = dict(zip(look_up.__code__.co_freevars, look_up.__closure__ or (), strict=True))
    found: set[str] = cells["clean"].cell_contents
    return found


@pytest.mark.parametrize("edition", ["full", "match"])
def test_memory_is_bounded_and_a_new_host_is_never_in_it(edition: str) -> None:
    """Nobody makes it large: neither by many hosts nor by long ones."""
    snapshot = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())], edition=edition)])
    for number in range(100_000):
        assert snapshot.match_url(f"http://h{number % 60_000}.example/") == []
    for number in range(100):
        assert snapshot.match_url(f"http://{'a' * 60}.{'b' * 60}.h{number % 10}.example/") == []
    assert snapshot.match_url("http://a.listed.example/")
    assert 5_000 < len(remembered(snapshot)) <= CACHED_HOSTS
    assert all(start.startswith("http://h") for start in remembered(snapshot))
    assert max(map(len, remembered(snapshot))) < 80


@pytest.mark.parametrize("edition", ["full", "match"])
def test_few_hosts_are_soon_remembered(edition: str) -> None:
    snapshot = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())], edition=edition)])
    for number in range(3000):
        assert snapshot.match_url(f"http://h{number % 5}.example/{number}") == []
    assert len(remembered(snapshot)) == 5


def test_a_domain_row_on_an_address_leaves_the_filter_on() -> None:
    """Attack: one `domain` row on an IPv6 address, which has no dot and no names below it, and all pass."""
    rows = [(Scope.DOMAIN, "[2001:db8::1]", ()), (Scope.URL, "listed.example/", ())]
    table = url_matcher(rows).table
    names = NameFilter.of(table.rows)
    assert names.has("[2001:db8::1]")
    assert sum(names.has(f"host{number}.example") for number in range(1000)) < 100
    assert len(Snapshot([url_matcher(rows)]).match_url("http://[2001:DB8:0::1]:80/x")) == 1
