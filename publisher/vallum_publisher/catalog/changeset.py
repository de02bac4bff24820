"""Applying records to a list: keys, one form per record, and then sets in the database (:mod:`.staging`).

A million unchanged records as a full replacement write nothing. Removal works both ways: by what a full
replacement leaves out, and by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from vallum.errors import ConfigError, DataError, InputError
from vallum.expression import TAGS, Keyer, Scope, host_of
from vallum.labels import label_set
from vallum_publisher.catalog import staging
from vallum_publisher.catalog.classes import UNLISTED, known_sets, number_sets
from vallum_publisher.catalog.entry import TEST_REF, Record, Status, to_seconds
from vallum_publisher.catalog.lists import ListInfo, record_key, test_record
from vallum_publisher.catalog.staging import Progress, Staged
from vallum_publisher.catalog.tables import TABLE_IDS, list_rows


class Mode(StrEnum):
    """What a batch means for what it does not name."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


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


class KeyCollisionError(DataError):
    """Two different expressions have one key: by accident about never, so somebody may have crafted one."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(
            f"entry {entry_id}: another expression has this key already; nothing was applied",
            hint="look at both entries; with intent it takes somebody who holds the pepper",
        )
        self.entry_id = entry_id


def apply_records(
    connection: Connection,
    info: ListInfo,
    keyer: Keyer,
    records: Iterable[Record],
    mode: Mode,
    now: datetime,
    progress: Progress,
) -> Applied:
    """Apply a batch in the caller's transaction.

    Raises:
        InputError: a record is not of this list's kind, two contradict each other, or one is the test row's.
        ConfigError: the pepper is not this list's.
        KeyCollisionError: see there.
    """
    check_pepper(connection, info, keyer)
    moment = to_seconds(now)
    rows = _stage_rows(connection, info, keyer, records, moment, removing=mode is Mode.REMOVE)
    staging.prepare(connection)
    staging.load(connection, rows, progress)
    count = len(rows)
    del rows
    absent = 0
    if mode is Mode.REMOVE:
        absent = staging.mark_removed(connection, info.id)
    else:
        staging.compare(connection, info.id)
    if (key := staging.collision(connection)) is not None:
        raise KeyCollisionError(keyer.entry_id(key))
    if mode is Mode.REPLACE:
        staging.mark_absent(connection, info.id)
    removed = staging.drop_gone(connection, info.id)
    changed = staging.amend(connection, info.id, moment)
    added = staging.add_entries(connection, info.id, moment) if mode is not Mode.REMOVE else 0
    settle(connection, info.id)
    if mode is Mode.REMOVE:
        return Applied(removed=removed, absent=absent)
    return Applied(added, removed, changed, unchanged=count - added - changed)


def expire_entries(connection: Connection, info: ListInfo, now: datetime) -> int:
    """Take entries whose ``expires_at`` is over off the list; return how many."""
    staging.prepare(connection)
    expired = staging.mark_expired(connection, info.id, to_seconds(now))
    settle(connection, info.id)
    return expired


def settle(connection: Connection, list_id: int) -> None:
    """Bring the rows in line with their entries, as ``delta`` names them; drop the temporary tables."""
    mixed = staging.rewant(connection, list_id)
    if mixed:
        sets = known_sets(connection)
        unions: dict[tuple[int, bytes], set[str]] = {}
        for tbl, key, labels in mixed:
            unions.setdefault((tbl, key), set()).update(sets[labels])
        wanted = {at: label_set(labels) for at, labels in unions.items()}
        numbers = number_sets(connection, wanted.values())
        staging.set_wanted(
            connection, list_id, [(numbers[labels], tbl, key) for (tbl, key), labels in wanted.items()]
        )
    staging.forget_unpublished(connection, list_id)
    staging.clear(connection)


def check_pepper(connection: Connection, info: ListInfo, keyer: Keyer) -> None:
    """Refuse a keyer that does not lead to the list's test row: it would list everything anew.

    Raises:
        ConfigError: another pepper, or other host bits.
    """
    record = test_record(info.name, info.kind)
    held = connection.execute(
        select(list_rows.c.value).where(
            list_rows.c.list_id == info.id,
            list_rows.c.tbl == TABLE_IDS[TAGS[record.tag].table],
            list_rows.c.key == record_key(record, keyer),
        )
    ).scalar()
    if held is None:
        raise ConfigError(
            f"this is not the pepper of list {info.name!r}",
            hint="use the key folder that the list was made with",
        )


def insert_test_row(connection: Connection, info: ListInfo, keyer: Keyer, now: datetime) -> None:
    """Put in the row that every list holds."""
    record = test_record(info.name, info.kind)._replace(ref=TEST_REF)
    rows = _order(connection, [_draft(record, record_key(record, keyer), to_seconds(now))], keyer)
    staging.prepare(connection)
    staging.load(connection, rows, lambda _done, _total: None)
    staging.compare(connection, info.id)
    staging.add_entries(connection, info.id, to_seconds(now))
    staging.clear(connection)


_Draft = tuple[int, bytes, str, bytes, str, tuple[str, ...], str, int, int, int, int, int]
"""``Staged`` with the label set itself, without ``fresh``."""


def _draft(record: Record, key: bytes, now: int) -> _Draft:
    tag, value, ref, content_id, labels, status, added_at, updated_at, verified_at, expires_at = record
    raw = value.encode("ascii") if isinstance(value, str) else value
    active = int(status is Status.ACTIVE and not 0 < expires_at <= now)
    return (
        _TABLES[tag], key, ref, _TAG_BYTES[tag] + raw, content_id, labels, status.value, active,
        added_at, updated_at, verified_at, expires_at,
    )  # fmt: skip


_TABLES = {code: TABLE_IDS[tag.table] for code, tag in TAGS.items()}
_TAG_BYTES = {code: bytes([code]) for code in TAGS}


def _stage_rows(
    connection: Connection,
    info: ListInfo,
    keyer: Keyer,
    records: Iterable[Record],
    now: int,
    *,
    removing: bool,
) -> list[Staged]:
    """Give each record its key, check it against the list, and bring all in the order of the keys."""
    allowed = {
        code: tag
        for code, tag in TAGS.items()
        if (tag.signal == "url") == (info.kind == "url") and tag.table in info.tables
    }
    test_value = test_record(info.name, info.kind).value
    hosts = _HostParts(keyer)
    drafts: list[_Draft] = []
    for record in records:
        tag = allowed.get(record.tag)
        if tag is None:
            raise InputError(
                f"a {info.kind} list with the tables {', '.join(info.tables)} holds no such record"
            )
        if record.ref == TEST_REF:
            raise InputError(f"report number {TEST_REF!r} is the test row's own")
        if removing and record.value == test_value and record.ref == "":
            raise InputError("the test row of a list cannot be removed", hint="leave it out of the removals")
        if isinstance(record.value, str):
            scope = tag.scope or Scope.URL
            key = keyer.url_key(scope, record.value, hosts.of(record.value))
        else:
            key = keyer.digest_key(tag.signal, record.value)
        drafts.append(_draft(record, key, now))
    return _order(connection, drafts, keyer)


class _HostParts:
    """Remembers the host part of keys, since many rows share a host."""

    _MOST = 200_000

    def __init__(self, keyer: Keyer) -> None:
        self._keyer = keyer
        self._known: dict[str, int] = {}

    def of(self, form: str) -> int:
        host = host_of(form)
        part = self._known.get(host)
        if part is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            part = self._known[host] = self._keyer.host_part(host)
        return part


def _order(connection: Connection, drafts: list[_Draft], keyer: Keyer) -> list[Staged]:
    """Sort by identity, unite what is said twice, and work out what each key wants if it is new.

    Raises:
        InputError: two records with one identity differ.
        KeyCollisionError: two expressions with one key.
    """
    drafts.sort()
    groups = _unions(drafts, keyer)
    numbers = number_sets(connection, {*{draft[5] for draft in drafts}, *groups.values()})
    rows: list[Staged] = []
    last: _Draft | None = None
    for draft in drafts:
        tbl, key, ref, value, content_id, labels, status, active, *times = draft
        leads = last is None or last[1] != key or last[0] != tbl
        if last is not None and not leads and last[2] == ref:
            if last != draft:
                raise InputError(
                    f"entry {keyer.entry_id(key)}: two records of one report contradict each other"
                )
            continue
        fresh = -1
        if leads:
            union = groups.get((tbl, key), labels if active else None)
            fresh = UNLISTED if union is None else numbers[union]
        added_at, updated_at, verified_at, expires_at = times
        rows.append(
            (
                tbl, key, ref, value, content_id, numbers[labels], status, active,
                added_at, updated_at, verified_at, expires_at, fresh,
            )
        )  # fmt: skip
        last = draft
    return rows


def _unions(drafts: Sequence[_Draft], keyer: Keyer) -> dict[tuple[int, bytes], tuple[str, ...]]:
    """Return the united labels of the keys that more than one record has, if any of those is active."""
    shared: dict[tuple[int, bytes], set[str]] = {}
    for before, draft in zip(drafts, drafts[1:], strict=False):
        if before[1] != draft[1] or before[0] != draft[0]:
            continue
        if before[3] != draft[3]:
            raise KeyCollisionError(keyer.entry_id(draft[1]))
        at = draft[0], draft[1]
        for one in (before, draft):
            if one[7]:
                shared.setdefault(at, set()).update(one[5])
    return {at: label_set(labels) for at, labels in shared.items()}
