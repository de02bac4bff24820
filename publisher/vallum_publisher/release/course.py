"""The course of every publication, step by step; which steps, and for what, is the publisher's to say.

Read the store's head, compare it with the catalog, take the version under way (or begin one), compute, judge
and seal its state, upload, move the head, read it back, say so. There is no recovery code: a crash is an
attempt that stopped, and the next one goes on from what the catalog and the store say.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from vallum.errors import BusyError, ConfigError, DataError, GuardError, StateError
from vallum.format.head import Head
from vallum.format.table import SALT_BYTES
from vallum.progress import Tell, silent
from vallum.sync.fetch import AbsentError
from vallum_publisher.catalog import Catalog, ListInfo, Version, Wrap
from vallum_publisher.errors import ConflictError
from vallum_publisher.recipients.wraps import discard_covers, upload_wraps
from vallum_publisher.release.agreement import public_head, public_heads, public_version
from vallum_publisher.release.collection import closed_twins
from vallum_publisher.release.commit import Committer, committer_of, pause
from vallum_publisher.release.judgement import judged
from vallum_publisher.release.metadata import list_role, role_keys
from vallum_publisher.release.readback import check_listed, check_published
from vallum_publisher.release.remaking import put_back
from vallum_publisher.release.repository import TIMESTAMP_KEY, Repository, Tip
from vallum_publisher.release.tables import TableCache
from vallum_publisher.release.version import Release, StreamHead, make_release, streams_of
from vallum_publisher.store import RUN, ObjectStore
from vallum_publisher.store.acceptance import create_kept
from vallum_publisher.workspace import Workspace

ATTEMPTS = 64
"""Races for the head that one command runs before it gives up; in each of them somebody else publishes."""


class Course:
    """What publications of one workspace have in common.

    ``left``: keys of objects that were to go and may not be deleted by this identity, until its ``gc``.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        catalog: Catalog,
        store: ObjectStore,
        actor: str = "publisher",
        tell: Tell = silent,
    ) -> None:
        self.workspace = workspace
        self.catalog = catalog
        self.store = store
        self.repository = Repository(store, workspace.root_bytes(), workspace.former_roots())
        self.actor = actor
        self.tell = tell
        self._cache = TableCache(workspace.cache)
        self.custody = workspace.custody(catalog)
        self.left: list[str] = []
        self._whole: set[str] = set()  # keys of runs that were read back

    def trust(self, root: bytes) -> None:
        """Go on from a root that the one before did not sign; that is kept, to know what it did."""
        repository = self.repository
        number = Metadata[Root].from_bytes(repository.root_bytes).signed.version
        self.workspace.save_root(root, {**repository.former_bytes, number: repository.root_bytes})
        self.repository = Repository(self.store, root, self.workspace.former_roots())

    def _begin(self, info: ListInfo, now: datetime, epoch: int | None = None) -> Version | None:
        # What is signed of an encrypted list must not confirm a guess (DESIGN §5).
        salt = bytes(SALT_BYTES) if info.public else secrets.token_bytes(SALT_BYTES)
        try:
            return self.catalog.begin_version(info.name, salt=salt, actor=self.actor, now=now, epoch=epoch)
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
        self.tell(f"{info.name}: computing version {version.version}")
        try:
            release = make_release(
                *(self.catalog, self._cache, info, version, public, self.custody, now),
                tell=lambda doing: self.tell(f"{info.name}: {doing}"),
            )
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
                details=judged(
                    self.catalog, info, version, release, self.custody, self.workspace.never_block(), now
                ),
                begun=version.created_at,
            )
        except DataError as error:
            if self._overtaken(info.name, version):
                return None  # rows may have been read that are the next version's
            if isinstance(error, GuardError):
                # Nothing of it was signed: its changes wait for a correction.
                self.catalog.abandon_version(info.name, actor=self.actor, now=now)
            raise
        return release

    def _upload(
        self, tip: Tip, targets: Targets, release: Release, name: str, stored: dict[str, int], now: datetime
    ) -> dict[str, Targets] | None:
        """Upload a release's runs but those in ``stored``, and wraps; make the roles that list them.

        Returns:
            The roles; ``None`` if a new epoch was opened meanwhile: whoever it leaves out must not read this
            version under the one before.

        Raises:
            ConfigError, StorageError: keys that are to sign it cannot be reached; nothing was uploaded.
            StateError: an older run that they list is not in the store.
        """
        delegators: dict[str, Root | Targets] = {"snapshot": tip.root, "timestamp": tip.root}
        delegators |= dict.fromkeys(release.streams, targets)
        for role, delegator in delegators.items():
            self.workspace.keyring.require(role, *role_keys(delegator, role))
        uploaded = []
        for key, data in release.files.items():
            if self._is_superseded(release):
                break
            if key not in stored:
                self.tell(f"{name}: uploading {len(data):,} bytes")
                create_kept(self.store, key, data, RUN)
                self._whole.add(key)
                stored[key] = len(data)
                uploaded.append(key)
        upload_wraps(self.catalog, self.store, self.tell)
        if self._is_superseded(release):
            self._withdraw(release, uploaded)
            return None
        for stream, new in release.streams.items():
            check_listed(self.store, stream, new.listed.values())
        self.tell(f"{name}: signing")
        return {
            stream: list_role(stream, new.head, new.listed, now) for stream, new in release.streams.items()
        }

    def _is_superseded(self, release: Release) -> bool:
        for stream, made in release.streams.items():
            epoch = (made.head.generation, max(made.head.epochs, default=0))
            newest = self.catalog.epochs(stream)[-1:]
            if newest and newest[0].generation == epoch[0] and newest[0].number > epoch[1]:
                return True
        return False

    def _withdraw(self, release: Release, uploaded: Sequence[str]) -> None:
        tip = self.repository.tip()
        for stream, made in release.streams.items():
            held = public_head(self.repository, tip, stream)
            self._discard(closed_twins(stream, held.head, made.head.version, uploaded) if held else ())

    def _delete_twins(self, stream: str, head: Head) -> None:
        """Delete what earlier attempts left of this version, if it is the first one of an epoch."""
        newest = max(head.epochs, default=0)
        if newest and all(run.end == head.version for run in head.runs if run.epoch == newest):
            runs = [item.key for item in self.store.list(f"targets/{stream}/")]
            self._discard(closed_twins(stream, head, head.version, runs))

    def _discard(self, keys: Iterable[str]) -> None:
        """Delete runs that nobody needs; what may not be deleted from here, ``gc`` does elsewhere.

        The policies of deploy/object-storage leave all deleting to another identity. That must stop nobody.
        """
        for key in keys:
            try:
                self.store.delete(key)
            except ConfigError:
                self.left.append(key)

    def discard_covers(self, covers: Iterable[Wrap]) -> None:
        """Delete covers that made room for recipients, likewise."""
        self.left += discard_covers(self.catalog, self.store, covers)

    def _confirm(
        self, name: str, public: Mapping[str, StreamHead | None], version: Version, now: datetime
    ) -> bool:
        """Read a version back and call it finished; ``False`` if another publisher did so before.

        Runs that were damaged after they had been read back, or are lost, are made again.
        """
        self.tell(f"{name}: reading version {version.version} back")
        heads = {stream: held.head for stream, held in public.items() if held}
        root = self.repository.root_bytes
        try:
            check_published(self.store, root, heads, self._whole)
        except (DataError, AbsentError):
            if self._overtaken(name, version):
                return False  # and by now there may be a newer head
            info = self.catalog.get_list(name)
            parts = (self.store, self.catalog, self._cache, self.custody)
            if not put_back(*parts, info, version, public, self.tell):
                raise
            check_published(self.store, root, heads)
        for stream, head in heads.items():
            self._delete_twins(stream, head)
        self.catalog.finish_version(name, version.version, actor=self.actor, now=now)
        self._cache.prune(name, version.version, version.generation)
        return True

    def _overtaken(self, name: str, version: Version) -> bool:
        """Whether a version that was under way is so no more: another publisher finished or began it anew."""
        held = self.catalog.pending_version(name)
        return held is None or _identity(held) != _identity(version)

    def _looks(self, name: str) -> Iterator[tuple[ListInfo, Version | None, Tip]]:
        """Catalog and store as they were at one moment, again for each attempt."""
        for _ in range(ATTEMPTS):
            info, pending = self.catalog.get_list(name), self.catalog.pending_version(name)
            tip = self.repository.tip()
            if (info, pending) == (self.catalog.get_list(name), self.catalog.pending_version(name)):
                yield info, pending, tip

    def tips(self) -> Iterator[Tip]:
        """The store's head as it is, again for each attempt."""
        for _ in range(ATTEMPTS):
            yield self.repository.tip()

    def committer(self) -> Committer:
        """What moves the head of this workspace's repository."""
        return committer_of(self.workspace, self.repository, self.catalog.turn)

    def _make_public(self, committer: Committer, tip: Tip, now: datetime) -> None:
        """Sign a snapshot anew that the store has lost, of what the roles say that are there.

        Raises:
            StateError: they say less than the catalog knows to be public: with a new signature an old list
                would pass for today's.
            ConflictError, UnavailableError: as of ``Committer.commit``.
        """
        self.tell(f"{tip.lost}: signing it anew")
        for info in self.catalog.lists():
            if set(streams_of(info)) <= set(tip.streams()):
                pending = self.catalog.pending_version(info.name)
                public_version(self.catalog, info, pending, public_heads(self.repository, tip, info))
        self._try(committer, tip, {}, now)

    def _try(
        self,
        committer: Committer,
        tip: Tip,
        roles: Mapping[str, Targets],
        now: datetime,
        release: Release | None = None,
    ) -> None:
        try:
            committer.commit(tip, roles, now, lambda: release is None or not self._is_superseded(release))
        except ConflictError:
            pause()

    def beaten(self) -> ConflictError:
        """The error of whoever has lost every race."""
        return ConflictError(
            TIMESTAMP_KEY,
            f"other publishers were faster {ATTEMPTS} times",
            hint="run it again; what was begun is finished first",
        )


def _identity(version: Version) -> tuple[int, int, datetime]:
    return version.generation, version.version, version.created_at
