"""The audit log: append-only, each record's hash covering the one before (DESIGN §9).

A record says who did what to which list when, in counts and versions; never an entry's value. The database
itself refuses to change or drop records; the chain shows it where somebody went around the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, text

from vallum.errors import DataError
from vallum_publisher.catalog.entry import from_seconds, to_seconds
from vallum_publisher.catalog.tables import audit

_START = bytes(32)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One step. ``seq`` grows by one from 1; ``hash`` is SHA-256 over this record and the hash before."""

    seq: int
    at: datetime
    actor: str
    action: str
    list: str
    details: Mapping[str, object]
    hash: bytes


def append(
    connection: Connection,
    *,
    actor: str,
    action: str,
    list_name: str,
    now: datetime,
    details: Mapping[str, object],
) -> None:
    """Append one record in the transaction of what it tells about."""
    if connection.dialect.name == "postgresql":
        # Two writers must not continue one record.
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    last = connection.execute(
        select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).one_or_none()
    seq, previous = (last.seq + 1, last.hash) if last else (1, _START)
    row = {
        "seq": seq,
        "at": to_seconds(now),
        "actor": actor,
        "action": action,
        "list": list_name,
        "details": json.dumps(details, sort_keys=True, separators=(",", ":")),
    }
    connection.execute(insert(audit).values(**row, hash=_chain(previous, row)))


def read(connection: Connection) -> Iterator[AuditRecord]:
    """Yield all records from the first on, checking the chain.

    Raises:
        DataError: a record is missing or was altered.
    """
    previous, expected = _START, 1
    for row in connection.execute(select(audit).order_by(audit.c.seq)):
        fields = {name: row._mapping[name] for name in ("seq", "at", "actor", "action", "list", "details")}
        if row.seq != expected or row.hash != _chain(previous, fields):
            raise DataError(
                f"audit record {expected} is missing or was altered",
                hint="compare with the copies that your auditors hold",
            )
        previous, expected = row.hash, expected + 1
        yield AuditRecord(
            row.seq, from_seconds(row.at), row.actor, row.action, row.list, json.loads(row.details), row.hash
        )


def _chain(previous: bytes, fields: Mapping[str, object]) -> bytes:
    text_ = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(previous + text_.encode()).digest()
