"""Letting recipients in and out, and changing keys: what ``vallum-publisher recipients`` does.

Everything is recorded in the catalog first and published by the ordinary way of publication, which finishes
what a crash left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from vallum.errors import ConfigError, VallumError
from vallum.format.keypair import PublicKey
from vallum_publisher.catalog import Catalog, ListInfo, Recipient
from vallum_publisher.recipients.custody import Member
from vallum_publisher.recipients.wraps import upload_wraps
from vallum_publisher.release.publisher import Published, Publisher
from vallum_publisher.release.version import streams_of


class Roster:
    """The recipients of a publisher's lists."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._custody = publisher.custody

    def admit(self, stream: str, name: str, key: PublicKey, *, now: datetime) -> Recipient:
        """Let one recipient in; see :meth:`admit_all`."""
        (recipient,) = self.admit_all(stream, [Member(name, key)], now=now)
        return recipient

    def admit_all(self, stream: str, members: Sequence[Member], *, now: datetime) -> list[Recipient]:
        """Let recipients read a stream from its current epoch on; all of them, or none.

        Args:
            stream: ``<list>.<edition>``.
            members: names and public keys; the fingerprints have been confirmed.
            now: the time.

        Raises:
            ConfigError: no such stream, a public list, or a name or key that the stream has already.
            UnavailableError: the store does not answer; ``publish`` uploads what is missing.
        """
        publisher = self._publisher
        with publisher.workspace.lock():
            info = list_of_stream(self._publisher.catalog, stream)
            self._custody.ensure_epochs(info, [stream], actor=publisher.actor, now=now)
            admitted = self._custody.admit(info, stream, members, actor=publisher.actor, now=now)
            publisher.tell(f"{stream}: wrapping its key")
            gone = self._custody.complete(info, stream)
            upload_wraps(publisher.catalog, publisher.store, publisher.tell)
            publisher.discard_covers(gone)
            return admitted

    def revoke(self, stream: str, who: str, *, now: datetime) -> Published:
        """Open a new epoch without a recipient: everything published from now on is closed to it.

        Args:
            stream: ``<list>.<edition>``.
            who: the recipient's name, or its fingerprint.
            now: the time.

        Run it again after a failure: whoever is recorded as revoked is not looked for among the readers.

        Raises:
            ConfigError: the stream has no such recipient.
            VallumError: as of ``publish``; its note says that the recipient is recorded, and reads on.
        """
        publisher, digits = self._publisher, "".join(who.split()).lower()
        with publisher.workspace.lock():
            info = list_of_stream(self._publisher.catalog, stream)
            found = [
                one
                for one in publisher.catalog.recipients(stream)
                if who == one.name or digits == one.fingerprint
            ]
            readers = [one for one in found if one.revoked_at is None]
            if not found:
                names = ", ".join(one.name for one in self._custody.readers(stream))
                raise ConfigError(f"{stream} has no recipient {who!r}", hint=f"recipients: {names or 'none'}")
            for one in readers:
                publisher.tell(f"{stream}: wrapping a new key")
                self._custody.open_epoch(info, stream, revoked=one, actor=publisher.actor, now=now)
        try:
            return publisher.publish(info.name, now=now, begin=False)
        except VallumError as error:
            error.add_note(
                f"{who} is recorded as revoked, but reads on until that is public: "
                "run this again when the cause is mended"
            )
            raise

    def rotate(self, name: str, *, now: datetime, older_than: timedelta = timedelta(0)) -> Published:
        """Open new epochs for a list's streams, or for one of them, and revoke nobody.

        Args:
            name: the list, or the stream.
            now: the time.
            older_than: leave streams alone whose epoch is not as old as this.

        Raises:
            ConfigError: there is no such list or stream, or it is public.
            VallumError: as of :meth:`revoke`.
        """
        publisher = self._publisher
        with publisher.workspace.lock():
            info = list_of_stream(self._publisher.catalog, name, or_list=True)
            if info.public:
                raise ConfigError(f"{name} is public: it has no epochs")
            for stream in streams_of(info) if name == info.name else [name]:
                self._custody.ensure_epochs(info, [stream], actor=publisher.actor, now=now)
                # Its key is not asked for: that may be what was lost.
                if now - publisher.catalog.epochs(stream)[-1].opened_at >= older_than:
                    publisher.tell(f"{stream}: wrapping a new key")
                    self._custody.open_epoch(info, stream, actor=publisher.actor, now=now)
        return publisher.publish(info.name, now=now, begin=False)

    def rotate_due(self, *, now: datetime) -> tuple[list[Published], dict[str, VallumError]]:
        """Rotate what is older than the settings want (``rotate_days``); one list's failure stops no other.

        Keys that a revocation or rotation left waiting are published, too.

        Returns:
            What was published under new keys, and why another list was not, by its name.
        """
        days = self._publisher.workspace.settings.rotate_days
        done: list[Published] = []
        failed: dict[str, VallumError] = {}
        for info in self._publisher.catalog.lists():
            if info.public or info.version == 0:
                continue
            try:
                if days and self._is_due(info, now - timedelta(days=days)):
                    done.append(self.rotate(info.name, now=now, older_than=timedelta(days=days)))
                elif self._publisher.has_new_keys(info):
                    done.append(self._publisher.publish(info.name, now=now, begin=False))
            except VallumError as error:
                failed[info.name] = error
        return done, failed

    def _is_due(self, info: ListInfo, before: datetime) -> bool:
        return any(
            opened[-1].opened_at <= before
            for stream in streams_of(info)
            if (opened := self._publisher.catalog.epochs(stream))
        )


def list_of_stream(catalog: Catalog, stream: str, *, or_list: bool = False) -> ListInfo:
    """The list that has a stream; ``or_list``: or that is named itself. Raises ``ConfigError`` if none is."""
    name, _, _ = stream.rpartition(".")
    info = catalog.get_list(name or stream)
    if stream in streams_of(info) or (or_list and stream == info.name):
        return info
    streams = " or ".join(streams_of(info))
    if stream == info.name and not info.public:
        raise ConfigError(
            f"{stream} is a list, and who may read is said for each of its editions",
            hint=f"{streams}; match is enough for look-ups, full can be exported",
        )
    raise ConfigError(f"there is no stream {stream!r}", hint=f"streams: {streams}")
