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
from typing import Any

import pytest

from tests.crash.host import TRIALS
from tests.crash.scenes import SCENES
from tests.servers.process import find

SOURCE = Path(__file__).with_name("fault.c")
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
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcomes]]]:
    """All scenes, on all processors: each test waits for its own."""
    shim = build(tmp_path_factory.mktemp("shim"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begun = {
            scene: pool.submit(run, shim, scene, tmp_path_factory.mktemp(scene) / "at") for scene in SCENES
        }
        begun["every call"] = pool.submit(
            run, shim, "change", tmp_path_factory.mktemp("every") / "at", "every"
        )
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
        assert one["calls"] >= 5
    assert sum(one["states"] for one in found) >= 8, "faults left other disks behind than these"


def test_every_call_that_only_looks_too(outcomes: dict[str, Future[Outcomes]]) -> None:
    """One sync is killed at each of its file-system calls, to prove the shortcut; or each of them fails."""
    for one in outcomes["every call"].result():
        assert one["problems"] == [], f"{one['trial']}: {len(one['problems'])} problems"
        assert one["calls"] > 250
