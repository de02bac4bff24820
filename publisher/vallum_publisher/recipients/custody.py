"""Keeping a publisher's secrets and deciding who gets them: peppers, seeds, epochs and their readers.

What is sealed to a recipient, and comes to the store, is :mod:`.wraps`'s business; what is published under an
epoch, :mod:`vallum_publisher.release`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vallum.errors import ConfigError
from vallum.expression import PEPPER_BYTES
from vallum.format.charter import Charter
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.keypair import PublicKey, Suite
from vallum.format.seal import KEY_BYTES
from vallum.format.wrap import SEED_BYTES, covers_wanted
from vallum_publisher.catalog import Catalog, ListInfo, NewRecipient, OpenedEpoch, Recipient, Wrap
from vallum_publisher.recipients.wraps import make_covers, make_wraps, seal_wraps
from vallum_publisher.vault import Vault


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

    def prepare(self, info: ListInfo, streams: Iterable[str], *, actor: str, now: datetime) -> list[Wrap]:
        """Before anything is published: an epoch for each stream, a wrap for each who may read it.

        Returns:
            As of :meth:`complete`.
        """
        gone: list[Wrap] = []
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
            make_wraps(epoch, key, pepper, readers, self.seeds(readers)),
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

    def complete(self, info: ListInfo, stream: str) -> list[Wrap]:
        """Wrap the current epoch's key for every reader who has no wrap of it yet.

        A cover makes room for each where there is one, so that their number tells nothing; else new covers
        fill up to the next power of two.

        Returns:
            The covers that made room, to be deleted from the store (:func:`.wraps.discard_covers`).
        """
        keyed = self.current(info, stream)
        if keyed is None:
            return []
        epoch, at = keyed.epoch, (keyed.epoch.generation, keyed.epoch.number)
        held = [wrap for wrap in self._catalog.wraps(stream) if (wrap.generation, wrap.epoch) == at]
        known = {wrap.recipient for wrap in held}
        missing = [one for one in self.readers(stream) if one.id not in known]
        if not missing:
            return []
        new = seal_wraps(epoch, keyed.key, self.pepper(info), missing, self.seeds(missing))
        add: list[Wrap] = []
        gone: list[Wrap] = []
        for suite in Suite:
            mine = [wrap for wrap in new if wrap.suite == suite]
            covers = [wrap for wrap in held if wrap.suite == suite and wrap.recipient is None]
            gone += covers[: len(mine)]
            add += mine
            left = sum(wrap.suite == suite for wrap in held) - len(covers[: len(mine)]) + len(mine)
            if mine:
                add += make_covers(epoch, keyed.key, suite, covers_wanted(left))
        self._catalog.change_wraps(add=add, gone=[wrap.name for wrap in gone])
        return gone

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


def _pepper_name(name: str) -> str:
    return f"pepper/{name}"


def _seed_name(recipient: Recipient) -> str:
    return f"seed/{recipient.id}"


def _key_name(epoch: Epoch) -> str:
    return f"epoch/{epoch.stream}/{epoch.generation}/{epoch.number}"
