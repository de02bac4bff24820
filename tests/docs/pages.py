"""Markdown pages as the tests see them: their code blocks, their links, and console sessions to play again.

A ``console`` block is a session: lines that begin with ``$ `` are typed, the others are what comes back, on
both outputs. A line ``...`` stands for any lines. What differs from run to run (seconds, bytes, fingerprints,
digests, moments) is compared by its kind, everything else as it is. ``<!-- scene: what happened -->`` before
a block, which readers do not see, names what is made to happen first (:mod:`tests.docs.scenes`).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.typed import PROGRAMS, typed

ROOT = Path(__file__).resolve().parents[2]
ANY = "..."

_CODE = '; echo "exit code $?"'
_SHELL = re.compile(r"[|;<>&$*]")
_FENCE = re.compile(r"(?:^<!-- scene: ([^\n]+) -->\n)?^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DOCUMENT = re.compile(r"<<'(\w+)'")
_FINGERPRINT = re.compile(r"\b(?:[0-9a-f]{4}\s+){15}[0-9a-f]{4}\b")
_HEARD = re.compile(r"(['\"])[0-9a-f]{4} [0-9a-f]{4} …\1")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_VARIES = (
    (re.compile(r"\bvallum-recipient-1 (\S+) \S+"), r"vallum-recipient-1 \1 <key>"),
    (re.compile(r"\b(?:[0-9a-f]{4} ){2,4}…"), "<fingerprint> …"),
    (re.compile(r"\b(?:[0-9a-f]{4}[ ]+){15}[0-9a-f]{4}\b"), "<fingerprint>"),
    (re.compile(r"^(?:[0-9a-f]{4} ){3}[0-9a-f]{4}$"), "<groups>"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "<hex>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<moment>"),
    (re.compile(r"\b\d+\.(\d\d\b|\d(?= s\b))"), "<decimal>"),
    (re.compile(r"\b\d{1,3}(,\d{3})+\b|\b\d{2,}(?= bytes)|\b\d{3,}\b"), "<number>"),
)


Scenes = Callable[[str], AbstractContextManager[object]]
"""Given a scene's name, makes it happen; what must not outlast its block ends with the context."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and what has happened when it is played."""

    language: str
    text: str
    scene: str = ""


@dataclass(frozen=True)
class Step:
    """One command of a session, with the lines that the page says come back."""

    command: str
    expected: list[str]


def pages() -> list[Path]:
    """Every page that is ours, wherever it lies."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        return [path for line in listed.stdout.splitlines() if (path := ROOT / line).exists()]
    hidden = (".venv", ".hypothesis", ".pytest_cache")
    return [path for path in ROOT.rglob("*.md") if not set(hidden) & set(path.relative_to(ROOT).parts)]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = _FENCE.finditer(page.read_text("utf-8"))
    return [Block(each[2], each[3], each[1] or "") for each in found]


def links(page: Path) -> list[str]:
    """Where a page's links lead, code left out."""
    text = _INLINE_CODE.sub("", _FENCE.sub("", page.read_text("utf-8")))
    return [found[1] for found in _LINK.finditer(text)]


def session(text: str) -> Iterator[Step]:
    """Take a console block apart."""
    command: str | None = None
    lines: list[str] = []
    end = ""
    for line in text.splitlines():
        if end and command is not None:
            command += "\n" + line
            end = "" if line == end else end
        elif line.startswith("$ "):
            if command is not None:
                yield Step(command, lines)
            command, lines = line[2:], []
            document = _DOCUMENT.search(command)
            end = document[1] if document else ""
        elif command is not None and not lines and command.endswith("\\"):
            command += "\n" + line
        else:
            lines.append(line)
    if command is not None:
        yield Step(command, lines)


class Terminal:
    """A shell that keeps its folder from one command to the next; the venv's commands come first.

    A page cuts fingerprints short (``'3f2a 91c0 …'``): the whole one is heard on the telephone. Here it is
    the last one that came back.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._heard = ""

    def type(self, command: str) -> list[str]:
        """Run one command and return the lines that came back, as a page shows them."""
        before = self.folder
        lines = self._run(_HEARD.sub(f"'{self._heard}'", command))
        for said in _FINGERPRINT.findall("\n".join(lines)):
            self._heard = " ".join(said.split())
        # A page names no machine: paths are shown from where one stands, or from the folder above.
        return [line.replace(f"{before}/", "").replace(f"{before.parent}/", "../") for line in lines]

    def _run(self, command: str) -> list[str]:
        """Run it in this process if there is no shell syntax in it."""
        alone = command.removesuffix(_CODE)
        words = shlex.split(alone)
        if words[0] in PROGRAMS and not _SHELL.search(alone):
            result = typed(words, self.folder)
            return [*result.mixed.splitlines(), *[f"exit code {result.code}"] * (alone != command)]
        reported = self.folder / ".folder"
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "default",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            ["bash", "-c", f"{command}\npwd >'{reported}'"],
            cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.folder = Path(reported.read_text().strip())
        reported.unlink()
        return done.stdout.splitlines()


def play(page: Path, terminal: Terminal, scenes: Scenes = nullcontext) -> Iterator[tuple[Step, list[str]]]:
    """Type every command of a page and run its Python; yield each command with what came back."""
    for block in blocks(page):
        if block.language == "python":
            with chdir(terminal.folder):
                exec(compile(block.text, str(page), "exec"), {})  # noqa: S102 - the page's own example
        elif block.language == "console":
            with scenes(block.scene) if block.scene else nullcontext():
                for step in session(block.text):
                    # It is what `make demo` runs once it has set itself up; a test says so.
                    command = "vallum-publisher demo" if step.command == "make demo" else step.command
                    yield step, terminal.type(command)


def rewrite(page: Path, terminal: Terminal, scenes: Scenes = nullcontext) -> None:
    """Write what comes back today into a page."""
    text = page.read_text("utf-8")
    at = 0
    for step, actual in play(page, terminal, scenes):
        at = text.index(f"$ {step.command}\n", at) + len(step.command) + 3
        end = at + len("".join(f"{line}\n" for line in step.expected))
        text = text[:at] + "".join(f"{line}\n" for line in actual) + text[end:]
        at += len("".join(f"{line}\n" for line in actual))
    page.write_text(text, "utf-8")


def same(expected: list[str], actual: list[str]) -> bool:
    """Say whether what came back is what the page shows, but for what varies."""
    if not expected:
        return not actual
    if expected[0] == ANY:
        return any(same(expected[1:], actual[at:]) for at in range(len(actual) + 1))
    return bool(actual) and kind(expected[0]) == kind(actual[0]) and same(expected[1:], actual[1:])


def kind(line: str) -> str:
    """A line with what varies replaced by its kind, and blanks folded: columns grow with what is in them."""
    folded = " ".join(line.split())
    for pattern, name in _VARIES:
        folded = pattern.sub(name, folded)
    return folded
