"""Where a repository's objects lie: one protocol, and the backends behind it."""

from vallum_publisher.store.kinds import METADATA, PACKED_METADATA, ROOT, RUN, TIMESTAMP, WRAP, ObjectKind
from vallum_publisher.store.open import open_store
from vallum_publisher.store.protocol import Listed, ObjectStore, Stored

__all__ = [
    "METADATA",
    "PACKED_METADATA",
    "ROOT",
    "RUN",
    "TIMESTAMP",
    "WRAP",
    "Listed",
    "ObjectKind",
    "ObjectStore",
    "Stored",
    "open_store",
]
