"""Keeping a publisher's secrets and making of them what recipients get: epochs and wraps.

A wrap is made once, kept in the catalog, and uploaded as often as it takes: sealing it again would give other
bytes under the same name. What is published under an epoch is :mod:`vallum_publisher.release`'s business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from vallum.errors import ConfigError, VallumError
from vallum.expression import PEPPER_BYTES
from vallum.format.charter import Charter
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
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
from vallum.progress import Tell, silent
from vallum_publisher.catalog import Catalog, ListInfo, NewRecipient, OpenedEpoch, Recipient, Wrap
from vallum_publisher.recipients.inspection import lost_wraps
from vallum_publisher.store import WRAP, ObjectStore
from vallum_publisher.vault import Vault

_UPLOADS = 8


@dataclass(frozen=True, slots=True)
class Member:
    """One who is to be let in: whose key it is and which of theirs, and the key."""

    name: str
    key: PublicKey


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
        return b"" if info.public else self._get(_pepper_name(info.name))

    def make_pepper(self, name: str) -> bytes:
        """Draw the pepper of a list that is to be created, or return what an earlier attempt drew.

        Raises:
            ConfigError: the vault key opens no other list's pepper, so that it is another catalog's.
        """
        others = [_pepper_name(info.name) for info in self._catalog.lists() if not info.public]
        if others and not any(map(self._opens, others)):
            self._get(others[0])
        return self._put(_pepper_name(name), secrets.token_bytes(PEPPER_BYTES))

    def new_pepper(self, info: ListInfo, streams: Iterable[str]) -> tuple[bytes, dict[str, bytes]]:
        """Draw another pepper for a list, because the old one was lost or has leaked.

        Where the vault key was lost with it, seeds that no longer open are drawn anew as well.

        Returns:
            The pepper, and the secrets to keep, sealed, by name.

        Raises:
            ConfigError: the list is public, or there is no vault key.
        """
        if info.public:
            raise ConfigError(f"{info.name} is public: it has no pepper")
        pepper = secrets.token_bytes(PEPPER_BYTES)
        drawn = {_pepper_name(info.name): pepper}
        for stream in streams:
            for recipient in self.readers(stream):
                if not self._opens(_seed_name(recipient)):
                    drawn[_seed_name(recipient)] = secrets.token_bytes(SEED_BYTES)
        return pepper, {name: self._vault.seal(name, secret) for name, secret in drawn.items()}

    def is_pepper_of(self, info: ListInfo, charter: Charter) -> bool:
        """Whether the list's pepper is the one that a charter commits to; so is one that is lost."""
        if not self._opens(_pepper_name(info.name)):
            return True
        epoch = Epoch(info.uid, f"{info.name}.full", charter.generation, 0)
        return commit_pepper(epoch, self.pepper(info)) == charter.pepper

    def holds(self, epoch: Epoch) -> bool:
        """Whether the key of an epoch is there and opens."""
        return self._opens(_key_name(epoch))

    def seed(self, recipient: Recipient) -> bytes:
        """What a recipient's decoys come of; drawn when it is first asked for."""
        return self.seeds([recipient])[recipient.id]

    def held_seeds(self, recipients: Iterable[Recipient]) -> dict[int, bytes]:
        """The seeds that were drawn, by their recipients' ids; errors as of :meth:`pepper`."""
        names = {one.id: _seed_name(one) for one in recipients}
        held = self._catalog.get_secrets(list(names.values()))
        return {at: self._vault.open(name, held[name]) for at, name in names.items() if name in held}

    def seeds(self, recipients: Iterable[Recipient]) -> dict[int, bytes]:
        """The seeds of many recipients, by their ids; those that are missing are drawn."""
        asked = list(recipients)
        seeds = self.held_seeds(asked)
        missing = [one for one in asked if one.id not in seeds]
        if missing:
            drawn = {name: secrets.token_bytes(SEED_BYTES) for name in map(_seed_name, missing)}
            self._catalog.put_secrets({name: self._vault.seal(name, seed) for name, seed in drawn.items()})
            seeds |= self.held_seeds(missing)  # which another publisher may have drawn just now
        return seeds

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

    def prepare(self, info: ListInfo, streams: Iterable[str], *, actor: str, now: datetime) -> list[str]:
        """Before anything is published: an epoch for each stream, a wrap for each who may read it.

        Returns:
            As of :meth:`complete`.
        """
        gone: list[str] = []
        for stream in () if info.public else streams:
            self.ensure_epochs(info, [stream], actor=actor, now=now)
            gone += self.complete(info, stream)
        return gone

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
            ConfigError: the vault key is missing or another one; nothing is sealed under it.
            StateError: another publisher opened one just now.
        """
        pepper = self.pepper(info)
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
            self._wraps(epoch, key, pepper, readers),
            revoked=revoked,
            actor=actor,
        )

    def readers(self, stream: str) -> list[Recipient]:
        """The recipients who may read a stream."""
        return [one for one in self._catalog.recipients(stream) if one.revoked_at is None]

    def admit(
        self, info: ListInfo, stream: str, members: Iterable[Member], *, actor: str, now: datetime
    ) -> list[Recipient]:
        """Record recipients, whose fingerprints were confirmed; :meth:`complete` makes their wraps.

        Raises:
            ConfigError: a name is taken, a key may read the stream already, or the list is public.
        """
        keyed = self.current(info, stream)
        if keyed is None:
            raise ConfigError(f"{info.name} is public: everyone can read it")
        new = [
            NewRecipient(one.name, one.key.line(), one.key.fingerprint().replace(" ", "")) for one in members
        ]
        since = keyed.epoch.number
        return self._catalog.add_recipients(info.name, stream, new, since=since, actor=actor, now=now)

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
        new = self._reals(epoch, keyed.key, self.pepper(info), missing) if missing else []
        add: list[Wrap] = []
        gone: list[str] = []
        for suite in Suite:
            mine = [wrap for wrap in new if wrap.suite == suite]
            covers = [wrap.name for wrap in held if wrap.suite == suite and wrap.recipient is None]
            taken = covers[: len(mine)]
            gone += taken
            add += mine
            left = sum(wrap.suite == suite for wrap in held) - len(taken) + len(mine)
            if mine:
                add += _covers(epoch, keyed.key, suite, covers_wanted(left))
        if add:
            self._catalog.change_wraps(add=add, gone=gone)
        return gone

    def upload(self, store: ObjectStore, tell: Tell = silent) -> int:
        """Upload what wraps wait for it; return how many did.

        Raises:
            UnavailableError: the store does not answer; run it again, what came through stays.
        """
        waiting = self._catalog.wraps(waiting=True)
        failed: VallumError | None = None
        stored: list[str] = []
        for wrap, error in zip(waiting, _at_once(store, waiting, tell), strict=True):
            if error is None:
                stored.append(wrap.name)
            failed = failed or error
        if stored:
            self._catalog.change_wraps(stored=stored)
        if failed is not None:
            raise failed
        return len(waiting)

    def restore(self, store: ObjectStore, tell: Tell = silent) -> int:
        """Upload again the wraps that the store has lost, which newcomers need; return how many.

        Raises:
            ConflictError: somebody put another object there meanwhile.
            UnavailableError: the store does not answer; run it again, what came through stays.
        """
        lost = lost_wraps(self._catalog, store)
        failed = [error for error in _at_once(store, lost, tell) if error is not None]
        if failed:
            raise failed[0]
        return len(lost)

    def collect(
        self,
        store: ObjectStore,
        in_use: Collection[tuple[str, int, int]],
        strays_before: datetime | None,
        tell: Tell = silent,
    ) -> int:
        """Delete wraps of epochs that no run in the store needs, and old ones that nobody knows of.

        Args:
            store: where they lie.
            in_use: stream, generation and epoch of each run in the store: what clients may still ask for.
            strays_before: what the catalog does not know goes if it is older; ``None``: it stays.
            tell: told how far it has come.

        Returns:
            How many went.
        """
        held = self._catalog.wraps()
        newest = {stream: self._catalog.epochs(stream)[-1] for stream in {wrap.stream for wrap in held}}
        needed = {*in_use, *((stream, one.generation, one.number) for stream, one in newest.items())}
        gone = [wrap.name for wrap in held if (wrap.stream, wrap.generation, wrap.epoch) not in needed]
        known = {wrap.name for wrap in held}
        strays = [
            item.key
            for item in (store.list("wraps/") if strays_before else ())
            if item.key not in known and strays_before and item.modified < strays_before
        ]
        for done, name in enumerate((*gone, *strays)):
            tell(f"deleting wrapped keys, {done:,} of {len(gone) + len(strays):,}")
            store.delete(name)
        self._catalog.change_wraps(gone=gone)
        return len(gone) + len(strays)

    def _wraps(self, epoch: Epoch, key: bytes, pepper: bytes, readers: list[Recipient]) -> list[Wrap]:
        made = self._reals(epoch, key, pepper, readers)
        for suite in Suite:
            number = sum(wrap.suite == suite for wrap in made)
            made += _covers(epoch, key, suite, covers_wanted(number))
        return made

    def _reals(self, epoch: Epoch, key: bytes, pepper: bytes, readers: list[Recipient]) -> list[Wrap]:
        commitment, seeds = commit_epoch(epoch, key), self.seeds(readers)
        made = []
        for recipient in readers:
            public = parse_line(recipient.line)
            contents = Secrets(key, pepper, seeds[recipient.id])
            sealed = seal_wrap(epoch, contents, public)
            made.append(_wrap(epoch, public.suite, wrap_name(commitment, public), sealed, recipient.id))
        return made

    @property
    def _vault(self) -> Vault:
        if self._opened is None:
            self._opened = self._open_vault()
        return self._opened

    def _put(self, name: str, secret: bytes) -> bytes:
        held = self._catalog.get_secrets([name]) or self._catalog.put_secrets(
            {name: self._vault.seal(name, secret)}
        )
        return self._vault.open(name, held[name])

    def _opens(self, name: str) -> bool:
        try:
            self._get(name)
        except ConfigError:
            return False
        return True

    def _get(self, name: str) -> bytes:
        held = self._catalog.get_secrets([name])
        if name not in held:
            raise ConfigError(
                f"the catalog has no secret {name}", hint="restore its backup, or see deploy/runbooks"
            )
        return self._vault.open(name, held[name])


def _at_once(store: ObjectStore, wraps: Sequence[Wrap], tell: Tell) -> Iterator[VallumError | None]:
    """Upload wraps, several at a time: a thousand of them wait for the store, not for each other."""

    def create(wrap: Wrap) -> VallumError | None:
        try:
            store.create(wrap.name, wrap.data, WRAP)
        except VallumError as error:
            return error
        return None

    if not wraps:
        return
    with ThreadPoolExecutor(min(_UPLOADS, len(wraps))) as pool:
        for done, error in enumerate(pool.map(create, wraps)):
            tell(f"uploading wrapped keys, {done:,} of {len(wraps):,}")
            yield error


def _pepper_name(name: str) -> str:
    return f"pepper/{name}"


def _seed_name(recipient: Recipient) -> str:
    return f"seed/{recipient.id}"


def _key_name(epoch: Epoch) -> str:
    return f"epoch/{epoch.stream}/{epoch.generation}/{epoch.number}"


def _is_of(wrap: Wrap, epoch: Epoch) -> bool:
    return (wrap.generation, wrap.epoch) == (epoch.generation, epoch.number)


def _covers(epoch: Epoch, key: bytes, suite: Suite, number: int) -> list[Wrap]:
    covers = cover_wraps(epoch, commit_epoch(epoch, key), suite, number)
    return [_wrap(epoch, suite, name, data, None) for name, data in covers]


def _wrap(epoch: Epoch, suite: Suite, name: str, data: bytes, recipient: int | None) -> Wrap:
    return Wrap(name, epoch.stream, epoch.generation, epoch.number, str(suite), recipient, data)
