"""What a full or forbidden disk says: the hint points at the disk, and the catalog is as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.catalog.urls import NOW, A, put, url
from vallum.errors import StorageError
from vallum_publisher.catalog import ListSpec, open_catalog

_FILLED = """
import resource, sys
from datetime import UTC, datetime
from vallum.errors import StorageError
from vallum_publisher.catalog import ListSpec, Mode, Record, open_catalog
now = datetime(2026, 5, 1, tzinfo=UTC)
with open_catalog(sys.argv[1]) as catalog:
    catalog.create_list(ListSpec("pics", "hash", public=True), actor="ann", now=now)
    most = 1 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    records = [Record(16, number.to_bytes(32)) for number in range(1, 20_000)]
    try:
        catalog.apply("pics", records, mode=Mode.ADD, actor="ann", now=now)
    except StorageError as error:
        print(error.hint)
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILLED, tmp_path / "catalog.sqlite"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "space" in done.stdout
    assert "owns" not in done.stdout
    with open_catalog(tmp_path / "catalog.sqlite") as catalog:
        assert catalog.count_pending("pics", now=NOW) == 1  # the test row


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make the catalog"):
        open_catalog(tmp_path / "file" / "catalog.sqlite")


def test_something_else_than_a_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"some other file of this machine, " * 100)
    with pytest.raises(StorageError) as raised:
        open_catalog(path)
    assert "right file" in raised.value.hint


def test_a_full_disk_leaves_the_catalog_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        before = catalog.pending_changes("urls", now=NOW)
    with open_catalog(path) as catalog:
        # SQLite's own limit answers as a full disk does.
        from sqlalchemy import event

        event.listen(
            catalog._engine,
            "connect",
            lambda connection, _record: connection.execute("PRAGMA max_page_count = 1"),
        )
        catalog._engine.dispose()
        with pytest.raises(StorageError) as caught:
            put(catalog, *(url(f"h{number}", *A) for number in range(2000)))
        assert "full" in str(caught.value)
        assert catalog.pending_changes("urls", now=NOW) == before
