"""Who may read which stream, in the catalog: sealed secrets, epochs, recipients, wraps.

Secrets come and go sealed (:mod:`vallum_publisher.vault`); what is in them, and what a wrap is, is
:mod:`vallum_publisher.recipients`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from vallum.errors import ConfigError, StateError
from vallum_publisher.catalog.entry import from_seconds, to_seconds
from vallum_publisher.catalog.tables import epochs, recipients, secrets, wraps

_MOST_NAMES = 10_000
"""Parameters in one statement; SQLite takes 32,766."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One who is to be let in: whose key it is, the line as it was sent, the fingerprint as confirmed."""

    name: str
    line: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """One key that may read, or might read, a stream.

    Attributes:
        name: whose it is, and which of theirs.
        line: the public key as it was sent.
        fingerprint: as it was confirmed, 64 hex digits.
        since: the epoch in which it was added.
        revoked_at: ``None`` while it may read.
    """

    id: int
    stream: str
    name: str
    line: str
    fingerprint: str
    since: int
    added_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wrap:
    """One wrap as it is, or is to be, in the store. ``recipient`` is ``None`` for a cover."""

    name: str
    stream: str
    generation: int
    epoch: int
    suite: str
    recipient: int | None
    data: bytes = field(repr=False)
    stored: bool = False


@dataclass(frozen=True, slots=True)
class OpenedEpoch:
    """One epoch: its number, the commitment to its key, and when it was opened."""

    generation: int
    number: int
    commitment: str
    opened_at: datetime


def put_secrets(connection: Connection, sealed: Mapping[str, bytes]) -> dict[str, bytes]:
    """Keep sealed secrets under new names; return what is kept, which may have been there before."""
    held = get_secrets(connection, list(sealed))
    new = {name: secret for name, secret in sealed.items() if name not in held}
    if new:
        connection.execute(
            insert(secrets), [{"name": name, "sealed": secret} for name, secret in new.items()]
        )
    return {**held, **new}


def replace_secrets(connection: Connection, sealed: Mapping[str, bytes]) -> None:
    """Keep sealed secrets in the place of those of the same names, if there are any."""
    for name in sealed:
        connection.execute(delete(secrets).where(secrets.c.name == name))
    put_secrets(connection, sealed)


def get_secrets(connection: Connection, names: Sequence[str]) -> dict[str, bytes]:
    """Read sealed secrets: those of the names that there are."""
    found: dict[str, bytes] = {}
    for at in range(0, len(names), _MOST_NAMES):
        wanted = secrets.c.name.in_(names[at : at + _MOST_NAMES])
        rows = connection.execute(select(secrets.c.name, secrets.c.sealed).where(wanted))
        found |= {row.name: bytes(row.sealed) for row in rows}
    return found


def stream_epochs(connection: Connection, stream: str) -> list[OpenedEpoch]:
    """Read all epochs of a stream, oldest first; numbers grow over all generations."""
    rows = connection.execute(select(epochs).where(epochs.c.stream == stream).order_by(epochs.c.epoch))
    return [
        OpenedEpoch(row.generation, row.epoch, row.commitment, from_seconds(row.opened_at)) for row in rows
    ]


def open_epoch(
    connection: Connection, stream: str, generation: int, number: int, commitment: str, now: datetime
) -> None:
    """Record a new epoch.

    Raises:
        StateError: it is not the next one: another publisher opened one just now.
    """
    held = stream_epochs(connection, stream)
    if number != (held[-1].number if held else 0) + 1:
        raise StateError(f"{stream}: another publisher opened an epoch just now", hint="run it again")
    connection.execute(
        insert(epochs).values(
            stream=stream,
            generation=generation,
            epoch=number,
            commitment=commitment,
            opened_at=to_seconds(now),
        )
    )


def add_recipients(
    connection: Connection, stream: str, new: Iterable[NewRecipient], since: int, now: datetime
) -> list[Recipient]:
    """Record recipients, all or none.

    Raises:
        ConfigError: a name is taken, or a key may read the stream already.
    """
    readers = [held for held in stream_recipients(connection, stream) if held.revoked_at is None]
    names = {held.name: held.fingerprint for held in readers}
    keys = {held.fingerprint: held.name for held in readers}
    added: list[Recipient] = []
    for one in new:
        if one.name in names:
            raise ConfigError(
                f"{stream} has a recipient {one.name!r} already", hint="such as 'name (site 2)'"
            )
        if one.fingerprint in keys:
            raise ConfigError(f"the key of {keys[one.fingerprint]!r} is this very key")
        names[one.name], keys[one.fingerprint] = one.fingerprint, one.name
        result = connection.execute(
            insert(recipients).values(
                stream=stream,
                name=one.name,
                line=one.line,
                fingerprint=one.fingerprint,
                since=since,
                added_at=to_seconds(now),
            )
        )
        (number,) = result.inserted_primary_key or (0,)
        added.append(
            Recipient(
                number,
                stream,
                one.name,
                one.line,
                one.fingerprint,
                since,
                from_seconds(to_seconds(now)),
                None,
            )
        )
    return added


def stream_recipients(connection: Connection, stream: str | None = None) -> list[Recipient]:
    """Read the recipients of a stream, or all; revoked ones too."""
    query = select(recipients).order_by(recipients.c.stream, recipients.c.id)
    rows = connection.execute(query if stream is None else query.where(recipients.c.stream == stream))
    return [_recipient(row) for row in rows]


def revoke_recipient(connection: Connection, number: int, now: datetime) -> None:
    """Say that a recipient may read no longer."""
    connection.execute(update(recipients).where(recipients.c.id == number).values(revoked_at=to_seconds(now)))


def insert_wraps(connection: Connection, new: Iterable[Wrap]) -> None:
    """Keep wraps that are to be uploaded."""
    rows = [
        {
            "name": wrap.name,
            "stream": wrap.stream,
            "generation": wrap.generation,
            "epoch": wrap.epoch,
            "suite": wrap.suite,
            "recipient": wrap.recipient,
            "data": wrap.data,
            "stored": int(wrap.stored),
        }
        for wrap in new
    ]
    if rows:
        connection.execute(insert(wraps), rows)


def read_wraps(connection: Connection, stream: str | None = None, *, waiting: bool = False) -> list[Wrap]:
    """Read the wraps of a stream, or all; ``waiting``: only those that are not in the store yet."""
    query = select(wraps).order_by(wraps.c.name)
    if stream is not None:
        query = query.where(wraps.c.stream == stream)
    if waiting:
        query = query.where(wraps.c.stored == 0)
    return [
        Wrap(
            row.name,
            row.stream,
            row.generation,
            row.epoch,
            row.suite,
            row.recipient,
            bytes(row.data),
            bool(row.stored),
        )
        for row in connection.execute(query)
    ]


def mark_stored(connection: Connection, names: Sequence[str]) -> None:
    """Say that wraps are in the store."""
    if names:
        named = update(wraps).where(wraps.c.name == bindparam("which")).values(stored=1)
        connection.execute(named, [{"which": name} for name in names])


def delete_wraps(connection: Connection, names: Sequence[str]) -> None:
    """Forget wraps."""
    if names:
        named = delete(wraps).where(wraps.c.name == bindparam("which"))
        connection.execute(named, [{"which": name} for name in names])


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient(
        id=row.id,
        stream=row.stream,
        name=row.name,
        line=row.line,
        fingerprint=row.fingerprint,
        since=row.since,
        added_at=from_seconds(row.added_at),
        revoked_at=None if row.revoked_at is None else from_seconds(row.revoked_at),
    )
