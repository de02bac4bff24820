"""What a publication that failed before a revocation leaves in the store: the revoked one must not read by it
what becomes public only after he was.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.release.scenes import NOW, publisher, url
from tests.sealing.scenes import Hotline, Machine
from tests.sealing.test_revoked import ADDED, FORMS, Revoked
from vallum.errors import NotEntitledError, StateError, TrustError, VallumError
from vallum.format.epoch import Epoch
from vallum.format.head import Head
from vallum.format.run import parse_header
from vallum.format.seal import open_run
from vallum.pepper import read_pepper
from vallum_publisher.catalog import Mode
from vallum_publisher.release.agreement import public_head
from vallum_publisher.release.metadata import parse_run_key
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.store import ObjectKind, ObjectStore
from vallum_publisher.workspace import open_workspace

STREAM = "urls.full"


@dataclass
class Scene:
    """Version 1 is public and both have it; the changes of version 2 wait."""

    hotline: Hotline
    stays: Machine
    goes: Machine

    def revoke(self) -> None:
        self.hotline.roster.revoke(STREAM, "goes", now=NOW)

    def opened_by_the_revoked(self) -> set[int]:
        """The versions of the store's runs that his keys open."""
        revoked = Revoked(self.goes, self.hotline.objects())
        charter, found = revoked.state.charter, set()
        codec = charter.codec("full", read_pepper(self.goes.config.state, "hotline", STREAM, charter))
        for name, data in revoked.public.items():
            run = parse_run_key(name)
            if run is None or run.stream != STREAM:
                continue
            header, _ = parse_header(data)
            epoch = Epoch(charter.uid, STREAM, run.generation, header.epoch)
            for key in revoked.epoch_keys:
                with suppress(TrustError):
                    open_run(codec, data, epoch, key)
                    found.add(header.end)
        return found


@pytest.fixture
def scene(hotline: Hotline, tmp_path: Path) -> Scene:
    found = Scene(hotline, *(Machine(hotline, tmp_path / name, STREAM) for name in ("stays", "goes")))
    for machine, name in ((found.stays, "stays"), (found.goes, "goes")):
        hotline.roster.admit(STREAM, name, machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    assert found.stays.synced() == found.goes.synced() == 1
    info = hotline.publisher.catalog.get_list("urls")
    hotline.publisher.catalog.apply(
        "urls",
        [url(form) for form in [*FORMS[1:], ADDED]],
        mode=Mode.REPLACE,
        actor="test",
        now=NOW,
        pepper=hotline.publisher.custody.pepper(info),
    )
    return found


def test_nothing_is_uploaded_that_nobody_can_sign(scene: Scene) -> None:
    """The online key is away: an ordinary failure, on an ordinary day."""
    folder = scene.hotline.publisher.workspace.folder
    key = folder / "keys" / "online.pem"
    away = key.rename(key.with_suffix(".away"))
    before = scene.hotline.store.keys()
    with publisher(open_workspace(folder), scene.hotline.store) as desk, pytest.raises(VallumError):
        desk.publish("urls", now=NOW)
    assert scene.hotline.store.keys() == before
    away.rename(key)
    scene.revoke()
    assert scene.stays.synced() == 2
    assert scene.opened_by_the_revoked() == {1}


@pytest.mark.parametrize("step", range(2, 9))
def test_a_crash_before_the_revocation(scene: Scene, step: int) -> None:
    """The runs of version 2 lie there under the old key, whichever upload was the last one."""
    faulty = FaultyStore(scene.hotline.store, step, Fault.KILLED_BEFORE)
    folder = scene.hotline.publisher.workspace.folder
    with suppress(Killed), publisher(open_workspace(folder), faulty) as desk:
        desk.publish("urls", now=NOW)
    assert faulty.met
    assert 2 in scene.opened_by_the_revoked()
    scene.revoke()
    assert scene.stays.synced() == 2
    scene.goes.refused(NotEntitledError)
    assert scene.opened_by_the_revoked() == {1}
    scene.hotline.publisher.verify()


def _published_by_another(scene: Scene, store: ObjectStore) -> None:
    """Version 2, out of another folder with the same catalog. Who is revoked meanwhile reads none of it."""
    first = scene.hotline.publisher
    folder = first.workspace.folder.with_name("second")
    shutil.copytree(first.workspace.folder, folder)
    second = Publisher(open_workspace(folder), catalog=first.catalog, store=store)
    assert second.publish("urls", now=NOW).version == 2
    assert scene.stays.synced() == 2
    scene.goes.refused(NotEntitledError)
    assert scene.opened_by_the_revoked() == {1}
    scene.hotline.publisher.verify()


class RevokedMeanwhile:
    """A store in which somebody is revoked just before the first upload of a run, or just after it."""

    def __init__(self, scene: Scene, after: bool) -> None:
        self._scene, self._store, self._after, self._done = scene, scene.hotline.store, after, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        first, self._done = not self._done, True
        if first and not self._after:
            self._scene.revoke()
        self._store.create(key, data, kind)
        if first and self._after:
            self._scene.revoke()


@pytest.mark.parametrize("after", [False, True])
def test_another_publisher_is_about_to_upload_under_the_old_key(scene: Scene, after: bool) -> None:
    """He computed version 2 before the revocation, on a machine of his own."""
    store: ObjectStore = RevokedMeanwhile(scene, after)  # type: ignore[assignment]  # the rest by __getattr__
    _published_by_another(scene, store)


class BeatenMeanwhile:
    """A store in which, just before the head is moved, somebody else moves it, and a recipient is revoked: so
    far in the catalog only.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene, self._store, self._done = scene, scene.hotline.store, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        if not self._done:
            self._done = True
            desk = self._scene.hotline.publisher
            desk.refresh(now=NOW + timedelta(hours=9))  # of the timestamp: all roles stay
            [goes] = [one for one in desk.catalog.recipients(STREAM) if one.name == "goes"]
            desk.custody.open_epoch(
                desk.catalog.get_list("urls"), STREAM, revoked=goes, actor="test", now=NOW
            )
        return self._store.replace(key, data, kind, expected)


def test_who_lost_a_race_publishes_nothing_under_a_key_that_was_replaced_meanwhile(scene: Scene) -> None:
    store: ObjectStore = BeatenMeanwhile(scene)  # type: ignore[assignment]  # the rest by __getattr__
    _published_by_another(scene, store)


def test_a_generation_that_was_stopped_before_the_revocation(scene: Scene) -> None:
    """Its wraps and its base were in the store already, for him as well."""
    faulty = FaultyStore(scene.hotline.store, 9, Fault.KILLED_BEFORE)
    folder = scene.hotline.publisher.workspace.folder
    with suppress(Killed), publisher(open_workspace(folder), faulty) as desk:
        desk.new_generation("urls", reason="test", now=NOW)
    assert any("/" in write.key and ".run" in write.key for write in faulty.writes)
    with suppress(StateError):  # the generation is not chartered yet
        scene.revoke()
    scene.hotline.publisher.new_generation("urls", reason="test", now=NOW)
    assert scene.stays.synced() == 1
    listed = {
        key
        for key in scene.hotline.objects()
        if (run := parse_run_key(key)) and run.stream == STREAM and run.generation == 2
    }
    head = _head(scene)
    assert len(listed) == len(head.runs) == 1
    scene.goes.refused(NotEntitledError)
    scene.hotline.publisher.verify()


def test_a_backup_from_before_a_pepper_leaked_revives_it_not(scene: Scene, tmp_path: Path) -> None:
    """The catalog of the backup knows the leaked pepper only, and generations that are over."""
    hotline = scene.hotline
    catalog = hotline.publisher.catalog
    info = catalog.get_list("urls")
    leaked = hotline.publisher.custody.pepper(info)
    hotline.publisher.publish("urls", now=NOW)
    folder = hotline.publisher.workspace.folder
    with sqlite3.connect(folder / "catalog.sqlite") as now, sqlite3.connect(tmp_path / "older") as older:
        now.backup(older)
    hotline.publisher.new_generation("urls", reason="leaked", now=NOW, new_pepper=True)
    catalog.close()
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    shutil.copy(tmp_path / "older", folder / "catalog.sqlite")
    with publisher(open_workspace(folder), hotline.store) as restored:
        with pytest.raises(StateError, match="pepper") as refused:
            restored.new_generation("urls", reason="restored", now=NOW)
        assert "--new-pepper" in refused.value.hint
        assert restored.catalog.get_list("urls").generation == 1, "nothing was begun"
        restored.new_generation("urls", reason="restored", now=NOW, new_pepper=True)
        assert restored.custody.pepper(restored.catalog.get_list("urls")) != leaked
    assert scene.stays.synced() == 1


def _head(scene: Scene) -> Head:
    repository = scene.hotline.publisher.repository
    held = public_head(repository, repository.tip(), STREAM)
    assert held is not None
    return held.head
