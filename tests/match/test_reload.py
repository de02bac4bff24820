"""A state that changes under open lists: what is taken up of it, what stays as it was, and what is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import vallum
from tests.match.states import digest_table, url_table, write_state
from vallum.expression import Scope
from vallum.failure import Failure
from vallum.format.table import Table
from vallum.match import lists as lists_module
from vallum.match import loaded
from vallum.state import FILE, Current, format_current, read_current
from vallum.tablefile import open_table

A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)
PAGE = (Scope.URL, "example.com/listed", B)


def due_now(lists: vallum.Lists) -> None:
    lists._due = 0.0


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


def test_tables_removed_while_their_state_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync ends just after a reader has read ``current.json``, and removes what that names; twice.

    The reader takes the newest up, whether it opens the lists or has them open.
    """
    later: list[int] = []

    def read_then_removed(state_dir: Path) -> Current:
        current = read_current(state_dir)
        if later:
            for table in state_dir.glob("hotline/lists/*/*.exact"):
                table.unlink()
            write_state(state_dir, {"urls": url_table([PAGE], version=later.pop(0))})
        return current

    write_state(tmp_path, {"urls": url_table([PAGE], version=1)})
    monkeypatch.setattr(loaded, "read_current", read_then_removed)
    later += [2, 3]
    with vallum.open(tmp_path) as lists:
        assert [match.version for match in lists.match_url("http://example.com/listed")] == [3]
        write_state(tmp_path, {"urls": url_table([PAGE], version=4)})
        later += [5, 6]
        due_now(lists)
        assert [match.version for match in lists.match_url("http://example.com/listed")] == [6]
        assert not lists.problem


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


@pytest.mark.parametrize(("stream", "told"), [("", True), ("hashes.full", True), ("urls.full", False)])
def test_what_is_missing_says_what_keeps_it_away(tmp_path: Path, stream: str, told: bool) -> None:
    """The whole source fails, or that list of it; what fails of another list is no reason."""
    write_state(tmp_path, {"urls": url_table([PAGE])}, missing=["hashes.full"])
    failure = Failure(stream, datetime(2026, 1, 1, tzinfo=UTC), "FetchError", "no connection", "is it up?")
    hotline = replace(read_current(tmp_path).sources["hotline"], failures=(failure,))
    (tmp_path / FILE).write_bytes(format_current(Current({"hotline": hotline})))
    with pytest.raises(vallum.UnavailableError, match=r"hotline/hashes\.full") as raised:
        vallum.open(tmp_path)
    assert ("no connection" in str(raised.value), raised.value.hint == "is it up?") == (told, told)


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
        "from tests.match.test_reload import worker_of_reloading_parent as run; import sys; run(sys.argv[1])"
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
