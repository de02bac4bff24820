"""How many entries in force an allowance lifts, as the operator is told who makes it."""

from __future__ import annotations

import pytest

from tests.match.states import Entry, digest_table, url_matcher
from vallum.allow import Kind
from vallum.expression import Keyer, Scope
from vallum.match.exact import Matcher
from vallum.match.lifted import lifted

SHOP = "shop.big.example"
ENTRIES: list[Entry] = [
    (Scope.URL, f"a.{SHOP}/x", ()),
    (Scope.URL, f"{SHOP}/1", ()),
    (Scope.URL, f"{SHOP}/2", ()),
    (Scope.URL, f"{SHOP}/1?q", ()),
    (Scope.URL, f"my{SHOP}/", ()),
    (Scope.HOST, SHOP, ()),
    (Scope.DOMAIN, SHOP, ()),
    (Scope.DOMAIN, "big.example", ()),
    (Scope.PATH_PREFIX, f"{SHOP}/1", ()),
]


@pytest.mark.parametrize(("kind", "text", "full", "match"), [
    (Kind.URL, f"{SHOP}/1", 5, 5),
    (Kind.HOST, SHOP, 7, 3),
    (Kind.NAMES, SHOP, 8, 3),
    (Kind.HOST, f"a.{SHOP}", 3, 2),
    (Kind.NAMES, "big.example", 9, 1),
    (Kind.HOST, "none.test", 0, 0),
    (Kind.NAMES, "none.test", 0, 0),
])  # fmt: skip
def test_entries_that_are_lifted(kind: Kind, text: str, full: int, match: int) -> None:
    """Pages of a host can be counted where texts are held; elsewhere the list is named as not counted."""
    found = lifted([url_matcher(ENTRIES)], kind, text)
    assert (found.entries, found.blind) == (full, ())
    found = lifted([url_matcher(ENTRIES, edition="match")], kind, text)
    assert (found.entries, found.blind) == (match, () if kind is Kind.URL else ("hotline/urls",))


@pytest.mark.parametrize("edition", ["full", "match"])
def test_one_entry_by_its_id(edition: str) -> None:
    matcher = url_matcher(ENTRIES, edition=edition)
    digests = Matcher("hotline", "hashes", digest_table([("md5", "00" * 16, ())]), Keyer(b"", 0))
    [match] = matcher.match_url(f"my{SHOP}", "/other", None)
    [digest] = digests.match_digest("md5", bytes(16))
    for one in (match, digest):
        assert lifted([matcher, digests], Kind.ID, one.id).entries == 1
    assert lifted([matcher, digests], Kind.ID, "0" * 16).entries == 0
    assert lifted([digests], Kind.HOST, SHOP).entries == 0
