"""What every test of the sync shares: a repository with one list, a client of it, and no pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.sync import fetch


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF", 0.0)


@pytest.fixture
def repository() -> Repository:
    """One list of URLs at version 1."""
    made = Repository()
    made.create("urls")
    made.release("urls", listed("bad.example/a", "bad.example/b"))
    return made


@pytest.fixture
def client(repository: Repository, tmp_path: Path) -> Client:
    """A client that has version 1."""
    made = Client(repository, tmp_path / "client")
    made.synced()
    return made
