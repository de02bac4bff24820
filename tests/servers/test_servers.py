"""The fixtures themselves: what other tests build on really runs, and its absence is noticed."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from tests.servers.process import accepts, find, free_ports, running


def test_postgresql_gives_each_test_an_empty_database(postgresql_url: str) -> None:
    assert postgresql_url.startswith("postgresql+psycopg://")
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        rows = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchall()
    assert rows == [(0,)]


def test_a_missing_server_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALLUM_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        find("no-such-server", "nobody's package")


def test_a_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLUM_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        find("no-such-server", "nobody's package")


def test_a_server_that_dies_shows_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo the port is taken; exit 3"]
    with (
        pytest.raises(pytest.fail.Exception, match=r"exit status 3.*\n.*the port is taken"),
        running(command, tmp_path / "log", lambda: False, seconds=20),
    ):
        pass


def test_a_server_is_killed_with_its_children(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    script = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"
    with running(["sh", "-c", f'python3 -c "{script}" & wait'], tmp_path / "log", lambda: accepts(port)):
        assert accepts(port)
    deadline = time.monotonic() + 10
    while accepts(port):  # the kernel closes a killed grandchild's sockets a moment later
        assert time.monotonic() < deadline
