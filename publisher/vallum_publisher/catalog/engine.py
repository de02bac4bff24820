"""The database under the catalog: opening it, bringing it up to date, transactions, and its errors as ours.

SQLite in a file by default: write-ahead log, every commit on disk when it returns, one writer at a time.
PostgreSQL by URL. Nothing above this file knows which of them it talks to, but for :mod:`.audit`,
:mod:`.classes` and :mod:`.held`.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from vallum.durable import os_errors
from vallum.errors import BusyError, ConfigError, StorageError, VallumError
from vallum_publisher.catalog.tables import REVISION

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",  # staged values must not lie about in temporary files
    "PRAGMA cache_size = -131072",  # 128 MiB: what a million rows' indexes touch in one change
    "PRAGMA journal_size_limit = 67108864",
)
_RIGHTS = "run as the user who owns the catalog, or give this user access to it and to its folder"
_SQLITE_HINTS = {
    # Not only a failing disk: a quota and a limit on a file's size come as this, too.
    sqlite3.SQLITE_IOERR: "look at the disk: free space, quota, limits on file sizes, its own errors",
    sqlite3.SQLITE_CORRUPT: "restore the catalog from its backup",
    sqlite3.SQLITE_NOTADB: "is this the right file? if so, restore the catalog from its backup",
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_AUTH: _RIGHTS,
}

_BUSY_STATES = {"55P03", "40P01", "40001"}
"""PostgreSQL: lock not available, deadlock, serialization failure."""
_TURN_MILLISECONDS = 10_000
"""So long a publisher waits for another's turn to end: its machine may have died."""
_FULL_STATES = {"53100", "53200", "25006"}
"""PostgreSQL: disk full, out of memory, read-only."""

# At their debug level SQLAlchemy's engines write down every row that they fetch, hidden parameters or not.
logging.getLogger("sqlalchemy.engine.Engine").addFilter(lambda record: record.levelno > logging.DEBUG)
# A command that is stopped while it closes the catalog is no fault: no traceback where no log was asked for.
logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())


def open_engine(url: str | Path, *, create: bool, busy_seconds: float) -> Engine:
    """Open the database and run what migrations it lacks.

    Args:
        url: a file's path, or an SQLAlchemy URL of SQLite or PostgreSQL.
        create: make a missing SQLite file (mode 0600).
        busy_seconds: how long a writer waits for another before :class:`BusyError`.

    Raises:
        ConfigError: not such a URL, a missing file, or a catalog newer than this code.
        StorageError, BusyError: as named.
    """
    engine = _make_engine(url, create=create, busy_seconds=busy_seconds)
    try:
        with converted():
            _migrate(engine)
    except VallumError:
        engine.dispose()
        raise
    return engine


@contextmanager
def founding(url: str | Path, form: str) -> Iterator[Connection]:
    """A transaction in a database without a catalog, which gets the empty tables of an older or today's form.

    When it has ended well, what migrations the form lacks are run.

    Raises:
        ConfigError: there is a catalog already, or the form is newer than this code.
        StorageError, BusyError: as named.
    """
    engine = _make_engine(url, create=True, busy_seconds=5)
    try:
        with writing(engine) as connection:
            if _revision(connection) is not None:
                raise ConfigError("there is a catalog already", hint="restore into an empty database")
            _upgrade(connection, form)
            yield connection
        with converted():
            _migrate(engine)
    finally:
        engine.dispose()


def _make_engine(url: str | Path, *, create: bool, busy_seconds: float) -> Engine:
    parsed = _parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        _ensure_file(parsed, create=create)
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={"timeout": busy_seconds, "check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        try:
            engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise ConfigError(
                "the driver for PostgreSQL is not installed",
                hint="in the checkout: pip install . './publisher[postgresql]'",
            ) from None
        event.listen(engine, "connect", _PreparePostgresql(busy_seconds))
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one moment of the catalog and is not held up by a writer."""
    with converted(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is whole or not at all."""
    with converted(), engine.connect() as connection:
        connection = connection.execution_options(vallum_writes=True)
        with connection.begin():
            yield connection


@contextmanager
def turn(engine: Engine) -> Iterator[None]:
    """Wait for one's turn among the publishers of one catalog; who has waited long goes on without.

    A courtesy, in the order of asking: that two may do at once what they do is the caller's to see to. SQLite
    has one writer, and knows no turns.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with converted():
        connection = engine.connect()
    try:
        with suppress(DBAPIError):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_TURN_MILLISECONDS}")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7598470153)")
        yield  # the transaction ends with the connection, also if this process is killed
    finally:
        with suppress(DBAPIError):  # the server ended it, and with it the turn: what was done is done
            connection.close()


@contextmanager
def converted() -> Iterator[None]:
    """Turn the database's errors into ours, without what they say of values."""
    try:
        yield
    except DBAPIError as error:
        raise _convert(error.orig) from None
    except sqlite3.Error as error:
        raise _convert(error) from None


_HINT = re.compile(r" INDEXED BY \w+")


def indexed(connection: Connection, sql: str) -> TextClause:
    """Make a statement of ``sql``, in which ``INDEXED BY`` names partial indexes.

    SQLite takes a partial index to be half as large as a whole one, never a thousandth, and reads the whole
    list by its primary key instead. PostgreSQL counts for itself and does not know the words.
    """
    return text(sql if connection.dialect.name == "sqlite" else _HINT.sub("", sql))


def _convert(error: BaseException | None) -> VallumError:
    if isinstance(error, sqlite3.Error):
        # SQLite's messages name tables and columns, never values.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return _busy()
        if code == sqlite3.SQLITE_FULL:
            return StorageError("the disk that holds the catalog is full", hint="free space, then try again")
        return StorageError(f"the catalog cannot be used: {error}", hint=_SQLITE_HINTS.get(code, ""))
    state = getattr(error, "sqlstate", None)
    if state in _BUSY_STATES:
        return _busy()
    if state in _FULL_STATES:
        return StorageError(f"the catalog's server cannot write (SQLSTATE {state})", hint="check its disk")
    # PostgreSQL's messages quote values; its SQLSTATE says what to look up.
    return StorageError(
        f"the catalog's server failed ({type(error).__name__}, SQLSTATE {state or 'none'})",
        hint="check the catalog's URL and that the server runs",
    )


def _busy() -> BusyError:
    return BusyError(
        "another process is writing to the catalog",
        hint="wait for it to end, then try again; several publishers at once need PostgreSQL",
    )


def _parse_url(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):  # the last of a port that is no number
        raise ConfigError(
            "the catalog's URL cannot be read", hint="as in postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        ) from None
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"no catalog in {backend!r}", hint="sqlite:///FILE or postgresql://…")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _ensure_file(url: URL, *, create: bool) -> None:
    if not url.database or url.database == ":memory:":
        raise ConfigError("a catalog lives in a file", hint="give a path")
    path = Path(url.database)
    with os_errors(path, "make the catalog"):
        if create:
            path.touch(mode=0o600)
        elif not path.exists():
            raise ConfigError(f"no catalog at {path}", hint="run vallum-publisher init first")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's documented way to BEGIN by ourselves
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("vallum_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class _PreparePostgresql:
    """Sets how long a statement waits for another's lock."""

    def __init__(self, busy_seconds: float) -> None:
        self._milliseconds = max(1, int(busy_seconds * 1000))

    def __call__(self, connection: Any, _record: object) -> None:
        connection.execute(f"SET lock_timeout = {self._milliseconds}")
        connection.commit()


def _migrate(engine: Engine) -> None:
    with reading(engine) as connection:
        if _revision(connection) == REVISION:
            return
    with writing(engine) as connection:
        _upgrade(connection, "head")


def _upgrade(connection: Connection, form: str) -> None:
    """Run the migrations that lead to a form."""
    # Only now: importing alembic costs more than most commands.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    folder = resources.files("vallum_publisher.catalog") / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(7598470152)"))
    held = _revision(connection)
    script = ScriptDirectory.from_config(config)
    for wanted in (held, form):
        try:
            if wanted is not None:
                script.get_revision(wanted)
        except CommandError:
            raise ConfigError(
                f"the catalog has form {wanted}, which is newer than this program knows ({REVISION})",
                hint="upgrade vallum-publisher",
            ) from None
    config.attributes["connection"] = connection
    command.upgrade(config, form)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
