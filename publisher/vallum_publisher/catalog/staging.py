"""Incoming records beside what the catalog holds, so that the database can compare them as sets.

Two temporary tables live as long as one transaction: ``staged`` holds the records in the order of their
keys, ``delta`` names what differs, by kind:

====  ====================================================================
0     new entry on a new row
1     new entry on a row that exists
2     entry whose labels or standing changed: its row may change
3     entry that changed otherwise (dates, content id)
4     entry that goes
9     the key exists with another expression
====  ====================================================================

The SQL is what SQLite and PostgreSQL both understand; the few words that differ stand at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text

from vallum_publisher.catalog.entry import TEST_REF

_KINDS = {"new_row": 0, "new_entry": 1, "reclassed": 2, "amended": 3, "gone": 4, "collision": 9}

Staged = tuple[int, bytes, str, bytes, str, int, str, int, int, int, int, int, int]
"""tbl, key, ref, value, content_id, labels, status, active, added_at, updated_at, verified_at, expires_at,
and ``fresh``: what the row wants if it is new, on the first record of each key; -1 on the others."""

_COLUMNS = (
    "tbl, key, ref, value, content_id, labels, status, active, added_at, updated_at, verified_at, expires_at, "
    "fresh"
)
_CHUNK = 50_000
_DIALECT = {
    "sqlite": {"bytes": "BLOB", "end": "WITHOUT ROWID"},
    "postgresql": {"bytes": "BYTEA", "end": "ON COMMIT DROP"},
}

Progress = Callable[[int, int | None], None]
"""Called with what is done and, if known, the whole."""


def prepare(connection: Connection) -> None:
    """Make both tables, empty."""
    words = _DIALECT[connection.dialect.name]
    connection.exec_driver_sql("DROP TABLE IF EXISTS staged")
    connection.exec_driver_sql("DROP TABLE IF EXISTS delta")
    connection.exec_driver_sql(
        f"""CREATE TEMPORARY TABLE staged (
            tbl SMALLINT NOT NULL, key {words["bytes"]} NOT NULL, ref TEXT NOT NULL,
            value {words["bytes"]} NOT NULL, content_id TEXT NOT NULL, labels INTEGER NOT NULL,
            status TEXT NOT NULL, active SMALLINT NOT NULL, added_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL, verified_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
            fresh INTEGER NOT NULL, PRIMARY KEY (tbl, key, ref)) {words["end"]}"""
    )
    connection.exec_driver_sql(
        f"""CREATE TEMPORARY TABLE delta (
            what SMALLINT NOT NULL, tbl SMALLINT NOT NULL, key {words["bytes"]} NOT NULL, ref TEXT NOT NULL,
            PRIMARY KEY (what, tbl, key, ref)) {words["end"]}"""
    )


def load(connection: Connection, rows: Sequence[Staged], progress: Progress) -> None:
    """Put sorted, distinct records into ``staged``."""
    total = len(rows)
    if connection.dialect.name == "postgresql":
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY staged ({_COLUMNS}) FROM STDIN") as copy:
            for done, row in enumerate(rows):
                copy.write_row(row)
                if done % _CHUNK == 0:
                    progress(done, total)
        connection.exec_driver_sql("ANALYZE staged")
    else:
        marks = ", ".join("?" * len(_COLUMNS.split(",")))
        for at in range(0, total, _CHUNK):
            progress(at, total)
            connection.exec_driver_sql(
                f"INSERT INTO staged ({_COLUMNS}) VALUES ({marks})", rows[at : at + _CHUNK]
            )
    progress(total, total)


def compare(connection: Connection, list_id: int) -> None:
    """Find what of ``staged`` is new, different or in collision."""
    _run(
        connection,
        """INSERT INTO delta (what, tbl, key, ref)
        SELECT CASE WHEN r.key IS NULL THEN :new_row
                    WHEN r.value <> s.value THEN :collision
                    WHEN e.key IS NULL THEN :new_entry
                    WHEN e.labels <> s.labels OR e.active <> s.active THEN :reclassed
                    ELSE :amended END, s.tbl, s.key, s.ref
        FROM staged s
        LEFT JOIN list_rows r ON r.list_id = :list AND r.tbl = s.tbl AND r.key = s.key
        LEFT JOIN entries e ON e.list_id = :list AND e.tbl = s.tbl AND e.key = s.key AND e.ref = s.ref
        WHERE r.key IS NULL OR r.value <> s.value OR e.key IS NULL
           OR e.labels <> s.labels OR e.active <> s.active OR e.status <> s.status
           OR e.content_id <> s.content_id OR e.expires_at <> s.expires_at
           OR (s.added_at > 0 AND e.added_at <> s.added_at)
           OR (s.verified_at > 0 AND e.verified_at <> s.verified_at)
           OR (s.updated_at > 0 AND e.updated_at <> s.updated_at)""",
        list=list_id,
    )


def mark_absent(connection: Connection, list_id: int) -> None:
    """Mark as gone what the list holds and ``staged`` does not; the test row stays."""
    _run(
        connection,
        """INSERT INTO delta (what, tbl, key, ref)
        SELECT :gone, e.tbl, e.key, e.ref FROM entries e
        WHERE e.list_id = :list AND e.ref <> :test AND NOT EXISTS (
            SELECT 1 FROM staged s WHERE s.tbl = e.tbl AND s.key = e.key AND s.ref = e.ref)""",
        list=list_id,
        test=TEST_REF,
    )


def mark_removed(connection: Connection, list_id: int) -> int:
    """Mark as gone what ``staged`` names, whatever its report number where none is given.

    Returns:
        How many of ``staged`` the list does not hold.
    """
    _run(
        connection,
        f"""INSERT INTO delta (what, tbl, key, ref)
        SELECT DISTINCT :gone, e.tbl, e.key, e.ref FROM staged s JOIN entries e
        ON e.list_id = :list AND e.tbl = s.tbl AND e.key = s.key
        WHERE s.ref = e.ref OR (s.ref = '' AND e.ref <> :test)""",
        list=list_id,
        test=TEST_REF,
    )
    _run(
        connection,
        """INSERT INTO delta (what, tbl, key, ref)
        SELECT :collision, s.tbl, s.key, s.ref FROM staged s
        JOIN list_rows r ON r.list_id = :list AND r.tbl = s.tbl AND r.key = s.key AND r.value <> s.value""",
        list=list_id,
    )
    return int(
        connection.execute(
            text(
                """SELECT count(*) FROM staged s WHERE NOT EXISTS (
                    SELECT 1 FROM entries e WHERE e.list_id = :list AND e.tbl = s.tbl AND e.key = s.key
                    AND (s.ref = e.ref OR (s.ref = '' AND e.ref <> :test)))"""
            ),
            {"list": list_id, "test": TEST_REF},
        ).scalar_one()
    )


def mark_expired(connection: Connection, list_id: int, now: int) -> int:
    """Take active entries whose time is over off the list; return how many."""
    found = _run(
        connection,
        """INSERT INTO delta (what, tbl, key, ref)
        SELECT :reclassed, tbl, key, ref FROM entries
        WHERE list_id = :list AND active = 1 AND expires_at > 0 AND expires_at <= :now""",
        list=list_id,
        now=now,
    )
    _run(
        connection,
        """UPDATE entries SET active = 0 WHERE list_id = :list AND (tbl, key, ref) IN (
            SELECT tbl, key, ref FROM delta WHERE what = :reclassed)""",
        list=list_id,
    )
    return found


def collision(connection: Connection) -> bytes | None:
    """Return a key that exists with another expression, if any."""
    found = connection.execute(text("SELECT key FROM delta WHERE what = :collision LIMIT 1"), _KINDS).scalar()
    return None if found is None else bytes(found)


def drop_gone(connection: Connection, list_id: int) -> int:
    """Delete the entries that go; return how many."""
    return _run(
        connection,
        """DELETE FROM entries WHERE list_id = :list AND (tbl, key, ref) IN (
            SELECT tbl, key, ref FROM delta WHERE what = :gone)""",
        list=list_id,
    )


def amend(connection: Connection, list_id: int, now: int) -> int:
    """Rewrite the entries that changed; return how many."""
    # CROSS JOIN keeps SQLite from reading all of `staged` first; to PostgreSQL it is any join.
    return _run(
        connection,
        """UPDATE entries SET content_id = s.content_id, labels = s.labels, status = s.status,
            active = s.active, expires_at = s.expires_at,
            added_at = CASE WHEN s.added_at > 0 THEN s.added_at ELSE entries.added_at END,
            verified_at = CASE WHEN s.verified_at > 0 THEN s.verified_at ELSE entries.verified_at END,
            updated_at = CASE WHEN s.updated_at > 0 THEN s.updated_at ELSE :now END
        FROM delta d CROSS JOIN staged s
        WHERE d.what IN (:reclassed, :amended) AND s.tbl = d.tbl AND s.key = d.key AND s.ref = d.ref
          AND entries.list_id = :list AND entries.tbl = d.tbl AND entries.key = d.key
          AND entries.ref = d.ref""",
        list=list_id,
        now=now,
    )


def add_entries(connection: Connection, list_id: int, now: int) -> int:
    """Insert the new entries and the new rows; return how many entries."""
    _run(
        connection,
        """INSERT INTO list_rows (list_id, tbl, key, value, wanted, published, touched)
        SELECT :list, s.tbl, s.key, s.value, s.fresh, 0, 0 FROM delta d CROSS JOIN staged s
        WHERE d.what = :new_row AND s.tbl = d.tbl AND s.key = d.key AND s.ref = d.ref AND s.fresh >= 0
        ORDER BY s.tbl, s.key""",
        list=list_id,
    )
    return _run(
        connection,
        """INSERT INTO entries (list_id, tbl, key, ref, content_id, labels, status, active,
                                 added_at, updated_at, verified_at, expires_at)
        SELECT :list, s.tbl, s.key, s.ref, s.content_id, s.labels, s.status, s.active,
               CASE WHEN s.added_at > 0 THEN s.added_at ELSE :now END,
               CASE WHEN s.updated_at > 0 THEN s.updated_at ELSE :now END, s.verified_at, s.expires_at
        FROM delta d CROSS JOIN staged s
        WHERE d.what IN (:new_row, :new_entry) AND s.tbl = d.tbl AND s.key = d.key AND s.ref = d.ref
        ORDER BY s.tbl, s.key, s.ref""",
        list=list_id,
        now=now,
    )


def rewant(connection: Connection, list_id: int) -> list[tuple[int, bytes, int]]:
    """Work out again what the rows of changed entries want.

    Returns:
        ``(tbl, key, labels)`` for each active entry of rows whose entries disagree; such rows want -1 until
        :func:`set_wanted` gives them the union.
    """
    _run(
        connection,
        """UPDATE list_rows SET wanted = (
            SELECT CASE WHEN count(*) = 0 THEN 0 WHEN min(e.labels) = max(e.labels) THEN min(e.labels)
                        ELSE -1 END
            FROM entries e WHERE e.list_id = :list AND e.tbl = list_rows.tbl AND e.key = list_rows.key
              AND e.active = 1)
        WHERE list_id = :list AND (tbl, key) IN (
            SELECT tbl, key FROM delta WHERE what IN (:new_entry, :reclassed, :gone))""",
        list=list_id,
    )
    return [
        (tbl, bytes(key), labels)
        for tbl, key, labels in connection.execute(
            text(
                """SELECT r.tbl, r.key, e.labels FROM list_rows r
                JOIN entries e ON e.list_id = r.list_id AND e.tbl = r.tbl AND e.key = r.key AND e.active = 1
                WHERE r.list_id = :list AND r.wanted <> r.published AND r.wanted = -1"""
            ),
            {"list": list_id},
        )
    ]


def set_wanted(connection: Connection, list_id: int, wanted: Sequence[tuple[int, int, bytes]]) -> None:
    """Set what single rows want: ``(labels, tbl, key)``."""
    if wanted:
        connection.execute(
            text("UPDATE list_rows SET wanted = :wanted WHERE list_id = :list AND tbl = :tbl AND key = :key"),
            [{"wanted": labels, "list": list_id, "tbl": tbl, "key": key} for labels, tbl, key in wanted],
        )


def forget_unpublished(connection: Connection, list_id: int) -> None:
    """Drop rows that lost their last entry before any version held them."""
    _run(
        connection,
        """DELETE FROM list_rows WHERE list_id = :list AND wanted = 0 AND touched = 0 AND pending IS NULL
          AND (tbl, key) IN (SELECT tbl, key FROM delta WHERE what = :gone)
          AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.list_id = list_rows.list_id
                          AND e.tbl = list_rows.tbl AND e.key = list_rows.key)""",
        list=list_id,
    )


def clear(connection: Connection) -> None:
    """Drop both tables, and with them the values."""
    connection.exec_driver_sql("DROP TABLE staged")
    connection.exec_driver_sql("DROP TABLE delta")


def _run(connection: Connection, sql: str, **parameters: object) -> int:
    return connection.execute(text(sql), {**_KINDS, **parameters}).rowcount
