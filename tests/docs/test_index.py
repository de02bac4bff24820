"""The index of documents: nothing is left out of it, and nothing is out of a reader's reach."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.docs.pages import pages

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs/README.md"


def _linked(page: Path) -> set[Path]:
    words = re.findall(r"\]\(([^)\s#]+)", page.read_text("utf-8"))
    return {Path(os.path.normpath(page.parent / word)) for word in words if "://" not in word}


def test_the_index_lists_every_document() -> None:
    assert {path for path in (ROOT / "docs").rglob("*.md") if path != INDEX} - _linked(INDEX) == set()


def test_every_page_can_be_reached_from_the_first_one() -> None:
    found: set[Path] = set()
    ahead = {ROOT / "README.md"}
    while ahead:
        page = ahead.pop()
        found.add(page)
        ahead |= {path for path in _linked(page) if path.suffix == ".md" and path.exists()} - found
    assert set(pages()) - found == set()
