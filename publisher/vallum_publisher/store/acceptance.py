"""Writes that are believed only once they were read back: a store may accept bytes and lose or damage them.

What is referred to afterwards must lie there as it was meant, for nobody else has a copy of it. What a
backend does with one request is :mod:`.protocol`'s promise; that it keeps it in general, :mod:`.probe`'s to
prove.
"""

from __future__ import annotations

from contextlib import suppress

from vallum_publisher.errors import ConflictError, DamageError
from vallum_publisher.store.kinds import ObjectKind
from vallum_publisher.store.protocol import ObjectStore, Stored

TRIES = 3
"""Writes of the same bytes before a store is called one that does not keep what it accepts."""

_HINT = "the store answers that it has stored what it has not: have its disks looked at, then run it again"


def create_kept(store: ObjectStore, key: str, data: bytes, kind: ObjectKind) -> None:
    """Create ``key`` and read it back. What the store has lost is created again.

    Where the key names the bytes, others in their place are damage, and are replaced.

    Raises:
        ConflictError: there were other bytes before, of a kind whose key does not name them.
        DamageError: the store does not keep these bytes under this key.
        ConfigError: among others, what is damaged may not be deleted by this identity.
        UnavailableError: as of the store.
    """
    for _ in range(TRIES):
        # Not believed where the key names the bytes: the next look tells.
        with suppress(*((ConflictError,) if kind.content_named else ())):
            store.create(key, data, kind)
        stored = store.get(key)
        if stored is not None and stored.data == data:
            return
        if stored is not None:
            if not kind.content_named:
                raise DamageError(f"{key}: the store holds other bytes than it was given", hint=_HINT)
            store.delete(key)
    raise DamageError(f"{key}: the store does not keep what it accepts", hint=_HINT)


def swap_kept(store: ObjectStore, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> None:
    """Replace the content tagged ``expected`` and see that it is gone; raises as ``replace``.

    What another writer has put there since stays.

    Raises:
        DamageError: the store says each time that it has replaced it, and has not.
    """
    for _ in range(TRIES):
        store.replace(key, data, kind, expected)
        if _tag(store.get(key)) != expected:
            return
    raise DamageError(f"{key}: the store does not keep what it accepts", hint=_HINT)


def _tag(stored: Stored | None) -> str | None:
    return stored.tag if stored else None
