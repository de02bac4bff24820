"""``vallum doctor``: each thing that can be wrong on a machine is named, with a way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from itertools import repeat
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.config import Source
from vallum.doctor import BAD, GOOD, WARN, Finding, examine, lock_holders
from vallum.errors import FetchError
from vallum.expression import Scope
from vallum.lock import exclusive
from vallum.sync.transport import Answer

DAY = timedelta(days=1)


def findings(client: Client, repository: Repository) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in examine(client.config, repository.now, client.connect):
        assert one.hint or one.level == GOOD or one.check == "lists", one
        found.setdefault(one.check, []).append(one)
    assert {"clock", "store", "root", "keys", "disk", "permissions", "processes", "lists"} <= found.keys()
    return found


def levels(found: list[Finding]) -> set[str]:
    return {one.level for one in found}


@pytest.fixture
def closed(client: Client) -> Client:
    """A client whose state folder nobody else can enter."""
    for path in client.state.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o007)
    client.state.chmod(0o750)
    return client


def test_all_is_well(repository: Repository, closed: Client) -> None:
    found = findings(closed, repository)
    assert {one.level for several in found.values() for one in several} == {GOOD}, found
    assert "directly" in found["proxy"][0].says


def _broken_root(client: Client, _repository: Repository) -> None:
    client.config.sources[0].root.write_text("{}")


def _open_root(client: Client, _repository: Repository) -> None:
    client.config.sources[0].root.chmod(0o666)


def _damaged_floor(client: Client, _repository: Repository) -> None:
    (client.state / "hotline/floor.json").write_text("{")


def _store_says(answer: Callable[[], Answer]) -> Callable[[Client, Repository], None]:
    def spoil(_client: Client, repository: Repository) -> None:
        repository.answers["metadata/timestamp.json"] = answer

    return spoil


def _no_answer() -> Answer:
    raise FetchError("no connection")


def _another_publishers_root(client: Client, _repository: Repository) -> None:
    client.config.sources[0].root.write_bytes(Repository().first_root)


def _lists_that_are_not_there(client: Client, _repository: Repository) -> None:
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, streams=("films.full", "urls.match")),))


def _last_sync_failed(client: Client, repository: Repository) -> None:
    repository.answers["metadata/timestamp.json"] = _no_answer
    client.sync()
    repository.answers.clear()


def _readable_key(client: Client, _repository: Repository) -> None:
    folder = client.state / "hotline/keys"
    folder.mkdir()
    (folder / "key").touch()
    (folder / "key").chmod(0o644)


def _open_folder(client: Client, _repository: Repository) -> None:
    client.state.chmod(0o755)


def _bad_never_block(client: Client, _repository: Repository) -> None:
    client.config = replace(client.config, never_block=client.state.parent / "absent.txt")


def _name_that_is_covered(client: Client, repository: Repository) -> None:
    held = repository.lists["urls"].versions[-1]
    repository.release("urls", {**held, **listed("bank.example", scope=Scope.DOMAIN)})
    client.synced()
    names = client.state.parent / "never.txt"
    names.write_text("www.bank.example\n")
    client.config = replace(client.config, never_block=names)


def _bad_allow(client: Client, _repository: Repository) -> None:
    (client.state / "allow.json").write_text("[]")
    (client.state / "allow.json").chmod(0o640)


def _never_synced(client: Client, _repository: Repository) -> None:
    (client.state / "current.json").unlink()


def _damaged_table(client: Client, _repository: Repository) -> None:
    [path] = (client.state / "hotline/lists/urls.full").glob("*.exact")
    path.write_bytes(b"")


def _in_quarantine(client: Client, repository: Repository) -> None:
    repository.release("urls", listed("only.example/"))
    client.sync()


def _clock_ahead(_client: Client, repository: Repository) -> None:
    # Seen from a clock a year behind, all that was verified lies in the future.
    repository.now -= 365 * DAY


@pytest.mark.parametrize(("spoil", "check", "level"), [
    (_broken_root, "root", BAD),
    (_open_root, "root", BAD),
    (_damaged_floor, "root", BAD),
    (_store_says(lambda: Answer(403)), "store", BAD),
    (_store_says(_no_answer), "store", BAD),
    (_store_says(lambda: Answer(200, [b"<html>Log in to our network</html>"])), "store", BAD),
    (_store_says(lambda: Answer(200, repeat(b"<html>"))), "store", BAD),
    (_another_publishers_root, "store", BAD),
    (_lists_that_are_not_there, "lists", BAD),
    (_last_sync_failed, "sync", BAD),
    (_readable_key, "keys", BAD),
    (_open_folder, "permissions", WARN),
    (_bad_never_block, "files", BAD),
    (_name_that_is_covered, "never_block", WARN),
    (_bad_allow, "files", BAD),
    (_never_synced, "lists", BAD),
    (_damaged_table, "lists", BAD),
    (_in_quarantine, "lists", BAD),
    (_clock_ahead, "clock", BAD),
])  # fmt: skip
def test_what_is_wrong_is_named(
    repository: Repository,
    closed: Client,
    spoil: Callable[[Client, Repository], None],
    check: str,
    level: str,
) -> None:
    """One broken thing is found, and hides nothing else."""
    spoil(closed, repository)
    assert level in levels(findings(closed, repository)[check])


@pytest.mark.parametrize(("status", "hint"), [
    (403, "access has ended or was never given: check `headers` and `query`"),
    (404, "is the source's url that of a repository?"),
    (500, "the store is in trouble: it passes, or call the publisher"),
])  # fmt: skip
def test_what_the_store_answers_has_its_way_out(
    repository: Repository, closed: Client, status: int, hint: str
) -> None:
    """In the words of a sync."""
    repository.answers["metadata/timestamp.json"] = lambda: Answer(status)
    [(_, error)] = closed.sync().errors()
    assert error.hint.startswith(hint)
    [found] = findings(closed, repository)["store"]
    assert (found.says, found.hint) == (str(error), error.hint)


def test_the_root_of_a_store_that_it_did_not_sign_is_not_good(repository: Repository, closed: Client) -> None:
    _another_publishers_root(closed, repository)
    found = findings(closed, repository)
    assert (found["root"][0].level, found["root"][0].hint) == (WARN, f"see store: {found['store'][0].hint}")


def test_a_version_in_quarantine_is_no_good_sync(repository: Repository, closed: Client) -> None:
    _in_quarantine(closed, repository)
    [found] = findings(closed, repository)["sync"]
    assert (found.level, found.about) == (BAD, "hotline/urls.full")


@pytest.mark.parametrize(("free", "level"), [(0, BAD), (64 << 20, WARN), (1 << 40, GOOD)])
def test_room_on_the_disk(
    repository: Repository, closed: Client, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = shutil.disk_usage(closed.state)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert findings(closed, repository)["disk"][0].level == level


def test_a_machine_without_lists_may_have_had_some(repository: Repository, closed: Client) -> None:
    """A sync before the floor is put back would take any old list."""
    _never_synced(closed, repository)
    [found] = findings(closed, repository)["lists"]
    assert "`vallum sync`" in found.hint
    assert "restore floor.json first" in found.hint


def test_a_name_that_is_covered_is_told_by_the_entrys_id(repository: Repository, closed: Client) -> None:
    _name_that_is_covered(closed, repository)
    [found] = findings(closed, repository)["never_block"]
    assert found.about == "hotline/urls.full"
    assert "never-block" in found.says
    assert "(ids " in found.says
    assert "bank" not in found.says + found.hint
    (closed.state.parent / "never.txt").write_text("")
    assert levels(findings(closed, repository)["never_block"]) == {GOOD}


def test_the_stores_clock(repository: Repository, closed: Client) -> None:
    """This machine's clock an hour off the store's: found before expiry is judged wrongly."""
    date = format_datetime(repository.now - timedelta(hours=1))
    repository.answers["metadata/timestamp.json"] = lambda: Answer(200, [b"{}"], date=date)
    [wrong] = [one for one in findings(closed, repository)["clock"] if one.level == BAD]
    assert "60 minutes ahead of" in wrong.says
    repository.answers["metadata/timestamp.json"] = lambda: Answer(200, [b"{}"], date="yesterday")
    assert levels(findings(closed, repository)["clock"]) == {GOOD}


def test_the_proxys_password_is_never_shown(repository: Repository, closed: Client) -> None:
    [source] = closed.config.sources
    proxied = replace(source, proxy="http://user:secret@proxy.example:3128")
    closed.config = replace(closed.config, sources=(proxied,))
    [found] = findings(closed, repository)["proxy"]
    assert found.says == "through proxy.example:3128"


def test_certificates(repository: Repository, closed: Client, tmp_path: Path) -> None:
    def look(**changes: object) -> set[str]:
        [source] = closed.config.sources
        altered: Source = replace(source, **changes)  # type: ignore[arg-type]  # fields by name
        client = Client(repository, tmp_path / "other")
        client.config = replace(closed.config, sources=(altered,))
        return levels(findings(client, repository)["ca"])

    assert look(url="http://hotline.example") == {WARN}
    (tmp_path / "ca.pem").write_text("not a certificate")
    assert look(ca=tmp_path / "ca.pem") == {BAD}


def test_who_holds_the_lock(repository: Repository, closed: Client) -> None:
    """Another process syncs: it is named, with its number."""
    program = (
        "import sys, pathlib\n"
        "from vallum.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, str(closed.state)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        if not lock_holders(closed.state / "lock"):
            other.kill()
            pytest.skip("the kernel does not tell who holds locks here")
        [found] = findings(closed, repository)["processes"]
        assert found.about == str(other.pid)
        assert f"process {other.pid} (" in found.says
        other.communicate("")
    assert lock_holders(closed.state / "lock") == []
    with exclusive(closed.state):
        assert [pid for pid, _ in lock_holders(closed.state / "lock")] == [os.getpid()]


def test_nothing_is_changed(repository: Repository, closed: Client) -> None:
    before = {name: (closed.state / name).stat().st_mtime_ns for name in closed.files()}
    findings(closed, repository)
    assert {name: (closed.state / name).stat().st_mtime_ns for name in closed.files()} == before
