"""The fault matrix: each upload × each way to fail. Readers see the old version whole, or the new one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from tests.fakes.faulty_store import Fault, FaultyStore, Killed, LateStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, URLS, Founded, fill, listed_values, publisher, read_tables, url
from vallum.errors import UnavailableError
from vallum_publisher.catalog import open_catalog
from vallum_publisher.keys import Keyring
from vallum_publisher.release.publisher import Publisher

OLD = [url("a.example/x"), url("b.example/y")]
NEW = [url("b.example/y"), url("c.example/z")]
LATER = [url("d.example/z")]
UPLOADS = 7
"""A step and a base in so small a list; list role and snapshot, each with its packed twin; the timestamp."""


def _values(entries: list[Any]) -> set[bytes]:
    return {bytes((1,)) + str(entry.value).encode() for entry in entries}


class _Signatures:
    """Asserts that no number of a role is ever signed with two contents."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signed: dict[tuple[str, int], bytes] = {}
        original = Keyring.sign

        def sign(ring: Keyring, metadata: Metadata[Any], role: str, *rest: Any) -> bytes:
            place = (role, metadata.signed.version)
            content = metadata.signed_bytes
            assert self.signed.setdefault(place, content) == content, f"{place} is signed with two contents"
            return original(ring, metadata, role, *rest)

        monkeypatch.setattr(Keyring, "sign", sign)


@pytest.fixture(scope="module")
def begun(founded: Founded, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """Version 1 is public, and the changes of version 2 wait."""
    folder = tmp_path_factory.mktemp("begun") / "publisher"
    workspace, store = founded.copy(folder)
    with publisher(workspace, store) as scene:
        scene.create_list(URLS, now=NOW)
        fill(scene.catalog, "urls", OLD)
        scene.publish("urls", now=NOW)
        fill(scene.catalog, "urls", NEW)
    return Founded(folder, store)


@contextmanager
def _readers(store: MemoryStore, root: bytes) -> Iterator[list[set[bytes]]]:
    """A reader that loops beside what happens, and must always get a whole list."""
    seen: list[set[bytes]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                seen.append(listed_values(store, root, "urls.full"))
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert not failures, failures[0]


def test_the_matrix_has_a_row_for_each_upload(begun: Founded, tmp_path: Path) -> None:
    workspace, store = begun.copy(tmp_path / "publisher")
    counting = FaultyStore(store)
    with publisher(workspace, counting) as scene:
        scene.publish("urls", now=NOW)
    assert len(counting.writes) == UPLOADS


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("step", range(UPLOADS))
def test_each_upload_in_each_way(
    begun: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, fault: Fault
) -> None:
    workspace, store = begun.copy(tmp_path / "publisher")
    root = workspace.root_bytes()
    _Signatures(monkeypatch)
    faulty = FaultyStore(store, step, fault)
    with _readers(store, root) as seen:
        with publisher(workspace, faulty) as scene, suppress(Killed, UnavailableError):
            scene.publish("urls", now=NOW)
        assert faulty.met
        between = listed_values(store, root, "urls.full")
        # What is wanted meanwhile must not get into the version that was begun.
        with publisher(workspace, LateStore(faulty, store)) as scene:
            fill(scene.catalog, "urls", LATER)
            done = scene.publish("urls", now=NOW)
            history = [(version.version, version.changes) for version in scene.catalog.versions("urls")]
            assert scene.catalog.pending_version("urls") is None
            scene.verify()
    assert between in (_values(OLD), _values(NEW))
    assert done.version == 3
    assert history == [(1, 3), (2, 2), (3, 3)]
    assert listed_values(store, root, "urls.full") == _values(LATER)
    assert all(values in (_values(OLD), _values(NEW), _values(LATER)) for values in seen)
    head = read_tables(store, root, "urls.full")
    assert head is not None
    assert head[0].version == 3


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER], ids=str)
@pytest.mark.parametrize("step", range(7))
def test_creating_a_list_is_resumed(founded: Founded, tmp_path: Path, step: int, fault: Fault) -> None:
    workspace, store = founded.copy(tmp_path / "publisher")
    faulty = FaultyStore(store, step, fault)
    with publisher(workspace, faulty) as scene, suppress(Killed):
        scene.create_list(URLS, now=NOW)
    assert faulty.met
    # Resumed, or public already and then said so.
    with publisher(workspace, store) as scene:
        if not scene.repository.tip().streams():
            assert scene.status(now=NOW).lists[0].problem
            scene.create_list(URLS, now=NOW)
        assert scene.publish("urls", now=NOW).version == 1
        assert len(scene.workspace.signers()) == 5
        scene.verify()


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("step", range(6))
def test_founding_is_resumed(tmp_path: Path, step: int, fault: Fault) -> None:
    from vallum_publisher.release.foundation import init_workspace
    from vallum_publisher.workspace import Settings, open_workspace

    store = MemoryStore()
    faulty = FaultyStore(store, step, fault)
    folder = tmp_path / "publisher"
    with suppress(Killed, UnavailableError):
        init_workspace(
            folder, Settings("Example Hotline"), now=NOW, store=faulty, root_keys=1, root_threshold=1
        )
    assert faulty.met
    assert not (folder / "publisher.toml").exists()
    init_workspace(
        folder,
        Settings("Example Hotline"),
        now=NOW,
        store=LateStore(faulty, store),
        root_keys=1,
        root_threshold=1,
    )
    with publisher(open_workspace(folder), store) as scene:
        assert scene.status(now=NOW).lists == ()
        assert len(scene.workspace.signers()) == 2


@pytest.mark.parametrize("where", ["begin_version", "seal_version", "finish_version"])
def test_a_crash_around_each_step_of_the_catalog(
    begun: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    workspace, store = begun.copy(tmp_path / "publisher")
    _Signatures(monkeypatch)
    with open_catalog(workspace.folder / "catalog.sqlite") as catalog:
        original = getattr(catalog, where)

        def die(*args: Any, **named: Any) -> None:
            original(*args, **named)
            raise Killed

        monkeypatch.setattr(catalog, where, die)
        with pytest.raises(Killed):
            Publisher(workspace, catalog=catalog, store=store).publish("urls", now=NOW)
    with publisher(workspace, store) as scene:
        done = scene.publish("urls", now=NOW)
        assert done.version == 2
        assert done.versions == (() if where == "finish_version" else (2,))
        scene.verify()
    assert listed_values(store, workspace.root_bytes(), "urls.full") == _values(NEW)
