"""Decisions on digests and files: what could not be looked up is unchecked, and never clean."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

import vallum
from tests.match.states import digest_table, url_table, write_state
from vallum.expression import Scope

A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)
LISTED = b"listed picture"
SHA256 = hashlib.sha256(LISTED).hexdigest()
MD5 = hashlib.md5(LISTED, usedforsecurity=False).hexdigest()
STRONG, WEAK = ("sha256", SHA256, A), ("md5", MD5, B)
OPAQUE = ("photodna", "17" * 144, A)
NEAR = ("pdq", "f0" * 32, A)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture"
    path.write_bytes(LISTED)
    return path


@pytest.fixture
def innocent(tmp_path: Path) -> Path:
    path = tmp_path / "innocent"
    path.write_bytes(b"innocent")
    return path


def opened(folder: Path, *entries: tuple[str, str, tuple[str, ...]], near: bool = False) -> vallum.Lists:
    nears = {"hashes": digest_table([NEAR], name="pdq")} if near else None
    write_state(folder / "state", {"hashes": digest_table(entries)}, near=nears)
    return vallum.open(folder / "state")


def test_digests(tmp_path: Path) -> None:
    lists = opened(tmp_path, STRONG, WEAK)
    listed = lists.decide_digest("sha256", SHA256.upper())
    assert (listed.outcome, listed.action, listed.matches[0].labels) == ("listed", "block", A)
    assert lists.decide_digest("md5", bytes.fromhex(MD5)).action == "review"
    clean = lists.decide_digest("sha256", "00" * 32)
    assert (clean.outcome, clean.action, clean.reason) == ("clean", "ignore", "")


@pytest.mark.parametrize(
    ("signal", "digest", "reason"),
    [
        ("sha256", "aa" * 31, "32 bytes"),
        ("sha256", "zz" * 32, "hexadecimal"),
        ("sha512", "aa" * 64, "unknown signal"),
        ("sha1", "aa" * 20, "no list in force holds sha1 digests"),
        ("pdq", "f0" * 32, "nearness"),
    ],
)
def test_a_digest_that_no_list_could_know_is_unchecked(
    tmp_path: Path, signal: str, digest: str, reason: str
) -> None:
    decision = opened(tmp_path, STRONG, near=True).decide_digest(signal, digest)
    assert (decision.outcome, decision.action, decision.matches) == ("unchecked", "review", ())
    assert reason in decision.reason
    assert digest not in decision.reason


def test_a_digest_of_near_matching_is_no_exact_digest(tmp_path: Path) -> None:
    with pytest.raises(vallum.InputError, match="nearness"):
        opened(tmp_path, near=True).match_digest("pdq", "f0" * 32)


def test_files(tmp_path: Path, picture: Path, innocent: Path) -> None:
    lists = opened(tmp_path, STRONG, WEAK)
    assert [match.signal for match in lists.decide_file(picture).matches] == ["sha256", "md5"]
    assert lists.decide_file(str(picture), max_bytes=len(LISTED), timeout=60).action == "block"
    assert lists.decide_file(innocent).outcome == "clean"
    assert opened(tmp_path, WEAK).decide_file(picture).action == "review"


def test_empty_lists_list_nothing(tmp_path: Path, innocent: Path) -> None:
    lists = opened(tmp_path)
    assert lists.decide_file(innocent).outcome == "clean"
    assert lists.decide_digest("md5", MD5).outcome == "clean"


def test_lists_of_urls_say_nothing_about_files(tmp_path: Path, innocent: Path) -> None:
    write_state(tmp_path / "state", {"urls": url_table([(Scope.HOST, "example.com", A)])})
    lists = vallum.open(tmp_path / "state")
    assert lists.decide_file(innocent).reason == "no list in force holds digests"
    assert lists.decide_digest("sha256", SHA256).outcome == "unchecked"


def test_lists_of_digests_say_nothing_about_urls(tmp_path: Path) -> None:
    lists = opened(tmp_path, STRONG)
    for decision in (lists.decide_url("https://example.com/"), *lists.decide_urls(["https://example.com/"])):
        assert (decision.outcome, decision.reason) == ("unchecked", "no list in force holds URLs")


def test_what_cannot_be_read_whole_is_unchecked(tmp_path: Path, picture: Path) -> None:
    lists = opened(tmp_path, STRONG)
    os.mkfifo(tmp_path / "pipe")  # nobody writes: opening it would wait for ever
    for path, reason in {
        tmp_path / "absent": "No such file",
        tmp_path: "not a regular file",
        tmp_path / "pipe": "not a regular file",
        Path("/dev/zero"): "not a regular file",
        Path("a\0b"): "no path",
    }.items():
        decision = lists.decide_file(path)
        assert (decision.outcome, decision.action) == ("unchecked", "review")
        assert reason in decision.reason
    assert "larger than 13 bytes" in lists.decide_file(picture, max_bytes=len(LISTED) - 1).reason
    assert "within 0 seconds" in lists.decide_file(picture, timeout=0).reason


def test_a_signal_that_is_listed_and_cannot_be_made_here(
    tmp_path: Path, picture: Path, innocent: Path
) -> None:
    """The same picture, recompressed, is known by these alone: not finding its SHA-256 proves nothing."""
    lists = opened(tmp_path, STRONG, OPAQUE, near=True)
    assert lists.decide_file(picture).outcome == "listed"
    decision = lists.decide_file(innocent)
    assert decision.outcome == "unchecked"
    assert "pdq, photodna" in decision.reason
    assert lists.decide_digest("photodna", "17" * 144).outcome == "listed"
    assert lists.decide_digest("photodna", "18" * 144).outcome == "clean"


def test_the_operator_says_what_unchecked_means(tmp_path: Path) -> None:
    opened(tmp_path, STRONG)
    strict = vallum.open(tmp_path / "state", vallum.Policy(unchecked=vallum.Action.BLOCK))
    assert strict.decide_file(tmp_path / "absent").action == "block"
