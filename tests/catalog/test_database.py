"""The database beneath a catalog: its audit log, its lock, its file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.catalog.urls import NOW, A, publish, put, url
from vallum.errors import BusyError, ConfigError, DataError, StorageError
from vallum_publisher.catalog import (
    ListSpec,
    Mode,
    open_catalog,
)


def test_the_audit_log_is_chained_and_append_only(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        put(catalog, url("a", *A))
        publish(catalog)
        log = catalog.audit()
        assert [(record.seq, record.actor, record.action) for record in log] == [
            (1, "ann", "list create"), (2, "ann", "ingest"),
            (3, "ann", "begin version"), (4, "ann", "publish"),
        ]  # fmt: skip
        assert log[1].details == {"mode": "replace", "added": 1, "removed": 0, "changed": 0}
        assert "a.example" not in repr(log)
    with sqlite3.connect(path) as raw:
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            raw.execute("UPDATE audit SET actor = 'eve'")
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            raw.execute("DELETE FROM audit")
        raw.execute("DROP TRIGGER audit_no_UPDATE")
        raw.execute("UPDATE audit SET actor = 'eve' WHERE seq = 2")
    raw.close()
    with open_catalog(path) as catalog, pytest.raises(DataError, match="record 2"):
        catalog.audit()


def test_a_second_writer_is_told_so_and_readers_are_not_held_up(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(path) as catalog, open_catalog(path, busy_seconds=0.1) as other:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError) as caught:
            put(other, url("a", *A))
        assert "PostgreSQL" in caught.value.hint
        assert len(other.pending_changes("urls", now=NOW)) == 1
        writer.execute("ROLLBACK")
        writer.close()
        assert put(other, url("a", *A)) == (1, 0, 0, 0)


def test_publishers_who_share_a_server_wait_for_each_other(request: pytest.FixtureRequest) -> None:
    where = request.getfixturevalue("postgresql_url")
    with open_catalog(where) as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)

        def work(number: int) -> None:
            with open_catalog(where, busy_seconds=30) as mine:
                for step in range(5):
                    put(mine, url(f"h{number}-{step}", f"x:1:{step}"), mode=Mode.ADD)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(catalog.pending_changes("urls", now=NOW)) == 21
        assert len(catalog.audit()) == 21


def test_a_turn_that_the_server_ends_fails_nothing_done_in_it(request: pytest.FixtureRequest) -> None:
    """It ends idle transactions after a while, or is started anew: the head has moved by then."""
    where = request.getfixturevalue("postgresql_url")
    with open_catalog(where) as catalog:
        with catalog.turn():
            administrator = create_engine(where)
            with administrator.connect() as connection:
                ended = connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND state = 'idle in transaction'"
                ).all()
            administrator.dispose()
            assert ended == [(True,)]
        with catalog.turn():
            assert catalog.lists() == []


def test_the_file_is_private_and_errors_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(f"sqlite:///{path}") as catalog:
        catalog.create_list(ListSpec("urls", "url", public=True), actor="ann", now=NOW)
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    with pytest.raises(ConfigError, match="no catalog"):
        open_catalog(tmp_path / "other.db", create=False)
    with pytest.raises(StorageError, match="cannot make"):
        open_catalog(tmp_path / "nowhere" / "catalog.db")
    for wrong in ("mysql://localhost/x", "nonsense://x", "sqlite://"):
        with pytest.raises(ConfigError):
            open_catalog(wrong)
    (tmp_path / "junk.db").write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(StorageError):
        open_catalog(tmp_path / "junk.db")


def test_an_address_that_does_not_read_is_the_operators_mistake_and_its_password_not_shown() -> None:
    for address in ("postgresql://ann:secret@db.example:notaport/x", "ann:secret://x"):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            open_catalog(address)
        assert "secret" not in f"{caught.value}{caught.value.hint}"


def test_a_stop_while_the_catalog_is_closed_prints_no_traceback(tmp_path: Path) -> None:
    """Ctrl-C came while SQLite folded its log in: what the pool thinks of that is nobody's business."""
    program = """
from vallum_publisher.catalog.engine import open_engine
engine = open_engine("catalog.db", create=True, busy_seconds=1)
def stop(_connection):
    raise KeyboardInterrupt
engine.dialect.do_close = stop
try:
    engine.dispose()
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"stopped\n", b"")
