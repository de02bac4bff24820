"""How often a sync waits for the store: once if nothing is new; all runs of a change together."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.config import Source
from vallum.sync.transport import Answer, Transport


class Meeting:
    """A store that answers for a run only once all runs have been asked for."""

    def __init__(self, transport: Transport, runs: Barrier) -> None:
        self._transport, self._runs = transport, runs

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        if name.endswith(".run"):
            self._runs.wait()
        return self._transport.get(name, etag=etag, fresh=fresh)

    def close(self) -> None:
        self._transport.close()


class Meetings(Repository):
    """A repository whose runs must be fetched ``together``, where that is said."""

    together: Barrier | None = None

    def connect(self, source: Source) -> Transport:
        transport = super().connect(source)
        return transport if self.together is None else Meeting(transport, self.together)


def away(repository: Repository, folder: Path) -> Client:
    client = Client(repository, folder)
    client.synced()
    return client


def test_all_runs_are_fetched_at_once(tmp_path: Path) -> None:
    """One after the other they would wait for each other in vain."""
    repository = Meetings()
    repository.create("urls")
    repository.release("urls", listed("bad.example/0"))
    first, second = away(repository, tmp_path / "first"), away(repository, tmp_path / "second")
    for number in range(1, 11):
        repository.release("urls", listed(*(f"bad.example/{n}" for n in range(number, number + 20))))
    path = first.synced().path
    assert len(path) >= 3
    repository.together = Barrier(len(path), timeout=20)
    assert second.synced().path == path
    assert repository.together.n_waiting == 0


def test_nothing_new_is_one_conditional_request(tmp_path: Path) -> None:
    repository = Repository()
    repository.etags = True
    repository.create("urls")
    repository.release("urls", listed("bad.example/0"))
    client = away(repository, tmp_path)
    repository.requests.clear()
    [source] = client.sync().sources
    assert (source.requests, source.bytes) == (1, 0)
    assert repository.requests == ["metadata/timestamp.json"]
