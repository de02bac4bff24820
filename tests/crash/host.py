"""The process in which acts are interrupted: it loads Python once and forks, for each scene and each call.

Run by test_crash.py as ``LD_PRELOAD=fault.so python -m tests.crash.host FOLDER SCENE ...``; prints one JSON
line for each scene and fault: how many calls met it, and what was wrong afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import hashlib
import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from signal import SIGKILL
from stat import S_IMODE

from tests.crash.scenes import SCENES, Scene, View
from vallum.errors import VallumError
from vallum.sync import fetch, workflow  # noqa: F401 - the workflow is loaded here, once for all


class Fault(IntEnum):
    """What happens at the chosen call, as fault.c numbers it."""

    NONE = 0
    KILL = 1
    TORN = 2
    FAIL_ONCE = 3
    FAIL_ON = 4


@dataclass(frozen=True)
class Trial:
    """One fault, at each call in turn.

    Attributes:
        fault, error: what happens; ``error`` is a number of :mod:`errno`.
        every: at calls that only look, too.
    """

    name: str
    fault: Fault
    error: int = 0
    every: bool = False


TRIALS = (
    Trial("killed before a call", Fault.KILL),
    Trial("killed half way through a call", Fault.TORN),
    Trial("the disk is full from a call on", Fault.FAIL_ON, errno.ENOSPC),
    Trial("a call fails with EIO", Fault.FAIL_ONCE, errno.EIO),
)
EVERY = (
    Trial("killed before any call", Fault.KILL, every=True),
    Trial("any call fails with EIO", Fault.FAIL_ONCE, errno.EIO, every=True),
)

Files = frozenset[str]


@dataclass
class Found:
    """What one trial found."""

    scene: str
    trial: str
    calls: int = 0
    states: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """What lies in a folder; ``data`` is ``None`` of a folder, and where it leads to of a link."""

    data: bytes | None
    mode: int
    modified: int
    link: bool = False


def _tree(folder: Path, name: str = "") -> Iterator[tuple[str, Entry]]:
    """Everything in a folder, itself included, by its path below; none if it is not there."""
    if not folder.is_dir():
        return
    about = folder.stat()
    yield name, Entry(None, S_IMODE(about.st_mode), about.st_mtime_ns)
    with os.scandir(folder) as entries:
        for entry in entries:
            path, below = folder / entry.name, f"{name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _tree(path, below)
            elif entry.is_symlink():
                yield below, Entry(bytes(path.readlink()), 0, 0, link=True)
            else:
                about = entry.stat()
                yield below, Entry(path.read_bytes(), S_IMODE(about.st_mode), about.st_mtime_ns)


class Host:
    """One scene, and the state folder that is laid anew for each call."""

    def __init__(self, name: str, scene: Scene, shim: ctypes.CDLL, log: Path) -> None:
        self.name, self.scene = name, scene
        self._shim = shim
        self._state = scene.client.state
        self._log = log
        self._seen: set[str] = set()
        self._calls: list[str] = []
        self._template = dict(_tree(self._state))
        self._before = scene.view()
        assert self._names(scene.act(scene)) == scene.errors
        self._after = scene.view()
        self._ends = [self._end()]
        self._lay()
        self._ends.append(self._end())  # as if the act had never been

    def run(self, trial: Trial) -> Found:
        """Meet the fault at each call in turn, until the act gets through without it."""
        found = Found(self.name, trial.name)
        number = 0
        while True:
            number += 1
            if trial.fault is Fault.TORN and number < len(self._calls) and self._calls[number - 1] != "write":
                continue  # any other call is made whole: that is to be killed before the next one
            self._lay()
            status, said = self._child(trial, number)
            calls = self._log.read_text().splitlines()
            if len(calls) < number:
                assert (status, said) == (0, {"errors": [*self.scene.errors]}), said
                self._calls = [call.split(" ")[0] for call in calls]
                return found
            found.calls += 1
            where = f"call {number}, {calls[number - 1]}"
            if trial.fault in (Fault.KILL, Fault.TORN):
                assert os.WIFSIGNALED(status), f"{where}: not killed"
                assert os.WTERMSIG(status) == SIGKILL
            else:
                found.problems += (f"{where}: {problem}" for problem in self._said(trial, said))
            mark = self._mark()
            if mark not in self._seen:  # otherwise it is the very disk that was looked at before
                self._seen.add(mark)
                found.states += 1
                found.problems += (f"{where}: {problem}" for problem in self._afterwards(trial))

    def _child(self, trial: Trial, number: int) -> tuple[int, dict[str, list[str]]]:
        self._log.write_bytes(b"")
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                log = os.open(self._log, os.O_WRONLY | os.O_APPEND)
                self._shim.fault_arm(
                    os.fsencode(self._state),
                    int(trial.fault),
                    ctypes.c_long(number),
                    trial.error,
                    trial.every,
                    log,
                )
                said: dict[str, list[str]]
                try:
                    said = {"errors": [*self._names(self.scene.act(self.scene), "; ")]}
                except VallumError as error:
                    said = {"raised": [self._name(error, "; ")]}
                except BaseException:
                    said = {"broken": [traceback.format_exc()]}
                os.write(writer, json.dumps(said).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        return os.waitpid(child, 0)[1], json.loads(data or b"{}")

    def _said(self, trial: Trial, said: Mapping[str, list[str]]) -> Iterator[str]:
        """An error must be one of ours, and say what to do about a full disk."""
        yield from said.get("broken", [])
        text = json.dumps(said)
        if "unforeseen" in text:
            yield text
        errors = said.get("errors", [])
        extra = [str(error) for error in (*errors, *said.get("raised", ())) if error not in self.scene.errors]
        for error in extra:
            if not error.startswith("StorageError"):
                yield f"not a StorageError: {error}"
            if trial.error == errno.ENOSPC and "space" not in error.partition("; ")[2]:
                yield f"no word of what to do: {error}"
        if not extra and self.scene.view() != self._after:
            yield "nothing was said, and it was not done"

    def _afterwards(self, trial: Trial) -> Iterator[str]:
        """The state opens; the next sync succeeds, and nothing that the fault left behind stays."""
        try:
            view = self.scene.view()
            # What fails for one list holds back no other; a kill is met by all of them.
            apart = trial.error and len(view) == len(self._after) and view <= self._before | self._after
            if view not in (self._before, self._after) and not apart:
                yield f"a reader finds {view}"
            self.scene.client.in_force()
            end = self._end()
        except (VallumError, AssertionError, OSError) as error:
            yield f"{type(error).__name__}: {error}"
            return
        if end not in self._ends:
            nearest = min(self._ends, key=lambda other: len(end[2] ^ other[2]))
            if end[:2] != nearest[:2]:
                yield f"after the next sync: {end[:2]}"
            for name in sorted(end[2] ^ nearest[2]):
                yield f"{'left behind' if name in end[2] else 'lost'}: {name}"

    def _end(self) -> tuple[View, tuple[str, ...], Files]:
        errors = self._names(self.scene.next_sync())
        return self.scene.view(), errors, frozenset(self._files())

    def _lay(self) -> None:
        """Lay the state folder as it was: by hand, since that is done a thousand times."""
        shutil.rmtree(self._state, ignore_errors=True)
        for name, entry in self._template.items():
            path = Path(f"{self._state}{name}")
            if entry.link:
                path.symlink_to(os.fsdecode(entry.data or b""))
                continue
            if entry.data is None:
                path.mkdir()
            else:
                path.write_bytes(entry.data)
                os.utime(path, ns=(entry.modified, entry.modified))
            path.chmod(entry.mode)

    def _files(self) -> Iterator[str]:
        for name, entry in _tree(self._state):
            if entry.data is not None:
                yield name.removeprefix("/")

    def _mark(self) -> str:
        """A digest of everything in the folder, but for the random part of temporary names."""
        state = hashlib.sha256()
        for name, entry in sorted(_tree(self._state)):
            plain = re.sub(r"\.[0-9a-f]{16}$|tmp[a-z0-9_]{8}$", "", name)
            data = entry.data
            said = "folder" if data is None else f"{entry.mode}\0{entry.link}\0{len(data)}"
            state.update(f"{plain}\0{said}\0".encode() + (data or b""))
        return state.hexdigest()

    def _names(self, errors: list[VallumError], hint: str = "") -> tuple[str, ...]:
        return tuple(self._name(error, hint) for error in errors)

    def _name(self, error: VallumError, hint: str) -> str:
        kind = type(error).__name__
        return f"{kind}: {error}; {error.hint}" if hint and kind not in self.scene.errors else kind


def main(folder: Path, names: Sequence[str]) -> None:
    """Run the trials of scenes, one on each processor; of ``SCENE:every`` at calls that only look, too."""
    fetch.BACKOFF = 0.0
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    running: set[int] = set()
    for name in names:
        if len(running) == os.cpu_count():
            running.discard(os.wait()[0])
        worker = os.fork()  # a new interpreter would load for two seconds what is loaded here
        if not worker:
            try:
                _run(folder / name, name, shim)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(0)  # a scene without its outcomes has failed
        running.add(worker)
    while running:
        running.discard(os.wait()[0])


def _run(folder: Path, name: str, shim: ctypes.CDLL) -> None:
    (folder / "client").mkdir(parents=True)
    scene, _, every = name.partition(":")
    host = Host(name, SCENES[scene](folder / "client"), shim, folder / "calls")
    # A collection in a child would copy what it shares with us.
    gc.freeze()
    gc.disable()
    for trial in EVERY if every else TRIALS:
        print(json.dumps(asdict(host.run(trial))), flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
