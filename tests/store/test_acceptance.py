"""A store that answers 200 and loses or damages what it was given."""

from __future__ import annotations

import pytest

from tests.fakes.careless_store import CarelessStore, Slip, altered
from tests.fakes.memory_store import MemoryStore
from vallum_publisher.errors import ConflictError, DamageError
from vallum_publisher.store import METADATA, RUN, TIMESTAMP, ObjectKind
from vallum_publisher.store.acceptance import TRIES, create_kept, swap_kept

HEAD = "metadata/timestamp.json"
PLACES = {METADATA.name: "metadata/1.a.full.json", RUN.name: "targets/a.full/1.run"}
kinds = pytest.mark.parametrize("kind", [METADATA, RUN], ids=lambda kind: str(kind.name))


def _data(store: MemoryStore, key: str) -> bytes | None:
    stored = store.get(key)
    return stored.data if stored else None


@kinds
def test_what_was_lost_is_created_again(kind: ObjectKind) -> None:
    inner, key = MemoryStore(), PLACES[kind.name]
    create_kept(CarelessStore(inner, Slip.LOST, ".*", TRIES - 1), key, b"bytes", kind)
    assert _data(inner, key) == b"bytes"


@kinds
def test_a_store_that_keeps_nothing_is_said_so(kind: ObjectKind) -> None:
    inner, key = MemoryStore(), PLACES[kind.name]
    with pytest.raises(DamageError, match="does not keep what it accepts"):
        create_kept(CarelessStore(inner, Slip.LOST, ".*", TRIES), key, b"bytes", kind)
    assert inner.keys() == []


def test_what_was_altered_is_replaced_where_its_name_tells_its_bytes() -> None:
    inner, key = MemoryStore(), PLACES[RUN.name]
    store = CarelessStore(inner, Slip.ALTERED, ".*", TRIES - 1)
    create_kept(store, key, b"bytes", RUN)
    assert _data(inner, key) == b"bytes"
    # Also what lay there before: a conflict with it means nothing else.
    inner.delete(key)
    inner.create(key, altered(b"bytes"), RUN)
    create_kept(inner, key, b"bytes", RUN)
    assert _data(inner, key) == b"bytes"


def test_other_bytes_stay_where_a_name_means_what_was_there_first() -> None:
    inner, key = MemoryStore(), PLACES[METADATA.name]
    with pytest.raises(DamageError, match="other bytes than it was given"):
        create_kept(CarelessStore(inner, Slip.ALTERED, ".*", 1), key, b"bytes", METADATA)
    assert _data(inner, key) == altered(b"bytes")
    with pytest.raises(ConflictError):
        create_kept(inner, key, b"bytes", METADATA)


@pytest.mark.parametrize("first", [True, False])
def test_a_swap_that_was_lost_is_tried_again_and_not_for_ever(first: bool) -> None:
    inner = MemoryStore()
    tag = None if first else inner.replace(HEAD, b"old", TIMESTAMP, None)
    store = CarelessStore(inner, Slip.LOST, ".*", 99)
    with pytest.raises(DamageError, match="does not keep what it accepts"):
        swap_kept(store, HEAD, b"new", TIMESTAMP, tag)
    assert store.times == 99 - TRIES
    assert _data(inner, HEAD) == (None if first else b"old")
    store.times = TRIES - 1
    swap_kept(store, HEAD, b"new", TIMESTAMP, tag)
    assert _data(inner, HEAD) == b"new"


def test_a_swap_on_which_another_writer_has_built_is_no_loss() -> None:
    class Rival(MemoryStore):
        def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
            tag = super().replace(key, data, kind, expected)
            super().replace(key, b"his", kind, tag)
            return tag

    store = Rival()
    swap_kept(store, HEAD, b"ours", TIMESTAMP, None)
    assert _data(store, HEAD) == b"his"
