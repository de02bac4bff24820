"""The threat model names tests; each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "schemas" / "threat-model.md"


def test_each_test_that_it_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = 0
    file = ""
    for name, function in re.findall(r"`([a-z_/]*(?:\.py)?)::(test_\w+)`", text):
        file = name or file
        assert f"def {function}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{function}"
        named += 1
    assert named > 25
