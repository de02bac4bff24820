"""Watching, with a real server of events: at once after a publication, and seldom otherwise."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout, web  # noqa: TID251 - plays a hostile server of events

from tests.fakes.repository import Repository, listed
from vallum.config import Config
from vallum.errors import FetchError, VallumError
from vallum.sync.report import SyncReport
from vallum.sync.watch import Watch
from vallum_publisher.announcer import Announcer
from vallum_publisher.store import open_store


class Serving:
    """A loop in a thread of its own, for what serves while the test waits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    @contextmanager
    def announcing(self, store: Path, **options: int) -> Iterator[tuple[Announcer, str]]:
        announcer = Announcer(open_store(str(store)), lambda said: None, every=0.1, **options)
        context = announcer.serving("127.0.0.1", 0)
        address = asyncio.run_coroutine_threadsafe(context.__aenter__(), self.loop).result(10)
        try:
            yield announcer, address
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), self.loop).result(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository()
    made.create("urls")
    made.release("urls", listed("a.example/"))
    made.publish()
    made.write_to(tmp_path / "store")
    return made


class Watched:
    """A watching client in a thread; ``told`` is what it told, with the moments."""

    def __init__(self, config: Config) -> None:
        self.told: list[tuple[float, SyncReport | VallumError]] = []
        self._watch = Watch(config, lambda said: self.told.append((time.monotonic(), said)))
        self._thread = threading.Thread(target=self._watch.run, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def versions(self) -> list[int | None]:
        """Those that came into force, in order."""
        return [
            stream.after
            for _, said in self.told
            if isinstance(said, SyncReport)
            for source in said.sources
            for stream in source.streams
            if stream.outcome == "activated"
        ]

    def wait_for(self, version: int, seconds: float) -> float:
        """Wait until it is in force; how many seconds that took."""
        began = time.monotonic()
        while version not in self.versions():
            assert time.monotonic() - began < seconds, self.told
            time.sleep(0.01)
        return time.monotonic() - began


def config(repository: Repository, folder: Path, hints: str = "", url: str = "") -> Config:
    made = repository.config(folder)
    [source] = made.sources
    return replace(
        made,
        sources=(replace(source, url=url or (folder / "store").as_uri(), hints=hints),),
    )


def start(module: str, *words: str) -> subprocess.Popen[bytes]:
    program = f"from {module} import main; main()"
    return subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE)


def publish(repository: Repository, folder: Path, form: str) -> None:
    repository.release("urls", listed(form))
    repository.publish()
    repository.write_to(folder / "store")


def test_a_publication_is_in_force_within_two_seconds(
    repository: Repository, tmp_path: Path, serving: Serving
) -> None:
    with (
        serving.announcing(tmp_path / "store") as (announcer, address),
        Watched(config(repository, tmp_path, address)) as watched,
    ):
        watched.wait_for(1, 10)
        for version in (2, 3):
            while announcer.watchers == 0:
                time.sleep(0.01)
            time.sleep(1.2)
            publish(repository, tmp_path, f"v{version}.example/")
            assert watched.wait_for(version, 10) < 2
    assert len(watched.told) <= 5  # one poll a publication, and none of the 10 s rhythm is due


def test_a_liar_who_cries_all_the_time_is_heard_less_and_less(
    repository: Repository, tmp_path: Path, serving: Serving
) -> None:
    """A hostile server names a new digest every few milliseconds, to make clients storm the store."""

    async def cry(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        number = 0
        while request.transport is not None and not request.transport.is_closing():
            number += 1
            await response.write(f"event: head\ndata: {number:064x}\n\n".encode())
            await asyncio.sleep(0.002)
        return response

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get("/events", cry)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    runner, port = asyncio.run_coroutine_threadsafe(start(), serving.loop).result(10)
    try:
        with Watched(config(repository, tmp_path, f"http://127.0.0.1:{port}/events")) as watched:
            watched.wait_for(1, 10)
            time.sleep(6)
        # At 1, 2 and 4 s after the first, where one every 2 ms was asked for.
        assert len(watched.told) <= 5
        assert watched.versions() == [1]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), serving.loop).result(10)


def test_a_dead_server_of_events_costs_nothing_but_the_hint(repository: Repository, tmp_path: Path) -> None:
    with Watched(config(repository, tmp_path, "http://127.0.0.1:9/events")) as watched:
        watched.wait_for(1, 10)
    assert len(watched.told) == 1


def test_a_source_that_is_down_is_told_and_left_alone_for_a_while(
    repository: Repository, tmp_path: Path
) -> None:
    with Watched(config(repository, tmp_path, url=(tmp_path / "nowhere").as_uri())) as watched:
        time.sleep(4)
    [(_, said)] = watched.told  # none within the first back-off
    assert isinstance(said, SyncReport)
    [(_, error)] = said.errors()
    assert isinstance(error, FetchError)


async def test_the_newest_is_said_on_connecting_and_beyond_the_limit_nobody_is_let_in(
    repository: Repository, tmp_path: Path
) -> None:
    announcer = Announcer(open_store(str(tmp_path / "store")), pytest.fail, every=0.1, watchers=1)
    async with (
        announcer.serving("127.0.0.1", 0) as address,
        ClientSession(timeout=ClientTimeout(5)) as session,
    ):
        await asyncio.sleep(0.3)
        async with session.get(address) as first:
            assert first.headers["Content-Type"] == "text/event-stream"
            assert await first.content.readline() == b"event: head\n"
            async with session.get(address) as second:
                assert second.status == 503
                assert second.headers["Retry-After"] == "60"
        await asyncio.sleep(1)  # who went away made room
        async with session.get(address) as third:
            assert third.status == 200


def test_both_commands_live_until_they_are_asked_to_stop(repository: Repository, tmp_path: Path) -> None:
    """As services run them: a poll is printed, SIGTERM ends them with exit code 0."""
    store = str(tmp_path / "store")
    announce = start(
        "vallum_publisher.cli", "announce", "--json", "--store", store, "--listen", "127.0.0.1:0"
    )
    assert announce.stdout is not None
    hints = json.loads(announce.stdout.readline())["events"]
    says = (
        f'state = "state"\n[[source]]\nname = "hotline"\nurl = "store"\nroot = "hotline.root.json"\n'
        f'hints = "{hints}"\nlists = ["urls"'
    )
    (tmp_path / "vallum.toml").write_text(f"{says}]\n")
    (tmp_path / "hotline.root.json").write_bytes(repository.first_root)
    sync = start("vallum.cli", "-c", str(tmp_path / "vallum.toml"), "sync", "--watch", "--json")
    assert sync.stdout is not None
    assert json.loads(sync.stdout.readline())["sources"][0]["streams"][0]["after"] == 1
    time.sleep(1.5)
    publish(repository, tmp_path, "b.example/")
    assert json.loads(sync.stdout.readline())["sources"][0]["streams"][0]["after"] == 2
    # What the operator writes meanwhile holds from the next poll on; what he mistypes changes nothing.
    repository.create("other")
    repository.release("other", listed("o.example/"))
    for text, lists in (("", 1), (', "other"]', 2)):
        (tmp_path / "vallum.toml").write_text(says + text)
        time.sleep(1.5)
        publish(repository, tmp_path, f"{lists}.example/")
        assert len(json.loads(sync.stdout.readline())["sources"][0]["streams"]) == lists
    for process in (sync, announce):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        process.stdout.close()
