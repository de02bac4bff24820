"""A thousand watchers of one announcer, beside the same thousand polling every two seconds. On loopback.

    python -m benchmarks.watchers [--watchers 1000] [--heads 20]

The announcer runs in a process of its own and is asked for its processor time; the watchers share another.
The peer answers the conditional requests of as many clients that poll often enough to be as quick.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from benchmarks.stopwatch import memory
from vallum.sync.hint import Events
from vallum_publisher.announcer import Announcer
from vallum_publisher.store import TIMESTAMP, open_store

PERIOD = 2.0
SPACING = 1.5


def serve(store: str, pipe: Connection) -> None:
    asyncio.run(_serve(store, pipe))


async def _serve(store: str, pipe: Connection) -> None:
    announcer = Announcer(open_store(store), print)
    async with announcer.serving("127.0.0.1", 0) as events, _polled(Path(store)) as poll:
        pipe.send((events, poll))
        while await asyncio.to_thread(pipe.recv):
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send((used.ru_utime + used.ru_stime, memory(), announcer.watchers))


@asynccontextmanager
async def _polled(store: Path) -> AsyncIterator[str]:
    """The cheapest answer that aiohttp has for who asks whether a timestamp changed."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=304)

    app = web.Application()
    app.router.add_get("/timestamp.json", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/timestamp.json"
    await runner.cleanup()


async def watch(session: ClientSession, address: str, heard: dict[str, list[float]]) -> None:
    events = Events()
    async with session.get(address) as response:
        async for data in response.content.iter_any():
            for digest in events.feed(data):
                heard.setdefault(digest, []).append(time.monotonic())


async def poll(session: ClientSession, address: str, offset: float) -> None:
    await asyncio.sleep(offset)
    while True:
        async with session.get(address, headers={"If-None-Match": '"x"'}) as response:
            await response.read()
        await asyncio.sleep(PERIOD)


async def measure(folder: str, watchers: int, heads: int, pipe: Connection) -> None:
    def ask() -> tuple[float, int, int]:
        pipe.send(True)
        answer: tuple[float, int, int] = pipe.recv()
        return answer

    events, polls = pipe.recv()
    store = open_store(folder)
    tag = store.replace("metadata/timestamp.json", b"head 0", TIMESTAMP, None)
    _, idle, _ = ask()
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=None)) as session:
        heard: dict[str, list[float]] = {}
        tasks = [asyncio.create_task(watch(session, events, heard)) for _ in range(watchers)]
        await asyncio.sleep(2 + watchers / 500)
        before, loaded, connected = await asyncio.to_thread(ask)
        assert connected == watchers
        began, delays = time.monotonic(), list[float]()
        for number in range(1, heads + 1):
            data, moment = f"head {number}".encode(), time.monotonic()
            tag = store.replace("metadata/timestamp.json", data, TIMESTAMP, tag)
            await asyncio.sleep(SPACING)
            came = heard.get(sha256(data).hexdigest(), [])
            assert len(came) == watchers, f"{len(came)} of {watchers} heard head {number}"
            delays += [at - moment for at in came]
        after, _, _ = await asyncio.to_thread(ask)
        hints = (after - before) / (time.monotonic() - began)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = [asyncio.create_task(poll(session, polls, PERIOD * at / watchers)) for at in range(watchers)]
        await asyncio.sleep(2 * PERIOD)
        before, _, _ = await asyncio.to_thread(ask)
        began = time.monotonic()
        await asyncio.sleep(5 * PERIOD)
        after, _, _ = await asyncio.to_thread(ask)
        asked = (after - before) / (time.monotonic() - began)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    delays.sort()
    print(f"{watchers:,} watchers, {heads} heads, one every {SPACING} s; each heard every one")
    print(f"from the store's change to the hint: median {statistics.median(delays):.2f} s, "
          f"99 % {delays[len(delays) * 99 // 100]:.2f} s, longest {delays[-1]:.2f} s")  # fmt: skip
    print(f"memory of a watcher at the announcer: {(loaded - idle) / watchers / 1024:.1f} KiB")
    print(f"processor of the announcer: {hints:.1%} of a core")
    print(f"as many clients that poll every {PERIOD:g} s: {asked:.1%}; hints take {hints / asked:.2f} of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--heads", type=int, default=20)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, theirs))
        server.start()
        try:
            asyncio.run(measure(folder, options.watchers, options.heads, ours))
        finally:
            ours.send(False)
            server.join(10)
            server.kill()


if __name__ == "__main__":
    main()
