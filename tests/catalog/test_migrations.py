"""Migrations lead to the tables that the code knows, and nobody works on a catalog of the future."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from vallum.errors import ConfigError
from vallum_publisher.catalog import open_catalog
from vallum_publisher.catalog.engine import open_engine, reading
from vallum_publisher.catalog.tables import REVISION, metadata


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrations_lead_to_the_tables_in_code(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = tmp_path / "catalog.db" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    engine = open_engine(where, create=True, busy_seconds=5)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_the_code_wants() -> None:
    folder = resources.files("vallum_publisher.catalog") / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_a_catalog_of_the_future_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    open_catalog(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(ConfigError, match="newer") as caught:
        open_catalog(path)
    assert "upgrade" in caught.value.hint
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    raw.close()
