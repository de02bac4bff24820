"""What all stories share: a hotline with one list, a machine that follows it, and no pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import FetchError
from vallum.expression import Scope
from vallum.journal import read_journal
from vallum.sync import fetch
from vallum.sync.transport import Answer

PAGES = [f"bad{number}.example/page" for number in range(400)]
BAD = f"https://{PAGES[0]}"
SHOP = "https://shop.example/"


def said(client: Client) -> list[str]:
    """What the journal says was done."""
    return [str(line["what"]) for line in read_journal(client.state)]


def unplug(repository: Repository) -> None:
    """The store is gone."""

    def broken() -> Answer:
        raise FetchError("no connection")

    repository.answers = dict.fromkeys([*repository.objects, "metadata/2.root.json"], broken)


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


@pytest.fixture
def blocked_shop(repository: Repository, client: Client) -> Client:
    """Version 2 blocks a shop by mistake."""
    repository.release("urls", {**listed(*PAGES), **listed("shop.example", scope=Scope.HOST)})
    client.synced()
    return client
