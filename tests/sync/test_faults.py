"""What this machine may do to a sync: a full disk, a kill at any moment, two syncs at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import BusyError, StorageError, UnavailableError
from vallum.lock import exclusive
from vallum.sync import fetch
from vallum.sync.updater import Updater
from vallum.sync.watchdog import Watchdog

_SYNC = """
import resource, sys
from pathlib import Path
from vallum.config import load_config
from vallum.sync.updater import Updater
config = load_config(Path(sys.argv[1]))
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
report = Updater(config).sync()
for where, error in report.errors():
    print(type(error).__name__, error, error.hint, sep="|")
"""


def _write_config(repository: Repository, folder: Path) -> Path:
    repository.write_to(folder / "store")
    (folder / "root.json").write_bytes(repository.first_root)
    path = folder / "vallum.toml"
    path.write_text(
        'state = "client/state"\n[[source]]\nname = "hotline"\nurl = "store"\nroot = "root.json"\n'
        'lists = ["urls"]\n'
    )
    return path


def test_a_disk_that_takes_no_more(repository: Repository, client: Client, tmp_path: Path) -> None:
    """Files may not grow beyond 4,000 bytes: metadata fits, the new table does not.

    The sync says so, what is in force stays, no half file is left, and with room it goes on.
    """
    repository.release("urls", listed(*(f"bad.example/{number:04}" for number in range(300))))
    path = _write_config(repository, tmp_path)
    before, files = client.in_force(), client.files()
    done = subprocess.run(
        [sys.executable, "-c", _SYNC, path, "4000"], capture_output=True, text=True, check=True
    )
    kind, message, _ = done.stdout.removeprefix("ready").strip().split("|")
    assert kind == "StorageError"
    assert "2-" in message
    assert client.in_force() == before
    assert client.files() == files
    assert client.synced().after == 2


@pytest.mark.parametrize("name", ["floor.json", "current.json", "1-2-"])
def test_no_space_at_each_step(
    repository: Repository, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """``ENOSPC`` at the table, at the floor, at the last file of all: what was in force is in force."""
    repository.release("urls", listed("bad.example/c"))
    before = client.in_force()
    _fail_at(monkeypatch, name, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    if name == "current.json":
        with pytest.raises(StorageError):
            client.sync()
        assert client.in_force() == before
    else:
        assert "free some space" in client.refused(StorageError).hint
    monkeypatch.undo()
    assert client.synced().after == 2


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("name", ["floor.json", "current.json", "1-2-", ".role.json"])
def test_killed_at_each_step(
    repository: Repository, client: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The process dies just before a file appears: the last good list opens, the next sync goes on."""
    repository.release("urls", listed("bad.example/c"))
    before = client.in_force()
    _fail_at(monkeypatch, name, _Killed)
    with pytest.raises(_Killed):
        client.sync()
    monkeypatch.undo()
    assert client.in_force() == before
    assert client.synced().after == 2
    assert sum(name.endswith(".exact") for name in client.files()) == 2


def test_killed_for_real(repository: Repository, client: Client, tmp_path: Path) -> None:
    """kill -9 at random moments: each time the state opens, verified, and at last the sync gets through."""
    path = _write_config(repository, tmp_path)
    for version in range(2, 5):
        repository.release("urls", listed(*(f"bad.example/{version}/{number}" for number in range(200))))
        repository.write_to(tmp_path / "store")
        with subprocess.Popen(
            [sys.executable, "-c", _SYNC, path, str(1 << 30)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.025 * (version - 1))
            process.kill()
        client.in_force()
    assert client.synced().after == 4


def test_two_syncs_at_once(repository: Repository, client: Client) -> None:
    """The second one waits for the lock, and gives up with an error of its own if it is held for long."""
    with exclusive(client.state), pytest.raises(BusyError) as raised:
        Updater(client.config, client.connect).sync(wait_for_lock=0.1)
    assert raised.value.hint
    repository.release("urls", listed("bad.example/c"))
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(Updater(client.config, client.connect).sync()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(report.ok for report in reports)
    outcomes = sorted(report.sources[0].streams[0].outcome for report in reports)
    assert outcomes == ["activated", "unchanged", "unchanged", "unchanged"]


def test_a_state_folder_that_cannot_be(repository: Repository, tmp_path: Path) -> None:
    client = Client(repository, tmp_path)
    client.state.write_text("a file")
    with pytest.raises(StorageError):
        Updater(client.config, client.connect).sync()
    assert client.state.read_text() == "a file"


def test_a_source_beyond_its_quota(repository: Repository, client: Client) -> None:
    """A source that fills the disk is stopped by its own quota."""
    repository.release("urls", listed(*(f"bad.example/{number:04}" for number in range(300))))
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, quota=12_000),))
    assert "quota" in client.refused(StorageError).hint


def test_a_machine_without_threads(
    repository: Repository, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sync without its deadline: it fails as a source's trouble, and the next one is a sync as ever."""
    repository.release("urls", listed("bad.example/c"))
    [source] = client.config.sources

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(fetch, "WATCHDOG", Watchdog())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert "limit of tasks" in client.refused(UnavailableError).hint
        two = replace(client.config, sources=(*client.config.sources, replace(source, name="other")))
        with Updater(two, client.connect) as updater, pytest.raises(UnavailableError, match="each source"):
            updater.sync(now=repository.now, wait_for_lock=0)
    assert client.synced().after == 2


def _fail_at(monkeypatch: pytest.MonkeyPatch, name: str, error: Callable[[], BaseException]) -> None:
    """Let the rename fail that would make a file of this name appear, as a full or dying disk does."""
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if name in Path(target).name:
            raise error()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
