"""Publishing, both directions of a list, and every disagreement that must stop it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.fakes.faulty_store import FaultyStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import (
    HASHES,
    NOW,
    URLS,
    digest,
    fill,
    listed_values,
    publisher,
    read_tables,
    url,
)
from vallum.errors import BusyError, ConfigError, StateError, TrustError
from vallum.expression import Scope
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import open_workspace


def _memory(scene: Publisher) -> MemoryStore:
    assert isinstance(scene.store, MemoryStore)
    return scene.store


def _read(scene: Publisher, stream: str = "urls.full") -> set[bytes]:
    return listed_values(scene.store, scene.repository.root_bytes, stream)


def test_a_list_starts_delegated_published_and_without_a_head(scene: Publisher) -> None:
    info = scene.create_list(URLS, now=NOW)
    assert info.version == 0
    assert read_tables(scene.store, scene.repository.root_bytes, "urls.full") is None
    done = scene.publish("urls", now=NOW)
    assert (done.version, done.versions, done.changes, done.rows) == (1, (1,), 1, {"exact": 1})
    read = read_tables(scene.store, scene.repository.root_bytes, "urls.full")
    assert read is not None
    head, tables = read
    assert head.state == done.state
    assert tables["exact"].rows.labels(0) == ("test",)


def test_both_directions(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    first, second, third = (url(f"a.example/{name}") for name in "xyz")
    for version, entries in enumerate([[first, second], [second, third], [second], [first, second]], 1):
        fill(scene.catalog, "urls", entries)
        assert scene.publish("urls", now=NOW).version == version
        assert _read(scene) == {bytes((1,)) + str(entry.value).encode() for entry in entries}
    fill(scene.catalog, "urls", [first, second._replace(labels=("uk-sap:1:A",))])
    assert scene.publish("urls", now=NOW).changes == 1
    read = read_tables(scene.store, scene.repository.root_bytes, "urls.full")
    assert read is not None
    assert ("uk-sap:1:A",) in read[1]["exact"].rows.dictionary


def test_nothing_changed_is_no_version_and_no_upload(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    before = _memory(scene).keys()
    fill(scene.catalog, "urls", [url("a.example/x")])
    again = scene.publish("urls", now=NOW)
    assert (again.version, again.versions, again.uploaded) == (1, (), 0)
    # What comes and goes between two publications is no change either.
    fill(scene.catalog, "urls", [url("a.example/x"), url("b.example/x")])
    fill(scene.catalog, "urls", [url("a.example/x")])
    assert scene.publish("urls", now=NOW).versions == ()
    assert _memory(scene).keys() == before


def test_keys_in_the_store_after_a_fixed_scenario(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    scene.create_list(HASHES, now=NOW)
    fill(scene.catalog, "urls", [url("a.example", scope=Scope.DOMAIN), url("b.example/x")])
    fill(scene.catalog, "hashes", [digest(number) for number in range(40)])
    scene.publish("urls", now=NOW)
    scene.publish("hashes", now=NOW)
    fill(scene.catalog, "hashes", [digest(number) for number in range(1, 41)])
    scene.publish("hashes", now=NOW)
    # The digest in a run's name hangs on zstd's version; that it is the right one, `create` has checked.
    keys = _memory(scene).keys()
    assert [re.sub(r"/[0-9a-f]{64}\.", "/<sha256>.", key) for key in keys] == [
        "metadata/1.hashes.full.json",
        "metadata/1.hashes.full.json.zst",
        "metadata/1.root.json",
        "metadata/1.snapshot.json",
        "metadata/1.snapshot.json.zst",
        "metadata/1.targets.json",
        "metadata/1.targets.json.zst",
        "metadata/1.urls.full.json",
        "metadata/1.urls.full.json.zst",
        "metadata/2.hashes.full.json",
        "metadata/2.hashes.full.json.zst",
        "metadata/2.snapshot.json",
        "metadata/2.snapshot.json.zst",
        "metadata/2.targets.json",
        "metadata/2.targets.json.zst",
        "metadata/2.urls.full.json",
        "metadata/2.urls.full.json.zst",
        "metadata/3.hashes.full.json",
        "metadata/3.hashes.full.json.zst",
        "metadata/3.snapshot.json",
        "metadata/3.snapshot.json.zst",
        "metadata/3.targets.json",
        "metadata/3.targets.json.zst",
        "metadata/4.snapshot.json",
        "metadata/4.snapshot.json.zst",
        "metadata/5.snapshot.json",
        "metadata/5.snapshot.json.zst",
        "metadata/6.snapshot.json",
        "metadata/6.snapshot.json.zst",
        "metadata/timestamp.json",
        "targets/hashes.full/<sha256>.1-1-0-1.run",
        "targets/hashes.full/<sha256>.1-1-1-2.run",
        "targets/urls.full/<sha256>.1-1-0-1.run",
    ]


def test_uploads_of_one_publication(scene: Publisher) -> None:
    """A step, a list role and a snapshot each with a packed twin, the timestamp: six; and what is due."""
    scene.create_list(HASHES, now=NOW)
    uploads = {}
    for version in range(1, 10):
        fill(scene.catalog, "hashes", [digest(number) for number in range(version, 2000 + version)])
        store = FaultyStore(scene.store)
        with publisher(scene.workspace, store) as counted:
            counted.publish("hashes", now=NOW)
        uploads[version] = [re.sub(r"[0-9a-f]{64}\.", "", write.key) for write in store.writes]
    assert uploads[3] == [
        "targets/hashes.full/1-1-2-3.run",
        "metadata/4.hashes.full.json",
        "metadata/4.hashes.full.json.zst",
        "metadata/5.snapshot.json",
        "metadata/5.snapshot.json.zst",
        "metadata/timestamp.json",
    ]
    assert {version: len(keys) for version, keys in uploads.items()} == {
        1: 6, 2: 6, 3: 6, 4: 7, 5: 6, 6: 6, 7: 6, 8: 7, 9: 6,
    }  # fmt: skip


def test_a_catalog_older_than_the_store_does_not_publish(scene: Publisher, tmp_path: Path) -> None:
    scene.create_list(URLS, now=NOW)
    scene.publish("urls", now=NOW)
    shutil.copytree(scene.workspace.folder, tmp_path / "backup")
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    before = _memory(scene).keys()
    with publisher(open_workspace(tmp_path / "backup"), scene.store) as restored:
        fill(restored.catalog, "urls", [url("b.example/x")])
        apart = "urls: the store is at version 1.2, the catalog at 1.1"
        with pytest.raises(StateError) as refused:
            restored.publish("urls", now=NOW)
        assert str(refused.value) == apart
        assert "generation" in refused.value.hint
        apart = f"{apart}: {refused.value.hint}"  # the way out stands beside it
        [about] = restored.status(now=NOW).lists
        assert (about.problem, about.public_generation, about.public) == (apart, 1, 2)
        assert restored.refresh(now=NOW).refused == {"urls.full": apart}  # though nothing is due yet
    assert _memory(scene).keys() == before


def test_a_second_history_of_one_version_is_refused(scene: Publisher, tmp_path: Path) -> None:
    """Two catalogs at the same version with other rows: the second must stop, though numbers agree."""
    scene.create_list(URLS, now=NOW)
    scene.publish("urls", now=NOW)
    shutil.copytree(scene.workspace.folder, tmp_path / "backup")
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    with publisher(open_workspace(tmp_path / "backup"), scene.store) as twin:
        fill(twin.catalog, "urls", [url("b.example/x")])
        begun = twin.catalog.begin_version("urls", salt=bytes(16), actor="test", now=NOW)
        assert begun is not None
        with pytest.raises(StateError, match="not the one in the catalog"):
            twin.publish("urls", now=NOW)


def test_a_store_that_went_back_is_refused(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    scene.publish("urls", now=NOW)
    old = MemoryStore()
    old._objects = dict(_memory(scene)._objects)
    fill(scene.catalog, "urls", [url("a.example/x")])
    scene.publish("urls", now=NOW)
    with (
        publisher(scene.workspace, old) as rolled_back,
        pytest.raises(StateError, match=r"the store is at version 1\.1, the catalog at 1\.2"),
    ):
        rolled_back.publish("urls", now=NOW)


def test_a_store_that_somebody_else_wrote_to_is_refused(scene: Publisher) -> None:
    from dataclasses import replace

    scene.create_list(URLS, now=NOW)
    objects = _memory(scene)._objects
    key = "metadata/timestamp.json"
    objects[key] = replace(objects[key], data=objects[key].data.replace(b'"version":', b'"version": '))
    scene.status(now=NOW)  # white space is none of the signed form
    objects[key] = replace(objects[key], data=objects[key].data.replace(b"sha256", b"sha512"))
    with pytest.raises(TrustError):
        scene.publish("urls", now=NOW)


@pytest.mark.parametrize("damage", ["lost", "torn", "altered", "older"])
def test_tables_are_rebuilt_whatever_happened_to_the_cache(scene: Publisher, damage: str) -> None:
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", [url(f"a.example/{number}") for number in range(50)])
    scene.publish("urls", now=NOW)
    cached = scene.workspace.cache / "urls" / "1-1.exact"
    content = cached.read_bytes()
    if damage == "lost":
        shutil.rmtree(scene.workspace.cache)
    elif damage == "torn":
        cached.write_bytes(content[:-100])
    elif damage == "altered":
        cached.write_bytes(content[:-9] + bytes((content[-9] ^ 1,)) + content[-8:])
    else:
        fill(scene.catalog, "urls", [url(f"a.example/{number}") for number in range(5, 60)])
        scene.publish("urls", now=NOW)
        shutil.rmtree(scene.workspace.cache)
        cached.parent.mkdir(parents=True)
        cached.write_bytes(content)
    entries = [url(f"a.example/{number}") for number in range(10, 70)]
    fill(scene.catalog, "urls", entries)
    scene.publish("urls", now=NOW)
    assert _read(scene) == {bytes((1,)) + str(entry.value).encode() for entry in entries}
    scene.verify()


def test_what_expires_goes(scene: Publisher) -> None:
    from datetime import timedelta

    scene.create_list(URLS, now=NOW)
    ends = int(NOW.timestamp()) + 3600
    fill(scene.catalog, "urls", [url("a.example/x"), url("b.example/x")._replace(expires_at=ends)])
    scene.publish("urls", now=NOW)
    assert len(_read(scene)) == 2
    assert (scene.status(now=NOW).warnings, scene.refresh(now=NOW).overdue) == ((), {})
    late = NOW + timedelta(hours=2)
    (change,) = scene.catalog.pending_changes("urls", now=late)
    assert (change.before, change.labels) == ((), None)
    told = "urls: entries whose time is over are still public (1): run publish"
    assert (scene.status(now=late).warnings, scene.refresh(now=late).overdue) == ((told,), {"urls": told})
    assert scene.status(now=late).lists[0].waiting == 1
    scene.publish("urls", now=late)
    assert _read(scene) == {b"\x01a.example/x"}
    assert (scene.status(now=late).warnings, scene.refresh(now=late).overdue) == ((), {})


def test_requests_that_cannot_be_meant(scene: Publisher) -> None:
    with pytest.raises(ConfigError, match="no list"):
        scene.publish("urls", now=NOW)
    scene.create_list(URLS, now=NOW)
    with pytest.raises(ConfigError, match="already"):
        scene.create_list(URLS, now=NOW)
    with pytest.raises(ConfigError, match="2 of 1 keys"):
        scene.create_list(HASHES, now=NOW, keys=1, threshold=2)
    with pytest.raises(ConfigError, match="no list 'nothing'"):
        scene.invite(["nothing"])


def test_one_command_at_a_time_on_one_folder(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW)
    with (
        scene.workspace.lock(),
        pytest.raises(BusyError, match="another command") as busy,
        open_workspace(scene.workspace.folder).lock(patience=0.1),
    ):
        pass
    assert busy.value.hint


def test_two_keys_of_three_release_a_list(scene: Publisher) -> None:
    scene.create_list(URLS, now=NOW, keys=3, threshold=2)
    scene.publish("urls", now=NOW)
    role = scene.repository.list_role(scene.repository.tip(), "urls.full")
    assert role.version == 2
    keys = scene.workspace.folder / "keys"
    (keys / "urls.full-1.pem").unlink()
    fill(scene.catalog, "urls", [url("a.example/x")])
    with publisher(open_workspace(scene.workspace.folder), scene.store) as other:
        assert other.publish("urls", now=NOW).version == 2
    (keys / "urls.full-2.pem").unlink()
    fill(scene.catalog, "urls", [url("b.example/x")])
    before = _memory(scene).keys()
    with (
        publisher(open_workspace(scene.workspace.folder), scene.store) as other,
        pytest.raises(ConfigError, match=r"urls\.full-1\.pem"),
    ):
        other.publish("urls", now=NOW)
    # Runs may lie there; no reader sees them.
    assert all(key.startswith("targets/") for key in set(_memory(scene).keys()) - set(before))
