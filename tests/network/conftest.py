"""What the stories share: a hotline with one list behind a bad network, and a machine that follows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.network.bad_store import BadStore
from vallum.sync import fetch
from vallum.sync.transport import open_transport

PAGES = [f"bad{number}.example/page" for number in range(60)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses of ours, and no proxy of this machine."""
    monkeypatch.setattr(fetch, "BACKOFF", 0.0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.create("urls")
    made.release("urls", listed(*PAGES))
    return made


@pytest.fixture
def store(repository: Repository) -> Iterator[BadStore]:
    with BadStore(repository).running() as made:
        yield made


@pytest.fixture
def client(repository: Repository, store: BadStore, tmp_path: Path) -> Client:
    """A client that has version 1, and whose store is about to go bad."""
    made = Client(repository, tmp_path / "client")
    [source] = made.config.sources
    made.config = replace(made.config, sources=(replace(source, url=store.url, timeout=2.0),))
    made.connect = open_transport
    made.synced()
    store.asked.clear()
    return made
