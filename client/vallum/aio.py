"""The sync for asyncio programs: in a thread, since verification and TUF are no coroutines."""

from __future__ import annotations

import asyncio

from vallum.config import Config
from vallum.sync.report import SyncReport
from vallum.sync.updater import Updater


async def sync(config: Config) -> SyncReport:
    """Do what ``Updater(config).sync()`` does, without holding up the event loop; errors are the same.

    Cancelling returns at once; the thread finishes its sync, which is safe at any moment.
    """

    def run() -> SyncReport:
        with Updater(config) as updater:
            return updater.sync()

    return await asyncio.to_thread(run)
