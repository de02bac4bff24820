"""Prove on a throw-away object that a store keeps the promises that publication rests on.

Some servers accept conditional writes and ignore the condition without a word: two publishers would then
sign two histories. Asking costs a few requests; believing the documentation could cost the list.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from vallum.errors import ConfigError, VallumError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store.kinds import PROBE
from vallum_publisher.store.protocol import ObjectStore

PREFIX = "probe/"

HINT = "use a store that honours If-None-Match and If-Match on PUT (Ceph: without versions), or a folder"


def probe(store: ObjectStore, name: str) -> None:
    """Raise ``ConfigError`` unless ``store`` creates once and swaps on a match; messages call it ``name``."""
    key = PREFIX + secrets.token_hex(16)
    first, second, third = (secrets.token_bytes(16) for _ in range(3))
    try:
        old = store.replace(key, first, PROBE, None)
        _refuses(store, key, second, None, f"{name} overwrites an object that was to be created")
        new = store.replace(key, second, PROBE, old)
        _refuses(store, key, third, old, f"{name} swaps an object that has changed meanwhile")
        stored = store.get(key)
        if stored is None or stored.data != second or stored.tag != new:
            raise ConfigError(f"{name} does not return what was written last", hint=HINT)
    except ConfigError:
        with suppress(VallumError):  # the store is refused anyway; why is what counts
            store.delete(key)
        raise
    store.delete(key)
    if store.get(key) is not None:
        raise ConfigError(f"{name} still returns an object that was deleted", hint=HINT)


def _refuses(store: ObjectStore, key: str, data: bytes, expected: str | None, fault: str) -> None:
    try:
        store.replace(key, data, PROBE, expected)
    except ConflictError:
        return
    raise ConfigError(fault, hint=HINT)
