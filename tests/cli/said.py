"""What commands promise of every failure: an exit code, ``error:``, a ``hint:``, and nothing changed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from tests.typed import Result


def refused(result: Result, code: int, error: str, hint: str) -> None:
    """Expect a refusal that says what is wrong and what to do."""
    assert result.code == code, result.mixed
    if result.out:  # JSON was asked for
        told = json.loads(result.out)
        assert (told["exit_code"], error in told["error"], hint in told["hint"]) == (code, True, True)
    said = [line for line in result.err.splitlines() if line.startswith("error: ")]
    hints = [line for line in result.err.splitlines() if line.startswith("hint: ")]
    assert len(said) == 1, result.err
    assert error in said[0]
    assert not hint or any(hint in line for line in hints), result.err
    assert "Traceback" not in result.err


def everything(*folders: Path) -> dict[str, str]:
    """Digests of all files below some folders, locks left out."""
    return {
        str(path): sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", ".lock")
    }


def documents(result: Result) -> list[object]:
    """The JSON documents on standard output, one a line."""
    return [json.loads(line) for line in result.out.splitlines()]
