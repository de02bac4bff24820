"""Who may read encrypted lists, as the catalog keeps it: sealed secrets, epochs, recipients, wraps.

One method, one transaction, made of :mod:`.entitlement`. A list's lock keeps two publishers from opening one
epoch twice. What secrets and wraps are made of is :mod:`vallum_publisher.recipients`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from vallum_publisher.catalog import entitlement
from vallum_publisher.catalog.database import Database, record_change
from vallum_publisher.catalog.engine import reading, writing
from vallum_publisher.catalog.entitlement import NewRecipient, OpenedEpoch, Recipient, Wrap


class RecipientRecords(Database):
    """The part of a catalog that says who may read; see :class:`.Catalog` for what all methods raise."""

    def put_secrets(self, sealed: Mapping[str, bytes]) -> dict[str, bytes]:
        """Keep sealed secrets under new names; return what is kept, which may have been there before."""
        with writing(self._engine) as connection:
            return entitlement.put_secrets(connection, sealed)

    def get_secrets(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return those of the named sealed secrets that there are."""
        with reading(self._engine) as connection:
            return entitlement.get_secrets(connection, names)

    def epochs(self, stream: str) -> list[OpenedEpoch]:
        """Return all epochs of a stream, oldest first."""
        with reading(self._engine) as connection:
            return entitlement.stream_epochs(connection, stream)

    def recipients(self, stream: str | None = None) -> list[Recipient]:
        """Return the recipients of a stream, or all; revoked ones too."""
        with reading(self._engine) as connection:
            return entitlement.stream_recipients(connection, stream)

    def add_recipients(
        self, name: str, stream: str, new: Iterable[NewRecipient], *, since: int, actor: str, now: datetime
    ) -> list[Recipient]:
        """Record recipients of one of the list's streams, all or none.

        Raises:
            ConfigError: a name is taken, or a key may read the stream already.
        """
        with self._changing(name) as (connection, info):
            added = entitlement.add_recipients(connection, stream, new, since, now)
            for one in added:
                told = {"stream": stream, "recipient": one.name, "fingerprint": one.fingerprint}
                record_change(connection, info, actor, "recipient add", now, **told)
            return added

    def open_epoch(
        self,
        name: str,
        stream: str,
        opened: OpenedEpoch,
        secrets: Mapping[str, bytes],
        wraps: Sequence[Wrap],
        *,
        revoked: Recipient | None = None,
        actor: str,
    ) -> None:
        """Open a stream's next epoch with everything that belongs to it, in one transaction.

        Args:
            name, stream: whose.
            opened: the epoch.
            secrets: sealed, by name.
            wraps: of its key, covers included.
            revoked: the recipient who has none, if that is the reason.
            actor: for the audit.

        Raises:
            StateError: another publisher opened one just now.
        """
        with self._changing(name) as (connection, info):
            now = opened.opened_at
            entitlement.open_epoch(
                connection, stream, opened.generation, opened.number, opened.commitment, now
            )
            entitlement.put_secrets(connection, secrets)
            entitlement.insert_wraps(connection, wraps)
            told: dict[str, object] = {"stream": stream, "epoch": opened.number, "wraps": len(wraps)}
            if revoked is not None:
                entitlement.revoke_recipient(connection, revoked.id, now)
                told |= {"revoked": revoked.name, "fingerprint": revoked.fingerprint}
            record_change(connection, info, actor, "epoch", now, **told)

    def wraps(self, stream: str | None = None, *, waiting: bool = False) -> list[Wrap]:
        """Return the wraps of a stream, or all; ``waiting``: those that are not in the store yet."""
        with reading(self._engine) as connection:
            return entitlement.read_wraps(connection, stream, waiting=waiting)

    def change_wraps(
        self, *, add: Sequence[Wrap] = (), stored: Sequence[str] = (), gone: Sequence[str] = ()
    ) -> None:
        """Add wraps, say that some are in the store, or forget some; in one transaction."""
        with writing(self._engine) as connection:
            entitlement.insert_wraps(connection, add)
            entitlement.mark_stored(connection, stored)
            entitlement.delete_wraps(connection, gone)
