"""Rows as the release reads them: what is to be published, what was touched since a version, what is listed.

While a version is under way, rows are read as they will stand when it is published; what is ingested
meanwhile shows in :func:`unpublished` only, which compares with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from vallum.labels import LabelSet, label_set
from vallum_publisher.catalog.classes import UNLISTED, LabelSets
from vallum_publisher.catalog.engine import indexed
from vallum_publisher.catalog.entry import Entry, Status, classify, from_seconds, to_seconds
from vallum_publisher.catalog.held import EXPIRED, LOOKUP
from vallum_publisher.catalog.tables import TABLE_IDS, TABLE_NAMES, list_rows

_BLOCK = 10_000


class ListRow(NamedTuple):
    """One key of one table. ``value`` is one tag byte and the form's ASCII or the raw digest, as in
    :mod:`vallum.format.rows`; ``labels`` is ``None`` where the row is not listed.
    """

    key: bytes
    value: bytes
    labels: LabelSet | None

    def __repr__(self) -> str:
        return "<ListRow>"  # values must not reach logs


class RowChange(NamedTuple):
    """One row that differs from what is published, or under way; ``None`` means not listed."""

    table: str
    key: bytes
    value: bytes
    labels: LabelSet | None
    before: LabelSet | None

    @property
    def tag(self) -> int:
        """Code of the row's tag."""
        return self.value[0]

    def __repr__(self) -> str:
        return f"<RowChange in {self.table}>"


_AFRESH = """FROM list_rows INDEXED BY list_rows_unpublished
WHERE list_id = :list AND wanted <> published AND (pending IS NULL OR pending <> wanted)"""
"""Rows that differ from what is published, and likewise from what is under way."""
_BACK = """FROM list_rows INDEXED BY list_rows_pending
WHERE list_id = :list AND pending IS NOT NULL AND wanted = published"""
"""Rows that a version under way changes, and that are to be again as they are published."""


_ENDED = f"""SELECT r.tbl, r.key, r.value, r.wanted, COALESCE(r.pending, r.published), e.labels, e.expires_at
FROM ({EXPIRED}) ended
JOIN list_rows r ON r.list_id = :list AND r.tbl = ended.tbl AND r.key = ended.key
JOIN entries e ON e.list_id = :list AND e.tbl = r.tbl AND e.key = r.key AND e.active = 1"""  # noqa: S608 - constants
"""All active entries of those rows."""


def unpublished(connection: Connection, list_id: int, now: datetime) -> list[RowChange]:
    """Return what a version begun after the one under way would change, by table and key.

    Entries whose time is over at ``now`` count as off the list, though nobody has taken them off yet.
    """
    changes = _changes(
        connection,
        list_id,
        f"""SELECT tbl, key, value, wanted, COALESCE(pending, published) {_AFRESH}
        UNION ALL SELECT tbl, key, value, wanted, pending {_BACK} ORDER BY 1, 2""",
    )
    ended = _ended(connection, list_id, now)
    if not ended:
        return changes
    others = [change for change in changes if (change.table, change.key) not in ended]
    others += [row.change for row in ended.values() if row.waits]
    return sorted(others, key=lambda change: (TABLE_IDS[change.table], change.key))


def frozen(connection: Connection, list_id: int) -> list[RowChange]:
    """Return what the version under way changes, by table and key."""
    return _changes(
        connection,
        list_id,
        """SELECT tbl, key, value, pending, published FROM list_rows INDEXED BY list_rows_pending
        WHERE list_id = :list AND pending IS NOT NULL ORDER BY tbl, key""",
    )


def touched(connection: Connection, list_id: int, table: str, after: int) -> Iterator[ListRow]:
    """Yield all rows that a version after ``after`` touched (the one under way too), by key."""
    # `touched > 0` is what the index asks for; SQLite seeks by whichever of the two conditions stands first.
    return _rows(
        connection,
        """SELECT key, value, COALESCE(pending, published) FROM list_rows INDEXED BY list_rows_touched
        WHERE list_id = :list AND tbl = :tbl AND touched > :after AND touched > 0
        UNION ALL
        SELECT key, value, pending FROM list_rows INDEXED BY list_rows_pending
        WHERE list_id = :list AND tbl = :tbl AND pending IS NOT NULL AND touched <= :after
        ORDER BY 1""",
        list=list_id,
        tbl=TABLE_IDS[table],
        after=after,
    )


def touched_keys(connection: Connection, list_id: int, table: str, after: int) -> list[bytes]:
    """Return the keys of :func:`touched` alone, in order: they stand in its indexes, no row is looked up."""
    sql = """SELECT key FROM list_rows INDEXED BY list_rows_touched
        WHERE list_id = :list AND tbl = :tbl AND touched > :after AND touched > 0
        UNION
        SELECT key FROM list_rows INDEXED BY list_rows_pending
        WHERE list_id = :list AND tbl = :tbl AND pending IS NOT NULL
        ORDER BY 1"""
    parameters = {"list": list_id, "tbl": TABLE_IDS[table], "after": after}
    return list(map(bytes, connection.execute(indexed(connection, sql), parameters).scalars()))


def listed(connection: Connection, list_id: int, table: str) -> Iterator[ListRow]:
    """Yield all listed rows, by key."""
    return _rows(
        connection,
        """SELECT key, value, COALESCE(pending, published) FROM list_rows
        WHERE list_id = :list AND tbl = :tbl AND COALESCE(pending, published) <> 0 ORDER BY key""",
        list=list_id,
        tbl=TABLE_IDS[table],
    )


_ENTRIES = """SELECT e.*, r.value, r.touched FROM entries e
JOIN list_rows r ON r.list_id = e.list_id AND r.tbl = e.tbl AND r.key = e.key
WHERE e.list_id = :list """
_IN_ORDER = " ORDER BY e.tbl, e.key, e.ref"


def entries_of(connection: Connection, list_id: int, key: bytes | None) -> Iterator[Entry]:
    """Yield the entries of one key, or all of the list, by table, key and report number."""
    sets = {
        number: (labels, classify(labels)) for number, labels in LabelSets(connection).by_number().items()
    }
    if key is None:
        result = _stream(connection, _ENTRIES + _IN_ORDER, {"list": list_id})
    else:
        result = _stream(connection, _ENTRIES + "AND e.key = :key" + _IN_ORDER, {"list": list_id, "key": key})
    for row in result:
        labels, classification = sets[row.labels]
        yield Entry(
            key=bytes(row.key),
            tag=row.value[0],
            ref=row.ref,
            content_id=row.content_id,
            labels=labels,
            classification=classification,
            status=Status(row.status),
            listed=bool(row.active),
            added_at=from_seconds(row.added_at),
            updated_at=from_seconds(row.updated_at),
            verified_at=from_seconds(row.verified_at) if row.verified_at else None,
            expires_at=from_seconds(row.expires_at) if row.expires_at else None,
            changed_version=row.touched,
        )


def count_unpublished(connection: Connection, list_id: int, now: datetime) -> int:
    """Count what :func:`unpublished` returns; the cost grows with that, not with the list."""
    sql = f"SELECT (SELECT count(*) {_AFRESH}) + (SELECT count(*) {_BACK})"
    waiting = int(connection.execute(indexed(connection, sql), {"list": list_id}).scalar_one())
    return waiting + sum(row.waits - row.counted for row in _ended(connection, list_id, now).values())


def count_ended(connection: Connection, list_id: int, now: datetime) -> int:
    """Count the rows that are still listed, or with labels that are to go, although that time is over."""
    return sum(row.overdue for row in _ended(connection, list_id, now).values())


class _Ended(NamedTuple):
    """A row with entries whose time is over: what it is to become, and whether it waits even with them."""

    change: RowChange
    counted: bool

    @property
    def waits(self) -> bool:
        return self.change.labels != self.change.before

    @property
    def overdue(self) -> bool:
        before, labels = self.change.before, self.change.labels
        return before is not None and (labels is None or not set(before) <= set(labels))


def _ended(connection: Connection, list_id: int, now: datetime) -> dict[tuple[str, bytes], _Ended]:
    moment = to_seconds(now)
    entries = connection.execute(indexed(connection, _ENDED), {"list": list_id, "now": moment}).all()
    if not entries:
        return {}
    sets: dict[int, LabelSet | None] = {**LabelSets(connection).by_number(), UNLISTED: None}
    left: dict[tuple[str, bytes], list[LabelSet]] = {}
    rows = {}
    for tbl, key, value, wanted, known, labels, expires_at in entries:
        row = TABLE_NAMES[tbl], bytes(key)
        rows[row] = bytes(value), wanted, known
        goes_on = left.setdefault(row, [])
        if not 0 < expires_at <= moment:
            goes_on.append(sets[labels] or ())
    return {
        row: _Ended(
            RowChange(*row, value, label_set(chain(*left[row])) if left[row] else None, sets[known]),
            wanted != known,
        )
        for row, (value, wanted, known) in rows.items()
    }


def count_taken_off(connection: Connection, list_id: int) -> int:
    """Count the rows that the version under way lists although they are wanted no more."""
    sql = """SELECT count(*) FROM list_rows INDEXED BY list_rows_pending
        WHERE list_id = :list AND pending IS NOT NULL AND pending <> 0 AND wanted = 0"""
    return int(connection.execute(indexed(connection, sql), {"list": list_id}).scalar_one())


def published_keys(connection: Connection, list_id: int, table: str, keys: Iterable[bytes]) -> list[bytes]:
    """Return those of some keys that are listed at the newest published version."""
    found: list[bytes] = []
    every = list(keys)
    for at in range(0, len(every), LOOKUP):
        some = every[at : at + LOOKUP]
        query = select(list_rows.c.key).where(
            list_rows.c.list_id == list_id,
            list_rows.c.tbl == TABLE_IDS[table],
            list_rows.c.key.in_(some),
            list_rows.c.published != UNLISTED,
        )
        found += map(bytes, connection.execute(query).scalars())
    return found


def _changes(connection: Connection, list_id: int, sql: str) -> list[RowChange]:
    sets: dict[int, LabelSet | None] = {**LabelSets(connection).by_number(), UNLISTED: None}
    result = _stream(connection, sql, {"list": list_id})
    return [
        RowChange(TABLE_NAMES[tbl], bytes(key), bytes(value), sets[labels], sets[before])
        for tbl, key, value, labels, before in result
    ]


def _rows(connection: Connection, sql: str, **parameters: object) -> Iterator[ListRow]:
    sets: dict[int, LabelSet | None] = {**LabelSets(connection).by_number(), UNLISTED: None}
    for key, value, labels in _stream(connection, sql, parameters):
        yield ListRow(bytes(key), bytes(value), sets[labels])


def _stream(connection: Connection, sql: str, parameters: dict[str, object]) -> Iterator[Any]:
    result = connection.execute(
        indexed(connection, sql),
        parameters,
        execution_options={"stream_results": True, "max_row_buffer": _BLOCK},
    )
    for block in result.partitions(_BLOCK):
        yield from block
