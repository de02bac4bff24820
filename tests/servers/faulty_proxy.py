"""A proxy in front of a real S3 server that spoils chosen requests as networks and servers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Spoil(Enum):
    """What becomes of one request."""

    NOTHING = "it passes"
    ERROR_BEFORE = "503, and the server never saw it"
    ERROR_AFTER = "the server did it, 500 is answered"
    CUT_BEFORE = "the connection breaks, and the server never saw it"
    CUT_AFTER = "the server did it, the connection breaks"
    HANG_AFTER = "the server did it, no answer comes in time"
    CONFLICT = "409, as AWS answers when two conditional writes meet"
    TRUNCATE = "the answer ends half way"


@dataclass
class FaultyProxy:
    """``spoil`` holds what becomes of the next requests of ``method``; when it is empty, all pass.

    ``before`` is called when such a request arrives, so that others can act in between.
    """

    endpoint: str
    method: str = "PUT"
    spoil: list[Spoil] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)  # If-Match of each request of ``method``, "" if none
    before: Callable[[], object] = lambda: None


@contextmanager
def faulty_proxy(upstream: str, hang: float) -> Iterator[FaultyProxy]:
    """Run a proxy to ``upstream``; where no answer should come in time, it comes after ``hang`` seconds."""
    address = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            spoil = Spoil.NOTHING
            if self.command == proxy.method:
                proxy.before()
                proxy.conditions.append(self.headers.get("If-Match", ""))
                spoil = proxy.spoil.pop(0) if proxy.spoil else Spoil.NOTHING
            if spoil is Spoil.CUT_BEFORE:
                self.close_connection = True
                return
            if spoil is Spoil.ERROR_BEFORE:
                self.answer(503, [], b"")
                return
            if spoil is Spoil.CONFLICT:
                self.answer(409, [], b"<Error><Code>ConditionalRequestConflict</Code></Error>")
                return
            status, headers, data = self.forward(body)
            if spoil is Spoil.HANG_AFTER:
                time.sleep(hang)
            if spoil in (Spoil.CUT_AFTER, Spoil.HANG_AFTER):
                self.close_connection = True
            elif spoil is Spoil.ERROR_AFTER:
                self.answer(500, [], b"<Error><Code>InternalError</Code></Error>")
            elif spoil is Spoil.TRUNCATE:
                self.answer(status, headers, data, cut=len(data) // 2)
            else:
                self.answer(status, headers, data)

        do_GET = do_PUT = do_DELETE = do_HEAD = handle_one

        def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(address, timeout=30)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body or None)
                response = connection.getresponse()
                return response.status, response.getheaders(), response.read()
            finally:
                connection.close()

        def answer(
            self, status: int, headers: list[tuple[str, str]], data: bytes, cut: int | None = None
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[:cut])
            if cut is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
