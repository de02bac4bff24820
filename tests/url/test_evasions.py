"""Every row of docs/explanation/evasions.md does what the page says, through the pre-filter as well."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.match.states import url_matcher
from vallum.expression import Scope
from vallum.match.snapshot import Snapshot
from vallum.url import canonicalize

PAGE = (Path(__file__).parents[2] / "docs/explanation/evasions.md").read_text("utf-8")
NAME, ADDRESS = "example.com/page", "192.0.2.7/page"


def examples(part: str) -> list[tuple[str, str]]:
    rows = re.findall(r'^\| ([^|]+) \| `(".*?")` \|', part, re.MULTILINE)
    return [(evasion, ast.literal_eval(literal)) for evasion, literal in rows]


caught, uncaught = PAGE.split("## Not caught")
names, addresses = caught.split("\nAddresses")
CAUGHT = [(*row, NAME) for row in examples(names)] + [(*row, ADDRESS) for row in examples(addresses)]
UNCAUGHT = examples(uncaught)


def snapshots(scope: Scope, form: str) -> list[Snapshot]:
    return [
        Snapshot([url_matcher([(scope, form, ())], host_bits=bits, edition=edition)])
        for bits in (0, 8, 20, 32)
        for edition in ("match", "full")
    ]


LISTED = {
    (scope, form): snapshots(scope, form.partition("/")[0] if scope in (Scope.HOST, Scope.DOMAIN) else form)
    for scope in Scope
    for form in (NAME, ADDRESS)
}


def test_the_page_was_read() -> None:
    assert len(CAUGHT) > 40
    assert len(UNCAUGHT) == 10


@pytest.mark.parametrize(("evasion", "url", "form"), CAUGHT)
def test_caught(evasion: str, url: str, form: str) -> None:
    assert str(canonicalize(url)) == form
    for scope in Scope:
        for snapshot in LISTED[scope, form]:
            assert [match.scope for match in snapshot.match_url(url)] == [scope]
            assert snapshot.match_url(url.encode()) == snapshot.match_url(url)


@pytest.mark.parametrize(("evasion", "url"), UNCAUGHT)
def test_not_caught_and_not_widened(evasion: str, url: str) -> None:
    for snapshot in LISTED[Scope.URL, NAME]:
        assert snapshot.match_url(url) == []


def test_an_address_has_no_names_below_it() -> None:
    for snapshot in snapshots(Scope.DOMAIN, "192.0.2.7"):
        assert snapshot.match_url("http://192.0.2.7/page")
        assert snapshot.match_url("http://x.192.0.2.7/page") == []


def test_remedies() -> None:
    urls = dict(UNCAUGHT)
    for evasion, scope in {
        "added, dropped or reordered query parameters": Scope.URL_ANY_QUERY,
        "trailing slash, default file names": Scope.PATH_PREFIX,
        "another name of the same site, with or without `www.`": Scope.DOMAIN,
        "wildcard names below a domain": Scope.DOMAIN,
    }.items():
        for snapshot in LISTED[scope, NAME]:
            assert snapshot.match_url(urls[evasion])
