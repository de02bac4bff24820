"""What python-tuf verified but has no public call for: keys, delegations, expiries (client.md §3.4 to §3.7).

Read from the metadata files of exactly the roles that the present run loaded, after it loaded them. The
checks here are the ones that TUF leaves out; signatures, versions and expiry are its own. A publisher asks
the same :func:`check_roles` before it signs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp

from vallum.durable import os_errors
from vallum.errors import StorageError, TrustError
from vallum.format.charter import is_list_name, is_stream
from vallum.regular import read_regular

CHARTERS = "charters/"
ONLINE = (Timestamp.type, Snapshot.type)


@dataclass(frozen=True, slots=True)
class TopLevel:
    """What the four top-level roles of one run say.

    Attributes:
        root_version: where the root chain ended.
        expires: the earliest expiry among the four.
        timestamp_sha256: of the verified ``timestamp.json``, as hex.
        lists: lists that have a charter, sorted.
        streams: streams that are delegated, sorted.
    """

    root_version: int
    expires: datetime
    timestamp_sha256: str
    lists: tuple[str, ...]
    streams: tuple[str, ...]


def read_top_level(folder: Path) -> TopLevel:
    """Read and check the top-level roles that ``refresh`` has just loaded from ``folder``.

    Raises:
        TrustError: one key stands for two, an online key signs for an offline role, or a delegation is not
            that of a stream.
        StorageError: a file cannot be read.
    """
    timestamp = _read(folder, Timestamp.type)
    offline = _offline(_read(folder, Root.type), _read(folder, Targets.type))
    snapshot = _expiry(_read(folder, Snapshot.type))
    return replace(
        offline,
        expires=min(offline.expires, snapshot, _expiry(timestamp)),
        timestamp_sha256=sha256(timestamp).hexdigest(),
    )


@lru_cache(maxsize=16)
def _offline(root_bytes: bytes, targets_bytes: bytes) -> TopLevel:
    """What root and targets say; they rarely change, and checking their keys costs more than reading them."""
    root, targets = cast(Root, _signed(root_bytes)), cast(Targets, _signed(targets_bytes))
    lists, streams = check_roles(root, targets)
    return TopLevel(root.version, min(root.expires, targets.expires), "", lists, streams)


def check_roles(root: Root, targets: Targets) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Check keys, delegations and names of targets (client.md §3.4 to §3.7).

    Returns:
        The lists that have a charter, and the streams that are delegated, each sorted.

    Raises:
        TrustError: as of :func:`read_top_level`.
    """
    online: set[bytes] = set()
    for name, role in sorted(root.roles.items()):
        keys = _distinct(name, role.keyids, root.keys)
        if name in ONLINE:
            online |= keys
    for name, role in sorted(root.roles.items()):
        if name not in ONLINE:
            _require_offline(name, _distinct(name, role.keyids, root.keys), online)
    return _charters(targets), _delegations(targets, online)


def read_list_role(folder: Path, stream: str) -> tuple[bytes, datetime]:
    """Return the signed bytes and the expiry of a stream's role that the present run has loaded.

    Raises:
        TrustError: the role hands its list on to keys that the offline keys never named.
        StorageError: the file cannot be read.
    """
    data = _read(folder, stream)
    if "delegations" in _verified(data):  # 3.6
        raise TrustError(f"{stream}: the list's role delegates further", hint="call the publisher")
    return data, _expiry(data)


def _charters(targets: Targets) -> tuple[str, ...]:
    folders = [path.partition("/") for path in targets.targets]
    for folder, _, _ in folders:
        # 3.7: TUF would take it before the list's own role is even asked.
        if is_stream(folder):
            raise TrustError(f"{folder}: the targets role speaks in the place of the list's own keys")
    return tuple(
        sorted(name for folder, _, name in folders if f"{folder}/" == CHARTERS and is_list_name(name))
    )


def _delegations(targets: Targets, online: set[bytes]) -> tuple[str, ...]:
    delegations = targets.delegations
    if delegations is None:
        return ()
    if delegations.roles is None:
        raise TrustError("the targets role delegates to hash bins", hint="call the publisher")
    for name, role in delegations.roles.items():
        if not is_stream(name):
            raise TrustError(f"a role is not named as a stream: {name[:64]!r}")
        # 3.6: a pattern that reaches further would let one list speak for another.
        if role.paths != [f"{name}/*"] or not role.terminating:
            raise TrustError(f"{name}: the role is not delegated its own folder, and nothing else")
        _require_offline(name, _distinct(name, role.keyids, delegations.keys), online)
    return tuple(sorted(delegations.roles))


def _distinct(name: str, keyids: Iterable[str], keys: Mapping[str, Key]) -> set[bytes]:
    """Return a role's key values; TUF counts one value under two ids as two (client.md §3.4)."""
    named = list(keyids)
    if not keys.keys() >= set(named):
        raise TrustError(f"the role {name} names a key that is not there", hint="call the publisher")
    values = [key_value(keys[keyid]) for keyid in named]
    if len(set(values)) != len(values):
        raise TrustError(f"the role {name} has one key under two names", hint="call the publisher")
    return set(values)


def _require_offline(name: str, values: set[bytes], online: set[bytes]) -> None:
    if values & online:  # 3.5
        raise TrustError(
            f"a key of the role {name} is also an online key",
            hint="whoever breaks into the publisher's server could sign lists; call the publisher",
        )


def key_value(key: Key) -> bytes:
    """Bring a public key to one spelling: hex has two cases, PEM many layouts, points two forms."""
    public = str(key.keyval.get("public", ""))
    try:
        return bytes.fromhex(public)
    except ValueError:
        pass
    try:
        loaded = load_pem_public_key(public.encode())
        return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return "".join(public.split()).encode()


def _signed(data: bytes) -> Signed:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        return cast(Signed, metadata.signed)
    except RepositoryError as error:
        raise _changed(error) from None


@lru_cache(maxsize=64)
def _verified(data: bytes) -> Mapping[str, Any]:
    """What python-tuf has just verified, as JSON: it needs no second look at its shape."""
    try:
        signed = json.loads(data)["signed"]
    except (ValueError, KeyError, TypeError) as error:
        raise _changed(error) from None
    if not isinstance(signed, dict):
        raise _changed(TypeError())
    return signed


def _expiry(data: bytes) -> datetime:
    try:
        return datetime.strptime(_verified(data)["expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (ValueError, KeyError, TypeError) as error:
        raise _changed(error) from None


def _changed(error: Exception) -> StorageError:
    # Verified a moment ago: somebody else writes here.
    return StorageError(
        f"the cache of metadata changed under our hands ({type(error).__name__})",
        hint="nothing but vallum may write into the state folder",
    )


def _read(folder: Path, role: str) -> bytes:
    path = folder / f"{role}.json"
    with os_errors(path, "read"):
        return read_regular(path)
