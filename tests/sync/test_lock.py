"""The lock of a state folder, and children that are forked while it is held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from vallum import lock
from vallum.errors import BusyError
from vallum.lock import exclusive


def fork_worker(folder: str) -> None:
    """Fork a worker with the lock held, tell its number, and wait to be killed with the lock held again."""
    with exclusive(Path(folder)):
        worker = os.fork()
        if worker == 0:
            os.close(1)  # so that who reads it sees the server's end
            signal.alarm(60)
            signal.pause()
    with exclusive(Path(folder), wait=5):
        sys.stdout.write(f"{worker}\n")
        sys.stdout.flush()
        signal.pause()


def test_a_forked_child_does_not_hold_its_parents_lock(tmp_path: Path) -> None:
    """A server syncs while it starts its workers: neither it nor anybody else is locked out by them, ever."""
    program = "import sys; from tests.sync.test_lock import fork_worker; fork_worker(sys.argv[1])"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        worker = server.stdout.readline()
        try:
            assert worker, "locked out by its own worker"
            with pytest.raises(BusyError), exclusive(tmp_path, wait=0):
                pass
            server.kill()
            server.wait(10)
            with exclusive(tmp_path, wait=5):
                os.kill(int(worker), 0)  # it lives
        finally:
            server.kill()
            with suppress(ValueError, ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)


def test_a_child_that_is_forked_while_the_lock_is_let_go_does_not_keep_it(tmp_path: Path) -> None:
    """Between two steps of its parent it has a descriptor of which it does not know: here a copy."""
    with exclusive(tmp_path):
        [descriptor] = lock._open
        copy = os.dup(descriptor)
    try:
        with exclusive(tmp_path, wait=0):
            pass
    finally:
        os.close(copy)


def test_a_child_that_leaves_the_block_closes_no_other_file(tmp_path: Path) -> None:
    """The descriptor's number may be another file's by then."""
    child = 0
    with exclusive(tmp_path):
        child = os.fork()
        reused = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR) if child == 0 else -1
    if child == 0:
        try:
            os.fstat(reused)
        except OSError:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
