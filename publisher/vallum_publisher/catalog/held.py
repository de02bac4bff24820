"""What the catalog holds of a list's entries and rows: read in blocks for a merge, written in bulk.

Everything goes by primary key, so that SQLite and PostgreSQL find their way alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from vallum.expression import KEY_BYTES
from vallum_publisher.catalog.classes import UNLISTED
from vallum_publisher.catalog.draft import ROW_BYTES, Draft
from vallum_publisher.catalog.engine import indexed
from vallum_publisher.catalog.merge import Changes, HeldRows, by_row
from vallum_publisher.catalog.tables import TABLE_BYTES

BLOCK = 50_000
"""Entries in one block."""

LOOKUP = 500
"""Rows in one look-up by key."""

_SELECT = """
SELECT r.tbl, r.key, r.value, r.wanted, r.published = 0 AND r.touched = 0 AND r.pending IS NULL, e.ref,
       e.content_id, e.labels, e.status, e.active, e.expires_at, e.added_at, e.updated_at, e.verified_at
FROM list_rows r
LEFT JOIN entries e ON e.list_id = r.list_id AND e.tbl = r.tbl AND e.key = r.key
WHERE r.list_id = ? AND """
_AFTER = _SELECT + "(r.tbl, r.key) > (?, ?) ORDER BY r.tbl, r.key LIMIT ?"
_NAMED = _SELECT + "r.tbl = ? AND r.key IN "
EXPIRED = """SELECT DISTINCT tbl, key FROM entries INDEXED BY entries_expiring
WHERE list_id = :list AND active = 1 AND expires_at <= :now AND expires_at > 0"""
"""Rows with an active entry whose time is over."""

_ENTRY_COLUMNS = (
    "list_id, tbl, key, ref, content_id, labels, status, active, expires_at, "
    "added_at, updated_at, verified_at"
)
_ROW_COLUMNS = "list_id, tbl, key, value, wanted, published, touched"
# Drafts as they are: to take them apart in Python would cost as much as to insert them.
_INCOMING = """CREATE TEMPORARY TABLE incoming (at, value, content_id, labels,
status, active, expires_at, added_at, updated_at, verified_at)"""
_OF_ROW = f"instr(x'{b''.join(TABLE_BYTES).hex()}', substr(at, 1, 1)) - 1, substr(at, 2, {KEY_BYTES})"
_NEW_ROWS = f"""INSERT INTO list_rows ({_ROW_COLUMNS})
SELECT ?, {_OF_ROW}, value, iif(active, labels, {UNLISTED}), 0, 0 FROM incoming"""  # noqa: S608 - constants
_NEW_ENTRIES = f"""INSERT INTO entries ({_ENTRY_COLUMNS})
SELECT ?1, {_OF_ROW}, CAST(substr(at, {1 + ROW_BYTES}) AS TEXT), content_id, labels, status, active,
    expires_at, iif(added_at, added_at, ?2), iif(updated_at, updated_at, ?2), verified_at
FROM incoming"""  # noqa: S608 - constants
_AMEND = """UPDATE entries SET content_id = ?, labels = ?, status = ?, active = ?, expires_at = ?,
added_at = ?, updated_at = ?, verified_at = ? WHERE list_id = ? AND tbl = ? AND key = ? AND ref = ?"""
_DROP = "DELETE FROM entries WHERE list_id = ? AND tbl = ? AND key = ? AND ref = ?"
_WANT = "UPDATE list_rows SET wanted = ? WHERE list_id = ? AND tbl = ? AND key = ?"
_FORGET = "DELETE FROM list_rows WHERE list_id = ? AND tbl = ? AND key = ?"


def read_after(connection: Connection, list_id: int, row: bytes) -> tuple[HeldRows, bytes | None]:
    """Read a block of what is held after a row; ``b""`` stands before the first.

    Returns:
        The block, whole rows only, and its last row if there may be more.
    """
    tbl, key = (row[0], row[1:]) if row else (-1, b"")
    found = _fetch(connection, _AFTER, (list_id, tbl, key, BLOCK))
    rows = by_row(found)
    if len(found) < BLOCK:
        return rows, None
    # The last row may have more entries than fitted.
    last = next(reversed(rows))
    del rows[last]
    return rows | read_rows(connection, list_id, [last]), last


def read_rows(connection: Connection, list_id: int, rows: Sequence[bytes]) -> HeldRows:
    """Read what is held of at most ``LOOKUP`` rows."""
    found: list[tuple[Any, ...]] = []
    for tbl in sorted({row[0] for row in rows}):
        keys = [row[1:] for row in rows if row[0] == tbl]
        marks = "(" + ", ".join("?" * len(keys)) + ")"
        found += _fetch(connection, _NAMED + marks, (list_id, tbl, *keys))
    return by_row(found)


def expired_rows(connection: Connection, list_id: int, now: int) -> list[bytes]:
    """Return the rows with an active entry whose time is over."""
    found = connection.execute(indexed(connection, EXPIRED), {"list": list_id, "now": now})
    return [TABLE_BYTES[tbl] + key for tbl, key in found]


def write(connection: Connection, list_id: int, changes: Changes, now: int) -> None:
    """Write what a merge found, at ``now`` in seconds since 1970."""
    _insert_pairs(connection, list_id, changes.new_pairs, now)
    _insert(
        connection,
        "list_rows",
        _ROW_COLUMNS,
        [(list_id, row[0], row[1:], value, wanted, 0, 0) for row, value, wanted in changes.new_rows],
    )
    _insert(
        connection,
        "entries",
        _ENTRY_COLUMNS,
        [(list_id, row[0], row[1:], ref, *values) for row, ref, values in changes.new_entries],
    )
    amended = [(*values, list_id, row[0], row[1:], ref) for row, ref, values in changes.amended]
    _many(connection, _AMEND, amended)
    _many(connection, _DROP, [(list_id, row[0], row[1:], ref) for row, ref in changes.gone])
    _many(connection, _WANT, [(wanted, list_id, row[0], row[1:]) for wanted, row in changes.wanted])
    _many(connection, _FORGET, [(list_id, row[0], row[1:]) for row in changes.forgotten])


def _insert_pairs(connection: Connection, list_id: int, pairs: Sequence[Draft], now: int) -> None:
    if not pairs:
        return
    if connection.dialect.name == "postgresql":
        rows = [
            (list_id, row[0], row[1:], draft.value, draft.labels if draft.active else UNLISTED, 0, 0)
            for draft in pairs
            for row in (draft.row,)
        ]
        _insert(connection, "list_rows", _ROW_COLUMNS, rows)
        entries = [
            (
                *(list_id, row[0], row[1:], draft.ref),
                *draft[2:7],
                *(draft.added_at or now, draft.updated_at or now, draft.verified_at),
            )
            for draft in pairs
            for row in (draft.row,)
        ]
        _insert(connection, "entries", _ENTRY_COLUMNS, entries)
        return
    # To SQLite handing over values costs more than inserting them: hand over once, insert twice.
    connection.exec_driver_sql(_INCOMING)
    _many(connection, "INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", pairs)
    connection.exec_driver_sql(_NEW_ROWS, (list_id,))
    connection.exec_driver_sql(_NEW_ENTRIES, (list_id, now))
    connection.exec_driver_sql("DROP TABLE incoming")


def _fetch(connection: Connection, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    # The driver's own cursor: SQLAlchemy's rows would double what a million of them cost.
    cursor = connection.connection.cursor()
    try:
        cursor.execute(_marked(connection, sql), parameters)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _insert(connection: Connection, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and connection.dialect.name == "postgresql":
        # One statement per row costs PostgreSQL ten times as much.
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * (columns.count(",") + 1))
    _many(connection, f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - our constants


def _many(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(_marked(connection, sql), rows if isinstance(rows, list) else list(rows))


def _marked(connection: Connection, sql: str) -> str:
    """Write parameters as the driver does."""
    return sql if connection.dialect.paramstyle == "qmark" else sql.replace("?", "%s")
