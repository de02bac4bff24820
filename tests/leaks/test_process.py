"""Crashes and faults of real processes: no core, no traceback that quotes what it choked on.

Each program is started anew with a fault put into it at the moment when it holds a list and its keys.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typed import typed

URL = "https://zqhost.example/zqpath"
DESK = ("vallum-publisher", "-C", "hotline")
CLIENT = ("vallum", "-c", "provider/vallum.toml")

CRASH = "import os, signal; os.kill(os.getpid(), signal.{signal})"
FAULT = "raise ValueError(f'cannot read {held!r}') from KeyError(repr(held))"
# Runs a command line in which a function does its work and then something else.
PROGRAM = """
import sys
from {module} import {owner} as owner
plain = getattr(owner, {name!r})
def faulty(*arguments, **named):
    held = (plain(*arguments, **named), arguments)
    {fault}
setattr(owner, {name!r}, faulty)
from {cli}.cli import main
sys.argv = {words!r}
main()
"""
SPOTS = {
    "looking up": ("vallum.match.lists", "Lists", "match_url", "vallum", (*CLIENT, "check", URL)),
    "syncing": ("vallum.sync.keys", "SourceKeys", "epoch_key", "vallum", (*CLIENT, "sync")),
    "publishing": ("vallum_publisher.vault", "Vault", "open", "vallum_publisher", (*DESK, "publish")),
    "verifying": (
        "vallum_publisher.catalog",
        "Catalog",
        "listed_rows",
        "vallum_publisher",
        (*DESK, "verify"),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hotline with one encrypted list, and a provider who has synced once and has something to fetch."""
    folder = tmp_path_factory.mktemp("process")
    (folder / "list.txt").write_text(f"{URL}\n")
    for words in (
        [*DESK, "init", "--name", "Hotline", "--public-url", "../hotline/store"],
        [*DESK, "list", "create", "urls", "--kind", "url"],
        [*DESK, "ingest", "urls", "list.txt"],
        [*DESK, "publish"],
        [*DESK, "invite", "urls.full", "--output", "invitation.json"],
        ["vallum", "keygen", "provider.key", "--suite", "x25519"],
        [
            *CLIENT,
            "init",
            "--invitation",
            "invitation.json",
            "--name",
            "hotline",
            "--recipient",
            "provider.key",
        ],
    ):
        assert typed(words, folder).code == 0
    shown = json.loads(typed(["vallum", "keygen", "provider.key", "--show", "--json"], folder).out)
    (folder / "line.txt").write_text(shown["line"])
    fingerprint = shown["fingerprint"]
    add = [*DESK, "recipients", "add", "urls.full", "provider", "line.txt", "--fingerprint", fingerprint]
    for words in (add, [*CLIENT, "sync"], [*DESK, "recipients", "rotate", "urls"]):
        assert typed(words, folder).code == 0
    (folder / "list.txt").write_text(f"{URL}\n{URL}/2\n")
    assert typed([*DESK, "ingest", "urls", "list.txt"], folder).code == 0
    return folder


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run Python code where cores may be as large as they like: only the program itself forbids them.

    And where signals do what they do in a terminal: behind ``nohup`` or ``&`` some are ignored at first.
    """

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONDEVMODE": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=unlimited,
        check=False,
    )


def _program(spot: str, fault: str) -> str:
    module, owner, name, cli, words = SPOTS[spot]
    return PROGRAM.format(module=module, owner=owner, name=name, cli=cli, words=list(words), fault=fault)


def _secrets(folder: Path) -> list[bytes]:
    """The list's value, the pepper and the epoch keys, raw and as text."""
    found = [b"zqhost", b"zqpath"]
    for path in (folder / "provider" / "state" / "hotline" / "keys").iterdir():
        data = path.read_bytes()
        for part in (data[:32], data[32:]):
            if part:
                found += [part, part.hex().encode(), repr(part)[2:-1].encode()]
    assert len(found) > 5
    return found


@pytest.fixture(scope="module")
def dumps(folder: Path) -> None:
    """Skip where a program that does not forbid it leaves no core either: there nothing would be shown."""
    done = _run(CRASH.format(signal="SIGSEGV"), folder)
    cores = [path for path in folder.iterdir() if path.name.startswith("core")]
    for path in cores:
        path.unlink()
    if not cores:
        pytest.skip(f"this machine leaves no cores in a program's folder ({done.returncode})")


@pytest.mark.parametrize("spot", SPOTS)
@pytest.mark.parametrize("kind", ["SIGSEGV", "SIGABRT"])
def test_a_crash_leaves_no_core(folder: Path, dumps: None, spot: str, kind: str) -> None:
    done = _run(_program(spot, CRASH.format(signal=kind)), folder)
    assert done.returncode == -getattr(signal, kind), done.stderr
    assert [path.name for path in folder.iterdir() if path.name.startswith("core")] == []
    assert not [secret for secret in _secrets(folder) if secret in done.stdout + done.stderr]


def test_a_core_is_not_even_left_to_a_collector(folder: Path, dumps: None) -> None:
    """What collects cores by a pipe gets them whatever the limit says, as if there were none."""
    unlimited = "import resource; resource.setrlimit = lambda *_: None\n"
    done = _run(unlimited + _program("looking up", CRASH.format(signal="SIGSEGV")), folder)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert [path.name for path in folder.iterdir() if path.name.startswith("core")] == []


@pytest.mark.parametrize("spot", SPOTS)
def test_a_fault_of_ours_quotes_nothing(folder: Path, spot: str) -> None:
    """An error's text often holds what it choked on, and so does that of the error behind it."""
    done = _run(_program(spot, FAULT), folder)
    said = done.stdout + done.stderr
    # A sync goes on with its other sources and lists, and says so of the one that it could not do.
    code, told = (3, b"unforeseen ValueError") if spot == "syncing" else (70, b"internal error")
    assert done.returncode == code, said
    assert told in said
    assert b"ValueError" in said
    assert b"<string>:7" in said, "it says where"
    assert not [secret for secret in _secrets(folder) if secret in said]


def test_a_fault_in_a_thread_quotes_nothing(folder: Path) -> None:
    thread = (
        "import threading; t = threading.Thread(target=lambda: int(repr(held)));"
        " t.start(); t.join(); return held[0]"
    )
    done = _run(_program("looking up", thread), folder)
    assert done.returncode == 0, done.stderr
    assert b"internal error" in done.stderr
    assert b"ValueError" in done.stderr
    assert not [secret for secret in _secrets(folder) if secret in done.stdout + done.stderr]


KILLED = "import os, signal; os.kill(os.getpid(), signal.{signal}); return held[0]"
HALF_WRITTEN = {
    "export": ("vallum", "durable", "_write_all", "vallum", (*CLIENT, "export", "csv", "-o", "out.csv")),
    "restore": (
        "vallum_publisher.backup",
        "archive",
        "load_catalog",
        "vallum_publisher",
        ("vallum-publisher", "-C", "back", "restore", "--passphrase", "a.backup"),
    ),
}


@pytest.mark.parametrize("work", HALF_WRITTEN)
def test_whatever_ends_a_command_leaves_no_list_and_no_keys(
    folder: Path, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM and SIGHUP tidy up; what SIGKILL leaves is swept by the next run, but not a living one's."""
    monkeypatch.setenv("VALLUM_PASSPHRASE", "a long passphrase")
    module, owner, name, cli, words = HALF_WRITTEN[work]
    if work == "restore":
        assert typed([*DESK, "backup", "--passphrase", "a.backup"], folder).code == 0

    def ended(signal_name: str) -> int:
        fault = KILLED.format(signal=signal_name)
        code = PROGRAM.format(module=module, owner=owner, name=name, cli=cli, words=list(words), fault=fault)
        return _run(code, folder).returncode

    def left() -> list[str]:
        return [path.name for path in folder.iterdir() if path.name.startswith((".out.csv.", ".back."))]

    for signal_name in ("SIGTERM", "SIGHUP"):
        assert ended(signal_name) == 128 + getattr(signal, signal_name)
        assert left() == []
    assert ended("SIGKILL") == -signal.SIGKILL
    [dead] = left()
    living = folder / f"{dead[:-1]}{'0' if dead[-1] != '0' else '1'}"
    living.touch()
    with living.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert typed(list(words), folder).code == 0
        assert left() == [living.name]
    living.unlink()


SWALLOWING = """
import os, signal, sys, time, click
from vallum.cli.process import main

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})
        for _ in range(100):
            pass

@click.command()
def work():
    try:
        for _ in range({often}):
            dying = Dying()
            del dying
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pass
    finally:
        print("tidied up")

sys.argv = ["work"]
main(work)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.parametrize("often", [1, 50])
def test_a_signal_that_comes_while_an_object_dies(tmp_path: Path, name: str, code: int, often: int) -> None:
    """Python swallows what `__del__` and weak references' callbacks raise: the command ends all the same."""
    done = _run(SWALLOWING.format(signal=name, often=often), tmp_path)
    assert (done.returncode, done.stdout) == (code, b"tidied up\n"), done.stderr
    assert b"internal error" not in done.stderr


TELLING = """
import io, os, signal, sys, time, click
from vallum.cli.process import main

class Terminal(io.TextIOWrapper):
    def write(self, text):
        os.kill(os.getpid(), signal.{signal})
        return super().write(text)

class Dying:
    def __del__(self):
        raise ValueError

@click.command()
def work():
    sys.stderr = Terminal(sys.stderr.buffer, "utf-8", write_through=True)
    try:
        dying = Dying()
        del dying
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pass
    finally:
        print("tidied up")

sys.argv = ["work"]
main(work)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_that_comes_while_a_swallowed_error_is_told(tmp_path: Path, name: str, code: int) -> None:
    """Python swallows what is raised there, too."""
    done = _run(TELLING.format(signal=name), tmp_path)
    assert (done.returncode, done.stdout) == (code, b"tidied up\n"), done.stderr
    assert b"internal error" in done.stderr


def test_an_open_umask_opens_nothing_to_writers(folder: Path) -> None:
    """Under umask 000, as some service managers and containers have it, python-tuf's folders were 0777."""
    (folder / "open").mkdir(exist_ok=True)
    for name in ("vallum.toml", "hotline.root.json"):
        (folder / "open" / name).write_bytes((folder / "provider" / name).read_bytes())
    program = "import os, sys; os.umask(0); from vallum.cli import main; sys.argv = {words!r}; main()"
    done = _run(program.format(words=["vallum", "-c", "open/vallum.toml", "sync"]), folder)
    assert done.returncode == 0, done.stderr
    made = [path for path in (folder / "open").rglob("*") if not path.is_symlink()]
    assert any(path.name == "root_history" for path in made)
    assert [path.name for path in made if path.stat().st_mode & 0o022] == []
