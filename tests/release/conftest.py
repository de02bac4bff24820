"""One founded repository for all tests of this folder; each test works on its own copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, Founded, publisher
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings

SETTINGS = Settings(
    name="Example Hotline", contact="desk@hotline.example", public_url="https://lists.hotline.example/v"
)


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("founded") / "publisher"
    store = MemoryStore()
    init_workspace(folder, SETTINGS, now=NOW, store=store)
    return Founded(folder, store)


@pytest.fixture
def scene(founded: Founded, tmp_path: Path) -> Iterator[Publisher]:
    """A publisher of no list yet; its store is a ``MemoryStore``."""
    workspace, store = founded.copy(tmp_path / "publisher")
    with publisher(workspace, store) as opened:
        yield opened
