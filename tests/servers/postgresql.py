"""PostgreSQL: one cluster a test session, an empty database for every test that asks."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.servers.process import accepts, find, free_ports, running

_PACKAGE = "Debian's postgresql"
_SUPERUSER = "vallum"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """``host:port`` of a PostgreSQL that trusts everybody; under root it runs as ``postgres``, as it must."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, postgres = find("initdb", _PACKAGE, *folders), find("postgres", _PACKAGE, *folders)
    user = "postgres" if os.geteuid() == 0 else None
    # Not below pytest's own folder: that one is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="vallum-postgresql-"))
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        data = folder / "data"
        made = subprocess.run(
            [
                initdb,
                "--pgdata",
                data,
                "--username",
                _SUPERUSER,
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            check=False,
        )
        assert made.returncode == 0, made.stderr
        (port,) = free_ports(1)
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # thrown away at the end; nobody pulls the plug in between
            "max_connections": 50,
        }
        command: list[str | Path] = [
            postgres,
            "-D",
            data,
            *(f"--{name}={value}" for name, value in settings.items()),
        ]
        log = folder / "log"
        with running(command, log, lambda: accepts(port) and _answers(port), user=user, cwd=folder):
            yield f"127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """The SQLAlchemy URL of a new, empty database."""
    host, port = postgresql_server.split(":")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=host, port=port, user=_SUPERUSER, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    return f"postgresql+psycopg://{_SUPERUSER}@{postgresql_server}/{name}"


def _answers(port: int) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user=_SUPERUSER, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
