"""Changing keys: which keys a role has, how many of them must sign, and until when.

Keys of top-level roles stand in root, keys of streams in targets; which go and come, :mod:`.succession` says.
A new root is signed by the thresholds of the old root and of its own, kept in the workspace before anybody
sees it (one number is never signed with two contents), published as the next link of the chain, and only
then the rest is signed under it and committed like any publication. A command that was stopped is finished by
the next one: catalog, store and workspace say what was begun. Why keys are changed, and what people do
besides, stands in deploy/runbooks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from vallum.errors import BusyError, ConfigError, DataError
from vallum.format.charter import split_stream
from vallum.invitation import root_fingerprint
from vallum.sync.roles import check_roles
from vallum_publisher.errors import ConflictError
from vallum_publisher.keys import shown
from vallum_publisher.release.agreement import public_heads, public_version
from vallum_publisher.release.commit import pause
from vallum_publisher.release.holders import GROUPS, TOP_LEVEL, delegator_of
from vallum_publisher.release.metadata import Holders, next_root, open_role, redelegate, role_keys
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.renewal import renewed
from vallum_publisher.release.repository import Tip, metadata_key
from vallum_publisher.release.succession import (
    NewKeys,
    check_holders,
    holders_of,
    keys_named,
    plan_holders,
    roles_of,
)
from vallum_publisher.store import ROOT
from vallum_publisher.store.acceptance import create_kept


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of keys did.

    Attributes:
        root_version: of the newest root.
        roles: whose keys were changed, or that were signed anew.
        added, removed: ids of keys.
        finished: only what an earlier command had begun was done.
        fingerprint: of the newest root, if there was no such root before; else empty.
    """

    root_version: int
    roles: tuple[str, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    finished: bool = False
    fingerprint: str = ""


class Rotation:
    """Changes keys for one publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._workspace = publisher.workspace

    def rotate(
        self, names: Sequence[str], new: NewKeys, *, threshold: int | None = None, now: datetime
    ) -> Changed:
        """Replace all keys of roles by new ones.

        Args:
            names: roles of TUF, ``offline``, ``online``, streams, or lists, which means all their streams.
            new: the keys.
            threshold: how many must sign from now on; as before if ``None``.
            now: the time.

        Raises:
            ConfigError: no such role, keys that cannot be meant, or not enough of the old ones at hand.
            DataError: a stream's head is not what the catalog says.
            TrustError: the new keys break a key rule.
            ConflictError, UnavailableError: as of ``publish``; the same command again finishes it.
        """
        return self._change(names, lambda keys: keys, new, threshold, now)

    def replace(
        self,
        names: Sequence[str],
        going: Sequence[str],
        new: NewKeys,
        *,
        threshold: int | None = None,
        now: datetime,
    ) -> Changed:
        """Take keys, named by their ids' first digits or by signer, and give others; see :meth:`rotate`."""
        signers = {shown(entry.uri): entry.key.keyid for entry in self._workspace.signers()}
        ids = [signers.get(name, name.lower()) for name in going]
        return self._change(names, lambda keys: keys_named(keys, ids), new, threshold, now)

    def replace_root(self, new: NewKeys, *, threshold: int, reason: str, now: datetime) -> Changed:
        """Begin another chain of roots, since too few of the old root's keys are left to sign its next link.

        Root and targets get new keys; all else stays, and the number goes on, so that no client's floor is in
        its way. Yet no client can know that this is no theft: each refuses it, keeps its lists, and gets no
        newer ones until its operator has taken the new root (``vallum init --replace-root``).

        Args:
            new: the offline keys.
            threshold: how many of them must sign.
            reason: for the audit log.
            now: the time.

        Raises:
            ConfigError, TrustError, ConflictError, UnavailableError: as of :meth:`rotate`.
        """
        publisher, workspace = self._publisher, self._workspace
        with workspace.lock():
            if (begun := workspace.begun_root()) and (done := self._finish(begun, now)):
                return done
            tip = publisher.repository.tip()
            offline = GROUPS["offline"]
            holders, added = plan_holders(workspace, tip, offline, lambda keys: keys, new, threshold)
            gone = sorted({key.keyid for role in offline for key in role_keys(tip.root, role)[0]})
            root = next_root(tip.root, holders, now + workspace.settings.lifetimes.of("root"))
            check_roles(root, tip.required_targets())
            # All that it needs, before anything is in the store: from there on the old chain is cut.
            for role in (*offline, *GROUPS["online"]):
                workspace.keyring.require(role, *role_keys(root, role))
            data = workspace.keyring.sign(Metadata(root), "root", *role_keys(root, "root"))
            open_role(root, "root", data, Root)
            workspace.begin_root(data)
            # Before it is in the store: nothing there would lead from the old one to it.
            publisher.trust(data)
            self._upload_root(root.version, data)
            self._commit([], {}, now)
            self.forget()
            self._record(offline, added, gone, root.version, now, reason=reason)
            fingerprint = root_fingerprint(data)
            return Changed(root.version, offline, tuple(added), tuple(gone), fingerprint=fingerprint)

    def renew(self, names: Sequence[str], *, now: datetime) -> Changed:
        """Sign root, targets or both again before they expire; raises as :meth:`rotate`."""
        if wrong := sorted(set(roles_of(names, self._publisher.repository.tip())) - set(GROUPS["offline"])):
            raise ConfigError(f"{wrong[0]} is renewed by `refresh`", hint="root, targets or offline")
        return self._change(names, lambda _keys: (), NewKeys(number=0), None, now)

    def new_holders(self, streams: Sequence[str], new: NewKeys) -> Holders:
        """Keys for streams whose old ones are no longer trusted, for a new generation to hand over to."""
        with self._workspace.lock():
            tip = self._publisher.repository.tip()
            return plan_holders(self._workspace, tip, streams, lambda keys: keys, new, None)[0]

    def forget(self) -> tuple[str, ...]:
        """Name no signer any more for keys that no role has; return their ids."""
        tip = self._publisher.repository.tip()
        used = {
            key.keyid
            for role in (*TOP_LEVEL, *tip.streams())
            for key in role_keys(delegator_of(tip, role), role)[0]
        }
        gone = tuple(entry.key.keyid for entry in self._workspace.signers() if entry.key.keyid not in used)
        self._workspace.forget_signers(gone)
        return gone

    def _change(
        self,
        names: Sequence[str],
        going: Callable[[Sequence[Key]], Collection[Key]],
        new: NewKeys,
        threshold: int | None,
        now: datetime,
    ) -> Changed:
        publisher = self._publisher
        with self._workspace.lock():
            if begun := self._workspace.begun_root():
                done = self._finish(begun, now)
                if done is not None:
                    return done
            tip = publisher.repository.tip()
            roles = roles_of(names, tip)
            self._check_heads(tip, roles)
            # Before keys are made for nothing: those that must sign for any of it can be reached.
            if "root" in roles or (new.changes(threshold) and set(roles) & set(TOP_LEVEL)):
                self._workspace.keyring.require("root", *role_keys(tip.root, "root"))
            if set(roles) - set(TOP_LEVEL):
                self._workspace.keyring.require("targets", *role_keys(tip.root, "targets"))
            holders, added = plan_holders(self._workspace, tip, roles, going, new, threshold)
            before = {role: role_keys(delegator_of(tip, role), role)[0] for role in roles}
            check_holders(self._workspace, tip, roles, holders)
            if "root" in roles or holders_of(holders, TOP_LEVEL):
                self._publish_root(tip, holders_of(holders, TOP_LEVEL), now)
            self._commit(roles, holders, now)
            removed = self.forget()
            kept = {key.keyid for keys, _ in holders.values() for key in keys}
            gone = {key.keyid for keys in before.values() for key in keys} - kept if holders else set()
            version = publisher.repository.tip().root.version
            self._record(roles, added, sorted(gone | set(removed)), version, now)
            fingerprint = (
                root_fingerprint(publisher.repository.root_bytes) if version > tip.root.version else ""
            )
            return Changed(version, tuple(roles), tuple(added), tuple(sorted(gone)), fingerprint=fingerprint)

    def _check_heads(self, tip: Tip, roles: Iterable[str]) -> None:
        """Only what the catalog says is signed with new keys, not what a thief of the old ones has said."""
        catalog, repository = self._publisher.catalog, self._publisher.repository
        for name in sorted({split_stream(role)[0] for role in roles if role not in TOP_LEVEL}):
            info = catalog.get_list(name)
            try:
                public_version(
                    catalog, info, catalog.pending_version(name), public_heads(repository, tip, info)
                )
            except DataError as error:
                error.hint = (
                    f"if a key was stolen: vallum-publisher list new-generation {name} --new-keys --reason …"
                )
                raise

    def _publish_root(self, tip: Tip, holders: Holders, now: datetime) -> None:
        root = next_root(tip.root, holders, now + self._workspace.settings.lifetimes.of("root"))
        former = role_keys(tip.root, "root")
        data = self._workspace.keyring.sign(Metadata(root), "root", *role_keys(root, "root"), former=former)
        for delegator in (tip.root, root):
            open_role(delegator, "root", data, Root)
        self._workspace.begin_root(data)
        self._upload_root(root.version, data)

    def _upload_root(self, version: int, data: bytes) -> None:
        try:
            create_kept(self._publisher.store, metadata_key("root", version), data, ROOT)
        except ConflictError:
            self._workspace.end_root()
            raise BusyError(
                f"another publisher has just published root {version}",
                hint="run it again, on top of that one",
            ) from None

    def _finish(self, begun: bytes, now: datetime) -> Changed | None:
        """Finish what an earlier command began; ``None`` if there was nothing left to do."""
        version = Metadata[Root].from_bytes(begun).signed.version
        if not self._publisher.repository.follows(begun):
            self._publisher.trust(begun)
        if self._publisher.repository.tip().root.version > version:
            self._workspace.end_root()
            return None
        self._upload_root(version, begun)
        self._commit([], {}, now)
        removed = self.forget()
        self._record([], [], list(removed), version, now)
        return Changed(version, (), (), removed, finished=True, fingerprint=root_fingerprint(begun))

    def _commit(self, roles: Sequence[str], holders: Holders, now: datetime) -> None:
        """Sign the rest under the newest root and commit it, like any publication."""
        publisher = self._publisher
        committer = publisher.committer()
        streams = [role for role in roles if role not in TOP_LEVEL]
        for tip in publisher.tips():
            content: dict[str, Targets] = {}
            if streams or "targets" in roles or tip.rekeyed:
                content["targets"] = redelegate(tip.required_targets(), holders_of(holders, tip.streams()))
            self._check_heads(tip, streams)
            for name in sorted({split_stream(stream)[0] for stream in streams}):
                heads = public_heads(publisher.repository, tip, publisher.catalog.get_list(name))
                content |= renewed({stream: heads[stream] for stream in streams if stream in heads}, now)
            try:
                committer.commit(tip, content, now)
            except ConflictError:
                pause()  # somebody published; on top of that, then
                continue
            repository = publisher.repository
            if repository.root_bytes != self._workspace.root_bytes():
                self._workspace.save_root(repository.root_bytes, repository.former_bytes)
            self._workspace.end_root()
            return
        raise publisher.beaten()

    def _record(
        self,
        roles: Sequence[str],
        added: Sequence[str],
        removed: Sequence[str],
        root: int,
        now: datetime,
        **more: str,
    ) -> None:
        details = {"roles": list(roles), "added": list(added), "removed": list(removed), "root": root, **more}
        self._publisher.catalog.record(
            actor=self._publisher.actor, action="keys", list_name="", now=now, details=details
        )
