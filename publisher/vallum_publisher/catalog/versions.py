"""Versions: begun, sealed with their state, finished; at most one per list is under way (DESIGN §5).

``begin`` freezes what the list's rows want at that moment: ingest goes on beside it and changes nothing in
it. ``seal`` records the state that was computed of it, before anything is uploaded. ``finish`` says that it
is public. After a crash the version under way is read back exactly as it was begun and sealed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text, update
from sqlalchemy import delete as delete_from

from vallum.errors import BusyError, ConfigError, StateError
from vallum.format.limits import MAX_GENERATION, MAX_VERSION
from vallum_publisher.catalog.engine import indexed
from vallum_publisher.catalog.entry import from_seconds, to_seconds
from vallum_publisher.catalog.lists import ListInfo
from vallum_publisher.catalog.rows import count_unpublished
from vallum_publisher.catalog.tables import lists, versions

_STOPPED = timedelta(hours=1)
"""So old is a version without a state if nobody is computing it any more; if somebody is, he begins again.

Longer than a large list takes: publishers on several machines, each started by its timer, would else throw
away what another still computes, again and again.
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a list.

    Attributes:
        changes: rows that it changes.
        salt: 16 bytes of its table files.
        state: as in the head; ``None`` until sealed.
        tables: SHA-256 of each table file as hex; empty until sealed. Names are the release's
            (``<edition>.<table>`` where editions differ).
        details: what else the release wants to remember; JSON.
        published_at: ``None`` while under way.
    """

    generation: int
    version: int
    epoch: int
    salt: bytes
    changes: int
    created_at: datetime
    state: str | None
    tables: Mapping[str, str]
    details: Mapping[str, Any]
    published_at: datetime | None


def begin(
    connection: Connection, info: ListInfo, salt: bytes, epoch: int | None, now: datetime
) -> Version | None:
    """Freeze what the rows want as the next version; ``None`` if that is what is published already.

    Raises:
        BusyError: another version is under way.
    """
    if under_way(connection, info) is not None:
        raise BusyError(
            f"a version of {info.name} is under way already", hint="publish again: it is finished first"
        )
    if info.version >= MAX_VERSION:
        raise ConfigError(f"{info.name} has no version numbers left", hint="open a new generation")
    changes = connection.execute(
        indexed(
            connection,
            """UPDATE list_rows INDEXED BY list_rows_unpublished SET pending = wanted
            WHERE list_id = :list AND wanted <> published""",
        ),
        {"list": info.id},
    ).rowcount
    if not changes:
        return None
    connection.execute(
        insert(versions).values(
            list_id=info.id,
            generation=info.generation,
            version=info.version + 1,
            epoch=info.epoch if epoch is None else epoch,
            salt=salt,
            changes=changes,
            created_at=to_seconds(now),
            tables="{}",
            details="{}",
        )
    )
    return under_way(connection, info)


def seal(
    connection: Connection,
    info: ListInfo,
    version: int,
    state: str,
    tables: Mapping[str, str],
    details: Mapping[str, Any],
    begun: datetime | None,
) -> Version:
    """Record what was computed of the version under way; sealing it again alike is fine.

    Raises:
        StateError: that version is not under way (another publisher may have finished it, or begun it anew
            since ``begun``), or it was sealed with another state.
    """
    held = under_way(connection, info)
    if held is None or held.version != version or begun not in (None, held.created_at):
        raise StateError(f"version {version} of {info.name} is not under way")
    if held.state is not None and (held.state, held.tables) != (state, tables):
        raise StateError(
            f"version {held.version} of {info.name} was sealed with another state",
            hint="do not publish; compare the catalog with its backup",
        )
    connection.execute(
        update(versions)
        .where(versions.c.list_id == info.id, versions.c.published_at.is_(None))
        .values(state=state, tables=json.dumps(tables), details=json.dumps(details))
    )
    sealed = under_way(connection, info)
    if sealed is None:
        raise StateError(f"version {held.version} of {info.name} vanished while it was sealed")
    return sealed


def finish(connection: Connection, info: ListInfo, version: int, now: datetime) -> Version:
    """Say that the version under way is public. Finishing a finished version changes nothing.

    Raises:
        StateError: that version is not under way, or was not sealed.
    """
    held = under_way(connection, info)
    if held is None or held.version != version:
        done = find_version(connection, info, info.generation, version)
        if done is not None and done.published_at is not None:
            return done
        raise StateError(f"version {version} of {info.name} is not under way")
    if held.state is None:
        raise StateError(f"version {version} of {info.name} was not sealed")
    connection.execute(
        indexed(
            connection,
            """UPDATE list_rows INDEXED BY list_rows_pending
            SET published = pending, touched = :version, pending = NULL
            WHERE list_id = :list AND pending IS NOT NULL""",
        ),
        {"list": info.id, "version": version},
    )
    connection.execute(
        update(versions)
        .where(versions.c.list_id == info.id, versions.c.published_at.is_(None))
        .values(published_at=to_seconds(now))
    )
    connection.execute(update(lists).where(lists.c.id == info.id).values(version=version, epoch=held.epoch))
    done = find_version(connection, info, info.generation, version)
    if done is None:
        raise StateError(f"version {version} of {info.name} vanished while it was finished")
    return done


def abandon(connection: Connection, info: ListInfo) -> Version | None:
    """Forget the version under way; its changes wait for the next one. Only if nothing of it was signed."""
    held = under_way(connection, info)
    if held is not None:
        connection.execute(
            indexed(
                connection,
                """UPDATE list_rows INDEXED BY list_rows_pending SET pending = NULL
                WHERE list_id = :list AND pending IS NOT NULL""",
            ),
            {"list": info.id},
        )
        connection.execute(
            delete_from(versions).where(versions.c.list_id == info.id, versions.c.published_at.is_(None))
        )
    return held


def is_left(connection: Connection, info: ListInfo, now: datetime) -> bool:
    """Whether a stopped publisher left the version under way without a state, and rows have changed since."""
    held = under_way(connection, info)
    if held is None or held.state is not None or now - held.created_at < _STOPPED:
        return False
    return count_unpublished(connection, info.id, now) > 0


def open_generation(connection: Connection, info: ListInfo, above: int = 0) -> int:
    """Begin the next generation, which is above ``above``, at version 0: every listed row is published anew.

    Returns:
        Its number. Tombstones of the old generation go; the first version needs a base and a new epoch.
    """
    generation = max(info.generation, above) + 1
    if generation > MAX_GENERATION:
        raise ConfigError(f"{info.name} has no generations left")
    if under_way(connection, info) is not None:
        raise BusyError(f"a version of {info.name} is under way", hint="finish or abandon it first")
    connection.execute(
        text("UPDATE list_rows SET published = 0, touched = 0 WHERE list_id = :list"), {"list": info.id}
    )
    connection.execute(
        text(
            """DELETE FROM list_rows WHERE list_id = :list AND wanted = 0 AND NOT EXISTS (
                SELECT 1 FROM entries e WHERE e.list_id = list_rows.list_id
                AND e.tbl = list_rows.tbl AND e.key = list_rows.key)"""
        ),
        {"list": info.id},
    )
    connection.execute(update(lists).where(lists.c.id == info.id).values(generation=generation, version=0))
    return generation


def under_way(connection: Connection, info: ListInfo) -> Version | None:
    """Read the version under way, if any."""
    query = select(versions).where(versions.c.list_id == info.id, versions.c.published_at.is_(None))
    row = connection.execute(query).one_or_none()
    return _version(row) if row else None


def find_version(connection: Connection, info: ListInfo, generation: int, version: int) -> Version | None:
    """Read one version."""
    query = select(versions).where(
        versions.c.list_id == info.id,
        versions.c.generation == generation,
        versions.c.version == version,
    )
    row = connection.execute(query).one_or_none()
    return _version(row) if row else None


def history(connection: Connection, info: ListInfo, after: int) -> list[Version]:
    """Read this generation's published versions after ``after``, oldest first."""
    query = select(versions).where(
        versions.c.list_id == info.id,
        versions.c.generation == info.generation,
        versions.c.version > after,
        versions.c.published_at.is_not(None),
    )
    return [_version(row) for row in connection.execute(query.order_by(versions.c.version))]


def _version(row: Row[Any]) -> Version:
    return Version(
        generation=row.generation,
        version=row.version,
        epoch=row.epoch,
        salt=bytes(row.salt),
        changes=row.changes,
        created_at=from_seconds(row.created_at),
        state=row.state,
        tables=json.loads(row.tables),
        details=json.loads(row.details),
        published_at=None if row.published_at is None else from_seconds(row.published_at),
    )
