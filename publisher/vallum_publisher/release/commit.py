"""The order of publication, and its commit point (DESIGN §5).

One publication uploads, in this order: runs (by its caller), then the list roles (and the targets role where
it changed), the snapshot, and ``timestamp.json`` last, by compare-and-swap. **The swap is the commit point.**
Before it, readers hold to the old timestamp, whose snapshot names only files that are still there: what was
uploaded so far is invisible. After it they see everything new at once. Nothing has to be undone at any point,
and nothing that was uploaded is ever changed. What the head will lead to is read back before it moves: a
store that lost or damaged one file would else end the repository for everybody.

Several publishers share one head. What takes long, runs and roles, is uploaded before the race for it. Then
only a snapshot and a timestamp are signed, on top of what is there at that moment. Who loses does that again,
unless the winner changed one of the same roles: then they must be made anew, and the caller is told.

What a crash leaves are files that nobody names. The next attempt, the same code as every attempt, signs under
numbers that are free (in the store) and were never signed (in the ledger), and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom

from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Targets

from vallum.errors import ConfigError, TrustError
from vallum.format.columns import compress
from vallum.sync.fetch import PACKED
from vallum.sync.roles import check_roles
from vallum_publisher.errors import ConflictError, DamageError
from vallum_publisher.keys import Keyring
from vallum_publisher.release.metadata import (
    make_snapshot,
    make_timestamp,
    meta_file,
    open_role,
    role_keys,
)
from vallum_publisher.release.repository import (
    LARGEST_NUMBER,
    TIMESTAMP_KEY,
    Repository,
    Tip,
    metadata_key,
)
from vallum_publisher.store import METADATA, PACKED_METADATA, TIMESTAMP, ObjectStore
from vallum_publisher.store.acceptance import TRIES, create_kept, swap_kept
from vallum_publisher.workspace import Ledger, Lifetimes, Workspace

_PACK_LEVEL = 19
_RACES = 8
"""For the head with the same roles, until the caller looks at everything again."""
_LONGEST_PAUSE = 0.25
"""Seconds after a lost race, drawn evenly from none to all of it."""
_RANDOM = SystemRandom()


def pause() -> None:
    """Wait a little after a lost race, so that not all run again at once."""
    time.sleep(_RANDOM.uniform(0, _LONGEST_PAUSE))


@dataclass(frozen=True)
class Committer:
    """Moves the head of one repository.

    Attributes:
        store, keyring, ledger, lifetimes: of the workspace.
        newest: reads the store's head, before each race.
        turn: waits for one's turn among publishers who know each other, so that few races are lost.
    """

    store: ObjectStore
    keyring: Keyring
    ledger: Ledger
    lifetimes: Lifetimes
    newest: Callable[[], Tip]
    turn: Callable[[], AbstractContextManager[None]] = nullcontext

    def commit(
        self,
        tip: Tip,
        roles: Mapping[str, Targets],
        now: datetime,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Publish ``roles`` on top of ``tip``; with none, renew snapshot and timestamp.

        Args:
            tip: what the roles were made from.
            roles: new content of ``targets`` and of streams, by role; numbers are given here.
            now: when they are signed.
            wanted: asked before each race whether they still shall be public.

        Raises:
            ConfigError: root has replaced the keys of targets, which is not among ``roles``.
            TrustError: somebody else has signed with our keys.
            ConflictError: another publisher changed one of the roles since ``tip`` was read, or was faster
                each time, or they are wanted no more. Nothing of ours is visible; read again.
            UnavailableError: the store did not answer. It may or may not have happened; run it again. A
                ``DamageError``: it does not keep what it accepts; nothing of ours is visible.
        """
        if tip.rekeyed and "targets" not in roles:
            raise ConfigError(
                "root has replaced the keys of targets, and their holders have not signed it yet",
                hint="vallum-publisher keys renew targets, with the offline keys",
            )
        _check_numbers(tip)
        targets = roles.get("targets", tip.targets)
        if targets is not None:
            check_roles(tip.root, targets)
        files: dict[str, MetaFile] = {}
        for role, content in roles.items():
            delegator = tip.root if role == "targets" else targets
            if delegator is None:
                raise ValueError("a list role needs a targets role")
            content.expires = now + self.lifetimes.of(role)
            files[f"{role}.json"] = self._upload(delegator, role, content, tip.number(role))
        for left in reversed(range(_RACES)):
            with self.turn():
                base = self._rebased(tip, roles)
                if not wanted():
                    raise ConflictError(TIMESTAMP_KEY, "another publisher has opened a new epoch")
                try:
                    self._race(base, files, now)
                    return
                except ConflictError:
                    if not left or not tip.is_public:
                        raise
            pause()

    def _rebased(self, tip: Tip, roles: Iterable[str]) -> Tip:
        """The store's head as it is now, if all that ``roles`` were made from is the same there."""
        if not tip.is_public:
            return tip  # made of all that is signed, our uploads among it: what is public is not told
        newest = self.newest()
        same = (newest.root.version, newest.rekeyed) == (tip.root.version, tip.rekeyed) and all(
            newest.number(role) == tip.number(role) for role in ("targets", *roles)
        )
        if not same:
            raise ConflictError(TIMESTAMP_KEY, "another publisher has changed the same list, or keys")
        _check_numbers(newest)
        return newest

    def _race(self, tip: Tip, files: Mapping[str, MetaFile], now: datetime) -> None:
        snapshot = make_snapshot(1, now + self.lifetimes.of("snapshot"), {**tip.meta, **files})
        self.move(tip, self._upload(tip.root, "snapshot", snapshot, tip.number("snapshot")), now)

    def move(self, tip: Tip, snapshot: MetaFile, now: datetime) -> None:
        """Point ``timestamp.json`` to ``snapshot``: the commit point. Raises as :meth:`commit`."""
        _check_numbers(tip)
        timestamp = make_timestamp(1, now + self.lifetimes.of("timestamp"), snapshot)
        timestamp.version = self.ledger.reserve({"timestamp": tip.number("timestamp")})["timestamp"]
        data = self._sign(tip.root, "timestamp", timestamp)
        swap_kept(self.store, TIMESTAMP_KEY, data, TIMESTAMP, tip.tag)

    def _upload(self, delegator: Root | Targets, role: str, content: Signed, after: int) -> MetaFile:
        """Sign ``content`` under the next free number, upload it, and see that the store has it, whole.

        Nothing else has a copy of it: once the timestamp leads to it, nobody could read on without.
        """
        number, damaged = after, 0
        while True:
            number = self.ledger.reserve({role: number})[role]
            if self.store.get(metadata_key(role, number)) is not None:
                continue  # an orphan of a crash elsewhere; signing it again with other bytes would be a fork
            content.version = number
            data = self._sign(delegator, role, content)
            try:
                key = metadata_key(role, number)
                create_kept(self.store, key, data, METADATA)
                # The packed twin, for clients that ask for it first (client.md §2.6).
                packed = compress(data, _PACK_LEVEL)
                create_kept(self.store, key + PACKED, packed, PACKED_METADATA)
            except DamageError:
                damaged += 1
                if damaged == TRIES:
                    raise
                continue  # a name holds what it holds: under the next number, then
            except ConflictError:
                continue  # somebody took the number between our look and our write
            return meta_file(number, data)

    def _sign(self, delegator: Root | Targets, role: str, content: Signed) -> bytes:
        keys, threshold = role_keys(delegator, role)
        data = self.keyring.sign(Metadata(content), role, keys, threshold)
        # A signer that answers with rubbish must not reach the store.
        open_role(delegator, role, data, type(content))
        return data


def committer_of(
    workspace: Workspace,
    repository: Repository,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Committer:
    """What moves the head of a repository with a workspace's keys."""
    return Committer(
        repository.store,
        workspace.keyring,
        workspace.ledger,
        workspace.settings.lifetimes,
        repository.tip,
        turn,
    )


def _check_numbers(tip: Tip) -> None:
    """Refuse to go on from a number that a thief has jumped to: ours would soon have no room above it."""
    roles = {"timestamp", "snapshot", *(name.removesuffix(".json") for name in tip.meta)}
    for role in sorted(roles):
        if tip.number(role) > LARGEST_NUMBER:
            raise TrustError(
                f"{role} in the store has number {tip.number(role):,}: somebody else signs with our keys",
                hint="deploy/runbooks/stolen-online-key.md: vallum-publisher keys rotate online",
            )
