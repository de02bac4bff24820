"""The night on which the power goes and the disk fills, at each single file-system call.

scenes.py has what is going on; host.py interrupts it by fault.c; here is what may never come of it. Killed
before the next call that changes something is killed at any moment before it: the disk is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.crash.host import TRIALS
from tests.crash.scenes import SCENES
from tests.servers.process import find

SOURCE = Path(__file__).with_name("fault.c")
EVERY_CALL = "test_every_call_that_only_looks_too"
Outcomes = list[dict[str, Any]]


def build(folder: Path) -> Path:
    """Compile the shim."""
    shim = folder / "fault.so"
    compiler = find("cc", "Debian's gcc and libc6-dev")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", shim, SOURCE, "-ldl"], check=True)
    return shim


def run(shim: Path, scene: str, folder: Path, *more: str) -> Outcomes:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.host", scene, folder, *more],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Outcomes]]]:
    """The scenes that are asked for, on all processors: each test waits for its own."""
    shim = build(tmp_path_factory.mktemp("shim"))
    # Each call has a folder laid anew: in memory it costs a quarter of what it costs on a disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a random name below it
    asked = " ".join(item.name for item in request.session.items if item.path == request.path)
    begun: dict[str, Future[Outcomes]] = {}
    with TemporaryDirectory(dir=memory) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        for scene in SCENES:
            if f"[{scene}]" in asked:
                begun[scene] = pool.submit(run, shim, scene, Path(folder, scene))
        if EVERY_CALL in asked:
            begun[EVERY_CALL] = pool.submit(run, shim, "change", Path(folder, EVERY_CALL), "every")
        yield begun
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scene", SCENES)
def test_whatever_is_interrupted(outcomes: dict[str, Future[Outcomes]], scene: str) -> None:
    """Killed before each call or half way through each write, or the disk full from then on, or a disk error.

    The last good state or the new one opens, verified and right in its look-ups; the next sync succeeds and
    leaves nothing behind. What fails is said as an error of this machine, with what to do about it.
    """
    found = outcomes[scene].result()
    assert len(found) == len(TRIALS)
    for one in found:
        assert one["problems"] == [], f"{one['trial']}: {len(one['problems'])} problems"
        assert one["calls"] >= 2
    assert found[0]["calls"] >= 10
    assert sum(one["states"] for one in found) >= 6, "faults left other disks behind than these"


def test_every_call_that_only_looks_too(outcomes: dict[str, Future[Outcomes]]) -> None:
    """One sync is killed at each of its file-system calls, to prove the shortcut; or each of them fails."""
    for one in outcomes[EVERY_CALL].result():
        assert one["problems"] == [], f"{one['trial']}: {len(one['problems'])} problems"
        assert one["calls"] > 250
