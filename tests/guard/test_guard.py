"""The rules of the guard, each at its edge, and how rows are compared."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.machine import Machine
from vallum import guard
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.table import Table, build_table
from vallum.guard import (
    SPAN,
    WEEK,
    Change,
    NeverBlock,
    Window,
    broken_absolutes,
    broken_limits,
    measure,
    never_block,
    whole_weeks,
)
from vallum.host import is_public_suffix
from vallum.suffix_names import suffix_names, wildcard_parents

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def table(
    rows: dict[tuple[Scope, str], int], edition: str = "full", pepper: bytes = b"", host_bits: int = 20
) -> dict[str, Table]:
    """A table of URL rows; the number is an index of label sets."""
    keyer = Keyer(pepper, host_bits)
    tally: dict[int, int] = {}
    for scope, _ in rows:
        tally[URL_TAGS[scope].code] = tally.get(URL_TAGS[scope].code, 0) + 1
    made = build_table(
        kind="url",
        edition=edition,
        name="exact",
        host_bits=host_bits,
        generation=1,
        version=1,
        salt=bytes(16),
        counts=tuple(sorted(tally.items())),
        keys=[keyer.url_key(scope, form) for scope, form in rows],
        labels=[(f"uk-sap:1:{'ABC'[label % 3]}",) for label in rows.values()],
        values=[bytes((URL_TAGS[scope].code,)) + form.encode() for scope, form in rows],
    )
    return {"exact": made}


def hosts(*names: str, scope: Scope = Scope.HOST, edition: str = "full") -> dict[str, Table]:
    return table({(scope, name): 0 for name in names}, edition, b"p" * 32 if edition == "match" else b"")


def absolutes(tables: dict[str, Table], never: NeverBlock = NeverBlock()) -> tuple[str, ...]:  # noqa: B008 - frozen
    edition = tables["exact"].edition
    return broken_absolutes(tables, Keyer(b"p" * 32 if edition == "match" else b"", 20), never)


forms = st.tuples(
    st.sampled_from([Scope.URL, Scope.HOST, Scope.DOMAIN]), st.integers(0, 30).map("h{}.example".format)
)
contents = st.dictionaries(forms, st.integers(0, 2), max_size=40)


@given(contents, contents, st.sampled_from([1, 3, 64]))
def test_a_change_is_what_sets_say(
    before: dict[tuple[Scope, str], int], after: dict[tuple[Scope, str], int], block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "_BLOCK", block)
        _compare_with_sets(before, after)


def _compare_with_sets(before: dict[tuple[Scope, str], int], after: dict[tuple[Scope, str], int]) -> None:
    fresh = after.keys() - before.keys()
    wide = sum(scope is not Scope.URL for scope, _ in fresh)
    assert measure(table(before), table(after)) == Change(len(after), len(fresh), wide)
    # A match edition cannot tell rows apart, so that only growth counts, and never more than in full.
    blind = measure(table(before, "match"), table(after, "match"))
    grown = [sum(scope is not Scope.URL for scope, _ in rows) for rows in (before, after)]
    assert blind == Change(len(after), len(fresh), max(0, grown[1] - grown[0]))
    assert blind.wide <= wide


def test_rows_are_compared_across_blocks() -> None:
    """Tables of many blocks, one with every third row gone and as many new ones; one of a single row."""
    old = {(Scope.URL, f"a.example/{number}"): 0 for number in range(3_000)}
    new = {key: 1 for at, key in enumerate(old) if at % 3}
    new |= {(Scope.URL, f"b.example/{number}"): 0 for number in range(1_000)}
    assert measure(table(old), table(new)) == Change(3_000, 1_000, 0)
    assert measure(table(old), table({(Scope.URL, "c.example/"): 0})) == Change(1, 1, 0)
    assert measure(table(old), table({(Scope.URL, "a.example/7"): 0})) == Change(1, 0, 0)
    assert measure({}, table(old)) == Change(3_000, 3_000, 0)


@pytest.mark.parametrize(("rows", "good"), [(9_900, True), (9_899, False), (0, False)])
def test_half_of_the_largest_less_a_hundred(rows: int, good: bool) -> None:
    window = Window(100).then(NOW - DAY, Change(20_000, 0, 0)).then(NOW - HOUR, Change(15_000, 0, 0))
    assert bool(broken_limits(window.at(NOW), Change(rows, 0, 0), 50)) is not good


def test_a_small_list_may_shrink_freely() -> None:
    assert not broken_limits(Window(200), Change(1, 0, 0), 50)


@pytest.mark.parametrize(("start", "added", "good"), [
    (10, 10_000, True), (10, 10_001, False), (8_000, 16_000, True), (8_000, 16_001, False),
])  # fmt: skip
def test_additions_within_a_week(start: int, added: int, good: bool) -> None:
    """Together with those of the window's earlier versions, however much was removed meanwhile."""
    window = Window(start).then(NOW - DAY, Change(start, 6_000, 0))
    assert bool(broken_limits(window.at(NOW), Change(start, added - 6_000, 0), 50)) is not good


@pytest.mark.parametrize(("wide", "good"), [(20, True), (21, False)])
def test_hosts_and_domains_within_a_week(wide: int, good: bool) -> None:
    window = Window(1000).then(NOW - 6 * DAY, Change(1000, 30, 30))
    assert bool(broken_limits(window.at(NOW), Change(1000, wide, wide), 50)) is not good
    assert not broken_limits(window.at(NOW + 2 * DAY), Change(1000, wide, wide), 50)


@pytest.mark.parametrize(("days", "weeks"), [(6, 0), (7, 1), (13, 1), (14, 2), (21, 3), (400, 3), (-3, 0)])
def test_an_absence_widens_the_limits(days: int, weeks: int) -> None:
    assert whole_weeks(NOW - days * DAY, NOW) == weeks
    least = 40_000 // 2 ** (weeks + 1) - 100
    assert not broken_limits(Window(40_000), Change(least, 0, 0), 50, weeks)
    assert broken_limits(Window(40_000), Change(least - 1, 0, 0), 50, weeks)
    most = 80_000 * (weeks + 1)
    assert not broken_limits(Window(40_000), Change(40_000, most, 0), 50, weeks)
    assert broken_limits(Window(40_000), Change(40_000, most + 1, 0), 50, weeks)
    wide = 50 * (weeks + 1)
    assert not broken_limits(Window(40_000), Change(40_000, wide, wide), 50, weeks)
    assert broken_limits(Window(40_000), Change(40_000, wide + 1, wide + 1), 50, weeks)


def test_a_window_forgets_after_a_week_and_stays_small() -> None:
    """A version every minute for three weeks: few spans, and sums of the last week."""
    window = Window(1000)
    for minute in range(3 * 7 * 24 * 60):
        now = NOW + timedelta(minutes=minute)
        window = window.then(now, Change(1000 + minute % 7, 1, 0))
    assert len(window.spans) <= WEEK / SPAN + 2
    assert 7 * 24 * 60 <= window.added <= 7 * 24 * 60 + SPAN / timedelta(minutes=1)
    assert window.largest == 1006
    assert window.at(now + 8 * DAY) == Window(window.rows)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    window = Window(10).then(NOW, Change(10, 4, 0)).then(NOW - DAY, Change(10, 5, 0))
    assert window.at(NOW - DAY).added == 9


@pytest.mark.parametrize(("factor", "step"), [(1.10, 12), (0.95, 14)])
def test_growing_or_shrinking_by_the_hour_is_stopped(factor: float, step: int) -> None:
    """DESIGN §9: ten per cent an hour at step 12, minus five at step 14."""
    machine = Machine()
    size = 100_000.0
    machine.sync(NOW, int(size), 0)
    for number in range(1, 16):
        before, size = int(size), size * factor
        if not machine.sync(NOW + number * HOUR, int(size), max(0, int(size) - before)):
            assert number == step
            return
    pytest.fail("not stopped")


def test_waiting_does_not_help_who_was_stopped() -> None:
    """A quarantine is no absence: polls go on, so the limits do not widen."""
    machine = Machine()
    machine.sync(NOW, 40_000, 0)
    for day in range(1, 60):
        assert not machine.sync(NOW + day * DAY, 5_000, 0)


@settings(deadline=None)  # neighbours of this machine decide how long one takes
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 4_000), st.integers(0, 4_000), st.integers(0, 30)),
        max_size=60,
    ),
    st.integers(1, 24),
)
def test_what_a_publisher_signs_no_daily_client_refuses(
    steps: list[tuple[int, int, int, int]], every: int
) -> None:
    """The publisher's window is a day longer: whoever polls daily never counts more than he did.

    Rows only ever come and go once here, so that a client's additions are at most the publisher's.
    """
    long = WEEK + DAY
    publisher, client = Window(30_000), Machine()
    client.sync(NOW, 30_000, 0)
    now, rows, added, wide = NOW, 30_000, 0, 0
    polled = NOW
    for hours, come, go, hosts_come in steps:
        until = now + hours * HOUR
        while polled + every * HOUR <= until:
            polled += every * HOUR
            assert client.sync(polled, rows, added, wide), client.refused
            added = wide = 0
        now = until
        change = Change(rows + come - min(go, rows), come, min(hosts_come, come))
        if not broken_limits(publisher.at(now, long), change, 50):
            publisher = publisher.then(now, change, long)
            rows, added, wide = change.rows, added + change.added, wide + change.wide


def test_public_suffixes() -> None:
    """``co.uk`` as a host or a domain would block a country's companies; what lies below is a name."""
    for scope in (Scope.HOST, Scope.DOMAIN):
        [reason] = absolutes(
            hosts("co.uk", "example.co.uk", "com", "www.ck", "foo.ck", "nosuchtop", scope=scope)
        )
        assert reason.startswith(f"4 {scope} rows are public suffixes (ids ")
        assert "co.uk" not in reason
        [reason] = absolutes(hosts("co.uk", "example.co.uk", "com", scope=scope, edition="match"))
        assert reason.startswith(f"2 {scope} rows are public suffixes (ids ")
    assert not absolutes(table({(Scope.URL, "co.uk/page"): 0}))


def test_suffix_names_agree_with_the_one_that_is_asked_elsewhere() -> None:
    assert len(suffix_names()) > 5_000
    assert all(is_public_suffix(name) for name in suffix_names())
    assert all(is_public_suffix(f"vallum-test.{name}") for name in wildcard_parents())


def test_private_addresses() -> None:
    [reason] = absolutes(hosts("10.0.0.1", "a.localhost", "[fd00::1]", "192.0.2.1", "printer.example"))
    assert reason.startswith("3 host rows are private addresses")


@pytest.mark.parametrize("edition", ["full", "match"])
def test_never_block(edition: str) -> None:
    """A ``domain`` row above a name covers it, a ``host`` row above it does not."""
    never = never_block([(3, "www.bank.example"), (5, "ftp.bank.example"), (8, "www.bank.example")])
    [reason] = absolutes(hosts("ftp.bank.example", edition=edition), never)
    assert re.search(
        r"1 host rows cover names on the never-block list \(ids [0-9a-f]{16} for line 5\)", reason
    )
    [reason] = absolutes(hosts("bank.example", scope=Scope.DOMAIN, edition=edition), never)
    assert reason.endswith(" for line 3)")
    assert absolutes(hosts("www.bank.example", edition=edition), never)
    assert not absolutes(hosts("bank.example", "a.www.bank.example", edition=edition), never)
    assert absolutes(hosts("bank.example", scope=Scope.DOMAIN, edition=edition), never)
    assert not absolutes(hosts("other.bank.example", scope=Scope.DOMAIN, edition=edition), never)


def test_a_table_of_digests_has_nothing_to_check() -> None:
    tables = {"exact": replace(table({})["exact"], kind="hash")}
    assert not broken_absolutes(tables, Keyer(b"", 0), never_block([(1, "bank.example")]))


def test_many_names_are_hashed_forward_quickly() -> None:
    """24,000 names against a peppered table (55 ms when measured alone; the bound is for a busy machine)."""
    tables = hosts(*(f"h{number}.example" for number in range(20_000)), edition="match")
    never = never_block((number, f"n{number}.example") for number in range(1, 14_001))
    suffix_names()
    began = time.process_time()
    absolutes(tables, never)
    assert time.process_time() - began < 1.0
