"""The page of faults names tests that exist: a row whose test is gone is a promise that nobody keeps."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "explanation" / "faults.md"
NAMED = sorted(set(re.findall(r"`(tests/[a-z_/]+\.py)::(\w+)`", PAGE.read_text("utf-8"))))


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_test_that_is_named_exists(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for named, name in NAMED if named == path} <= there


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| [^|]*\|[^|]*\|", line)]
    rows = [row for row in rows if not row.startswith(("| fault", "| attack"))]
    assert len(rows) > 45
    for before, row in zip(["", *rows], rows, strict=False):
        assert "`tests/" in row or ("the same" in row and "`tests/" in before), row
