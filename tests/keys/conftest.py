"""A founded hotline with one public list in force at a client, made once and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.keys.scenes import Scene, follow
from tests.release.scenes import NOW, URLS, Founded, fill, publisher, url
from tests.servers.softhsm import tokens
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.workspace import Settings, open_workspace

__all__ = ["tokens"]


@pytest.fixture(scope="session")
def published_hotline(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("keys") / "publisher"
    store = MemoryStore()
    settings = Settings(name="Example Hotline", public_url="https://lists.hotline.example/v")
    init_workspace(folder, settings, now=NOW, store=store)
    with publisher(open_workspace(folder), store) as opened:
        opened.create_list(URLS, now=NOW)
        fill(opened.catalog, "urls", [url("a.example/1"), url("a.example/2")])
        opened.publish("urls", now=NOW)
    return Founded(folder, store)


@pytest.fixture
def scene(published_hotline: Founded, tmp_path: Path) -> Iterator[Scene]:
    """Version 1.1 of ``urls`` is public, and in force at a client that knows root 1."""
    workspace, store = published_hotline.copy(tmp_path / "publisher")
    with publisher(workspace, store) as opened:
        yield Scene(opened, store, follow(opened, store, tmp_path / "client"))
