"""What a stopped publication began, and the catalog has since thought better of."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.release.scenes import NOW, URLS, Founded, fill, listed_values, publisher, url
from vallum.errors import GuardError, StateError
from vallum_publisher.release.publisher import Publisher

PAGES = [url(f"bad{number}.example/") for number in range(300)]
INNOCENT = url("innocent.example/page")
LISTED = b"\x01innocent.example/page"
LATER = NOW + timedelta(hours=1)
SOON = LATER - timedelta(seconds=1)


@pytest.fixture
def begun(founded: Founded, tmp_path: Path) -> Founded:
    """A list of 300 pages at version 1, and an innocent one that waits."""
    folder = tmp_path / "begun"
    workspace, store = founded.copy(folder)
    with publisher(workspace, store) as scene:
        scene.create_list(URLS, now=NOW)
        fill(scene.catalog, "urls", PAGES)
        scene.publish("urls", now=NOW)
        fill(scene.catalog, "urls", [*PAGES, INNOCENT])
    return Founded(folder, store)


def is_public(scene: Publisher) -> bool:
    return LISTED in listed_values(scene.store, scene.workspace.root_bytes(), "urls.full")


def test_what_was_taken_off_before_it_was_computed_is_never_public(begun: Founded, tmp_path: Path) -> None:
    """`publish` is killed while it computes; the page is taken off, with an export that is cut short."""
    workspace, store = begun.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        scene.catalog.begin_version("urls", salt=bytes(16), actor="killed", now=NOW)
        fill(scene.catalog, "urls", PAGES[:20], LATER)
        with pytest.raises(GuardError) as refused:
            scene.publish("urls", now=LATER)
        assert not getattr(refused.value, "__notes__", ())
        assert not is_public(scene)
        assert scene.catalog.pending_version("urls") is None
        fill(scene.catalog, "urls", PAGES[1:], LATER)
        done = scene.publish("urls", now=LATER)
        assert (done.version, done.versions, done.changes) == (2, (2,), 1)
        assert not is_public(scene)
        scene.verify()


def test_whoever_computes_still_does_not_sign_what_was_begun_anew(begun: Founded, tmp_path: Path) -> None:
    """He was slow, not dead: his state must not become that of the version begun since."""
    workspace, store = begun.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        slow = scene.catalog.begin_version("urls", salt=bytes(16), actor="slow", now=NOW)
        assert slow is not None
        assert scene.catalog.abandon_left("urls", actor="test", now=LATER) is None  # still what is wanted
        fill(scene.catalog, "urls", PAGES[1:], LATER)
        assert scene.catalog.abandon_left("urls", actor="test", now=SOON) is None  # he may be at it
        assert scene.catalog.abandon_left("urls", actor="test", now=LATER) == slow
        scene.catalog.begin_version("urls", salt=bytes(16), actor="test", now=LATER)
        with pytest.raises(StateError, match="not under way"):
            scene.catalog.seal_version("urls", 2, state="0" * 64, tables={}, begun=slow.created_at)
        assert scene.publish("urls", now=LATER).version == 2
        assert not is_public(scene)
        scene.verify()


@pytest.mark.parametrize("step", [0, 3], ids=["before its first upload", "before the head moves"])
def test_what_goes_out_although_it_was_taken_off_is_said(begun: Founded, tmp_path: Path, step: int) -> None:
    """Once it has a state it may be signed, and must be finished: then whoever publishes hears of it."""
    workspace, store = begun.copy(tmp_path / "publisher")
    faulty = FaultyStore(store, step, Fault.KILLED_BEFORE)
    with publisher(workspace, faulty) as scene, suppress(Killed):
        scene.publish("urls", now=NOW)
    assert faulty.met
    with publisher(workspace, store) as scene:
        assert not is_public(scene)
        fill(scene.catalog, "urls", PAGES[:20], LATER)
        with pytest.raises(GuardError) as refused:
            scene.publish("urls", now=LATER)
        told = "urls: version 2 became public before that, and lists what was taken off since (1)"
        assert refused.value.__notes__ == [told]
        fill(scene.catalog, "urls", PAGES, LATER)
        assert scene.publish("urls", now=LATER).version == 3
        assert not is_public(scene)
    workspace, store = begun.copy(tmp_path / "again")
    with publisher(workspace, FaultyStore(store, step, Fault.KILLED_BEFORE)) as scene, suppress(Killed):
        scene.publish("urls", now=NOW)
    with publisher(workspace, store) as scene:
        fill(scene.catalog, "urls", PAGES, LATER)
        done = scene.publish("urls", now=LATER)
        assert (done.versions, done.taken_off) == ((2, 3), 1)
