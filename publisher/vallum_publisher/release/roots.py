"""All roots of trust so far, with their fingerprints: an older invitation shows an older one by telephone.

Each change of root, also of the online keys that it names, changes its fingerprint. Whoever was invited
before compares the one that his invitation holds, and is no victim of an attack because of it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root

from vallum.errors import TrustError
from vallum.invitation import root_fingerprint
from vallum_publisher.release.metadata import open_role
from vallum_publisher.release.repository import Repository, metadata_key


@dataclass(frozen=True, slots=True)
class RootCondition:
    """One root of trust.

    Attributes:
        version, fingerprint: of the root; an invitation that was written while it was the newest shows it.
        since: when it came into the store, by the store's clock; ``None`` if it is not there.
        leads: whether clients get from it to the newest one by themselves. It does not where its successor
            was begun without its keys (``keys replace-root``).
    """

    version: int
    fingerprint: str
    since: datetime | None
    leads: bool


def read_roots(repository: Repository) -> tuple[RootCondition, ...]:
    """Every root that is known here, the newest first.

    Raises:
        TrustError: the repository does not verify.
        UnavailableError: the store does not answer.
    """
    newest = repository.tip().root
    known = {**repository.former_bytes, newest.version: repository.root_bytes}
    found = []
    leads, successor = True, b""
    for version in sorted(known, reverse=True):
        data = known[version]
        leads = leads and (not successor or _signed_by(successor, data))
        successor = data
        key = metadata_key("root", version)
        since = next((item.modified for item in repository.store.list(key) if item.key == key), None)
        found.append(RootCondition(version, root_fingerprint(data), since, leads))
    return tuple(found)


def _signed_by(data: bytes, former: bytes) -> bool:
    with suppress(TrustError):
        open_role(Metadata[Root].from_bytes(former).signed, "root", data, Root)
        return True
    return False
