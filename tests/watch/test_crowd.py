"""Hundreds of watchers at one announcer: all are told at once, and the store is asked once by each.

What they listen with, and by what they decide when to poll, is the product's; the loop that waits, in
:mod:`vallum.sync.watch`, is here one for all of them. What a thousand cost: ``benchmarks/watchers.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web  # noqa: TID251 - a store and its clients

from tests.fakes.faulty_store import FaultyStore
from vallum.sync.hint import Events
from vallum.sync.schedule import Turn, hinted, polled
from vallum_publisher.announcer import Announcer
from vallum_publisher.store import TIMESTAMP, ObjectStore, Stored, open_store

WATCHERS = 250
NAME = "metadata/timestamp.json"


class CountedStore(FaultyStore):
    """The store as the announcer sees it, counted."""

    asked = 0

    def get(self, key: str) -> Stored | None:
        self.asked += 1
        return super().get(key)


class Polled:
    """The store as its clients see it; ``asked`` has the status of each answer."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._all = asyncio.Event()
        self.asked: list[int] = []

    def begin(self) -> None:
        """Count anew."""
        self.asked.clear()
        self._all.clear()

    async def by_all(self) -> None:
        """Wait until there are as many requests as watchers."""
        await asyncio.wait_for(self._all.wait(), 20)

    async def _answer(self, request: web.Request) -> web.Response:
        stored = self._store.get(NAME)
        assert stored is not None
        tag = f'"{sha256(stored.data).hexdigest()}"'
        changed = request.headers.get("If-None-Match") != tag
        self.asked.append(200 if changed else 304)
        if len(self.asked) == WATCHERS:
            self._all.set()
        return (
            web.Response(status=200, body=stored.data, headers={"ETag": tag})
            if changed
            else web.Response(status=304)
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get(f"/{NAME}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{NAME}"
        await runner.cleanup()


class Watcher:
    """One client: ``heard`` has what it was told, and when."""

    def __init__(self, session: ClientSession, events: str, url: str, random: Random) -> None:
        self._session, self._events, self._url, self._random = session, events, url, random
        self._turn = Turn(due=time.monotonic())
        self._stirred = asyncio.Event()
        self._tag = ""
        self.listening = asyncio.Event()
        self.heard: dict[str, float] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._poll())

    async def _listen(self) -> None:
        events = Events()
        async with self._session.get(self._events) as response:
            self.listening.set()
            async for data in response.content.iter_any():
                for digest in events.feed(data):
                    self.heard.setdefault(digest, time.monotonic())
                    if f'"{digest}"' != self._tag:
                        self._turn = hinted(self._turn, time.monotonic(), self._random.random())
                        self._stirred.set()

    async def _poll(self) -> None:
        while True:
            while (left := self._turn.due - time.monotonic()) > 0:
                self._stirred.clear()
                try:
                    await asyncio.wait_for(self._stirred.wait(), left)
                except TimeoutError:
                    break
            async with self._session.get(self._url, headers={"If-None-Match": self._tag}) as response:
                await response.read()
                tag = response.headers.get("ETag", self._tag)
            news, self._tag = tag != self._tag, tag
            now, draw = time.monotonic(), self._random.random()
            self._turn = polled(self._turn, now, failed=False, news=news, min_poll=60, draw=draw)


@asynccontextmanager
async def watching(session: ClientSession, events: str, url: str) -> AsyncIterator[list[Watcher]]:
    """All watchers, while the block runs; they listen when it begins."""
    random = Random(1)  # noqa: S311 - jitter
    watchers = [Watcher(session, events, url, random) for _ in range(WATCHERS)]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    try:
        await asyncio.gather(*(watcher.listening.wait() for watcher in watchers))
        yield watchers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_all_are_told_within_two_seconds_and_ask_once(tmp_path: Path) -> None:
    """Two publications: each watcher asks once for each, once in the beginning, and never else.

    The announcer itself looks into the store as often as it would for one watcher.
    """
    store = open_store(str(tmp_path))
    tag = store.replace(NAME, b"head 0", TIMESTAMP, None)
    counted, polls, began = CountedStore(store), Polled(store), time.monotonic()
    async with (
        Announcer(counted, pytest.fail, every=0.25).serving("127.0.0.1", 0) as events,
        polls.serving() as url,
        ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None)) as session,
        watching(session, events, url) as watchers,
    ):
        await polls.by_all()
        await asyncio.sleep(1.2)
        assert polls.asked == [200] * WATCHERS
        for number in (1, 2):
            polls.begin()
            moment, head = time.monotonic(), f"head {number}".encode()
            tag = store.replace(NAME, head, TIMESTAMP, tag)
            await polls.by_all()
            told = [watcher.heard[sha256(head).hexdigest()] - moment for watcher in watchers]
            assert max(told) < 2
            await asyncio.sleep(1.2)
            assert polls.asked == [200] * WATCHERS
        assert counted.asked <= (time.monotonic() - began) / 0.25 + 1
