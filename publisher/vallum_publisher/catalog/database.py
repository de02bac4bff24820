"""What the parts of a catalog have in common: the transaction, the lock on the list, the audit record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, Engine

from vallum_publisher.catalog import audit, lists
from vallum_publisher.catalog.engine import reading, writing
from vallum_publisher.catalog.lists import ListInfo


class Database:
    """An open database with an audit log; a context manager."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def audit(self) -> list[audit.AuditRecord]:
        """Return the audit log from its start, its chain checked.

        Raises:
            DataError: a record is missing or was altered.
        """
        with reading(self._engine) as connection:
            return list(audit.read(connection))

    def record(
        self, *, actor: str, action: str, list_name: str, now: datetime, details: Mapping[str, object]
    ) -> None:
        """Append a step that happened outside the catalog. ``details`` must not hold entries' values."""
        with writing(self._engine) as connection:
            audit.append(
                connection, actor=actor, action=action, list_name=list_name, now=now, details=details
            )

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Connection, ListInfo]]:
        """Begin a transaction that alone may change the list."""
        with writing(self._engine) as connection:
            yield connection, lists.find_list(connection, name, lock=True)


def record_change(
    connection: Connection, info: ListInfo, actor: str, action: str, now: datetime, **details: object
) -> None:
    """Append a change of a list to the audit log, in the transaction that makes it."""
    audit.append(connection, actor=actor, action=action, list_name=info.name, now=now, details=details)
