"""The repository as it lies in the store, read by its publisher: verified, but not refused for being expired.

A publisher builds on what is there, so it must know whose it is: everything below the root of trust in the
workspace is verified like a client would. Only expiry is no reason to stop: a publisher that was away must be
able to go on. Nor is a root that has replaced keys since the rest was signed: that is how keys are changed,
and how a stolen one is answered (:mod:`.rotation`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from vallum.errors import DataError, TrustError
from vallum.sync.roles import check_roles
from vallum_publisher.errors import LostError
from vallum_publisher.release.metadata import delegated_streams, make_snapshot, meta_file, open_role
from vallum_publisher.store import ObjectStore

TIMESTAMP_KEY = "metadata/timestamp.json"
LARGEST_NUMBER = 10**8
"""Above it no honest repository's metadata is numbered: one publication a minute takes two centuries."""
_MAX_ROOTS = 1024
_RESTORE = "restore it from a copy of the store"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_NUMBERED = re.compile(r"metadata/([0-9]+)\.(.+)\.json")

_T = TypeVar("_T")
_SignedT = TypeVar("_SignedT", bound=Signed)


def metadata_key(role: str, version: int) -> str:
    """The key of a role's file in the store."""
    return f"metadata/{version}.{role}.json"


@dataclass(frozen=True)
class Tip:
    """What the store's ``timestamp.json`` leads to at one moment.

    Attributes:
        root: the newest root.
        tag: names this content of ``timestamp.json`` to a compare-and-swap; ``None`` if there is none yet.
        timestamp, snapshot, targets: verified; ``None`` if there is nothing yet. After the online keys were
            replaced there is no timestamp, and the snapshot is not the store's, which may be a thief's, but
            made of the newest roles that their own keys signed.
        rekeyed: root has replaced the keys that signed targets: it is signed anew before anything else.
        lost: why nobody can read what the timestamp leads to; empty if all is well. The snapshot is missing
            or altered in the store, and ``snapshot`` is made as after new online keys.
    """

    root: Root
    tag: str | None = None
    timestamp: Timestamp | None = None
    snapshot: Snapshot | None = None
    targets: Targets | None = None
    rekeyed: bool = False
    lost: str = ""

    @property
    def is_public(self) -> bool:
        """Whether this is what clients are shown; else it is the newest that is signed."""
        return self.timestamp is not None and not self.lost

    @property
    def meta(self) -> Mapping[str, MetaFile]:
        """What the snapshot names, by file name."""
        return self.snapshot.meta if self.snapshot else {}

    def number(self, role: str) -> int:
        """The number of a role's newest file; 0 for none."""
        if role == "timestamp":
            return self.timestamp.version if self.timestamp else 0
        if role == "snapshot":
            return self.snapshot.version if self.snapshot else 0
        file = self.meta.get(f"{role}.json")
        return file.version if file else 0

    def required_targets(self) -> Targets:
        """The targets role.

        Raises:
            DataError: the repository was never founded.
        """
        if self.targets is None:
            raise DataError(
                "there is no repository in the store",
                hint="is this the right store? restore it from a backup, or found another repository",
            )
        return self.targets

    def streams(self) -> list[str]:
        """The streams that are delegated."""
        return delegated_streams(self.targets) if self.targets else []


class Repository:
    """A store read as a repository under one root of trust."""

    def __init__(self, store: ObjectStore, root: bytes, former: Sequence[bytes] = ()) -> None:
        """``root``: bytes of a trusted root; newer ones in the store are followed. ``former``: older ones."""
        self.store = store
        self.root_bytes = root
        self._root = _self_signed(root)
        self._former = [_self_signed(data) for data in former]  # oldest first; the walk adds to them
        self.former_bytes = {root.version: data for root, data in zip(self._former, former, strict=True)}
        # What a name and a digest mean never changes; who may sign it does with the delegating role.
        self._opened: dict[tuple[str, str, int], Signed] = {}

    def tip(self) -> Tip:
        """Read what the store's head leads to.

        Raises:
            TrustError: signatures or key rules do not hold.
            DataError: a file that verified metadata names is missing or altered, the snapshot apart.
            UnavailableError: the store does not answer.
        """
        root = self._newest_root()
        stored = self.store.get(TIMESTAMP_KEY)
        if stored is None:
            return Tip(root)
        timestamp, signer = self._by_root(lambda by: open_role(by, "timestamp", stored.data, Timestamp))
        if signer is not root:
            return self._salvaged(root, stored.tag)
        file = timestamp.snapshot_meta
        try:
            snapshot, signer = self._by_root(lambda by: self._open(by, "snapshot", file, Snapshot))
        except LostError as error:
            return self._salvaged(root, stored.tag, timestamp, str(error))
        if signer is not root:
            return self._salvaged(root, stored.tag)
        named = _named(snapshot, "targets")
        targets, signer = self._by_root(lambda by: self._open(by, "targets", named, Targets))
        check_roles(root, targets)
        return Tip(root, stored.tag, timestamp, snapshot, targets, rekeyed=signer is not root)

    def follows(self, root: bytes) -> bool:
        """Whether the root of trust that this began with, or a later one, has signed ``root``."""
        for known in (self._root, *self._former):
            with suppress(TrustError):
                open_role(known, "root", root, Root)
                return True
        return False

    def list_role(self, tip: Tip, stream: str) -> Targets:
        """Read the role of one stream under ``tip``.

        Raises:
            LostError: it is missing or altered.
            TrustError, DataError, UnavailableError: as of :meth:`tip`.
        """
        targets, snapshot = tip.required_targets(), tip.snapshot
        if snapshot is None:
            raise DataError("there is no repository in the store")
        return self._open(targets, stream, _named(snapshot, stream), Targets)

    def last_role(self, tip: Tip, stream: str) -> Targets:
        """The role of one stream under ``tip``, or, if it is lost, the one before, to sign it anew from.

        Its own number tells which. What it says may be older than what was public: the catalog knows.
        Raises as :meth:`list_role`, if the store has none before, either.
        """
        try:
            return self.list_role(tip, stream)
        except LostError:
            opened = partial(_open_stream, tip.required_targets(), stream)
            before = [number for number in self._numbers().get(stream, ()) if number < tip.number(stream)]
            for role, _ in self._signed(stream, {stream: before}, opened):
                return role
            raise

    def _newest_root(self) -> Root:
        for _ in range(_MAX_ROOTS):
            stored = self.store.get(metadata_key("root", self._root.version + 1))
            if stored is None:
                return self._root
            new: Root = open_role(self._root, "root", stored.data, Root)
            if new.version != self._root.version + 1:
                raise TrustError("a root does not have the version that its name says")
            self._former.append(self._root)
            self.former_bytes[self._root.version] = self.root_bytes
            self._root, self.root_bytes = _self_signed(stored.data), stored.data
        raise TrustError(f"more than {_MAX_ROOTS} roots", hint="somebody else wrote to the store")

    def _by_root(self, opened: Callable[[Root], _T]) -> tuple[_T, Root]:
        """Open what the newest root's keys signed, or else a former root's: by which one is told."""
        try:
            return opened(self._root), self._root
        except TrustError:
            for former in reversed(self._former):
                with suppress(TrustError):
                    return opened(former), former
            raise

    def _salvaged(self, root: Root, tag: str, timestamp: Timestamp | None = None, lost: str = "") -> Tip:
        """The tip made of what its own keys signed: the online keys were replaced, perhaps stolen before.

        What a thief of online keys says is which roles are the newest. So nobody is asked but the roles: of
        each the highest number that its keys signed. He cannot make one, only hide it, and the catalog knows.
        Of a snapshot that the store has ``lost``, nothing else is known either: then its timestamp stays.
        """
        numbers = self._numbers()
        for (targets, signer), file in self._signed("targets", numbers, self._targets_by_root):
            roles = self._roles_of(targets, numbers)
            if roles is not None:
                check_roles(root, targets)
                meta = {"targets.json": file, **roles}
                number = max([0, *numbers.get("snapshot", ())])
                if timestamp is not None:
                    number = max(number, timestamp.snapshot_meta.version)
                snapshot = make_snapshot(number, _LONG_AGO, meta)
                return Tip(root, tag, timestamp, snapshot, targets, signer is not root, lost)
        raise DataError(
            "there is no targets role in the store that the offline keys signed",
            hint="restore the store from a copy",
        )

    def _numbers(self) -> dict[str, list[int]]:
        """Under which numbers each role has a file in the store, as far as honest ones go."""
        numbers: dict[str, list[int]] = {}
        for item in self.store.list("metadata/"):
            match = _NUMBERED.fullmatch(item.key)
            if match and int(match[1]) <= LARGEST_NUMBER:
                numbers.setdefault(match[2], []).append(int(match[1]))
        return numbers

    def _roles_of(self, targets: Targets, numbers: Mapping[str, list[int]]) -> dict[str, MetaFile] | None:
        """The newest role of each stream by its name in a snapshot; ``None`` if one is not there at all."""
        roles: dict[str, MetaFile] = {}
        for stream in delegated_streams(targets):
            newest = next(self._signed(stream, numbers, partial(_open_stream, targets, stream)), None)
            if newest is None:
                return None
            roles[f"{stream}.json"] = newest[1]
        return roles

    def _targets_by_root(self, data: bytes) -> tuple[Targets, Root]:
        return self._by_root(lambda by: open_role(by, "targets", data, Targets))

    def _signed(
        self, role: str, numbers: Mapping[str, list[int]], opened: Callable[[bytes], _T]
    ) -> Iterator[tuple[_T, MetaFile]]:
        """The files of a role that open, the highest number first."""
        for number in sorted(numbers.get(role, ()), reverse=True):
            stored = self.store.get(metadata_key(role, number))
            if stored is not None:
                with suppress(TrustError):
                    yield opened(stored.data), meta_file(number, stored.data)

    def _stored(self, key: str, file: MetaFile) -> bytes:
        stored = self.store.get(key)
        if stored is None:
            raise LostError(f"{key} is missing from the store", hint=_RESTORE)
        try:
            file.verify_length_and_hashes(stored.data)
        except RepositoryError:
            raise LostError(f"{key} is not what signed metadata says", hint=_RESTORE) from None
        return stored.data

    def _open(self, delegator: Root | Targets, role: str, file: MetaFile, kind: type[_SignedT]) -> _SignedT:
        key = metadata_key(role, file.version)
        place = (key, (file.hashes or {}).get("sha256", ""), delegator.version)
        known = self._opened.get(place)
        if isinstance(known, kind):
            return known
        signed: _SignedT = open_role(delegator, role, self._stored(key, file), kind)
        if signed.version != file.version:
            raise TrustError(f"{key} has another version than its name says")
        self._opened[place] = signed
        return signed


def _open_stream(targets: Targets, stream: str, data: bytes) -> Targets:
    role: Targets = open_role(targets, stream, data, Targets)
    return role


def _named(snapshot: Snapshot, role: str) -> MetaFile:
    file = snapshot.meta.get(f"{role}.json")
    if file is None:
        raise DataError(f"{role} is delegated, but the snapshot does not name it")
    return file


def _self_signed(data: bytes) -> Root:
    try:
        root = Metadata[Root].from_bytes(data).signed
    except RepositoryError as error:
        raise TrustError(f"the root of trust is not a root file: {error}") from None
    if not isinstance(root, Root):
        raise TrustError("the root of trust is not a root file")
    verified: Root = open_role(root, "root", data, Root)
    return verified
