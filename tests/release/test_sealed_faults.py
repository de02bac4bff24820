"""The fault matrix of an encrypted list: a recipient is revoked while a version waits.

More is uploaded then than for a public list: wraps of the new epoch, and for both editions a base of its own.
Whatever fails, the one who may still read sees the old version whole or the new one whole, the revoked one
nothing new, and no ciphertext is made twice.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, Founded, publisher, url
from tests.sealing.scenes import URLS, Hotline, Machine
from vallum.errors import NotEntitledError, UnavailableError
from vallum_publisher.catalog import Mode
from vallum_publisher.release.publisher import Publisher

FORMS = [f"bad{number}.example/" for number in range(9)]


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


def _uploads(begun: Founded, folder: Path) -> list[str]:
    """The kinds of all uploads, in order."""
    workspace, store = begun.copy(folder)
    counting = FaultyStore(store)
    with publisher(workspace, counting) as scene:
        _revoke_and_publish(scene)
    return [write.kind for write in counting.writes]


def _steps(kinds: list[str], number: int) -> list[int]:
    """The steps that meet fault ``number``: each fifth one, and one of each kind that is not among them."""
    steps = list(range(number, len(kinds), len(Fault)))
    for kind in set(kinds) - {kinds[step] for step in steps}:
        those = [step for step, other in enumerate(kinds) if other == kind]
        steps.append(those[number % len(those)])
    return sorted(steps)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
def test_each_upload_meets_a_fault(
    begun: tuple[Founded, Machine, Machine], tmp_path: Path, fault: Fault
) -> None:
    """Every step meets a fault here, and every kind of upload meets all five.

    The whole product is tests/release/test_faults.py's: uploads go one way, whatever is in them, and all of a
    kind are one loop. Here it would be 100 publications, a minute and more, in place of 26.
    """
    start, stays, goes = begun
    kinds = _uploads(start, tmp_path / "counted")
    assert {"wrap", "run", "metadata", "packed metadata", "timestamp"} == set(kinds)
    for step in _steps(kinds, list(Fault).index(fault)):
        folder = tmp_path / str(step)
        workspace, store = start.copy(folder / "publisher")
        faulty = FaultyStore(store, step, fault)
        with publisher(workspace, faulty) as scene, suppress(Killed, UnavailableError):
            _revoke_and_publish(scene)
        assert faulty.met
        with publisher(workspace, store) as scene:
            hotline = Hotline(scene)
            # A client that begins now gets one version, whole.
            assert Machine(hotline, folder / "between", "urls.match", stays.key).synced() in (1, 2)
            runs = _runs(store)
            _revoke_and_publish(scene)
            # What lies there is not made again: a run of one name has one ciphertext, or none refers to it.
            assert runs.items() <= _runs(store).items()
            assert Machine(hotline, folder / "after", "urls.match", stays.key).synced() == 2
            Machine(hotline, folder / "gone", "urls.match", goes.key).refused(NotEntitledError)
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
