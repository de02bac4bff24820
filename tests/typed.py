"""The command lines as users type them, run in this process: starting Python anew costs a second each."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from vallum.cli import cli as client
from vallum.cli.terminal import run
from vallum_publisher.cli import cli as publisher

PROGRAMS = {"vallum": client, "vallum-publisher": publisher}


@dataclass(frozen=True)
class Result:
    """What came back: exit code, both outputs, and both as they mix on a terminal."""

    code: int
    out: str
    err: str
    mixed: str


class _Tee(io.StringIO):
    def __init__(self, other: io.StringIO) -> None:
        super().__init__()
        self._other = other

    def write(self, text: str) -> int:
        """Write to both."""
        self._other.write(text)
        return super().write(text)


def typed(words: Sequence[str | Path], folder: Path, stdin: bytes = b"") -> Result:
    """Run one of the two programs in a folder; what it does not catch is raised, as a traceback would be."""
    program, *arguments = map(str, words)
    mixed = io.StringIO()
    out, err = _Tee(mixed), _Tee(mixed)
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    try:
        with chdir(folder), redirect_stdout(out), redirect_stderr(err):
            code = run(PROGRAMS[program], arguments)
    finally:
        sys.stdin = before
    return Result(code, out.getvalue(), err.getvalue(), mixed.getvalue())
