"""A server that says anything at all: bytes of the test's choice over a raw socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answering = Callable[[socket.socket], None]
"""Sends what it likes over a connection whose request was read."""


class Crooked:
    """What a server saw: ``asked`` has the first line of each request, ``sent`` counts bytes of floods."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sent = 0
        self.url = ""

    def drip(self, head: bytes, piece: bytes) -> Answering:
        """A head, then a piece now and then, for ever."""

        def answer(connection: socket.socket) -> None:
            connection.sendall(head)
            while True:
                time.sleep(0.2)
                connection.sendall(piece)

        return answer

    def flood(self, head: bytes, piece: bytes) -> Answering:
        """A head, then as many pieces as anybody takes."""

        def answer(connection: socket.socket) -> None:
            connection.sendall(head)
            while True:
                connection.sendall(piece)
                self.sent += len(piece)

        return answer

    @contextmanager
    def running(self, answer: Answering, delay: float = 0.0, backlog: int = 64) -> Iterator[Crooked]:
        """Serve until the block ends; nobody is let in before ``delay`` seconds have passed."""
        ended = threading.Event()

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                while data := connection.recv(65536):
                    self.asked.append(data.split(b"\r\n", 1)[0].decode("latin-1"))
                    answer(connection)

        def accept() -> None:
            ended.wait(delay)
            with suppress(OSError):
                while not ended.is_set():
                    connection, _ = listening.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            threading.Thread(target=accept, daemon=True).start()
            try:
                yield self
            finally:
                ended.set()
                listening.shutdown(socket.SHUT_RDWR)


def once(answer: bytes) -> Answering:
    """An answer, and the end of the connection."""

    def send(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return send
