"""A founded hotline for each test that publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, Founded, publisher
from tests.sealing.scenes import Hotline
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.workspace import Settings


@pytest.fixture(scope="session")
def founded_hotline(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("sealed") / "publisher"
    store = MemoryStore()
    init_workspace(folder, Settings(name="Example Hotline"), now=NOW, store=store)
    return Founded(folder, store)


@pytest.fixture
def hotline(founded_hotline: Founded, tmp_path: Path) -> Iterator[Hotline]:
    """A publisher of one encrypted list, ``urls``, not yet published."""
    workspace, store = founded_hotline.copy(tmp_path / "publisher")
    with publisher(workspace, store) as opened:
        found = Hotline(opened)
        found.create()
        yield found
