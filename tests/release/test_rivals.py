"""Several publishers of one repository: exactly one wins the head, the others read again and go on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.faulty_store import FaultyStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import HASHES, NOW, URLS, Founded, digest, fill, listed_values, publisher, url
from vallum_publisher.catalog import Mode, open_catalog
from vallum_publisher.errors import ConflictError
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.store import ObjectKind, ObjectStore, Stored
from vallum_publisher.workspace import open_workspace


class _Interrupted(MemoryStore):
    """Lets somebody else act just before one write."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._objects = store._objects
        self.before: dict[str, Callable[[], object]] = {}

    def get(self, key: str) -> Stored | None:
        self._act(f"read {key}")
        return super().get(key)

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        self._act(key)
        super().create(key, data, kind)

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        self._act(key)
        return super().replace(key, data, kind, expected)

    def _act(self, key: str) -> None:
        for part in [
            part
            for part in self.before
            if key.startswith("read ") == part.startswith("read ") and part in key
        ]:
            self.before.pop(part)()


@pytest.fixture
def pair(founded: Founded, tmp_path: Path) -> tuple[Path, Path, MemoryStore]:
    """Two workspaces with the same keys and one store; both lists are published."""
    workspace, store = founded.copy(tmp_path / "first")
    with publisher(workspace, store) as scene:
        for spec in (URLS, HASHES):
            scene.create_list(spec, now=NOW)
            scene.publish(spec.name, now=NOW)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    (tmp_path / "second" / "catalog.sqlite").unlink()
    return tmp_path / "first", tmp_path / "second", store


@contextmanager
def _rivals(
    pair: tuple[Path, Path, MemoryStore], store: ObjectStore
) -> Iterator[tuple[Publisher, Publisher]]:
    """Both workspaces' publishers on one catalog, in which a page waits; the first one has ``store``."""
    first, second, shared = pair
    catalog_file = first / "catalog.sqlite"
    with open_catalog(catalog_file) as catalog, open_catalog(catalog_file) as other_catalog:
        fill(catalog, "urls", [url("a.example/x")])
        one = Publisher(open_workspace(first), catalog=catalog, store=store)
        yield one, Publisher(open_workspace(second), catalog=other_catalog, store=shared)


@pytest.mark.parametrize("moment", [".full/", "urls.full.json", "snapshot.json", "timestamp.json"])
@pytest.mark.parametrize("same_list", [True, False], ids=["one list", "two lists"])
def test_another_publishes_at_each_moment(
    pair: tuple[Path, Path, MemoryStore], moment: str, same_list: bool
) -> None:
    first, _, store = pair
    interrupted = _Interrupted(store)
    with _rivals(pair, interrupted) as (one, two):
        catalog = one.catalog
        fill(catalog, "hashes", [digest(1)])
        name = "urls" if same_list else "hashes"
        interrupted.before[moment] = lambda: two.publish(name, now=NOW)
        done = one.publish("urls", now=NOW)
        assert not interrupted.before
        assert done.version == 2
        assert [version.version for version in catalog.versions("urls")] == [1, 2]
        assert [version.version for version in catalog.versions("hashes")] == ([1] if same_list else [1, 2])
        one.publish("hashes", now=NOW)
        one.verify()
    root = open_workspace(first).root_bytes()
    assert listed_values(store, root, "urls.full") == {b"\x01a.example/x"}
    assert len(listed_values(store, root, "hashes.full")) == 1


def test_who_loses_to_another_list_signs_a_snapshot_and_a_timestamp_again(
    pair: tuple[Path, Path, MemoryStore],
) -> None:
    """Nothing else is looked at or made anew: neither catalog nor runs nor roles."""
    interrupted = _Interrupted(pair[2])
    counting = FaultyStore(interrupted)
    with _rivals(pair, counting) as (one, two):
        fill(one.catalog, "hashes", [digest(1)])
        interrupted.before["timestamp.json"] = lambda: two.publish("hashes", now=NOW)
        told: list[str] = []
        one.tell = told.append
        assert one.publish("urls", now=NOW).version == 2
        one.verify()
    kinds = [write.kind for write in counting.writes]
    snapshot = ["metadata", "packed metadata", "timestamp"]
    assert kinds == ["run", "run", "metadata", "packed metadata", *snapshot, *snapshot]
    assert [line for line in told if "signing" in line] == ["urls: signing"]


def test_another_finishes_the_version_and_begins_the_next_before_it_is_sealed(
    pair: tuple[Path, Path, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, store = pair
    with _rivals(pair, store) as (one, two):
        seal = one.catalog.seal_version

        def overtaken(*arguments: Any, **named: Any) -> object:
            monkeypatch.undo()
            two.publish("urls", now=NOW)
            fill(two.catalog, "urls", [url("a.example/x"), url("b.example/y")])
            two.catalog.begin_version("urls", salt=bytes(16), actor="test", now=NOW)
            return seal(*arguments, **named)

        monkeypatch.setattr(one.catalog, "seal_version", overtaken)
        assert one.publish("urls", now=NOW).versions == (3,)
        one.verify()
    values = listed_values(store, open_workspace(first).root_bytes(), "urls.full")
    assert values == {b"\x01a.example/x", b"\x01b.example/y"}


def test_another_publishes_the_next_version_before_ours_is_read_back(
    pair: tuple[Path, Path, MemoryStore],
) -> None:
    interrupted = _Interrupted(pair[2])
    with _rivals(pair, interrupted) as (one, two):

        def finish_and_go_on() -> None:
            two.publish("urls", now=NOW)
            fill(two.catalog, "urls", [url("b.example/y")])
            two.publish("urls", now=NOW)

        # The first read after the swap is the next look's; the one after that is the reading back.
        def at_the_next_look() -> None:
            interrupted.before["read metadata/timestamp.json"] = lambda: interrupted.before.update(
                {"read metadata/timestamp.json": finish_and_go_on}
            )

        interrupted.before["timestamp.json"] = at_the_next_look
        done = one.publish("urls", now=NOW)
        assert not interrupted.before
        assert done.version == 3
        assert done.versions == ()
        one.verify()


def test_who_always_loses_gives_up_with_a_hint(
    pair: tuple[Path, Path, MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vallum_publisher.release.course.ATTEMPTS", 3)
    monkeypatch.setattr("vallum_publisher.release.commit._RACES", 2)
    interrupted = _Interrupted(pair[2])
    with _rivals(pair, interrupted) as (one, two):
        counter = iter(range(100))

        def rival() -> None:
            interrupted.before["timestamp.json"] = rival
            fill(two.catalog, "hashes", [digest(next(counter))])
            two.publish("hashes", now=NOW)

        interrupted.before["timestamp.json"] = rival
        with pytest.raises(ConflictError) as beaten:
            one.publish("urls", now=NOW)
        assert beaten.value.hint
        interrupted.before.clear()
        assert one.publish("urls", now=NOW).versions == (2,)


def test_publishers_that_race_lose_and_double_nothing(pair: tuple[Path, Path, MemoryStore]) -> None:
    first, second, store = pair
    rounds = 6
    errors: list[BaseException] = []

    def work(folder: Path, mine: range) -> None:
        try:
            with open_catalog(first / "catalog.sqlite", busy_seconds=30) as catalog:
                scene = Publisher(open_workspace(folder), catalog=catalog, store=store)
                for number in mine:
                    catalog.apply("hashes", [digest(number)], mode=Mode.ADD, actor="test", now=NOW)
                    scene.publish("hashes", now=NOW)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(first, range(rounds))),
        threading.Thread(target=work, args=(second, range(100, 100 + rounds))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    with publisher(open_workspace(first), store) as scene:
        versions = scene.catalog.versions("hashes")
        # Whoever publishes takes along what the other has applied by then.
        assert [version.version for version in versions] == list(range(1, len(versions) + 1))
        assert sum(version.changes for version in versions) == 1 + 2 * rounds
        scene.verify()
    assert len(listed_values(store, open_workspace(first).root_bytes(), "hashes.full")) == 2 * rounds
