"""One thread that ends what takes too long, for the whole process.

Time-outs end what is silent. A store that sends a byte now and then is never silent, and would hold the state
folder's lock for ever (client.md §2.3). A timer for each sync would be a thread for each poll, and a third of
its work; here a poll costs an entry in a heap.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from vallum.errors import UnavailableError

NO_THREAD = "has the service reached its limit of tasks or of memory?"
"""What is asked of an operator whose machine starts no thread more."""


@dataclass(order=True, slots=True)
class _Watch:
    until: float
    bark: Callable[[], None] | None = field(compare=False)
    barking: threading.Lock = field(default_factory=threading.Lock, compare=False)


class Watchdog:
    """Calls what it was given when its time has come. Its thread begins with the first watch, and stays."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all: a forked child has neither its parent's thread nor its parent's business."""
        self._watches: list[_Watch] = []
        self._changed = threading.Condition()
        self._running = False

    @contextmanager
    def watching(self, until: float, bark: Callable[[], None]) -> Iterator[None]:
        """Call ``bark`` in another thread if the block still runs at ``until`` on the monotonic clock.

        Once the block has ended, it has been called or never will be.

        Raises:
            UnavailableError: there is no thread to be had, and the block does not run; the next one may.
        """
        watch = _Watch(until, bark)
        with self._changed:
            self._forget_ended()
            if not self._running:
                self._start()
                self._running = True
            heapq.heappush(self._watches, watch)
            if self._watches[0] is watch:
                self._changed.notify()
        try:
            yield
        finally:
            with watch.barking:
                watch.bark = None

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="vallum-watchdog", daemon=True).start()
        except RuntimeError:
            raise UnavailableError(
                "no thread is to be had that watches over the deadline", hint=NO_THREAD
            ) from None

    def _forget_ended(self) -> None:
        while self._watches and self._watches[0].bark is None:
            heapq.heappop(self._watches)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._forget_ended()
                if not self._watches:
                    self._changed.wait()
                    continue
                left = self._watches[0].until - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                watch = heapq.heappop(self._watches)
            with watch.barking, suppress(Exception):  # whatever it came to, the next one must be called, too
                if watch.bark is not None:
                    watch.bark()


WATCHDOG = Watchdog()
os.register_at_fork(after_in_child=WATCHDOG.begin_anew)
