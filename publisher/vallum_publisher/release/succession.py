"""Who shall hold the keys of roles next: which keys go, which come and where from, and whether all may be so.

Nothing is signed or published here; that, in the right order, is :mod:`.rotation`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from securesystemslib.signer import Key

from vallum.errors import ConfigError
from vallum.format.charter import split_stream
from vallum.sync.roles import check_roles
from vallum_publisher.keys import FILE_SCHEME, make_key
from vallum_publisher.release.holders import GROUPS, TOP_LEVEL, delegator_of
from vallum_publisher.release.metadata import Holders, next_root, redelegate, role_keys
from vallum_publisher.release.repository import Tip
from vallum_publisher.workspace import SignerEntry, Workspace


@dataclass(frozen=True, slots=True)
class NewKeys:
    """Where the keys come from that roles shall have.

    Attributes:
        uris: signer URIs of keys that are there; empty to make files, or for none.
        number: how many files to make; ``None`` for as many keys as go.
        passphrase: encrypts the files.
    """

    uris: tuple[str, ...] = ()
    number: int | None = None
    passphrase: str | None = field(default=None, repr=False)

    def changes(self, threshold: int | None) -> bool:
        """Whether there is anything to change, with this new threshold."""
        return bool(self.uris) or self.number != 0 or threshold is not None


def plan_holders(
    workspace: Workspace,
    tip: Tip,
    roles: Sequence[str],
    going: Callable[[Sequence[Key]], Collection[Key]],
    new: NewKeys,
    threshold: int | None,
) -> tuple[dict[str, tuple[list[Key], int]], list[str]]:
    """The roles' keys as they shall be, and the ids of new ones, which the workspace then knows.

    Args:
        workspace: where new key files are made, and new signers named.
        tip, roles: what there is, and whose keys are changed.
        going: of the keys that several roles share, those that go.
        new, threshold: the keys that come, and how many must sign; as before if ``None``.

    Raises:
        ConfigError: keys that cannot be meant, or a file that is none.
    """
    families: dict[str, list[str]] = {}
    for role in roles:
        families.setdefault(_family(role), []).append(role)
    if new.uris and len(families) > 1:
        raise ConfigError(
            f"the new keys would be shared by {' and '.join(families)}", hint="change one after the other"
        )
    holders: dict[str, tuple[list[Key], int]] = {}
    made: list[str] = []
    for family, members in families.items():
        held = {role: role_keys(delegator_of(tip, role), role) for role in members}
        everyone = {key.keyid: key for keys, _ in held.values() for key in keys}
        leaving = {key.keyid for key in going(list(everyone.values()))}
        number = max(len(leaving), 1) if new.number is None else new.number
        staying = {
            role: [key for key in keys if key.keyid not in leaving] for role, (keys, _) in held.items()
        }
        if not leaving and not new.uris and not number and threshold is None:
            continue
        entries = _new_entries(workspace, family, new, 0 if new.uris else number)
        for role in members:
            wanted = held[role][1] if threshold is None else threshold
            holders[role] = ([*staying[role], *(entry.key for entry in entries)], wanted)
        known = {entry.key.keyid for entry in workspace.signers()}
        workspace.add_signers([entry for entry in entries if entry.key.keyid not in known])
        made += [entry.key.keyid for entry in entries]
    return holders, made


def _new_entries(workspace: Workspace, family: str, new: NewKeys, number: int) -> list[SignerEntry]:
    role = "root" if family == "offline" else family
    entries = [SignerEntry(role, *workspace.keyring.use(uri)) for uri in new.uris]
    taken = {entry.uri for entry in workspace.signers()}
    at = 1
    while number:
        path = f"keys/{role}-{at}.pem"
        uri = f"{FILE_SCHEME}:{path}"
        # Never a file that is there: it may be the one that was stolen.
        if uri not in taken and not (workspace.folder / path).exists():
            key = make_key(workspace.folder / path, new.passphrase)
            entries.append(SignerEntry(role, uri, key))
            number -= 1
        at += 1
    return entries


def check_holders(workspace: Workspace, tip: Tip, roles: Sequence[str], holders: Holders) -> None:
    """Before anything is published: the key rules hold, and the new keys can sign.

    Raises:
        TrustError: a key rule is broken.
        ConfigError, StorageError: too few of the keys can be reached.
    """
    root = next_root(tip.root, holders_of(holders, TOP_LEVEL), tip.root.expires)
    targets = redelegate(tip.required_targets(), holders_of(holders, tip.streams()))
    check_roles(root, targets)
    keyring = workspace.keyring
    if "root" in roles or holders_of(holders, TOP_LEVEL):
        keyring.require("root", *role_keys(root, "root"))
    if tip.rekeyed or set(roles) - {"root", *GROUPS["online"]}:
        keyring.require("targets", *role_keys(root, "targets"))
    for role in {*GROUPS["online"], *roles} - set(GROUPS["offline"]):
        keyring.require(role, *role_keys(root if role in TOP_LEVEL else targets, role))


def roles_of(names: Sequence[str], tip: Tip) -> list[str]:
    """What names mean, each role once.

    Raises:
        ConfigError: no such role.
    """
    roles: dict[str, None] = {}
    for name in names:
        streams = [stream for stream in tip.streams() if name in (stream, split_stream(stream)[0])]
        found = GROUPS.get(name) or ((name,) if name in TOP_LEVEL else streams)
        if not found:
            known = (*GROUPS, *TOP_LEVEL, *tip.streams())
            raise ConfigError(f"there is no role {name!r}", hint=f"roles: {', '.join(known)}")
        roles |= dict.fromkeys(found)
    return list(roles)


def _family(role: str) -> str:
    """Roles of one family are given the same new keys; each stream is one of its own."""
    return next((name for name, members in GROUPS.items() if role in members), role)


def holders_of(holders: Holders, roles: Collection[str]) -> dict[str, tuple[Sequence[Key], int]]:
    """Those of some roles only."""
    return {role: held for role, held in holders.items() if role in roles}


def keys_named(keys: Sequence[Key], wanted: Sequence[str]) -> list[Key]:
    """The keys whose ids begin so.

    Raises:
        ConfigError: one names none, or several.
    """
    found: list[Key] = []
    for prefix in wanted:
        meant = [key for key in keys if key.keyid.startswith(prefix)]
        if len(meant) != 1:
            ids = ", ".join(key.keyid[:16] for key in keys)
            raise ConfigError(f"{prefix!r} names no key, or more than one", hint=f"keys: {ids}")
        found += meant
    return found
