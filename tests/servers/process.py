"""Start a server as a child, wait until it answers, kill it with everything it started."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str, package: str) -> NoReturn:
    """Skip the test because ``what`` is not installed, or fail it where servers are required."""
    reason = f"{what} is not installed ({package}; .ci/run installs it)"
    if os.environ.get("VALLUM_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def find(program: str, package: str, *folders: Path) -> str:
    """The path of ``program``, from ``folders``, PATH or where Debian puts daemons; else ``missing``."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which(program, path=path) or missing(program, package)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody uses now, all different.

    Below the range from which the kernel gives ports to outgoing connections: one of those could be taken
    again before the server comes to listen on it.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def accepts(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    ready: Callable[[], bool],
    *,
    seconds: float = 60,
    user: str | None = None,
    cwd: Path | None = None,
) -> Iterator[None]:
    """Run ``command`` in the foreground until the block ends; ``ready`` says when it answers.

    Its output goes to ``log``, whose end is shown if it dies or is not ready in ``seconds``. It is killed,
    not asked: its data is thrown away, and some servers take half a minute to say goodbye. It also dies
    with this process.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_die_with_parent(), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=cwd,
        )
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"{command[0]} is not ready (exit status {process.poll()}):\n{end}")
            time.sleep(0.1)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
