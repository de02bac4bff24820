"""vallum.open: hot reload, many lists, errors, files, and what importing it costs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import vallum
from tests.match.states import digest_table, url_table, write_state
from vallum.expression import Scope
from vallum.format.table import Table
from vallum.match import lists as lists_module
from vallum.match import loaded
from vallum.state import FILE, Current, format_current, read_current
from vallum.tablefile import open_table

A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)
PAGE = (Scope.URL, "example.com/listed", B)


def due_now(lists: vallum.Lists) -> None:
    lists._due = 0.0


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


def test_a_state_replaced_while_it_is_read_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync ends just after a reader has read ``current.json``: the next look takes the new state up."""
    later = [3, 2]

    def read_then_replaced(state_dir: Path) -> Current:
        current = read_current(state_dir)
        if later:
            version = later.pop()
            page = (Scope.URL, f"example.com/{version}", B)
            write_state(state_dir, {"urls": url_table([page], version=version)})
        return current

    write_state(tmp_path, {"urls": url_table([PAGE], version=1)})
    monkeypatch.setattr(loaded, "read_current", read_then_replaced)
    with vallum.open(tmp_path) as lists:
        for version in (2, 3):  # each read while the next one came
            due_now(lists)
            assert [match.version for match in lists.match_url(f"http://example.com/{version}")] == [version]
        assert not lists.problem


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


def test_a_new_state_is_taken_up_and_a_bad_one_is_not(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE], version=1)})
    lists = vallum.open(tmp_path)
    assert lists.match_url("http://example.com/new") == []
    write_state(tmp_path, {"urls": url_table([(Scope.URL, "example.com/new", B)], version=2)})
    assert lists.match_url("http://example.com/listed")[0].version == 1  # the second is not over
    due_now(lists)
    assert lists.match_url("http://example.com/new")[0].version == 2
    assert lists.match_url("http://example.com/listed") == []

    (tmp_path / FILE).write_bytes(b"torn")
    due_now(lists)
    assert lists.match_url("http://example.com/new")[0].version == 2
    assert "not JSON" in lists.problem
    assert not lists.ready(0.1)
    write_state(tmp_path, {"urls": url_table([PAGE], version=3)})
    assert lists.ready()
    assert lists.match_url("http://example.com/listed")[0].version == 3


def test_a_cached_miss_ends_with_its_state(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE], version=1)})
    lists = vallum.open(tmp_path)
    for _ in range(3):
        assert lists.match_url("http://new.example/x") == []
    write_state(tmp_path, {"urls": url_table([(Scope.HOST, "new.example", B)], version=2)})
    due_now(lists)
    assert lists.match_url("http://new.example/x")


def test_unchanged_tables_are_not_opened_again(tmp_path: Path) -> None:
    kept, changed = url_table([PAGE]), url_table([PAGE], version=1)
    write_state(tmp_path, {"kept": kept, "changed": changed})
    lists = vallum.open(tmp_path)
    before = {matcher.list: matcher for matcher in lists._now().matchers}
    write_state(tmp_path, {"kept": kept, "changed": url_table([PAGE], version=2)})
    due_now(lists)
    after = {matcher.list: matcher for matcher in lists._now().matchers}
    assert after["kept"] is before["kept"]
    assert after["changed"] is not before["changed"]


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


def test_who_takes_less_than_is_followed_finds_nothing_clean(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table([PAGE])}, missing=["hashes.full"])
    with vallum.open(tmp_path, incomplete=True) as lists:
        [gap] = lists.gaps
        assert ("hotline/hashes.full" in gap.says, "vallum sync" in gap.hint) == (True, True)
        assert lists.decide_url("http://example.com/listed").outcome == "listed"
        for decision in (
            lists.decide_url("http://clean.example/"),
            lists.decide_digest("sha256", "00" * 32),
            lists.decide_file(Path(__file__)),
        ):
            assert (decision.outcome, decision.reason) == ("unchecked", gap.says)
        write_state(tmp_path, {"urls": url_table([PAGE]), "hashes": digest_table([])})
        due_now(lists)
        assert lists.decide_url("http://clean.example/").outcome == "clean"
        assert lists.gaps == ()


def test_what_is_lifted_while_it_is_open_leaves_nothing_unchecked(tmp_path: Path) -> None:
    """A hard-expired list that is open lets pass what it held, whether other lists are in force or none."""
    hashes, weak = digest_table([("sha256", "aa" * 32, B)]), digest_table([("md5", "bb" * 16, B)])
    write_state(tmp_path, {"urls": url_table([PAGE]), "hashes": hashes, "weak": weak})
    enforced = read_current(tmp_path)

    def lift(*streams: str) -> None:
        hotline = replace(enforced.sources["hotline"], lifted=streams)
        (tmp_path / FILE).write_bytes(format_current(Current({"hotline": hotline})))
        due_now(lists)

    def outcomes() -> tuple[str, ...]:
        url, digest = lists.decide_url("http://example.com/listed"), lists.decide_digest("sha256", "aa" * 32)
        return url.outcome, digest.outcome, lists.decide_file(Path(__file__)).outcome

    with vallum.open(tmp_path) as lists:
        assert outcomes() == ("listed", "listed", "clean")
        lift("hashes.full")
        assert outcomes() == ("listed", "clean", "clean")
        lift("urls.full", "hashes.full", "weak.full")
        assert outcomes() == ("clean", "clean", "clean")
        # The same lists are looked up in, none, but of these nobody says that they may be passed over.
        write_state(tmp_path, {"urls": url_table([PAGE])})
        enforced = read_current(tmp_path)
        lift("urls.full")
        assert outcomes() == ("clean", "unchecked", "unchecked")
        lift()
        assert outcomes() == ("listed", "unchecked", "unchecked")


def test_a_worker_forked_while_its_parent_reloads_takes_up_what_comes(tmp_path: Path) -> None:
    """The thread that reloads in the parent is not in the worker, and cannot end there."""
    program = (
        "from tests.match.test_lists import worker_of_reloading_parent as run; import sys; run(sys.argv[1])"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=True)


def worker_of_reloading_parent(folder: str) -> None:
    """Fork with a reload half done in another thread; succeed if the worker takes the next state up."""
    state_dir, begun = Path(folder), threading.Event()
    write_state(state_dir, {"urls": url_table([PAGE], version=1)})
    lists = vallum.open(state_dir)

    def hang(_loaded: loaded.Loaded) -> loaded.Loaded:
        begun.set()
        time.sleep(60)
        raise AssertionError

    newest = lists._newest
    lists._newest = hang  # type: ignore[method-assign, assignment]  # a disk that hangs
    due_now(lists)
    threading.Thread(target=lists.match_url, args=["http://example.com/"], daemon=True).start()
    assert begun.wait(10)
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    lists._newest = newest  # type: ignore[method-assign]  # and hangs no more
    write_state(state_dir, {"urls": url_table([PAGE], version=2)})
    due_now(lists)
    os._exit(0 if [match.version for match in lists.match_url("http://example.com/listed")] == [2] else 1)


def test_a_list_that_has_nothing_yet_holds_back_no_other(tmp_path: Path) -> None:
    """The operator adds a source that is down, or a list that is unpublished: readers go on following."""
    write_state(tmp_path, {"urls": url_table([PAGE], version=1)})
    with vallum.open(tmp_path) as lists:
        new = url_table([PAGE, (Scope.URL, "example.com/new", B)], version=2)
        write_state(tmp_path, {"urls": new}, missing=["hashes.full"])
        due_now(lists)
        assert [match.version for match in lists.match_url("http://example.com/new")] == [2]
        assert "hotline/hashes.full" in lists.problem
        assert [(one.list, one.version) for one in lists.status()] == [("urls", 2)]
        assert not lists.ready(0.1)
        write_state(tmp_path, {"urls": new, "hashes": digest_table([])})
        assert lists.ready()
        assert not lists.problem


def test_a_list_that_is_lost_stays_where_it_is_open(tmp_path: Path) -> None:
    """The state was recovered from damage, and the store is down: of one list nothing is in force now."""
    write_state(tmp_path, {"urls": url_table([PAGE]), "own": url_table([(Scope.HOST, "own.example", A)])})
    with vallum.open(tmp_path) as lists:
        write_state(tmp_path, {"urls": url_table([PAGE], version=2)}, missing=["own.full"])
        due_now(lists)
        assert lists.match_url("http://own.example/")
        assert "own.full" in lists.problem
        assert [(one.list, one.version) for one in lists.status()] == [("own", 1), ("urls", 2)]
        write_state(tmp_path, {"urls": url_table([PAGE], version=2)})
        due_now(lists)
        assert lists.match_url("http://own.example/") == [], "it is followed no longer"


def _turned(state_dir: Path, pattern: str) -> tuple[Path, bytes]:
    """A bit of a table turns; where, and its right bytes."""
    (table,) = state_dir.glob(pattern)
    right = table.read_bytes()
    table.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    return table, right


def test_a_damaged_list_holds_back_no_other(tmp_path: Path) -> None:
    """One list's new table is damaged: that list stays as it was, and is not taken for the new version."""
    write_state(tmp_path, {"one": url_table([PAGE]), "two": url_table([PAGE])})
    with vallum.open(tmp_path) as lists:
        write_state(tmp_path, {"one": url_table([PAGE], version=2), "two": url_table([PAGE], version=2)})
        table, right = _turned(tmp_path, "hotline/lists/one.full/1-2-*.exact")
        due_now(lists)
        versions = {match.list: match.version for match in lists.match_url("http://example.com/listed")}
        assert versions == {"one": 1, "two": 2}
        assert {one.list: one.version for one in lists.status()} == versions
        assert str(table) in lists.problem
        with pytest.raises(vallum.StateError):
            vallum.open(tmp_path)
        table.unlink()
        table.write_bytes(right)
        due_now(lists)
        assert {match.version for match in lists.match_url("http://example.com/listed")} == {2}
        assert not lists.problem


def test_a_damaged_table_is_not_hashed_in_each_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some look-up would wait for it each second; and a snapshot of what is the same is not made anew."""
    opened = []

    def open_and_count(path: Path, digest: str) -> Table:
        opened.append(path)
        return open_table(path, digest)

    monkeypatch.setattr(loaded, "open_table", open_and_count)
    write_state(tmp_path, {"urls": url_table([PAGE])})
    with vallum.open(tmp_path) as lists:
        before = lists._now()
        write_state(tmp_path, {"urls": url_table([PAGE], version=2)})
        table, right = _turned(tmp_path, "hotline/lists/*/1-2-*.exact")
        opened.clear()
        for _ in range(5):
            due_now(lists)
            assert lists.match_url("http://example.com/listed")[0].version == 1
            assert str(table) in lists.problem
        assert opened == [table]
        assert lists._now() is before
        # Put right in place, as `cp -p` does it: the same file by all that is asked of it.
        times = table.stat().st_atime_ns, table.stat().st_mtime_ns
        table.write_bytes(right)
        os.utime(table, ns=times)
        later = time.monotonic() + 100
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert lists.match_url("http://example.com/listed")[0].version == 2


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


def test_threads_see_one_state_or_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version lists exactly the page that bears its number, under both lists alike."""
    monkeypatch.setattr(lists_module, "_RECHECK_SECONDS", 0.0)

    def publish(version: int) -> None:
        table = url_table([(Scope.URL, f"example.com/{version % 2}", B)], version=version)
        write_state(tmp_path, {"one": table, "two": table})

    publish(1)
    lists = vallum.open(tmp_path)
    stop, wrong, seen = threading.Event(), [], set()

    def look_up() -> None:
        while not stop.is_set():
            for page in (0, 1):
                versions = {match.version for match in lists.match_url(f"http://example.com/{page}")}
                seen.update(versions)
                if len(versions) > 1 or any(version % 2 != page for version in versions):
                    wrong.append(versions)

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(2, 40):
        publish(version)
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) > 5
    assert not lists.problem


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
