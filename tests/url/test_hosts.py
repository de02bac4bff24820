"""Hosts that lie beyond ASCII or are very long: read as the URL Standard reads them, or not read at all.

A host that comes apart from its own other spelling, or that is cut, would be answered with "not listed".
"""

from __future__ import annotations

import time
from typing import Any
from unicodedata import normalize

import pytest
from ada_url import URL
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pywhatwgurl import URL as Independent

import vallum.host
from tests.match.states import url_matcher
from tests.url.test_canonicalize import check_invariants
from vallum.errors import ConfigError, InputError
from vallum.expression import Scope
from vallum.host import MAX_HOST_BYTES, refuse_parser
from vallum.match.snapshot import Snapshot
from vallum.url import canonicalize

_MARKS = "\u0323\u0327\u0328\u031b\u0301\u0308\u0302\u032d\u0331\u0345"
_COMPOSED = [chr(code) for code in range(0xC0, 0x2000) if len(normalize("NFD", chr(code))) > 1]
_PIECES = st.one_of(
    st.sampled_from(["漢", "ü", "\u0301", "\u0323", "\u00ad", "\u200b", "a", "-", ".", "~", "1", "\udc80"]),
    st.sampled_from(["%7f", "%25", "%e6", "%C2%AD", "xn--", "xn--a", "\u3002", "\uff05", "[", "]", ":", "@"]),
)


def test_accents_are_joined_and_ordered_as_the_standard_says() -> None:
    """Attack: a letter's two marks are written in another order, or apart: another name."""
    hosts = [f"a{letter}{mark}b.example" for letter in _COMPOSED[::2] for mark in _MARKS[::2]]
    accepted = [host for host in hosts if "%" not in canonicalize(f"http://{host}/").host]
    assert len(accepted) > 1_500
    for host in accepted:
        assert canonicalize(f"http://{host}/").host == Independent(f"http://{host}/").hostname, ascii(host)


def test_a_parser_without_nfc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: none is needed. An update of ada-url leaves NFC out, and listed hosts go by another name."""
    right = URL

    def without_nfc(text: str) -> Any:
        return right(text.replace("\u00ea\u0323", "\u00ea"))

    refuse_parser()
    monkeypatch.setattr(vallum.host, "URL", without_nfc)
    with pytest.raises(ConfigError, match="ada-url") as caught:
        Snapshot([url_matcher([])])
    assert "ada-url>=1.31,<4" in caught.value.hint


@settings(max_examples=300, deadline=None)
@given(st.lists(_PIECES, min_size=1, max_size=6), st.integers(1, 700), st.lists(_PIECES, max_size=4))
@example(["漢"], 60, ["%7f"])
@example(["漢"], 340, [])
@example(["\u00ad"], 508, ["a"])
def test_long_hosts_have_one_form_or_none(pieces: list[str], times: int, tail: list[str]) -> None:
    check_invariants(canonicalize(f"http://{''.join(pieces) * times}{''.join(tail)}.com/"))


@pytest.mark.parametrize(
    "host",
    [
        "listed" + "\u00ad" * 8_187 + ".example",
        "listed" + "\u200b" * 5_458 + ".example",
        "listed" + "%E2%80%8B" * 400 + ".example",
        "listed" + "%25C2%25AD" * 600 + ".example",
        "x" * 600 + ".listed.example",
        "漢" * 60 + "%7f.listed.example",
    ],
    ids=["soft hyphens", "zero width", "escaped", "escaped twice", "long label", "rejected"],
)
@pytest.mark.parametrize("edition", ["full", "match"])
def test_padding_beyond_the_limit_is_unchecked(host: str, edition: str) -> None:
    """Attack: invisible characters, or labels that no name can have, until the host's end is out of sight."""
    lists = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())], edition=edition)])
    for url in (f"http://{host}/page", f"HTTPS://u@{host}:8080/page", host, f"http://{host}/page".encode()):
        with pytest.raises(InputError, match="host is longer than 512") as caught:
            lists.match_url(url)
        assert "listed" not in str(caught.value)


@pytest.mark.parametrize("filler", ["\u00ad", "\u200b", "%C2%AD", "%E2%80%8B"])
def test_padding_up_to_the_limit_is_read(filler: str) -> None:
    lists = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())])])
    assert lists.match_url(f"http://lis{filler * 330}ted.example/page")


def test_time_is_linear_in_hosts_of_many_scripts() -> None:
    """Attack: 260,000 different Chinese characters, for which the parser alone would need minutes."""
    letters = [chr(0x4E00 + step * 7_919 % 20_000) for step in range(260_000)]
    for host in ("".join(letters), "a" + "\u0301" * 130_000 + "\u0323" * 130_000, "".join(letters[:340])):
        begun = time.process_time()
        canonicalize(f"http://{host}.com/")
        assert time.process_time() - begun < 1
    assert len("".join(letters[:340]).encode()) < MAX_HOST_BYTES


@pytest.mark.parametrize("before", ["\u200b", "\ufeff", "\u2060", "\u00ad", "http://", "\u200bhttps://"])
def test_a_scheme_read_as_host_is_unchecked(before: str) -> None:
    """Attack, or a slip: something invisible before the scheme, and `http` is the host that is asked for."""
    lists = Snapshot([url_matcher([(Scope.DOMAIN, "listed.example", ())])])
    with pytest.raises(InputError, match="scheme is mistyped"):
        lists.match_url(f"{before}http://listed.example/")
