"""The kinds of object in a repository and how each is served, as a table of values.

Which key an object has is the business of whoever publishes it; how its bytes are stored, of the backends.
"""

from __future__ import annotations

from dataclasses import dataclass

_FOR_EVER = "public, max-age=31536000, immutable, no-transform"


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """One kind: its HTTP headers and what may happen to an object of it.

    ``mutable``: moved by ``replace`` (compare-and-swap) only; all others by ``create`` only.
    ``content_named``: the key holds a digest of the bytes, so that a deleted key may come back.
    ``removable``: ``gc`` may delete it one day.
    """

    name: str
    content_type: str
    cache_control: str
    mutable: bool = False
    content_named: bool = False
    removable: bool = True


# A cache may keep the timestamp but asks the origin each time: a poll is one conditional request.
TIMESTAMP = ObjectKind("timestamp", "application/json", "no-cache", mutable=True, removable=False)
# Every root version stays: a client that was away for years walks the whole chain.
ROOT = ObjectKind("root", "application/json", _FOR_EVER, removable=False)
METADATA = ObjectKind("metadata", "application/json", _FOR_EVER)
# The same bytes as one zstd frame, asked for by name: a Content-Encoding would be undone on the way.
PACKED_METADATA = ObjectKind("packed metadata", "application/zstd", _FOR_EVER)
RUN = ObjectKind("run", "application/octet-stream", _FOR_EVER, content_named=True)
WRAP = ObjectKind("wrap", "application/octet-stream", _FOR_EVER)
# What a backend writes and deletes to learn whether the store keeps its word; never part of a repository.
PROBE = ObjectKind("probe", "application/octet-stream", "no-store", mutable=True)

KINDS = (TIMESTAMP, ROOT, METADATA, PACKED_METADATA, RUN, WRAP, PROBE)
