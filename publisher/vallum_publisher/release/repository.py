"""The repository as it lies in the store, read by its publisher: verified, but not refused for being expired.

A publisher builds on what is there, so it must know whose it is: everything below the root of trust in the
workspace is verified like a client would. Only expiry is no reason to stop: a publisher that was away must be
able to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from vallum.errors import DataError, TrustError
from vallum.sync.roles import check_roles
from vallum_publisher.release.metadata import delegated_streams, open_role
from vallum_publisher.store import ObjectStore

TIMESTAMP_KEY = "metadata/timestamp.json"
_MAX_ROOTS = 1024

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
        timestamp, snapshot, targets: verified; ``None`` if there is nothing yet.
    """

    root: Root
    tag: str | None = None
    timestamp: Timestamp | None = None
    snapshot: Snapshot | None = None
    targets: Targets | None = None

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

    def __init__(self, store: ObjectStore, root: bytes) -> None:
        """``root``: bytes of a trusted root; newer ones in the store are followed."""
        self.store = store
        self.root_bytes = root
        self._root = _self_signed(root)
        # What a name and a digest mean never changes; who may sign it does with the delegating role.
        self._opened: dict[tuple[str, str, int], Signed] = {}

    def tip(self) -> Tip:
        """Read what the store's head leads to.

        Raises:
            TrustError: signatures or key rules do not hold.
            DataError: a file that verified metadata names is missing or altered.
            UnavailableError: the store does not answer.
        """
        root = self._newest_root()
        stored = self.store.get(TIMESTAMP_KEY)
        if stored is None:
            return Tip(root)
        timestamp: Timestamp = open_role(root, "timestamp", stored.data, Timestamp)
        snapshot = self._open(root, "snapshot", timestamp.snapshot_meta, Snapshot)
        targets = self._open(root, "targets", _named(snapshot, "targets"), Targets)
        check_roles(root, targets)
        return Tip(root, stored.tag, timestamp, snapshot, targets)

    def list_role(self, tip: Tip, stream: str) -> Targets:
        """Read the role of one stream under ``tip``. Raises as :meth:`tip`."""
        targets, snapshot = tip.required_targets(), tip.snapshot
        if snapshot is None:
            raise DataError("there is no repository in the store")
        return self._open(targets, stream, _named(snapshot, stream), Targets)

    def _newest_root(self) -> Root:
        for _ in range(_MAX_ROOTS):
            stored = self.store.get(metadata_key("root", self._root.version + 1))
            if stored is None:
                return self._root
            new: Root = open_role(self._root, "root", stored.data, Root)
            if new.version != self._root.version + 1:
                raise TrustError("a root does not have the version that its name says")
            self._root, self.root_bytes = _self_signed(stored.data), stored.data
        raise TrustError(f"more than {_MAX_ROOTS} roots", hint="somebody else wrote to the store")

    def _open(self, delegator: Root | Targets, role: str, file: MetaFile, kind: type[_SignedT]) -> _SignedT:
        key = metadata_key(role, file.version)
        place = (key, (file.hashes or {}).get("sha256", ""), delegator.version)
        known = self._opened.get(place)
        if isinstance(known, kind):
            return known
        stored = self.store.get(key)
        if stored is None:
            raise DataError(f"{key} is missing from the store", hint="restore it from a copy of the store")
        try:
            file.verify_length_and_hashes(stored.data)
        except RepositoryError:
            raise DataError(
                f"{key} is not what signed metadata says", hint="restore it from a copy of the store"
            ) from None
        signed: _SignedT = open_role(delegator, role, stored.data, kind)
        if signed.version != file.version:
            raise TrustError(f"{key} has another version than its name says")
        self._opened[place] = signed
        return signed


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
