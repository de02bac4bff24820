"""Keeping a publisher's secrets and making of them what recipients get: epochs and wraps.

A wrap is made once, kept in the catalog, and uploaded as often as it takes: sealing it again would give other
bytes under the same name. What is published under an epoch is :mod:`vallum_publisher.release`'s business.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vallum.errors import ConfigError
from vallum.expression import PEPPER_BYTES
from vallum.format.epoch import Epoch, commit_epoch
from vallum.format.keypair import PublicKey, Suite, parse_line
from vallum.format.seal import KEY_BYTES
from vallum.format.wrap import (
    SEED_BYTES,
    Secrets,
    cover_wraps,
    covers_wanted,
    seal_wrap,
    wrap_name,
)
from vallum_publisher.catalog import Catalog, ListInfo, OpenedEpoch, Recipient, Wrap
from vallum_publisher.store import WRAP, ObjectStore
from vallum_publisher.vault import Vault


@dataclass(frozen=True, slots=True)
class Keyed:
    """A stream's newest epoch.

    Attributes:
        epoch: which one.
        key: its key.
        opened_at: when it began.
        commitments: of all epochs of its generation, by number.
    """

    epoch: Epoch
    key: bytes = field(repr=False)
    opened_at: datetime
    commitments: Mapping[int, str]

    @property
    def sealed(self) -> tuple[Epoch, bytes]:
        """What a run is sealed with."""
        return self.epoch, self.key


class Custody:
    """The secrets of one catalog.

    Args:
        catalog: holds them, sealed.
        open_vault: opens what they are sealed under; called when the first one is needed.
    """

    def __init__(self, catalog: Catalog, open_vault: Callable[[], Vault]) -> None:
        self._catalog = catalog
        self._open_vault = open_vault
        self._opened: Vault | None = None

    def pepper(self, info: ListInfo) -> bytes:
        """The list's pepper; empty if it is public.

        Raises:
            ConfigError: the vault key is missing or another one.
        """
        return b"" if info.public else self._get(f"pepper/{info.name}")

    def make_pepper(self, name: str) -> bytes:
        """Draw the pepper of a list that is to be created, or return what an earlier attempt drew."""
        return self._put(f"pepper/{name}", secrets.token_bytes(PEPPER_BYTES))

    def seed(self, recipient: Recipient) -> bytes:
        """What a recipient's decoys come of; drawn when it is first asked for."""
        return self._put(f"seed/{recipient.id}", secrets.token_bytes(SEED_BYTES))

    def key(self, epoch: Epoch) -> bytes:
        """The key of one epoch; errors as of :meth:`pepper`."""
        return self._get(_key_name(epoch))

    def current(self, info: ListInfo, stream: str) -> Keyed | None:
        """The newest epoch of a stream in the list's generation; ``None`` for a public list.

        Raises:
            ConfigError: there is none, or the vault key is missing or another one.
        """
        if info.public:
            return None
        opened = [one for one in self._catalog.epochs(stream) if one.generation == info.generation]
        if not opened:
            raise ConfigError(f"{stream}: no epoch was opened in generation {info.generation}")
        epoch = Epoch(info.uid, stream, info.generation, opened[-1].number)
        commitments = {one.number: one.commitment for one in opened}
        return Keyed(epoch, self.key(epoch), opened[-1].opened_at, commitments)

    def ensure_epochs(self, info: ListInfo, streams: Iterable[str], *, actor: str, now: datetime) -> None:
        """Open an epoch for each stream that has none in the list's generation; nothing for a public list."""
        for stream in () if info.public else streams:
            if not any(one.generation == info.generation for one in self._catalog.epochs(stream)):
                self.open_epoch(info, stream, actor=actor, now=now)

    def prepare(self, info: ListInfo, streams: Iterable[str], *, actor: str, now: datetime) -> None:
        """Before anything is published: an epoch for each stream, a wrap for each who may read it."""
        for stream in () if info.public else streams:
            self.ensure_epochs(info, [stream], actor=actor, now=now)
            self.complete(info, stream)

    def open_epoch(
        self,
        info: ListInfo,
        stream: str,
        *,
        revoked: Recipient | None = None,
        actor: str,
        now: datetime,
    ) -> None:
        """Draw a new key for a stream and wrap it for everyone who may read it, but ``revoked``.

        Raises:
            StateError: another publisher opened one just now.
        """
        held = self._catalog.epochs(stream)
        number = held[-1].number + 1 if held else 1
        epoch, key = Epoch(info.uid, stream, info.generation, number), secrets.token_bytes(KEY_BYTES)
        readers = [one for one in self.readers(stream) if revoked is None or one.id != revoked.id]
        name = _key_name(epoch)
        self._catalog.open_epoch(
            info.name,
            stream,
            OpenedEpoch(info.generation, number, commit_epoch(epoch, key), now),
            {name: self._vault.seal(name, key)},
            self._wraps(info, epoch, key, readers),
            revoked=revoked,
            actor=actor,
        )

    def readers(self, stream: str) -> list[Recipient]:
        """The recipients who may read a stream."""
        return [one for one in self._catalog.recipients(stream) if one.revoked_at is None]

    def admit(
        self, info: ListInfo, stream: str, name: str, key: PublicKey, *, actor: str, now: datetime
    ) -> Recipient:
        """Record a recipient, whose fingerprint was confirmed; :meth:`complete` makes its wrap.

        Raises:
            ConfigError: its name is taken, the key may read the stream already, or the list is public.
        """
        keyed = self.current(info, stream)
        if keyed is None:
            raise ConfigError(f"{info.name} is public: everyone can read it")
        return self._catalog.add_recipient(
            info.name,
            stream,
            name,
            line=key.line(),
            fingerprint=key.fingerprint().replace(" ", ""),
            since=keyed.epoch.number,
            actor=actor,
            now=now,
        )

    def complete(self, info: ListInfo, stream: str) -> list[str]:
        """Wrap the current epoch's key for every reader who has no wrap of it yet.

        A cover makes room for each where there is one, so that their number tells nothing; else new covers
        fill up to the next power of two.

        Returns:
            Names of the covers that made room, to be deleted from the store.
        """
        keyed = self.current(info, stream)
        if keyed is None:
            return []
        epoch = keyed.epoch
        held = [wrap for wrap in self._catalog.wraps(stream) if _is_of(wrap, epoch)]
        known = {wrap.recipient for wrap in held}
        missing = [one for one in self.readers(stream) if one.id not in known]
        add: list[Wrap] = []
        gone: list[str] = []
        for suite in Suite:
            new = [one for one in missing if parse_line(one.line).suite is suite]
            covers = [wrap.name for wrap in held if wrap.suite == suite and wrap.recipient is None]
            taken = covers[: len(new)]
            gone += taken
            add += self._reals(info, epoch, keyed.key, new)
            left = sum(wrap.suite == suite for wrap in held) - len(taken) + len(new)
            if new:
                add += _covers(epoch, keyed.key, suite, covers_wanted(left))
        if add:
            self._catalog.change_wraps(add=add, gone=gone)
        return gone

    def upload(self, store: ObjectStore) -> int:
        """Upload what wraps wait for it; return how many did.

        Raises:
            UnavailableError: the store does not answer; run it again.
        """
        waiting = self._catalog.wraps(waiting=True)
        for wrap in waiting:
            store.create(wrap.name, wrap.data, WRAP)
        self._catalog.change_wraps(stored=[wrap.name for wrap in waiting])
        return len(waiting)

    def collect(self, store: ObjectStore, now: datetime, retention: timedelta) -> int:
        """Delete wraps of epochs that no run in the store needs, and old ones that nobody knows of.

        To be called after runs were collected: what is left of them is what clients may still ask for.

        Returns:
            How many went.
        """
        needed = {key for item in store.list("targets/") if (key := _epoch_of_run(item.key)) is not None}
        held = self._catalog.wraps()
        for stream in {wrap.stream for wrap in held}:
            newest = self._catalog.epochs(stream)[-1]
            needed.add((stream, newest.generation, newest.number))
        gone = [wrap.name for wrap in held if (wrap.stream, wrap.generation, wrap.epoch) not in needed]
        known = {wrap.name for wrap in held}
        orphans = [
            item.key
            for item in store.list("wraps/")
            if item.key not in known and item.modified < now - retention
        ]
        for name in (*gone, *orphans):
            store.delete(name)
        self._catalog.change_wraps(gone=gone)
        return len(gone) + len(orphans)

    def _wraps(self, info: ListInfo, epoch: Epoch, key: bytes, readers: list[Recipient]) -> list[Wrap]:
        made = self._reals(info, epoch, key, readers)
        for suite in Suite:
            number = sum(wrap.suite == suite for wrap in made)
            made += _covers(epoch, key, suite, covers_wanted(number))
        return made

    def _reals(self, info: ListInfo, epoch: Epoch, key: bytes, readers: list[Recipient]) -> list[Wrap]:
        commitment, pepper = commit_epoch(epoch, key), self.pepper(info) if readers else b""
        made = []
        for recipient in readers:
            public = parse_line(recipient.line)
            made.append(
                _wrap(
                    epoch,
                    public.suite,
                    wrap_name(commitment, public),
                    seal_wrap(epoch, Secrets(key, pepper, self.seed(recipient)), public),
                    recipient.id,
                )
            )
        return made

    @property
    def _vault(self) -> Vault:
        if self._opened is None:
            self._opened = self._open_vault()
        return self._opened

    def _put(self, name: str, secret: bytes) -> bytes:
        held = self._catalog.get_secret(name)
        if held is None:
            held = self._catalog.put_secret(name, self._vault.seal(name, secret))
        return self._vault.open(name, held)

    def _get(self, name: str) -> bytes:
        held = self._catalog.get_secret(name)
        if held is None:
            raise ConfigError(f"the catalog has no secret {name}", hint="restore its backup")
        return self._vault.open(name, held)


def _epoch_of_run(key: str) -> tuple[str, int, int] | None:
    """Stream, generation and epoch of ``targets/<stream>/<sha256>.<generation>-<epoch>-<from>-<to>.run``."""
    match = re.fullmatch(r"targets/([^/]+)/[0-9a-f]{64}\.([0-9]+)-([0-9]+)-[0-9]+-[0-9]+\.run", key)
    return (match[1], int(match[2]), int(match[3])) if match else None


def _key_name(epoch: Epoch) -> str:
    return f"epoch/{epoch.stream}/{epoch.generation}/{epoch.number}"


def _is_of(wrap: Wrap, epoch: Epoch) -> bool:
    return (wrap.generation, wrap.epoch) == (epoch.generation, epoch.number)


def _covers(epoch: Epoch, key: bytes, suite: Suite, number: int) -> list[Wrap]:
    covers = cover_wraps(epoch, commit_epoch(epoch, key), suite, number)
    return [_wrap(epoch, suite, name, data, None) for name, data in covers]


def _wrap(epoch: Epoch, suite: Suite, name: str, data: bytes, recipient: int | None) -> Wrap:
    return Wrap(name, epoch.stream, epoch.generation, epoch.number, str(suite), recipient, data)
