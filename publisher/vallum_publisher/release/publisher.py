"""A publisher at work: lists, versions, renewals. Each method is whole or not at all, and may be run again.

Every publication runs the same steps, whatever happened before: read the store's head, compare it with the
catalog, take the version under way (or begin one), compute and seal its state, upload, move the head, read
it back, say so. There is no recovery code: a crash is an attempt that stopped, and the next one goes on from
what the catalog and the store say.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import SystemRandom

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from vallum.errors import BusyError, ConfigError, DataError, StateError
from vallum.format.table import SALT_BYTES
from vallum_publisher.catalog import Catalog, ListInfo, ListSpec, Version
from vallum_publisher.errors import ConflictError
from vallum_publisher.keys import make_key
from vallum_publisher.release.agreement import public_heads, public_version, unannounced
from vallum_publisher.release.collection import RUN_RETENTION, Collected, collect
from vallum_publisher.release.commit import Committer
from vallum_publisher.release.condition import Condition, read_condition
from vallum_publisher.release.invitation import invite
from vallum_publisher.release.metadata import add_list, charter_of, list_role, make_targets
from vallum_publisher.release.readback import check_published
from vallum_publisher.release.renewal import due_heads, renewed, snapshot_is_due, timestamp_is_due
from vallum_publisher.release.repository import TIMESTAMP_KEY, Repository, Tip
from vallum_publisher.release.tables import TableCache
from vallum_publisher.release.verification import VerifiedStream, verify_repository
from vallum_publisher.release.version import Release, StreamHead, charter_for, make_release, streams_of
from vallum_publisher.store import RUN, ObjectStore
from vallum_publisher.workspace import SignerEntry, Workspace

ATTEMPTS = 64
"""Races for the head that one command runs before it gives up; in each of them somebody else publishes."""
_LONGEST_PAUSE = 0.25
"""Seconds after a lost race, drawn evenly from none to all of it."""
_RANDOM = SystemRandom()

Progress = Callable[[str], None]
"""Told what is done next, such as ``"hashes: signing version 7"``."""


def _silent(_doing: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Published:
    """What one ``publish`` did.

    Attributes:
        list, generation, version, state: what is public now; ``state`` is that of the list's first stream.
        versions: what became public by this call, oldest first; empty if nothing had changed.
        rows: rows listed now, by table.
        changes: rows changed by ``versions``.
        uploaded: bytes of runs; metadata not counted.
    """

    list: str
    generation: int
    version: int
    state: str
    versions: tuple[int, ...]
    rows: Mapping[str, int]
    changes: int
    uploaded: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one ``refresh`` signed again; ``refused`` says why not, by stream."""

    streams: tuple[str, ...]
    snapshot: bool
    timestamp: bool
    refused: Mapping[str, str]


class Publisher:
    """Publishes the lists of one workspace. One command at a time holds the workspace's lock."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        catalog: Catalog,
        store: ObjectStore,
        actor: str = "publisher",
        progress: Progress = _silent,
    ) -> None:
        self.workspace = workspace
        self.catalog = catalog
        self.store = store
        self.repository = Repository(store, workspace.root_bytes())
        self.actor = actor
        self._progress = progress
        self._cache = TableCache(workspace.cache)
        self.custody = workspace.custody(catalog)

    def create_list(
        self,
        spec: ListSpec,
        *,
        now: datetime,
        keys: int = 1,
        threshold: int = 1,
        passphrase: str | None = None,
    ) -> ListInfo:
        """Create a list: charter and delegation signed offline, its roles published without targets.

        Args:
            spec: what it is created with.
            now: the time.
            keys, threshold: of each of its streams. Keys that ``keys/signers.toml`` names for a stream are
                used; key files are made for the rest.
            passphrase: encrypts the new key files.

        Raises:
            ConfigError: the list exists, the spec cannot be meant, or the offline keys cannot be reached.
        """
        if not 1 <= threshold <= keys:
            raise ConfigError(
                f"{threshold} of {keys} keys cannot sign",
                hint="the threshold is at least 1 and at most the number of keys",
            )
        with self.workspace.lock():
            committer = self._committer()
            info: ListInfo | None = None
            for tip in self._tips():
                targets = tip.required_targets()
                if charter_of(spec.name, targets) is not None:
                    if info is None:
                        raise ConfigError(
                            f"there is a list {spec.name!r} already",
                            hint="vallum-publisher list show shows all; choose another name",
                        )
                    return info
                if info is None:
                    info = self._catalog_list(spec, passphrase, now)
                    pepper = self.custody.pepper(info)
                    signers = {stream: self._keys(stream, keys, passphrase) for stream in streams_of(info)}
                self._progress(f"{info.name}: signing and publishing its charter")
                roles = {
                    "targets": add_list(targets, info.name, charter_for(info, pepper), signers, threshold)
                }
                # Delegated but absent from the snapshot would stop every client: both in one snapshot.
                roles |= {stream: make_targets(now) for stream in signers}
                self._try(committer, tip, roles, now)
            raise self._beaten()

    def publish(self, name: str, *, now: datetime, begin: bool = True) -> Published:
        """Publish what waits in the catalog as a new version; finish first what an earlier call began.

        Args:
            name: the list.
            now: the time.
            begin: whether waiting changes go out; without it only what was begun, and new epochs.

        Raises:
            ConfigError: no such list; the keys cannot be reached.
            StateError: catalog and store disagree (a restored backup, somebody else's writes).
            ConflictError: other publishers were faster each time.
            UnavailableError: store or catalog do not answer; run it again.
        """
        with self.workspace.lock():
            return self._publish(name, now, begin)

    def _publish(self, name: str, now: datetime, begin: bool) -> Published:
        committer = self._committer()
        made: dict[tuple[int, ...], Release] = {}
        versions: list[int] = []
        stored: dict[str, int] = {}
        changes = 0
        self.catalog.expire(name, actor=self.actor, now=now)
        rekeyed = False
        for info, pending, tip in self._looks(name):
            self.custody.prepare(info, streams_of(info), actor=self.actor, now=now)
            public = public_heads(self.repository, tip, info)
            at = public_version(self.catalog, info, pending, public)
            if pending is not None and at == pending.version:
                # It is public: by us just now, by us before we were stopped, or by another publisher.
                if self._confirm(name, public, pending, now):
                    versions.append(pending.version)
                    changes += pending.changes
                continue
            if pending is None and begin:
                pending = self._begin(info, now)
                if pending is None and self.catalog.get_list(name) != info:
                    continue  # what we would have published, another publisher did just now
            version = pending or unannounced(self.catalog, self.custody, info, public)
            if version is None:
                if rekeyed:
                    heads = {stream: held.head for stream, held in public.items() if held}
                    check_published(self.store, self.repository.root_bytes, heads)
                return self._summary(info, public, versions, changes, sum(stored.values()))
            if pending is not None and pending.version != at + 1:
                continue  # somebody published between our look and now
            rekeyed = pending is None
            which = (version.version, *(tip.number(stream) for stream in public))
            if which not in made:
                sealed = self._seal(info, version, public, now)
                if sealed is None:
                    continue
                made[which] = sealed
            release = made[which]
            for key, data in release.files.items():
                if key not in stored:
                    self._progress(f"{name}: uploading {len(data):,} bytes")
                    self.store.create(key, data, RUN)
                    stored[key] = len(data)
            self.custody.upload(self.store)
            self._progress(f"{name}: signing version {version.version}")
            roles = {
                stream: list_role(stream, new.head, new.listed, now)
                for stream, new in release.streams.items()
            }
            # Whether we moved the head or were beaten, the next look tells.
            self._try(committer, tip, roles, now)
        raise self._beaten()

    def refresh(self, *, now: datetime) -> Refreshed:
        """Sign again what must say that it is still the newest; in one snapshot, nothing if nothing is due.

        A list whose catalog and store disagree is left as it is and named in the answer; all else is renewed.

        Raises:
            ConfigError: keys cannot be reached.
            ConflictError, UnavailableError: as of :meth:`publish`.
        """
        lifetimes = self.workspace.settings.lifetimes
        with self.workspace.lock():
            committer = self._committer()
            for tip in self._tips():
                due, refused = due_heads(self.repository, self.catalog, tip, lifetimes, now)
                snapshot = bool(due) or snapshot_is_due(tip, lifetimes, now)
                if not snapshot and not timestamp_is_due(tip, lifetimes, now):
                    return Refreshed((), False, False, refused)
                self._progress(f"signing {', '.join(due) or 'the timestamp'} again")
                try:
                    if snapshot or tip.timestamp is None:
                        committer.commit(tip, renewed(due, now), now)
                    else:
                        committer.move(tip, tip.timestamp.snapshot_meta, now)
                except ConflictError:
                    self._pause()
                    continue
                return Refreshed(tuple(due), snapshot, True, refused)
            raise self._beaten()

    def status(self, *, now: datetime) -> Condition:
        """How everything stands; changes nothing.

        Raises:
            TrustError, DataError: the repository does not verify.
            UnavailableError: store or catalog do not answer.
        """
        return read_condition(self.repository, self.catalog, self.workspace.settings.lifetimes, now)

    def verify(self) -> tuple[VerifiedStream, ...]:
        """Check the whole repository against the root of trust and the catalog (``verify_repository``)."""
        self.repository.tip()  # follows newer roots
        root = self.repository.root_bytes
        return verify_repository(self.store, root, self.catalog, self.custody, self._progress)

    def invite(self, streams: Sequence[str] = ()) -> bytes:
        """Write the invitation to ``streams`` (or lists, meaning all their editions; empty: to everything).

        Raises:
            ConfigError: there is no such stream, or the settings do not say where clients fetch from.
        """
        return invite(self.workspace.settings, self.repository, streams)

    def gc(self, *, now: datetime, retention: timedelta = RUN_RETENTION) -> Collected:
        """Delete runs, metadata and wraps that nobody can need any more (see ``collect``)."""
        with self.workspace.lock():
            collected = collect(self.repository, now, retention)
            return replace(collected, wraps=self.custody.collect(self.store, now, retention))

    def _summary(
        self,
        info: ListInfo,
        public: Mapping[str, StreamHead | None],
        versions: Sequence[int],
        changes: int,
        uploaded: int,
    ) -> Published:
        newest = self.catalog.versions(info.name, info.version - 1)[-1:]
        return Published(
            list=info.name,
            generation=info.generation,
            version=info.version,
            state=next((held.head.state for held in public.values() if held), ""),
            versions=tuple(versions),
            rows=dict(newest[0].details["rows"]) if newest else {},
            changes=changes,
            uploaded=uploaded,
        )

    def _begin(self, info: ListInfo, now: datetime) -> Version | None:
        # What is signed of an encrypted list must not confirm a guess (DESIGN §5).
        salt = bytes(SALT_BYTES) if info.public else secrets.token_bytes(SALT_BYTES)
        try:
            return self.catalog.begin_version(info.name, salt=salt, actor=self.actor, now=now)
        except BusyError:
            # Another publisher of this catalog began one just now: it is ours to finish as well.
            pending = self.catalog.pending_version(info.name)
            if pending is None and self.catalog.get_list(info.name) == info:
                raise  # nobody did: the database itself is busy
            return pending

    def _seal(
        self, info: ListInfo, version: Version, public: Mapping[str, StreamHead | None], now: datetime
    ) -> Release | None:
        """Compute a version and record its state; ``None`` if another publisher was faster."""
        self._progress(f"{info.name}: computing version {version.version}")
        try:
            release = make_release(self.catalog, self._cache, info, version, public, self.custody, now)
            if version.published_at is not None:
                if (release.state, release.digests) != (version.state, version.tables):
                    raise StateError(f"{info.name}: the catalog's rows are not the state that was signed")
                return release
            # From here on this version is this state, whoever finishes it.
            self.catalog.seal_version(
                info.name,
                version.version,
                state=release.state,
                tables=release.digests,
                details={"rows": release.rows},
            )
        except DataError:
            if self._overtaken(info.name, version):
                return None  # rows may have been read that are the next version's
            raise
        return release

    def _confirm(
        self, name: str, public: Mapping[str, StreamHead | None], version: Version, now: datetime
    ) -> bool:
        """Read a version back and call it finished; ``False`` if another publisher did so before."""
        self._progress(f"{name}: reading version {version.version} back")
        heads = {stream: held.head for stream, held in public.items() if held}
        try:
            check_published(self.store, self.repository.root_bytes, heads)
        except DataError:
            if self._overtaken(name, version):
                return False  # and by now there may be a newer head
            raise
        self.catalog.finish_version(name, version.version, actor=self.actor, now=now)
        self._cache.prune(name, version.version, version.generation)
        return True

    def _overtaken(self, name: str, version: Version) -> bool:
        """Whether a version that was under way is so no more: another publisher finished it."""
        held = self.catalog.pending_version(name)
        return held is None or (held.generation, held.version) != (version.generation, version.version)

    def _catalog_list(self, spec: ListSpec, passphrase: str | None, now: datetime) -> ListInfo:
        for info in self.catalog.lists():
            if info.name == spec.name:
                return info  # an earlier attempt came as far as the catalog
        pepper = b""
        if not spec.public:
            self.workspace.make_vault(passphrase)
            pepper = self.custody.make_pepper(spec.name)
        return self.catalog.create_list(spec, actor=self.actor, now=now, pepper=pepper)

    def _keys(self, stream: str, number: int, passphrase: str | None) -> list[Key]:
        known: list[Key] = [entry.key for entry in self.workspace.signers() if entry.role == stream]
        for at in range(len(known) + 1, number + 1):
            path = f"keys/{stream}-{at}.pem"
            key = make_key(self.workspace.folder / path, passphrase)
            self.workspace.add_signers([SignerEntry(stream, f"file:{path}", key)])
            known.append(key)
        return known[:number]

    def _looks(self, name: str) -> Iterator[tuple[ListInfo, Version | None, Tip]]:
        """Catalog and store as they were at one moment, again for each attempt."""
        for _ in range(ATTEMPTS):
            info, pending = self.catalog.get_list(name), self.catalog.pending_version(name)
            tip = self.repository.tip()
            if (info, pending) == (self.catalog.get_list(name), self.catalog.pending_version(name)):
                yield info, pending, tip

    def _tips(self) -> Iterator[Tip]:
        for _ in range(ATTEMPTS):
            yield self.repository.tip()

    def _committer(self) -> Committer:
        workspace = self.workspace
        return Committer(self.store, workspace.keyring, workspace.ledger, workspace.settings.lifetimes)

    def _try(self, committer: Committer, tip: Tip, roles: Mapping[str, Targets], now: datetime) -> None:
        try:
            committer.commit(tip, roles, now)
        except ConflictError:
            self._pause()

    def _pause(self) -> None:
        time.sleep(_RANDOM.uniform(0, _LONGEST_PAUSE))

    def _beaten(self) -> ConflictError:
        return ConflictError(
            TIMESTAMP_KEY,
            f"other publishers were faster {ATTEMPTS} times",
            hint="run it again; what was begun is finished first",
        )
