"""A catalog with one list, on a real SQLite file and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.urls import NOW
from vallum_publisher.catalog import (
    Catalog,
    ListSpec,
    open_catalog,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    where = (
        tmp_path / "catalog.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    )
    with open_catalog(where) as opened:
        opened.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        yield opened
