"""A publisher at work: lists, versions, renewals. Each method is whole or not at all, and may be run again.

How a publication goes, whatever happened before, is :mod:`.course`'s; here stands what is published and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from securesystemslib.signer import Key

from vallum.errors import ConfigError, StateError, VallumError
from vallum.format.charter import Charter
from vallum_publisher.catalog import ListInfo, ListSpec, Version, Wrap
from vallum_publisher.keys import make_key
from vallum_publisher.recipients.wraps import upload_wraps
from vallum_publisher.release.agreement import public_heads, public_version, unannounced
from vallum_publisher.release.generation import (
    check_first,
    check_generation,
    heads_before,
    raise_generation,
    required_charter,
)
from vallum_publisher.release.invitation import invite
from vallum_publisher.release.judgement import check_in_force
from vallum_publisher.release.metadata import (
    Holders,
    add_list,
    charter_of,
    make_targets,
    recharter,
    redelegate,
    role_keys,
)
from vallum_publisher.release.readback import check_published
from vallum_publisher.release.repository import Tip
from vallum_publisher.release.upkeep import Upkeep
from vallum_publisher.release.version import Release, StreamHead, charter_for, streams_of
from vallum_publisher.workspace import SignerEntry


@dataclass(frozen=True, slots=True)
class Published:
    """What one ``publish`` did.

    Attributes:
        list, generation, version, state: what is public now; ``state`` is that of the list's first stream.
        versions: what became public by this call, oldest first; empty if nothing had changed.
        rows: rows listed now, by table.
        changes: rows changed by ``versions``.
        uploaded: bytes of runs; metadata not counted.
        taken_off: rows that a version of ``versions``, begun by an earlier call, listed although they had
            been taken off since; the next one did so.
    """

    list: str
    generation: int
    version: int
    state: str
    versions: tuple[int, ...]
    rows: Mapping[str, int]
    changes: int
    uploaded: int
    taken_off: int = 0


class Publisher(Upkeep):
    """Publishes the lists of one workspace. One command at a time holds the workspace's lock."""

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
            committer = self.committer()
            info: ListInfo | None = None
            for tip in self.tips():
                targets = tip.required_targets()
                if charter_of(spec.name, targets) is not None:
                    if info is None:
                        raise ConfigError(
                            f"there is a list {spec.name!r} already",
                            hint="vallum-publisher list show shows all; choose another name",
                        )
                    return info
                if info is None:
                    # Before anything is made: a list without its charter would stand in the way.
                    self.workspace.keyring.require("targets", *role_keys(tip.root, "targets"))
                    info = self._catalog_list(spec, passphrase, now)
                    charter = charter_for(info, self.custody.pepper(info))
                    signers = {stream: self._keys(stream, keys, passphrase) for stream in streams_of(info)}
                self.tell(f"{info.name}: signing and publishing its charter")
                roles = {"targets": add_list(targets, info.name, charter, signers, threshold)}
                # Delegated but absent from the snapshot would stop every client: both in one snapshot.
                roles |= {stream: make_targets(now) for stream in signers}
                self._try(committer, tip, roles, now)
            raise self.beaten()

    def publish(self, name: str, *, now: datetime, begin: bool = True) -> Published:
        """Publish what waits in the catalog as a new version; finish first what an earlier call began.

        What that call had not come to compute is begun anew if the list is to be another by now. Notes of an
        error (PEP 678) say which versions became public nevertheless.

        Args:
            name: the list.
            now: the time.
            begin: whether waiting changes go out; without it only what was begun, and new epochs.

        Raises:
            ConfigError: no such list; the keys cannot be reached.
            GuardError: the version is absurd; it is not signed, its changes wait in the catalog.
            StateError: catalog and store disagree (a restored backup, somebody else's writes).
            ConflictError: other publishers were faster each time.
            UnavailableError: store or catalog do not answer; run it again.
        """
        with self.workspace.lock():
            out: list[str] = []
            try:
                return self._publish(name, now, begin, out)
            except VallumError as error:
                for note in out:
                    error.add_note(note)
                raise

    def _publish(self, name: str, now: datetime, begin: bool, out: list[str]) -> Published:
        committer = self.committer()
        made: dict[tuple[int, ...], Release] = {}
        versions: list[int] = []
        stored: dict[str, int] = {}
        gone: list[Wrap] = []
        changes = taken_off = 0
        never = self.workspace.never_block()  # read first: a broken file must not go unnoticed
        self.catalog.expire(name, actor=self.actor, now=now)
        if begin:
            self.catalog.abandon_left(name, actor=self.actor, now=now)
        rekeyed = ours = False
        for info, pending, tip in self._looks(name):
            check_generation(info, tip.required_targets())
            if tip.lost:
                self._make_public(committer, tip, now)
                continue
            gone += self.custody.prepare(info, streams_of(info), actor=self.actor, now=now)
            public = public_heads(self.repository, tip, info)
            at = public_version(self.catalog, info, pending, public)
            if pending is not None and at == pending.version:
                # It is public: by us just now, by us before we were stopped, or by another publisher.
                late = 0 if ours else self.catalog.count_taken_off(name)
                if self._confirm(name, public, pending, now):
                    versions.append(pending.version)
                    changes += pending.changes
                    taken_off += late
                    since = f", and lists what was taken off since ({late:,})" if late else ""
                    out.append(f"{name}: version {at} became public before that{since}")
                continue
            if pending is None and begin:
                pending = self._begin(info, now)
                ours = True
                if pending is None and self.catalog.get_list(name) != info:
                    continue  # what we would have published, another publisher did just now
            version = pending or unannounced(self.catalog, info, public)
            if version is None:
                check_in_force(self.catalog, info, self.custody, never)
                # Of somebody whose admission was cut short, also if nothing else is new.
                upload_wraps(self.catalog, self.store, self.tell)
                self.discard_covers(gone)
                if rekeyed:
                    heads = {stream: held.head for stream, held in public.items() if held}
                    check_published(self.store, self.repository.root_bytes, heads)
                done = self._summary(info, public, versions, changes, sum(stored.values()))
                return replace(done, taken_off=taken_off)
            if pending is not None and pending.version != at + 1:
                continue  # somebody published between our look and now
            rekeyed = pending is None
            epochs = (self.catalog.epochs(stream)[-1:] for stream in public)
            which = (
                version.version,
                *(tip.number(stream) for stream in public),
                *(one.number for newest in epochs for one in newest),
            )
            if which not in made:
                sealed = self._seal(info, version, public, now)
                if sealed is None:
                    continue
                made[which] = sealed
            roles = self._upload(tip, tip.required_targets(), made[which], name, stored, now)
            if roles is not None:
                # Whether we moved the head or were beaten, the next look tells.
                self._try(committer, tip, roles, now, made[which])
        raise self.beaten()

    def rows(self, name: str) -> Mapping[str, int]:
        """Rows that the newest version lists, by table; none before there is one. Raises ``ConfigError``."""
        return self._rows(self.catalog.get_list(name))

    def has_new_keys(self, info: ListInfo) -> bool:
        """Whether an epoch was opened that is not public yet: whoever it leaves out reads on."""
        public = public_heads(self.repository, self.repository.tip(), info)
        return unannounced(self.catalog, info, public) is not None

    def new_generation(
        self,
        name: str,
        *,
        reason: str,
        now: datetime,
        holders: Holders | None = None,
        new_pepper: bool = False,
        again: bool = False,
    ) -> Published:
        """Publish the catalog as version 1 of the list's next generation; the guard's limits start anew.

        Needs the offline keys. Run it again after a failure: it finishes what was begun. Once it is public,
        another one within a day must be asked for.

        Args:
            name: the list.
            reason: for the audit log.
            now: the time.
            holders: new keys of its streams, where the old ones may be a thief's as well.
            new_pepper: draw another pepper and key all rows by it; all ids change.
            again: although one began less than a day ago.

        Raises:
            ConfigError: as of :meth:`publish`, or one began less than a day ago.
            ConflictError, UnavailableError: as of :meth:`publish`.
            GuardError: it breaks an absolute, which no generation lifts.
            StateError: the store has another list of this name, or a pepper that this catalog does not know.
            TrustError: the new keys break a key rule.
        """
        with self.workspace.lock():
            committer, opened = self.committer(), False
            stored: dict[str, int] = {}
            self.catalog.expire(name, actor=self.actor, now=now)
            for info, pending, tip in self._looks(name):
                targets = tip.required_targets()
                charter = required_charter(info, targets)
                public, epoch = heads_before(self.repository, tip, info, charter)
                begun = info.generation > charter.generation
                if not begun and info.generation == charter.generation and not info.version and pending:
                    # It is public: by us just now, or by an earlier command that was stopped.
                    done = self._confirm(name, public, pending, now)
                    if done and (opened or not (new_pepper or holders)):
                        info = self.catalog.get_list(name)
                        return self._summary(info, public, [1], pending.changes, sum(stored.values()))
                    again = True  # what the stopped command asked for is not known
                    continue
                # What an earlier command began, without a new pepper, would not be what was asked for.
                old = new_pepper and not opened and self.custody.is_pepper_of(info, charter)
                if not begun or old:
                    if opened:
                        continue
                    self._check_opening(info, tip, charter, again, now)
                    if not new_pepper and not self.custody.is_pepper_of(info, charter):
                        raise StateError(
                            f"{name}: its pepper in the store is not this catalog's",
                            hint="it was changed since this backup was made, perhaps because it had leaked: "
                            "add --new-pepper",
                        )
                    self._raise_generation(info, pending, charter.generation, reason, now, new_pepper)
                    opened = True
                    continue
                opened = True
                self.custody.prepare(info, streams_of(info), actor=self.actor, now=now)
                pending = pending or self._begin(info, now, epoch)
                release = self._seal(info, pending, public, now) if pending else None
                if release is None:
                    continue
                charter = charter_for(info, self.custody.pepper(info))
                targets = recharter(redelegate(targets, holders or {}), name, charter)
                roles = self._upload(tip, targets, release, name, stored, now)
                if roles is not None:
                    self._try(committer, tip, {"targets": targets, **roles}, now, release)
            raise self.beaten()

    def check_new_generation(self, name: str, *, again: bool = False, now: datetime) -> None:
        """Refuse what :meth:`new_generation` would, before keys are made for it. Raises as it does."""
        info, tip = self.catalog.get_list(name), self.repository.tip()
        self._check_opening(info, tip, required_charter(info, tip.required_targets()), again, now)

    def _check_opening(self, info: ListInfo, tip: Tip, charter: Charter, again: bool, now: datetime) -> None:
        # A generation that is open here and not in the store would keep the list from everything.
        self.workspace.keyring.require("targets", *role_keys(tip.root, "targets"))
        if not again and info.generation <= charter.generation:  # else it is only to be finished
            check_first(self.catalog, info, now)

    def _raise_generation(
        self,
        info: ListInfo,
        pending: Version | None,
        above: int,
        reason: str,
        now: datetime,
        new_pepper: bool,
    ) -> None:
        pepper: bytes | None = None
        secrets: Mapping[str, bytes] = {}
        if new_pepper:
            self.tell(f"{info.name}: keying all rows anew")
            pepper, secrets = self.custody.new_pepper(info, streams_of(info))
        raise_generation(
            self.catalog, info, pending, above,
            reason=reason, actor=self.actor, now=now, pepper=pepper, secrets=secrets,
        )  # fmt: skip

    def invite(self, streams: Sequence[str] = ()) -> bytes:
        """Write the invitation to ``streams`` (or lists, meaning all their editions; empty: to everything).

        Raises:
            ConfigError: there is no such stream, or the settings do not say where clients fetch from.
        """
        return invite(self.workspace.settings, self.repository, streams)

    def _summary(
        self,
        info: ListInfo,
        public: Mapping[str, StreamHead | None],
        versions: Sequence[int],
        changes: int,
        uploaded: int,
    ) -> Published:
        return Published(
            list=info.name,
            generation=info.generation,
            version=info.version,
            state=next((held.head.state for held in public.values() if held), ""),
            versions=tuple(versions),
            rows=self._rows(info),
            changes=changes,
            uploaded=uploaded,
        )

    def _rows(self, info: ListInfo) -> dict[str, int]:
        newest = self.catalog.versions(info.name, info.version - 1)[-1:]
        return dict(newest[0].details["rows"]) if newest else {}

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
