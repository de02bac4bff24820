"""Whatever silences a tool or leaves a test out says why, on its own line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("client", "publisher", "tests", "schemas", "benchmarks", "docs")

SILENT = re.compile(
    r"# noqa(?!: [A-Z]+\d+(, [A-Z]+\d+)* - \w)"
    r"|# type: ignore(?!\[[a-z-]+(, ?[a-z-]+)*\]  # \w)"
    r"|# (pragma|fmt: off|ruff:|mypy:)"
    r"|mark\.xfail\b(?!\(.*reason=)|\bskip\(\)|mark\.skip(if)?\b(?!\(.*reason=)"
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_silenced_says_why(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SILENT.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "x = y  # noqa",
        "x = y  # noqa: S101",
        "x = y  # noqa: S101, because",
        "x = y  # type: ignore",
        "x = y  # type: ignore[arg-type]",
        "# pragma: no cover",
        "@pytest.mark.xfail",
        "pytest.skip()",
    ],
)
def test_silence_is_heard(line: str) -> None:
    assert SILENT.search(line)
