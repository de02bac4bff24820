"""What is silent before a server can be asked anything: a resolver, a handshake. Neither outlives a deadline.

By ``Client.refused`` the last good list is still in force, and afterwards the lock is free.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.network.bad_store import BadStore
from tests.network.conftest import PAGES
from tests.network.crooked import Crooked
from vallum.config import Source
from vallum.errors import FetchError
from vallum.state import read_current
from vallum.sync.fetch import ATTEMPTS
from vallum.sync.names import Answers, Names, addresses
from vallum.sync.updater import Updater

NAME = "lists.example"


class Resolver:
    """The system's resolver; of :data:`NAME` it says nothing until ``said`` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.said = threading.Event()
        self.answer: list[Any] = []
        self._system = socket.getaddrinfo

    def __call__(self, host: str, *rest: Any) -> Any:
        if host != NAME or socket.AI_NUMERICHOST in rest:
            return self._system(host, *rest)
        self.asked += 1
        self.said.wait(60)
        return self.answer


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.said.set()


@contextmanager
def hanging(what: str, source: Source, **changes: Any) -> Iterator[Source]:
    """A source that nothing can be asked of: its name is not told, or its server never shakes hands."""
    ended, crooked = threading.Event(), Crooked()

    def wait(_: socket.socket) -> None:
        ended.wait(60)

    with crooked.running(wait):
        url = crooked.url.replace("http:", "https:") if what == "a handshake" else f"http://{NAME}"
        yield replace(source, url=url, **changes)
        ended.set()


@pytest.mark.parametrize("what", ["a resolver", "a handshake"])
def test_what_hangs_is_cut_off_at_the_deadline(client: Client, resolver: Resolver, what: str) -> None:
    """Nothing answers, and the time-out is a minute: the deadline of a second holds, to a fraction of it."""
    with hanging(what, client.config.sources[0], deadline=1.0, timeout=60.0) as bad:
        client.config = replace(client.config, sources=(bad,))
        began = time.monotonic()
        assert "deadline" in str(client.refused(FetchError))
        assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("what", ["a resolver", "a handshake"])
def test_each_attempt_ends_by_the_time_out(client: Client, resolver: Resolver, what: str) -> None:
    """With an hour until the deadline it is four time-outs, and what hangs is not asked four times over."""
    with hanging(what, client.config.sources[0], deadline=3600.0, timeout=0.5) as bad:
        client.config = replace(client.config, sources=(bad,))
        began = time.monotonic()
        error = client.refused(FetchError)
        assert 0.4 * ATTEMPTS < time.monotonic() - began < 10
        assert ("does not resolve" if what == "a resolver" else "in time") in str(error)
        assert resolver.asked == (what == "a resolver")
        assert sum(thread.name == "vallum-name" for thread in threading.enumerate()) == resolver.asked


@pytest.mark.parametrize("what", ["a resolver", "a handshake"])
def test_what_hangs_holds_back_no_other_source(
    repository: Repository, client: Client, resolver: Resolver, what: str
) -> None:
    """One source hangs, another has a new version: it comes, and the lock is free again, twice over."""
    [good] = client.config.sources
    with hanging(what, good, name="other", deadline=1.0, timeout=60.0) as bad:
        client.config = replace(client.config, sources=(good, bad))
        repository.release("urls", listed(*PAGES, "new.example/page"))
        with Updater(client.config) as updater:
            for _ in range(2):
                report = updater.sync(wait_for_lock=0)
                assert [where for where, _ in report.errors()] == ["other"]
                assert "deadline" in str(report.errors()[0][1])
                assert report.seconds < 5
        assert read_current(client.state).sources["hotline"].streams["urls.full"].head.version == 2


def test_a_machine_without_threads_holds_up_no_later_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """TasksMax is reached: who asks then is told at once, and who asks later is not made to wait for him."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names, answers = Names(), Answers()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        names.ask("127.0.0.1", 80, answers)
    assert isinstance(answers.get_nowait(), OSError)
    names.ask("127.0.0.1", 80, answers)
    assert answers.get(timeout=30) == addresses("127.0.0.1", 80)


def test_a_resolver_that_comes_back(client: Client, resolver: Resolver, store: BadStore) -> None:
    """What it says then is for the sync that asks then; nothing is left of those that waited in vain."""
    [source] = client.config.sources
    port = int(source.url.rpartition(":")[2])
    lost = replace(source, url=f"http://{NAME}:{port}", timeout=0.3)
    client.config = replace(client.config, sources=(lost,))
    client.refused(FetchError)
    resolver.answer = resolver._system("127.0.0.1", port, 0, socket.SOCK_STREAM)
    resolver.said.set()
    client.synced()
    assert resolver.asked == 2
