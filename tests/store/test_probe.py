"""Stores that do not keep their word are found out before anything is published."""

from __future__ import annotations

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.servers.s3 import S3Server, environment
from vallum.errors import ConfigError
from vallum_publisher.store import METADATA, TIMESTAMP, ObjectKind, Stored
from vallum_publisher.store.s3 import S3Store


class Overwriting(MemoryStore):
    """Ignores that an object was to be created."""

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        present = self.get(key)
        return super().replace(key, data, kind, expected or (present.tag if present else None))


class SwappingAnyway(MemoryStore):
    """Ignores the expected tag."""

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        present = self.get(key)
        return super().replace(key, data, kind, present.tag if present and expected else expected)


class Outdated(MemoryStore):
    """Answers reads from a cache."""

    def __init__(self) -> None:
        super().__init__()
        self._cache: dict[str, Stored | None] = {}

    def get(self, key: str) -> Stored | None:
        return self._cache.setdefault(key, super().get(key))

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        tag = super().replace(key, data, kind, expected)
        self.get(key)
        return tag


class Undeleting(MemoryStore):
    """Keeps what was deleted."""

    def delete(self, key: str) -> None:
        pass


@pytest.mark.parametrize(
    ("store", "fault"),
    [
        (Overwriting(), "overwrites an object that was to be created"),
        (SwappingAnyway(), "swaps an object that has changed meanwhile"),
        (Outdated(), "does not return what was written last"),
        (Undeleting(), "still returns an object that was deleted"),
    ],
)
def test_each_broken_promise_is_named(store: MemoryStore, fault: str) -> None:
    with pytest.raises(ConfigError, match=f"memory {fault}") as raised:
        store.probe()
    assert raised.value.hint


class IgnoringUnquoted(S3Store):
    """As a server would behave that compares quoted ETags only and takes any other condition as none."""

    def _put(self, key: str, data: bytes, kind: ObjectKind, expected: str | None, quoted: bool) -> str:
        if not quoted:
            stored = self.get(key)
            expected = stored.tag if stored else None
        return super()._put(key, data, kind, expected, quoted=True)


def test_a_store_that_ignores_an_unquoted_condition_is_refused(seaweedfs: S3Server) -> None:
    seaweedfs.make_bucket("careless")
    with environment(seaweedfs.admin):
        store = IgnoringUnquoted("careless", endpoint=seaweedfs.endpoint, region="us-east-1")
    with pytest.raises(ConfigError, match="ignores If-Match without quotes"):
        store.create("metadata/1.root.json", b"{}", METADATA)
    assert list(store.list()) == []


def test_a_real_store_that_ignores_conditions_is_refused_before_the_first_write(s3rver: S3Server) -> None:
    s3rver.make_bucket("careless")
    store = s3rver.store("careless", "repository")
    refusal = r"s3://careless/repository/ overwrites an object that was to be created"
    with pytest.raises(ConfigError, match=refusal):
        store.create("metadata/1.root.json", b"{}", METADATA)
    with pytest.raises(ConfigError, match=refusal):
        store.replace("metadata/timestamp.json", b"{}", TIMESTAMP, None)
    assert list(store.list()) == []
