"""Which system calls a durable write makes, as strace has it from the kernel; and in which order a sync does.

A killed process loses nothing that it wrote; a power cut loses what was not synced. So the order is what
counts: no name without its bytes, and no ``current.json`` before all that it names.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.scenes import SCENES
from tests.servers.process import find

CALLS = "openat,write,fchmod,fsync,rename,link,unlink,mkdir,chmod,ftruncate"

_WRITE = """
import sys
from pathlib import Path
from vallum.durable import write_durable
folder = Path(sys.argv[1])
write_durable(folder / "file", [b"one", b"two"], exclusive=sys.argv[2] == "exclusive")
"""

_SYNC = """
import sys
from pathlib import Path
from tests.crash.scenes import SCENES
folder = Path(sys.argv[1])
scene = SCENES[sys.argv[2]](folder / "client")
(folder / "begin").touch()
assert not scene.act(scene)
(folder / "end").touch()
"""

_AGAIN = """
import sys
from pathlib import Path
from tests.crash.scenes import SCENES
folder = Path(sys.argv[1])
scene = SCENES["first"](folder / "client")
assert not scene.act(scene)
state = scene.client.state
for path in (state / "current.json", state / "hotline/floor.json", *state.glob("*/lists/*/*.state.json")):
    path.unlink()
(folder / "begin").touch()
assert not scene.act(scene)
(folder / "end").touch()
"""


def traced(folder: Path, program: str, *arguments: str) -> list[tuple[str, str]]:
    """Run a program; its changing calls below ``folder`` that succeeded, with the last path of each."""
    log = folder.parent / f"{folder.name}.trace"
    strace = find("strace", "Debian's strace")
    options = ["-f", "-y", "-s0", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [strace, *options, sys.executable, "-c", program, folder, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr:
        pytest.skip("this machine allows no tracing")
    assert done.returncode == 0, done.stderr
    found = []
    for line in log.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\(", line)
        paths = re.findall(rf'[<"]({re.escape(str(folder))}/?[^">]*)[">]', line)
        if not call or not paths or " = -1 " in line or (call[1] == "openat" and "O_CREAT" not in line):
            continue
        # Of an open the descriptor that it returns is the last path.
        found.append((call[1], paths[-1].removeprefix(str(folder)).lstrip("/")))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "traced"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("how", "then"),
    [("replacing", [("rename", "file")]), ("exclusive", [("link", "file"), ("unlink", "TEMPORARY")])],
)
def test_a_durable_write_is_what_its_comment_says(
    folder: Path, how: str, then: Sequence[tuple[str, str]]
) -> None:
    made = traced(folder, _WRITE, how)
    plain = [(call, re.sub(r"^\.file\.[0-9a-f]{16}$", "TEMPORARY", path)) for call, path in made]
    body = [(call, "TEMPORARY") for call in ("openat", "write", "write", "fchmod", "fsync")]
    assert plain == [*body, *then, ("fsync", "")]


@pytest.mark.parametrize("scene", ["first", "change", "generation"])
def test_a_sync_survives_a_power_cut(folder: Path, scene: str) -> None:
    """What ``current.json`` names, the floor and the journal are on disk, names and bytes, before it is."""
    assert scene in SCENES
    calls = _between(traced(folder, _SYNC, scene))
    commit = calls.index(("rename", "current.json"))
    dirty: set[str] = set()
    unnamed: set[str] = set()
    for call, path in calls[: commit + 1]:
        parent = path.rpartition("/")[0]
        if call in ("write", "fchmod"):
            dirty.add(path)
        elif call == "fsync":
            dirty.discard(path)
            unnamed.discard("" if path == "client/state" else path)
        elif call in ("rename", "link"):
            assert not dirty, f"{path} gets its name before {dirty} is on disk"
            unnamed.add(parent)
    assert unnamed == {""}, "only current.json's own name may be on its way"
    assert ("fsync", "client/state") in calls[commit:]
    names = [path for call, path in calls[:commit] if call == "rename"]
    assert any(name.endswith(".exact") for name in names)
    assert any(name.endswith("floor.json") for name in names)
    assert ("fsync", "journal.jsonl") in calls[:commit]


def test_what_a_killed_sync_left_survives_a_power_cut(folder: Path) -> None:
    """Killed after a table had its name, before the name was on disk: whoever takes it sees to that first."""
    calls = _between(traced(folder, _AGAIN))
    before = calls[: calls.index(("rename", "current.json"))]
    assert not any(call == "rename" and path.endswith(".exact") for call, path in before)
    assert {("fsync", "hotline/lists/urls.full"), ("fsync", "hotline/lists")} <= set(before)


def _between(made: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The calls of the act, as far as they matter; paths below the state folder."""
    begin, end = made.index(("openat", "begin")), made.index(("openat", "end"))
    return [
        (call, path.removeprefix("client/state/"))
        for call, path in made[begin:end]
        # python-tuf's cache may be deleted; what is in staging is read once.
        if path.startswith("client/state") and "/trust" not in path and "/staging" not in path
    ]
