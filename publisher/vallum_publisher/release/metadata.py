"""What the repository's TUF metadata says: roles, keys, delegations, list roles (DESIGN §4).

Values of ``tuf.api.metadata`` in and out; what a list says stands in ``custom.vallum`` of empty targets.
Signing is :mod:`vallum_publisher.keys`'s business, the order of uploads :mod:`.commit`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    SPECIFICATION_VERSION,
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from vallum.errors import ConfigError, DataError, TrustError
from vallum.format.charter import Charter, format_charter, parse_charter
from vallum.format.head import Head, RunRef, format_head, parse_head

_SPEC = ".".join(SPECIFICATION_VERSION)
_EMPTY = sha256(b"").hexdigest()
_RUN_KEY = re.compile(r"targets/([^/]+)/[0-9a-f]{64}\.([0-9]+)-([0-9]+)-([0-9]+)-([0-9]+)\.run")

Holders = Mapping[str, tuple[Sequence[Key], int]]
"""The keys of roles, and how many of them must sign."""


def make_root(offline: Sequence[Key], threshold: int, online: Key, expires: datetime) -> Root:
    """The first root: root and targets by the offline keys, snapshot and timestamp by the online one.

    Raises:
        ConfigError: more keys must sign than there are.
    """
    check_threshold("root", len(offline), threshold)
    ids = [key.keyid for key in offline]
    roles = {
        "root": Role(ids, threshold),
        "targets": Role(ids, threshold),
        "snapshot": Role([online.keyid], 1),
        "timestamp": Role([online.keyid], 1),
    }
    keys = {key.keyid: key for key in (*offline, online)}
    return Root(1, _SPEC, expires, keys, roles, consistent_snapshot=True)


def make_targets(expires: datetime) -> Targets:
    """A targets role that delegates nothing yet, or a list role without targets."""
    return Targets(1, _SPEC, expires, {})


def make_snapshot(version: int, expires: datetime, meta: Mapping[str, MetaFile]) -> Snapshot:
    """A snapshot of ``meta`` (by file name)."""
    return Snapshot(version, _SPEC, expires, dict(meta))


def make_timestamp(version: int, expires: datetime, snapshot: MetaFile) -> Timestamp:
    """A timestamp that points to ``snapshot``."""
    return Timestamp(version, _SPEC, expires, snapshot)


def meta_file(version: int, data: bytes) -> MetaFile:
    """How a metadata file is named to its readers: with length *and* hash, both optional in TUF."""
    return MetaFile(version, len(data), {"sha256": sha256(data).hexdigest()})


def add_list(
    targets: Targets, name: str, charter: Charter, keys: Mapping[str, Sequence[Key]], threshold: int
) -> Targets:
    """A targets role that also delegates a list: its charter, and one terminating role per stream.

    Args:
        targets: the role as it stands; left alone.
        name: the list.
        charter: what the offline keys say about it.
        keys: the keys of each stream.
        threshold: how many of them must sign.
    """
    new = recharter(targets, name, charter)
    if new.delegations is None:
        new.delegations = Delegations({}, {})
    roles = new.delegations.roles
    if roles is None:
        raise TrustError("the targets role delegates by hash bins", hint="this repository is not Vallum's")
    for stream, its_keys in keys.items():
        check_threshold(stream, len(its_keys), threshold)
        roles[stream] = DelegatedRole(stream, [], threshold, True, [f"{stream}/*"])
        for key in its_keys:
            new.add_key(key, stream)
    return new


def recharter(targets: Targets, name: str, charter: Charter) -> Targets:
    """A targets role with another charter of a list that it delegates."""
    new = deepcopy(targets)
    new.targets[f"charters/{name}"] = _note(f"charters/{name}", format_charter(charter))
    return new


def list_role(stream: str, head: Head, runs: Mapping[RunRef, TargetFile], expires: datetime) -> Targets:
    """A list role: the head, and the runs that it lists."""
    role = make_targets(expires)
    for run in head.runs:
        role.targets[run.target(stream, head.generation)] = runs[run]
    role.targets[f"{stream}/head"] = _note(f"{stream}/head", format_head(head))
    return role


def run_file(stream: str, generation: int, run: RunRef, data: bytes) -> TargetFile:
    """How a run is named to its readers."""
    return TargetFile(len(data), {"sha256": sha256(data).hexdigest()}, run.target(stream, generation))


def run_key(file: TargetFile) -> str:
    """The key of a run in the store: its name is unguessable before it exists, for its hash leads it."""
    folder, _, name = file.path.rpartition("/")
    return f"targets/{folder}/{file.hashes['sha256']}.{name}"


@dataclass(frozen=True, slots=True)
class RunKey:
    """What a run's key in the store says."""

    stream: str
    generation: int
    ref: RunRef


def parse_run_key(key: str) -> RunKey | None:
    """Read what :func:`run_key` wrote; ``None`` for anything else."""
    match = _RUN_KEY.fullmatch(key)
    if match is None:
        return None
    generation, epoch, start, end = map(int, match.groups()[1:])
    return RunKey(match[1], generation, RunRef(start, end, epoch))


def head_of(stream: str, role: Targets) -> tuple[Head, dict[RunRef, TargetFile]] | None:
    """Read a list role: its head and the listed runs' files; ``None`` before the first publication.

    Raises:
        FormatError: the head is malformed.
        DataError: it lists a run that is no target.
    """
    target = role.targets.get(f"{stream}/head")
    if target is None:
        return None
    head = parse_head(_custom(target))
    runs: dict[RunRef, TargetFile] = {}
    for run in head.runs:
        file = role.targets.get(run.target(stream, head.generation))
        if file is None:
            raise DataError(f"{stream}: the head lists a run that is no target")
        runs[run] = file
    return head, runs


def charter_of(name: str, targets: Targets) -> Charter | None:
    """Read a list's charter; ``None`` if it is not delegated."""
    target = targets.targets.get(f"charters/{name}")
    return None if target is None else parse_charter(_custom(target))


def delegated_streams(targets: Targets) -> list[str]:
    """The streams that the targets role delegates, sorted."""
    delegations = targets.delegations
    return sorted(delegations.roles or {}) if delegations else []


def next_root(root: Root, holders: Holders, expires: datetime) -> Root:
    """The root after ``root``, in which some roles have other keys; with none it is only renewed.

    Raises:
        ConfigError: more keys must sign than there are.
    """
    new = deepcopy(root)
    new.version, new.expires = root.version + 1, expires
    _hand_over(new, holders)
    return new


def redelegate(targets: Targets, holders: Holders) -> Targets:
    """A targets role in which some streams have other keys; errors as of :func:`next_root`."""
    new = deepcopy(targets)
    _hand_over(new, holders)
    return new


def check_threshold(role: str, keys: int, threshold: int) -> None:
    """Require that ``threshold`` of so many keys can sign.

    Raises:
        ConfigError: they cannot.
    """
    if not 1 <= threshold <= keys:
        raise ConfigError(
            f"{role}: {threshold} of {keys} keys cannot sign",
            hint="the threshold is at least 1 and at most the number of keys",
        )


def _hand_over(delegator: Root | Targets, holders: Holders) -> None:
    for role, (keys, threshold) in holders.items():
        check_threshold(role, len(keys), threshold)
        delegated = delegator.get_delegated_role(role)
        for keyid in list(delegated.keyids):
            delegator.revoke_key(keyid, role)
        for key in keys:
            delegator.add_key(key, role)
        delegated.threshold = threshold


def role_keys(delegator: Root | Targets, role: str) -> tuple[list[Key], int]:
    """The keys and the threshold of a role."""
    delegated = delegator.get_delegated_role(role)
    return [delegator.get_key(keyid) for keyid in delegated.keyids], delegated.threshold


def open_role(delegator: Root | Targets, role: str, data: bytes, kind: type[Any]) -> Any:
    """Verify a role's file by its delegator and return what was signed. Its expiry is not looked at.

    Raises:
        TrustError: malformed, too few signatures, or of another kind.
    """
    try:
        metadata = Metadata.from_bytes(data)
        if not isinstance(metadata.signed, kind):
            raise TrustError(f"{role}: the file is of another type")
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise TrustError(
            f"{role}: {error}",
            hint="damaged, or written by somebody else: restore this file from a backup of the store",
        ) from error
    return metadata.signed


def _note(path: str, said: Mapping[str, Any]) -> TargetFile:
    # Nobody downloads it; what it says is verified with the role itself.
    return TargetFile(0, {"sha256": _EMPTY}, path, {"custom": {"vallum": said}})


def _custom(target: TargetFile) -> object:
    return target.custom.get("vallum") if isinstance(target.custom, dict) else None
