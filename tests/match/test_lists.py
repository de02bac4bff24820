"""vallum.open: many lists, errors, files, and what importing it costs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vallum
from tests.match.states import digest_table, url_table, write_state
from vallum.expression import Scope

A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)
PAGE = (Scope.URL, "example.com/listed", B)


def test_match_says_where_and_what(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE], version=7)})
    with vallum.open(tmp_path) as lists:
        (match,) = lists.match_url("http://user@EXAMPLE.com:80/x/../listed#top")
        assert (match.source, match.list, match.version) == ("hotline", "urls", 7)
        assert (match.signal, match.scope, match.distance, match.weak) == ("url", "url", None, False)
        assert match.labels == B
        assert len(match.id) == 16
        assert lists.match_url("http://example.com/other") == []
        assert match.to_dict()["labels"] == ["uk-sap:1:B"]


def test_most_severe_first_over_all_lists(tmp_path: Path) -> None:
    write_state(
        tmp_path,
        {
            "one": url_table([(Scope.URL, "example.com/x", ("test",)), (Scope.HOST, "example.com", B)]),
            "two": url_table(
                [(Scope.DOMAIN, "example.com", A), (Scope.PATH_PREFIX, "example.com/x", ("new:1:z",))]
            ),
        },
    )
    found = vallum.open(tmp_path).match_url("https://example.com/x")
    assert [match.scope for match in found] == ["domain", "host", "path_prefix", "url"]


def test_no_host_is_an_error_and_never_clean(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE])})
    lists = vallum.open(tmp_path)
    for url in ("", "/listed", "mailto:a@b.example", b"/x"):
        with pytest.raises(vallum.InputError, match="no host") as raised:
            lists.match_url(url)
        assert raised.value.hint
        decision = lists.decide_url(url)
        assert (decision.outcome, decision.action) == ("unchecked", "review")


def test_batches(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE])})
    lists = vallum.open(tmp_path)
    urls: list[str | bytes] = [
        "http://example.com/listed",
        b"http://example.com/listed",
        "http://other.example/",
    ]
    assert [len(found) for found in lists.match_urls(urls)] == [1, 1, 0]
    assert [decision.outcome for decision in lists.decide_urls([*urls, ""])] == [
        "listed", "listed", "clean", "unchecked",
    ]  # fmt: skip
    assert lists.decide_url(urls[0]).to_dict()["action"] == "block"


def test_digests_and_files(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    picture = tmp_path / "picture"
    picture.write_bytes(data)
    table = digest_table(
        [
            ("sha256", hashlib.sha256(data).hexdigest(), A),
            ("md5", hashlib.md5(data, usedforsecurity=False).hexdigest(), B),
            ("md5", "00" * 16, B),
        ]
    )
    write_state(tmp_path, {"hashes": table})
    lists = vallum.open(tmp_path)
    assert [(match.signal, match.weak) for match in lists.match_file(picture)] == [
        ("sha256", False),
        ("md5", True),
    ]
    hasher = lists.hasher()
    for at in range(0, len(data), 70_001):
        hasher.update(memoryview(data)[at : at + 70_001])
    assert hasher.finish() == lists.match_file(picture)
    assert lists.match_digest("md5", "00" * 16)[0].weak
    assert lists.match_digest("sha1", "00" * 20) == []
    assert lists.match_digest("sha256", hashlib.sha256(data).hexdigest().upper()) != []
    assert lists.match_digest("sha256", hashlib.sha256(data).digest()) != []
    with pytest.raises(vallum.InputError, match="32 bytes"):
        lists.match_digest("sha256", "00" * 20)
    with pytest.raises(vallum.StorageError, match="No such file"):
        lists.match_file(tmp_path / "absent")
    (tmp_path / "innocent").write_bytes(b"innocent")
    assert lists.match_file(tmp_path / "innocent") == []


def test_an_altered_table_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE])})
    (table,) = tmp_path.glob("hotline/lists/*/*.exact")
    data = bytearray(table.read_bytes())
    data[-1] ^= 1
    table.write_bytes(data)
    with pytest.raises(vallum.StateError, match="not the table that was signed"):
        vallum.open(tmp_path)
    table.write_bytes(b"")
    with pytest.raises(vallum.StorageError):
        vallum.open(tmp_path)
    table.unlink()
    with pytest.raises(vallum.StorageError) as raised:
        vallum.open(tmp_path)
    assert raised.value.hint


def test_open_wants_every_configured_list(tmp_path: Path) -> None:
    with pytest.raises(vallum.UnavailableError) as raised:
        vallum.open(tmp_path)
    assert "vallum sync" in raised.value.hint
    write_state(tmp_path, {"urls": url_table([PAGE])}, missing=["hashes.full"])
    with pytest.raises(vallum.UnavailableError, match=r"hotline/hashes\.full"):
        vallum.open(tmp_path)
    write_state(tmp_path, {})
    with pytest.raises(vallum.UnavailableError):
        vallum.open(tmp_path)
    with pytest.raises(vallum.UnavailableError):
        vallum.open(tmp_path, incomplete=True)


def test_closed_lists_answer_nothing(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE])})
    with vallum.open(tmp_path) as lists:
        pass
    with pytest.raises(vallum.UnavailableError, match="closed"):
        lists.match_url("http://example.com/listed")


def test_status(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE], version=4), "hashes": digest_table([])})
    first, second = vallum.open(tmp_path).status()
    assert (first.list, first.rows, first.kind) == ("hashes", 0, "hash")
    assert (second.list, second.edition, second.version, second.rows) == ("urls", "full", 4, 1)
    assert second.to_dict()["as_of"] == "2026-11-25T00:00:00Z"


def test_explain_shows_reading_keys_and_hits(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE, (Scope.DOMAIN, "com.example", A)])})
    lists = vallum.open(tmp_path)
    url = "HTTP://a@Example.COM:8080/x/%2e%2e/%256cisted?#f"
    shown = lists.explain_url(url)
    assert list(shown.matches) == lists.match_url(url)
    assert shown.readings[0] == ("as given", url)
    assert shown.readings[-1] == ("canonical form", "example.com/listed")
    tried = {probe.expression: bool(probe.match) for probe in shown.lists[0].probes}
    assert tried == {
        "url|url|example.com/listed": True,
        "url|domain|example.com": False,
        "url|domain|com": False,
    }
    assert shown.lines()[0].startswith("LISTED by hotline/urls as url, id ")
    assert len(list(shown.rows())) == 3
    assert shown.to_dict()["lists"][0]["probes"][0]["hit"] == shown.matches[0].id
    assert "Not listed" in lists.explain_url("http://other.example/").lines()[0]
    assert "no host" in lists.explain_url("mailto:x").lines()[0]
    assert "\x1b" not in "\n".join(lists.explain_url("http://example.com/\x1b[31m").lines())


def test_importing_for_look_ups_is_light() -> None:
    probe = "import vallum, sys; vallum.open; vallum.Lists; vallum.canonicalize; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"tuf", "securesystemslib", "aiohttp", "urllib3", "cryptography", "click", "publicsuffixlist"}
    assert not heavy & {name.partition(".")[0] for name in loaded}


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="nothing_such"):
        vallum.nothing_such  # noqa: B018 - the access is what is tested
