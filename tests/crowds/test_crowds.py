"""Many processes on one state folder: pollers and a publisher, readers and a sync."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.servers.nginx import StartNginx, start_origin_and_mirror
from vallum.sync.kept import read_kept
from vallum.sync.updater import Updater

PROCESSES, POLLS = 4, 2_500
READERS, VERSIONS = 8, 200
SLACK = 1 << 20
"""Bytes of private memory by which a process may grow."""


@pytest.fixture
def store(tmp_path: Path, start_nginx: StartNginx) -> tuple[Path, str]:
    """A folder, and the address under which nginx serves it."""
    folder = tmp_path / "store"
    folder.mkdir()
    origin, _ = start_origin_and_mirror(start_nginx, tmp_path)
    return folder, f"http://127.0.0.1:{origin}"


def test_four_processes_poll_ten_thousand_times(tmp_path: Path, store: tuple[Path, str]) -> None:
    """Workers and a cron job share one folder; python-tuf alone failed in 3.7 to 7.7 % of polls."""
    folder, url = store
    repository = Repository()
    repository.create("urls")
    repository.release("urls", listed("bad.example/a"))
    repository.write_to(folder)
    (tmp_path / "root.json").write_bytes(repository.first_root)
    config = tmp_path / "vallum.toml"
    config.write_text(
        'state = "state"\n[[source]]\nname = "hotline"\nroot = "root.json"\nlists = ["urls"]\n'
        f'url = "{url}"\n'
    )
    pollers = [_start("poller", config, str(POLLS)) for _ in range(PROCESSES)]

    def publish() -> None:
        version = repository.lists["urls"].version + 1
        repository.release("urls", listed("bad.example/a", f"bad{version}.example/b"))
        repository.write_to(folder)

    published = _while_running(pollers, publish, pause=0.4)
    found = [_said(poller) for poller in pollers]
    activated = sum(one["outcomes"].get("synced", 0) for one in found)
    print(f"{PROCESSES} × {POLLS:,} polls, {published} publications, {activated} full runs: {found}")
    assert [one["failures"] for one in found] == [[]] * PROCESSES
    assert sum(sum(one["outcomes"].values()) for one in found) == PROCESSES * POLLS
    assert activated > published > 5
    assert all(one["handles"] == 0 and one["grown"] < SLACK for one in found)


def test_eight_readers_match_while_two_hundred_versions_go_live(tmp_path: Path) -> None:
    """Look-ups go on, right and without a pause, through every change; old tables go from memory and disk."""
    repository = Repository()
    for name in ("pages", "urls"):
        repository.create(name)

    def release() -> None:
        version = repository.lists["urls"].version + 1
        for name in ("pages", "urls"):
            repository.lists[name].versions.append(listed("bad.example/always", f"bad{version}.example/b"))
            repository.lists[name].spans = (
                [(0, version)] if version == 1 else [(0, version), (version - 1, version)]
            )
            repository.fill_role(name)
        repository.publish()

    release()
    client = Client(repository, tmp_path)
    client.synced()
    signal = tmp_path / "stop"
    readers = [_start("reader", client.state, str(signal)) for _ in range(READERS)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    with Updater(client.config, client.connect) as updater:  # one process, as `sync --watch` is
        for _ in range(VERSIONS):
            release()
            assert updater.sync().ok
    signal.touch()
    found = [_said(reader) for reader in readers]
    print(f"{READERS} readers, {VERSIONS} versions: {found}")
    assert [one["failures"] for one in found] == [[]] * READERS
    assert {one["final"] for one in found} == {VERSIONS + 1}
    assert all(one["versions"] > VERSIONS // 10 for one in found)
    assert all(one["mapped"] == 2 and one["handles"] == 0 and one["grown"] < SLACK for one in found)
    # Two look-ups and, at times, the change of both lists between them.
    assert all(one["slowest_cpu"] < 0.1 for one in found), "a look-up paused"
    for name in ("pages.full", "urls.full"):
        tables = [path.name for path in (client.state / "hotline/lists" / name).glob("*.exact")]
        assert len(tables) == len(read_kept(client.state, "hotline", name)) <= 6, tables


def _start(program: str, *arguments: Path | str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.crowds.{program}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _while_running(processes: list[subprocess.Popen[str]], act: Callable[[], None], pause: float) -> int:
    """Act again and again until the processes end; say how often."""
    times = 0
    while any(process.poll() is None for process in processes):
        act()
        times += 1
        time.sleep(pause)
    return times


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said
