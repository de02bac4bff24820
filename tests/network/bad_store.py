"""A store on a real socket that does to chosen objects what networks, caches and servers do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fakes.repository import Repository
from vallum.sync.fetch import PACKED


@dataclass(frozen=True)
class Fault:
    """What becomes of one request.

    Attributes:
        status, headers, body: of the answer; without a body it is the object's, or none if the status is
            no 200.
        delay: seconds before the answer.
        drip: seconds before each byte of the answer, its head included.
        cut: bytes of the body after which the connection ends, its length having promised more.
        reset: it ends with an RST, as from a firewall.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    reset: bool = False


class BadStore:
    """Serves a repository as it stands at each request.

    Attributes:
        faults: by object, what becomes of its next requests; the last one stays. ``""`` is every object.
        asked: names in order, and the headers that came.
        packed: whether there is packed metadata.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.packed = False
        self.url = ""

    def take(self, name: str) -> Fault:
        """The fault that this request meets."""
        waiting = self.faults.get(name) or self.faults.get("") or [Fault()]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def find(self, name: str) -> bytes | None:
        """An object as the repository has it now."""
        plain = name.removesuffix(PACKED)
        if plain != name:
            return (
                self._repository.packed(plain) if self.packed and plain in self._repository.objects else None
            )
        return self._repository.objects.get(name)

    @contextmanager
    def running(self) -> Iterator[BadStore]:
        """Serve until the block ends."""
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                store.connections += 1
                super().setup()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                name = self.path.removeprefix("/")
                store.asked.append(name)
                store.headers.append(dict(self.headers.items()))
                fault = store.take(name)
                time.sleep(fault.delay)
                with suppress(OSError):  # the client has lost patience
                    self.answer(name, fault)

            def answer(self, name: str, fault: Fault) -> None:
                status, data = fault.status, fault.body
                if data is None:
                    found = store.find(name) if status == 200 else b"an error page"
                    status, data = (404, b"no such key") if found is None else (status, found)
                tag = f'"{sha256(data).hexdigest()[:16]}"'
                if status == 200 and self.headers.get("If-None-Match") == tag:
                    status, data = 304, b""
                head = {"Content-Length": str(len(data)), "ETag": tag, **fault.headers}
                lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in head.items())]
                whole = "\r\n".join([*lines, "", ""]).encode() + data[: fault.cut]
                if fault.drip:
                    for byte in whole:
                        time.sleep(fault.drip)
                        self.wfile.write(bytes((byte,)))
                else:
                    self.wfile.write(whole)
                if fault.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if fault.reset or fault.cut is not None:
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
                assert isinstance(request, socket.socket)
                self.close_request(request)  # without a polite end first: it would make an RST a FIN

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that goes away is what these tests are about

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.socket.close()
