"""The night on which the power goes and the disk fills, at each single file-system call.

scenes.py has what is going on; host.py interrupts it by fault.c; here is what may never come of it. Killed
before the next call that changes something is killed at any moment before it: the disk is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.crash.host import EVERY, TRIALS
from tests.crash.scenes import SCENES
from tests.servers.process import find

SOURCE = Path(__file__).with_name("fault.c")
EVERY_CALL = "change:every"
Outcomes = dict[str, list[dict[str, Any]]]


def build(folder: Path) -> Path:
    """Compile the shim."""
    shim = folder / "fault.so"
    compiler = find("cc", "Debian's gcc and libc6-dev")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", shim, SOURCE, "-ldl"], check=True)
    return shim


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Outcomes:
    """What came of the scenes that are asked for; they run on all processors."""
    shim = build(tmp_path_factory.mktemp("shim"))
    # Each call has a folder laid anew: in memory it costs a quarter of what it costs on a disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a random name below it
    asked = " ".join(item.name for item in request.session.items if item.path == request.path)
    names = [EVERY_CALL] if test_every_call_that_only_looks_too.__name__ in asked else []
    names += [scene for scene in SCENES if f"[{scene}]" in asked]
    found: Outcomes = {name: [] for name in names}
    with TemporaryDirectory(dir=memory) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash.host", folder, *names],
            env={**os.environ, "LD_PRELOAD": str(shim)},
            stdout=subprocess.PIPE,
            check=True,
        )
    for line in done.stdout.splitlines():
        one = json.loads(line)
        found[one["scene"]].append(one)
    return found


@pytest.mark.parametrize("scene", SCENES)
def test_whatever_is_interrupted(outcomes: Outcomes, scene: str) -> None:
    """Killed before each call or half way through each write, or the disk full from then on, or a disk error.

    The last good state or the new one opens, verified and right in its look-ups; the next sync succeeds and
    leaves nothing behind. What fails is said as an error of this machine, with what to do about it.
    """
    found = outcomes[scene]
    assert len(found) == len(TRIALS)
    for one in found:
        assert one["problems"] == [], f"{one['trial']}: {len(one['problems'])} problems"
        assert one["calls"] >= 2
    assert found[0]["calls"] >= 10
    assert sum(one["states"] for one in found) >= 6, "faults left other disks behind than these"


def test_every_call_that_only_looks_too(outcomes: Outcomes) -> None:
    """One sync is killed at each of its file-system calls, to prove the shortcut; or each of them fails."""
    found = outcomes[EVERY_CALL]
    assert len(found) == len(EVERY)
    for one in found:
        assert one["problems"] == [], f"{one['trial']}: {len(one['problems'])} problems"
        assert one["calls"] > 250
