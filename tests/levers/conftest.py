"""What all stories share: a hotline with one list, a machine that follows it, and no pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.sync import fetch

PAGES = [f"bad{number}.example/page" for number in range(400)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF", 0.0)


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.create("urls")
    made.release("urls", listed(*PAGES))
    return made


@pytest.fixture
def client(repository: Repository, tmp_path: Path) -> Client:
    made = Client(repository, tmp_path / "client")
    made.synced()
    return made
