"""Tells watchers that the head of a repository moved: server-sent events over HTTP (client.md §11.3).

It needs the store and no key, so a mirror may run it as well as the publisher. What it says is a reason to
poll; a client that believes it more is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256

from aiohttp import web  # noqa: TID251 - here HTTP is served

from vallum.errors import ConfigError, StorageError, UnavailableError
from vallum_publisher.store.protocol import ObjectStore

PATH = "/events"
BEAT = 15.0
"""Seconds after which a comment shows that the connection lives."""
EVERY = 0.5
"""Seconds between looks at the store."""
WATCHERS = 10_000
"""Connections at one time; whoever comes when they are taken is asked to come again later."""

_PATIENCE = 10.0
_TIMESTAMP = "metadata/timestamp.json"
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


class Announcer:
    """Watches one store and tells everybody who is connected.

    Args:
        store: of the repository; only its timestamp is read.
        note: told, in words, when the store cannot be read and when it can again.
        every: seconds between looks at the store.
        watchers: connections at one time.
    """

    def __init__(
        self,
        store: ObjectStore,
        note: Callable[[str], None],
        every: float = EVERY,
        watchers: int = WATCHERS,
    ) -> None:
        self._store = store
        self._note = note
        self._every = every
        self._most = watchers
        self._digest = ""
        self._moved = asyncio.Event()
        self._ending = False
        self.watchers = 0

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[str]:
        """Serve until the block ends; yields the address of the events.

        Raises:
            ConfigError: nothing can listen there.
        """
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        app.on_shutdown.append(self._end)
        # Whoever goes away makes room at once, not at the next beat.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        looking = asyncio.create_task(self._look())
        try:
            try:
                await web.TCPSite(runner, host, port, backlog=1024).start()
            except OSError as error:
                raise ConfigError(
                    f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --listen"
                ) from None
            yield f"http://{host}:{runner.addresses[0][1]}{PATH}"
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await runner.cleanup()

    async def _end(self, _app: web.Application) -> None:
        self._ending = True
        self._moved.set()

    async def _look(self) -> None:
        trouble = ""
        while True:
            try:
                stored = await asyncio.to_thread(self._store.get, _TIMESTAMP)
            except UnavailableError as error:
                if trouble != str(error):
                    trouble = str(error)
                    self._note(f"warning: {error}")
            else:
                if trouble:
                    trouble = ""
                    self._note("the store answers again")
                digest = "" if stored is None else sha256(stored.data).hexdigest()
                if digest and digest != self._digest:
                    self._digest = digest
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(self._every)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.watchers >= self._most:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "60"})
        self.watchers += 1
        try:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            await self._tell(response)
            return response
        finally:
            self.watchers -= 1

    async def _tell(self, response: web.StreamResponse) -> None:
        """Send the newest digest whenever it is another one, and only that: a slow reader skips some."""
        told = ""
        while not self._ending:
            moved, digest = self._moved, self._digest
            text = f"event: head\ndata: {digest}\n\n" if digest != told else ": here\n\n"
            told = digest
            try:
                # Whoever does not read must not fill our memory.
                await asyncio.wait_for(response.write(text.encode()), _PATIENCE)
            except (TimeoutError, ConnectionError):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), BEAT)


def check_readable(store: ObjectStore) -> None:
    """Look whether there is a repository in the store.

    Raises:
        StorageError: nothing has been published there.
    """
    if store.get(_TIMESTAMP) is None:
        raise StorageError("the store holds no repository", hint="is the address that of a published one?")
