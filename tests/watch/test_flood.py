"""A server of events that sends without pause whatever is no event: it waits, and we do no work for it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from vallum.config import Source
from vallum.sync.hint import Listener

DIGEST = "0123456789abcdef" * 4
FLOODS = {
    "comments": b": keep\n\n" * 4000,
    "empty lines": b"\n" * 32000,
    "carriage returns": b"\r" * 32000,
    "one line": b"x" * 32000,
    "other events": b"event: other\ndata: 1\n\n" * 1000,
    "hints": f"event: head\ndata: {DIGEST}\n\n".encode() * 300,
}


class Flood:
    """Says one hint, and then the same for ever; ``taken`` is how many bytes of that went out."""

    def __init__(self, junk: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/events"
        self._junk, self.taken = junk, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            client, _ = self._socket.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                client.sendall(f"event: head\ndata: {DIGEST}\n\n".encode())
                while True:
                    self.taken += client.send(self._junk)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


def test_whatever_a_flood_consists_of(tmp_path: Path) -> None:
    """All of them at once: what the buffers hold is sent at once, and then some eighty kilobytes a second."""
    floods = {kind: Flood(junk) for kind, junk in FLOODS.items()}
    heard: list[str] = []
    listeners = [
        Listener(
            Source(kind, flood.address, tmp_path / "root.json", ("urls.full",), hints=flood.address),
            lambda name, _digest: heard.append(name),
        )
        for kind, flood in floods.items()
    ]
    try:
        for listener in listeners:
            listener.start()
        until = time.monotonic() + 30
        while set(heard) != set(FLOODS) and time.monotonic() < until:
            time.sleep(0.05)
        assert set(heard) == set(FLOODS), "what is said before a flood is heard"
        time.sleep(0.5)
        before, began = {kind: flood.taken for kind, flood in floods.items()}, time.monotonic()
        time.sleep(1)
        seconds = time.monotonic() - began
        for kind, flood in floods.items():
            # 20 times 4,096 bytes a second; the system passes them on in larger pieces.
            assert flood.taken - before[kind] < 1_000_000 * seconds, kind
    finally:
        for listener in listeners:
            listener.end()
        for flood in floods.values():
            flood.close()
