"""Who may sign for which role, as the repository says, and where this workspace knows the keys to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root, Targets

from vallum_publisher.keys import reach, shown
from vallum_publisher.release.metadata import role_keys
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.workspace import Workspace

GROUPS = {"offline": ("root", "targets"), "online": ("timestamp", "snapshot")}
"""Roles that ``init`` gives the same keys; together they are named by one word."""

TOP_LEVEL = (*GROUPS["offline"], *GROUPS["online"])


@dataclass(frozen=True, slots=True)
class Holder:
    """One key of one role.

    Attributes:
        role, key, scheme: whose it is, its id, how it signs.
        threshold, keys: how many of how many must sign for the role.
        signer: where its private half is; empty if this workspace does not know.
        reach: ``here``, ``away``, ``token``, ``service`` or ``-``.
        expires: the role's newest metadata; ``None`` if there is none that counts.
    """

    role: str
    key: str
    scheme: str
    threshold: int
    keys: int
    signer: str
    reach: str
    expires: datetime | None


def read_holders(repository: Repository, workspace: Workspace) -> list[Holder]:
    """Every key of every role, root first.

    Raises:
        TrustError, DataError: the repository does not verify.
        UnavailableError: the store does not answer.
    """
    tip, uris = repository.tip(), {entry.key.keyid: entry.uri for entry in workspace.signers()}
    targets = tip.required_targets()
    expires: dict[str, datetime | None] = {
        "root": tip.root.expires,
        "targets": targets.expires,
        "snapshot": tip.snapshot.expires if tip.snapshot else None,
        "timestamp": tip.timestamp.expires if tip.timestamp else None,
    }
    found = []
    for role in (*TOP_LEVEL, *tip.streams()):
        keys, threshold = role_keys(delegator_of(tip, role), role)
        ends = expires[role] if role in expires else repository.list_role(tip, role).expires
        for key in keys:
            uri = uris.get(key.keyid, "")
            where = reach(workspace.folder, uri)
            scheme = getattr(key, "scheme", key.keytype)
            found.append(Holder(role, key.keyid, scheme, threshold, len(keys), shown(uri), where, ends))
    return found


def delegator_of(tip: Tip, role: str) -> Root | Targets:
    """Which role says who signs for a role."""
    return tip.root if role in TOP_LEVEL else tip.required_targets()
