"""The publisher's catalog: lists, entries, rows, versions, audit. One method, one transaction.

What the methods do stands in the files beside this one. Values go out frozen, errors are Vallum's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from vallum.errors import ConfigError, FormatError
from vallum.expression import Keyer
from vallum.progress import Count, silent
from vallum_publisher.catalog import changeset, dump, entitlement, lists, rekey, rows, versions
from vallum_publisher.catalog.changeset import Applied
from vallum_publisher.catalog.database import record_change
from vallum_publisher.catalog.draft import KeyCollisionError
from vallum_publisher.catalog.engine import founding, open_engine, reading, turn, writing
from vallum_publisher.catalog.entry import Entry, Record
from vallum_publisher.catalog.lists import ListInfo, ListSpec
from vallum_publisher.catalog.merge import Mode
from vallum_publisher.catalog.recipients import RecipientRecords
from vallum_publisher.catalog.rows import ListRow, RowChange
from vallum_publisher.catalog.versions import Version


def open_catalog(url: str | Path, *, create: bool = True, busy_seconds: float = 5.0) -> Catalog:
    """Open a catalog, making or migrating it where needed.

    Args:
        url: a file's path, or an SQLAlchemy URL of SQLite or PostgreSQL.
        create: make a missing file (mode 0600).
        busy_seconds: how long a writer waits for another.

    Raises:
        ConfigError: not such a URL, a missing file, or a catalog newer than this program.
        BusyError, StorageError: as named.
    """
    return Catalog(open_engine(url, create=create, busy_seconds=busy_seconds))


def load_catalog(url: str | Path, records: Iterable[Any]) -> None:
    """Make a catalog of what :meth:`Catalog.dump` yielded, whole or not at all.

    Raises:
        ConfigError: there is one already, or what was dumped is of a newer form than this program knows.
        DataError: what was dumped is damaged.
        BusyError, StorageError: as named.
    """
    each = iter(records)
    match next(each, None):
        case ["catalog", str(form)]:
            with founding(url, form) as connection:
                dump.load(connection, each)
        case _:
            raise FormatError("catalog", "it does not begin as one")


class Catalog(RecipientRecords):
    """An open catalog; a context manager. Every ``now`` is an aware time.

    Methods that write raise :class:`BusyError` if another process is writing for longer than the wait, and
    :class:`StorageError` if the database cannot; the catalog is then as it was. Methods that take a list's
    name raise :class:`ConfigError` if there is no such list.
    """

    # Lists

    def create_list(self, spec: ListSpec, *, actor: str, now: datetime, pepper: bytes = b"") -> ListInfo:
        """Record a list and put in its test row.

        Raises:
            ConfigError: the spec cannot be meant, the name is taken, or the pepper does not fit it.
        """
        if bool(pepper) == spec.public:
            raise ConfigError("a public list has no pepper, any other list has one")
        with writing(self._engine) as connection:
            info = lists.insert_list(connection, spec, secrets.token_bytes(16), now)
            changeset.insert_test_row(connection, info, Keyer(pepper, info.host_bits), now)
            record_change(connection, info, actor, "list create", now, kind=info.kind, public=info.public)
            return info

    def lists(self) -> list[ListInfo]:
        """Return all lists by name."""
        with reading(self._engine) as connection:
            return lists.all_lists(connection)

    def get_list(self, name: str) -> ListInfo:
        """Return one list."""
        with reading(self._engine) as connection:
            return lists.find_list(connection, name)

    def open_generation(
        self,
        name: str,
        *,
        actor: str,
        now: datetime,
        above: int = 0,
        keyer: Keyer | None = None,
        secrets: Mapping[str, bytes] | None = None,
    ) -> ListInfo:
        """Open the list's next generation: version 0, every listed row to be published anew (DESIGN §4).

        It is above ``above``, too. By the ``keyer`` of another pepper all rows are keyed anew, so ids change.
        Sealed ``secrets`` take the place of those of the same names.

        Raises:
            BusyError: a version is under way.
        """
        with self._changing(name) as (connection, info):
            generation = versions.open_generation(connection, info, above)
            told: dict[str, object] = {"generation": generation}
            if keyer is not None:
                told["rows_keyed_anew"] = rekey.rekey_rows(connection, info, keyer)
            entitlement.replace_secrets(connection, secrets or {})
            record_change(connection, info, actor, "generation", now, **told)
            return lists.find_list(connection, name)

    # Entries

    def apply(
        self,
        name: str,
        records: Iterable[Record],
        *,
        mode: Mode,
        actor: str,
        now: datetime,
        pepper: bytes = b"",
        progress: Count = silent,
    ) -> Applied:
        """Apply a batch, whole or not at all.

        ``replace``: afterwards the list holds these and its test row. ``add``: these are added or take the
        place of what has their identity. ``remove``: these go, with every report where they name none.

        Raises:
            InputError: a record cannot be in this list, or two contradict each other.
            ConfigError: the pepper is not the list's.
            KeyCollisionError: a key exists with another expression; audited as an alarm.
        """
        try:
            with self._changing(name) as (connection, info):
                keyer = Keyer(pepper, info.host_bits)
                done = changeset.apply_records(connection, info, keyer, records, mode, now, progress)
                if not done.is_empty:
                    counts = {"added": done.added, "removed": done.removed, "changed": done.changed}
                    record_change(connection, info, actor, "ingest", now, mode=mode.value, **counts)
                return done
        except KeyCollisionError as error:
            with self._changing(name) as (connection, info):
                record_change(connection, info, actor, "alarm: key collision", now, entry=error.entry_id)
            raise

    def expire(self, name: str, *, actor: str, now: datetime) -> int:
        """Take entries whose time is over off the list; return how many."""
        with self._changing(name) as (connection, info):
            expired = changeset.expire_entries(connection, info, now)
            if expired:
                record_change(connection, info, actor, "expire", now, expired=expired)
            return expired

    def entries(self, name: str, key: bytes | None = None) -> Iterator[Entry]:
        """Yield the entries of one key, or of the whole list, by table, key and report number."""
        with reading(self._engine) as connection:
            yield from rows.entries_of(connection, lists.find_list(connection, name).id, key)

    # Rows

    def pending_changes(self, name: str, *, now: datetime) -> list[RowChange]:
        """Return what a version begun after the one under way would change, by table and key."""
        with reading(self._engine) as connection:
            return rows.unpublished(connection, lists.find_list(connection, name).id, now)

    def count_pending(self, name: str, *, now: datetime) -> int:
        """Count what :meth:`pending_changes` returns."""
        with reading(self._engine) as connection:
            return rows.count_unpublished(connection, lists.find_list(connection, name).id, now)

    def count_ended(self, name: str, *, now: datetime) -> int:
        """Count the rows that are public, or with other labels, although their entries' time is over."""
        with reading(self._engine) as connection:
            return rows.count_ended(connection, lists.find_list(connection, name).id, now)

    def count_taken_off(self, name: str) -> int:
        """Count the rows that the version under way lists although they were taken off since."""
        with reading(self._engine) as connection:
            return rows.count_taken_off(connection, lists.find_list(connection, name).id)

    def published_keys(self, name: str, table: str, keys: Iterable[bytes]) -> list[bytes]:
        """Return those of some keys that are listed at the newest published version."""
        with reading(self._engine) as connection:
            return rows.published_keys(connection, lists.find_list(connection, name).id, table, keys)

    def touched_rows(self, name: str, table: str, after_version: int) -> Iterator[ListRow]:
        """Yield all rows that versions after ``after_version`` touched, the one under way included, by key.

        ``labels`` are those at the version under way, else at the newest.
        """
        with reading(self._engine) as connection:
            yield from rows.touched(connection, lists.find_list(connection, name).id, table, after_version)

    def touched_keys(self, name: str, table: str, after_version: int) -> list[bytes]:
        """Return the keys of :meth:`touched_rows` alone, in order, in a fraction of its time."""
        with reading(self._engine) as connection:
            return rows.touched_keys(connection, lists.find_list(connection, name).id, table, after_version)

    def listed_rows(self, name: str, table: str) -> Iterator[ListRow]:
        """Yield all rows listed at the version under way, else at the newest, by key."""
        with reading(self._engine) as connection:
            yield from rows.listed(connection, lists.find_list(connection, name).id, table)

    # Versions

    def begin_version(
        self, name: str, *, salt: bytes, actor: str, now: datetime, epoch: int | None = None
    ) -> Version | None:
        """Freeze the pending changes as the next version; ``None`` if there are none.

        Raises:
            BusyError: another version is under way.
        """
        with self._changing(name) as (connection, info):
            version = versions.begin(connection, info, salt, epoch, now)
            if version is not None:
                record_change(connection, info, actor, "begin version", now, **_numbers(version))
            return version

    def version_changes(self, name: str) -> list[RowChange]:
        """Return what the version under way changes, by table and key."""
        with reading(self._engine) as connection:
            return rows.frozen(connection, lists.find_list(connection, name).id)

    def seal_version(
        self,
        name: str,
        version: int,
        *,
        state: str,
        tables: Mapping[str, str],
        details: Mapping[str, Any] | None = None,
        begun: datetime | None = None,
    ) -> Version:
        """Record the state computed of the version under way, before anything of it is uploaded.

        Raises:
            StateError: that version, begun at that time, is not under way, or it was sealed with another
                state.
        """
        with self._changing(name) as (connection, info):
            return versions.seal(connection, info, version, state, tables, details or {}, begun)

    def finish_version(self, name: str, version: int, *, actor: str, now: datetime) -> Version:
        """Say that the version under way is public; again for one that is, nothing happens.

        Raises:
            StateError: that version is not under way, or was not sealed.
        """
        with self._changing(name) as (connection, info):
            done = versions.finish(connection, info, version, now)
            if info.version < done.version:
                record_change(connection, info, actor, "publish", now, **_numbers(done), state=done.state)
            return done

    def abandon_version(self, name: str, *, actor: str, now: datetime) -> Version | None:
        """Forget the version under way, of which nothing may have been signed; return it."""
        with self._changing(name) as (connection, info):
            version = versions.abandon(connection, info)
            if version is not None:
                record_change(connection, info, actor, "abandon version", now, **_numbers(version))
            return version

    def abandon_left(self, name: str, *, actor: str, now: datetime) -> Version | None:
        """Abandon a version that was left without a state, if the list is to be another by now."""
        with self._changing(name) as (connection, info):
            version = None
            if versions.is_left(connection, info, now) and (version := versions.abandon(connection, info)):
                record_change(connection, info, actor, "abandon version", now, **_numbers(version))
            return version

    def pending_version(self, name: str) -> Version | None:
        """Return the version under way, exactly as it was begun and sealed."""
        with reading(self._engine) as connection:
            return versions.under_way(connection, lists.find_list(connection, name))

    def versions(self, name: str, after_version: int = 0) -> list[Version]:
        """Return this generation's published versions after ``after_version``, oldest first."""
        with reading(self._engine) as connection:
            return versions.history(connection, lists.find_list(connection, name), after_version)

    def turn(self) -> AbstractContextManager[None]:
        """Wait for one's turn among this catalog's publishers, ten seconds at most (:func:`.engine.turn`)."""
        return turn(self._engine)

    # Backups

    def dump(self) -> Iterator[list[Any]]:
        """Yield the whole catalog, as one moment of it was, in plain values (:mod:`.dump`)."""
        with reading(self._engine) as connection:
            yield from dump.dump(connection)


def _numbers(version: Version) -> dict[str, object]:
    return {"generation": version.generation, "version": version.version, "changes": version.changes}
