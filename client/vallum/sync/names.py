"""Looking up the names of hosts, for as long as who asks will wait: the system's resolver knows no deadline.

It is asked in a thread that is left behind where it hangs. Whoever asks for the same name meanwhile waits for
the same answer, so that a name holds one thread, however often its source is tried.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from queue import SimpleQueue

Address = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]
"""As ``getaddrinfo`` gives them."""

Answers = SimpleQueue[Sequence[Address] | Exception | None]
"""Where an answer comes; ``None`` tells who waits for one to wait no longer."""


class Names:
    """The names that are being looked up in this process."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all: a forked child has none of its parent's threads."""
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, int], list[Answers]] = {}

    def ask(self, host: str, port: int, answers: Answers) -> None:
        """Look a name up: its addresses are put into ``answers``, or the error that there was instead."""
        with self._lock:
            waiting = self._asked.setdefault((host, port), [])
            waiting.append(answers)
            if len(waiting) > 1:
                return
        thread = threading.Thread(target=self._run, args=(host, port), name="vallum-name", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more tasks or memory: whoever asks next must not wait for this one
            self._tell(host, port, socket.gaierror(socket.EAI_AGAIN, "no thread is to be had to look it up"))

    def _run(self, host: str, port: int) -> None:
        found: Sequence[Address] | Exception
        try:
            found = addresses(host, port)
        except Exception as error:  # it is for who asked
            found = error
        self._tell(host, port, found)

    def _tell(self, host: str, port: int, found: Sequence[Address] | Exception) -> None:
        with self._lock:
            waiting = self._asked.pop((host, port))
        for answers in waiting:
            answers.put(found)


NAMES = Names()
os.register_at_fork(after_in_child=NAMES.begin_anew)


def addresses(host: str, port: int, flags: int = 0) -> Sequence[Address]:
    """Ask the system; errors as of ``getaddrinfo``."""
    return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)
