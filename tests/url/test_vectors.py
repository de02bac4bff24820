"""The published vectors hold, are those of their builder, and cover every section that has any."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from vallum.url import canonicalize

SCHEMAS = Path(__file__).parents[2] / "schemas"
FILES = sorted((SCHEMAS / "vectors" / "canonicalization").glob("*.json"))


def load(path: Path) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(path.read_text("ascii"))["cases"]
    return cases


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vectors(path: Path) -> None:
    for case in load(path):
        given = bytes.fromhex(case["input_hex"]) if "input_hex" in case else case["input"]
        form = str(canonicalize(given))
        assert form == case["form"], case["reason"]
        assert str(canonicalize(form)) == form


def test_files_are_the_builders() -> None:
    spec = importlib.util.spec_from_file_location("builder", SCHEMAS / "build_canonicalization.py")
    assert spec
    assert spec.loader
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    assert {path.stem: path.read_text("ascii") for path in FILES} == {
        name: builder.render(name) for name in builder.FAMILIES
    }


def test_every_section_named_by_a_vector_exists() -> None:
    text = (SCHEMAS / "canonicalization.md").read_text("utf-8")
    for path in FILES:
        section = json.loads(path.read_text("ascii"))["spec"].removeprefix("canonicalization.md §")
        assert f"\n#{'#' * (1 + section.count('.'))} {section} " in text, section
