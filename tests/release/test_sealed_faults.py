"""The fault matrix of an encrypted list: a recipient is revoked while a version waits.

More is uploaded then than for a public list: a wrap and a base of the new epoch, then the waiting version of
both editions. Whatever fails, the one who may still read sees the old version whole or the new one whole, the
revoked one nothing new, and no ciphertext is made twice.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed, LateStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, Founded, publisher, url
from tests.sealing.scenes import URLS, Hotline, Machine
from vallum.errors import NotEntitledError, UnavailableError
from vallum_publisher.catalog import Mode
from vallum_publisher.release.publisher import Publisher

FORMS = [f"bad{number}.example/" for number in range(9)]
METADATA = ["metadata", "packed metadata"] * 3 + ["timestamp"]  # both editions' roles, the snapshot
UPLOADS = ["run", "wrap", *METADATA, *["run"] * 4, *METADATA]
"""Version 1 under a new key for those who stay, then version 2: a step and a base in each edition."""


@pytest.fixture(scope="module")
def begun(founded: Founded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Founded, Machine, Machine]:
    """Version 1 is public and two have it; a tenth form waits."""
    folder = tmp_path_factory.mktemp("sealed")
    workspace, store = founded.copy(folder / "publisher")
    with publisher(workspace, store) as scene:
        hotline = Hotline(scene)
        scene.create_list(URLS, now=NOW)
        hotline.publish(FORMS)
        stays, goes = (Machine(hotline, folder / name, "urls.match") for name in ("stays", "goes"))
        for name, machine in (("stays", stays), ("goes", goes)):
            hotline.roster.admit("urls.match", name, machine.key.public(), now=NOW)
        for machine in (stays, goes):
            assert machine.synced() == 1
        _fill(scene)
    return Founded(folder / "publisher", store), stays, goes


def _fill(scene: Publisher) -> None:
    pepper = scene.custody.pepper(scene.catalog.get_list("urls"))
    records = [url(form) for form in (*FORMS, "bad9.example/")]
    scene.catalog.apply("urls", records, mode=Mode.REPLACE, actor="test", now=NOW, pepper=pepper)


def _revoke_and_publish(scene: Publisher) -> None:
    roster = Hotline(scene).roster
    if any(one.name == "goes" and one.revoked_at is None for one in scene.catalog.recipients("urls.match")):
        roster.revoke("urls.match", "goes", now=NOW)
    scene.publish("urls", now=NOW)


def test_the_matrix_has_a_row_for_each_upload(
    begun: tuple[Founded, Machine, Machine], tmp_path: Path
) -> None:
    workspace, store = begun[0].copy(tmp_path / "publisher")
    counting = FaultyStore(store)
    with publisher(workspace, counting) as scene:
        _revoke_and_publish(scene)
    assert [write.kind for write in counting.writes] == UPLOADS


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("step", range(len(UPLOADS)))
def test_each_upload_in_each_way(
    begun: tuple[Founded, Machine, Machine], tmp_path: Path, step: int, fault: Fault
) -> None:
    start, stays, goes = begun
    workspace, store = start.copy(tmp_path / "publisher")
    faulty = FaultyStore(store, step, fault)
    with publisher(workspace, faulty) as scene, suppress(Killed, UnavailableError):
        _revoke_and_publish(scene)
    assert faulty.met
    with publisher(workspace, store) as scene:
        # A client that begins now gets one version, whole.
        assert Machine(Hotline(scene), tmp_path / "between", "urls.match", stays.key).synced() in (1, 2)
    runs = _runs(store)
    with publisher(workspace, LateStore(faulty, store)) as scene:
        _revoke_and_publish(scene)
    # What lies there is not made again: a run of one name has one ciphertext, or none refers to it.
    assert runs.items() <= _runs(store).items()
    with publisher(workspace, store) as scene:
        hotline = Hotline(scene)
        assert Machine(hotline, tmp_path / "after", "urls.match", stays.key).synced() == 2
        Machine(hotline, tmp_path / "gone", "urls.match", goes.key).refused(NotEntitledError)
        assert scene.catalog.pending_version("urls") is None
        assert [one.version for one in scene.catalog.versions("urls")] == [1, 2]
        scene.verify()


def _runs(store: MemoryStore) -> dict[str, bytes]:
    found = {}
    for item in store.list("targets/"):
        stored = store.get(item.key)
        assert stored is not None
        found[item.key] = stored.data
    return found
