"""Applying a batch to a list: drafts of its records, merged block by block with what is held.

Both ways of removal work: by what a full replacement leaves out, and by name. A million unchanged records
as a full replacement write nothing. Memory grows with the batch, not with the list.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from vallum.errors import ConfigError, InputError
from vallum.expression import TAGS, Keyer
from vallum.progress import Count
from vallum_publisher.catalog import held
from vallum_publisher.catalog.classes import LabelSets
from vallum_publisher.catalog.draft import Draft, draft_records, record_key
from vallum_publisher.catalog.entry import TEST_REF, Record, to_seconds
from vallum_publisher.catalog.garbage import collector_resting
from vallum_publisher.catalog.lists import ListInfo, test_record
from vallum_publisher.catalog.merge import Changes, HeldRows, Merger, Mode, expire
from vallum_publisher.catalog.tables import TABLE_IDS, list_rows


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did, in entries. ``absent``: records of a removal that the list did not hold."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    absent: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done."""
        return not (self.added or self.removed or self.changed)


def apply_records(
    connection: Connection,
    info: ListInfo,
    keyer: Keyer,
    records: Iterable[Record],
    mode: Mode,
    now: datetime,
    progress: Count,
) -> Applied:
    """Apply a batch in the caller's transaction.

    Raises:
        InputError: a record is not of this list's kind, two contradict each other, or one is the test row's.
        ConfigError: the pepper is not this list's.
        KeyCollisionError: see there.
    """
    _check_pepper(connection, info, keyer)
    batch = records if isinstance(records, Sequence) else list(records)
    test_value = test_record(info.name, info.kind).value
    for record in batch:
        if record.ref == TEST_REF:
            raise InputError(f"report number {TEST_REF!r} is the test row's own")
        if mode is Mode.REMOVE and record.value == test_value and not record.ref:
            raise InputError("the test row of a list cannot be removed", hint="leave it out of the removals")
    with collector_resting():
        return _apply(connection, info, keyer, batch, mode, now, progress)


def insert_test_row(connection: Connection, info: ListInfo, keyer: Keyer, now: datetime) -> None:
    """Put in the row that every list holds."""
    record = test_record(info.name, info.kind)._replace(ref=TEST_REF)
    _apply(connection, info, keyer, [record], Mode.ADD, now, lambda _done, _total: None)


def expire_entries(connection: Connection, info: ListInfo, now: datetime) -> int:
    """Take entries whose ``expires_at`` is over off the list; return how many."""
    moment = to_seconds(now)
    sets = LabelSets(connection)
    expired = 0
    rows = held.expired_rows(connection, info.id, moment)
    for at in range(0, len(rows), held.LOOKUP):
        changes = Changes()
        known = held.read_rows(connection, info.id, rows[at : at + held.LOOKUP])
        expire(known, moment, sets.union, changes)
        held.write(connection, info.id, changes, moment)
        expired += len(changes.amended)
    return expired


def _apply(
    connection: Connection,
    info: ListInfo,
    keyer: Keyer,
    batch: Sequence[Record],
    mode: Mode,
    now: datetime,
    progress: Count,
) -> Applied:
    moment = to_seconds(now)
    sets = LabelSets(connection)
    tags = {
        code
        for code, tag in TAGS.items()
        if (tag.signal == "url") == (info.kind == "url") and tag.table in info.tables
    }
    numbers = sets.number({record.labels for record in batch})
    drafts = draft_records(batch, tags, keyer, numbers, moment)
    merger = Merger(mode, moment, sets.union, keyer.entry_id)
    writer = _Writer(connection, info.id, moment)
    pairs = _whole_list if mode is Mode.REPLACE else _named_rows
    done = 0
    for some, known in pairs(connection, info.id, drafts):
        for piece in _pieces(some):
            merger.merge(piece, known, writer.changes)
            writer.flush(_ENOUGH)
            done += len(piece)
            progress(done, len(drafts))
        if mode is Mode.REPLACE:
            merger.drop_unnamed(known, writer.changes)
        writer.flush(_ENOUGH)
    return writer.close()


_ENOUGH = 50_000
"""Changes that are written at once."""


class _Writer:
    """Collects changes and writes them in bulk."""

    def __init__(self, connection: Connection, list_id: int, now: int) -> None:
        self._connection = connection
        self._list_id = list_id
        self._now = now
        self._added = self._removed = self._changed = self._unchanged = self._absent = 0
        self.changes = Changes()

    def flush(self, enough: int) -> None:
        """Write if that many changes wait."""
        changes = self.changes
        if changes.size() < enough:
            return
        held.write(self._connection, self._list_id, changes, self._now)
        self._added += len(changes.new_pairs) + len(changes.new_entries)
        self._removed += len(changes.gone)
        self._changed += len(changes.amended)
        self._unchanged += changes.unchanged
        self._absent += changes.absent
        self.changes = Changes()

    def close(self) -> Applied:
        """Write the rest and count."""
        self.flush(0)
        return Applied(self._added, self._removed, self._changed, self._unchanged, self._absent)


_Pair = tuple[Sequence[Draft], HeldRows]


def _whole_list(connection: Connection, list_id: int, drafts: Sequence[Draft]) -> Iterator[_Pair]:
    """Pair all that the list holds, block by block, with the drafts of the same stretch of rows."""
    at, last = 0, b""
    while True:
        known, border = held.read_after(connection, list_id, last)
        if border is None:
            yield drafts[at:], known
            return
        upto = bisect_right(drafts, border, lo=at, key=lambda draft: draft.row)
        yield drafts[at:upto], known
        at, last = upto, border


def _named_rows(connection: Connection, list_id: int, drafts: Sequence[Draft]) -> Iterator[_Pair]:
    """Pair the drafts with what the list holds of their rows."""
    at = 0
    while at < len(drafts):
        upto = _border(drafts, at + held.LOOKUP)
        some = drafts[at:upto]
        rows = sorted({draft.row for draft in some})
        yield some, held.read_rows(connection, list_id, rows)
        at = upto


def _pieces(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    """Cut drafts into pieces of whole rows: a first import comes as one."""
    at = 0
    while at < len(drafts):
        upto = _border(drafts, at + _ENOUGH)
        yield drafts[at:upto]
        at = upto


def _border(drafts: Sequence[Draft], at: int) -> int:
    """Move an index on to where a row begins."""
    while at < len(drafts) and drafts[at].row == drafts[at - 1].row:
        at += 1
    return min(at, len(drafts))


def _check_pepper(connection: Connection, info: ListInfo, keyer: Keyer) -> None:
    """Refuse a keyer that does not lead to the list's test row: it would list everything anew."""
    record = test_record(info.name, info.kind)
    found = connection.execute(
        select(list_rows.c.wanted).where(
            list_rows.c.list_id == info.id,
            list_rows.c.tbl == TABLE_IDS[TAGS[record.tag].table],
            list_rows.c.key == record_key(record, keyer),
        )
    ).scalar()
    if not found:
        raise ConfigError(
            f"this is not the pepper of list {info.name!r}",
            hint="use the key folder that the list was made with",
        )
