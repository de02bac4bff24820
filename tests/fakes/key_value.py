"""The one read of HashiCorp Vault's key-value engine that the product makes, over real HTTP.

No Vault or OpenBao can be installed by the tests' package registries, so this stands in for one. It follows
Vault's API documentation (KV version 2, "Read secret version") and refuses whatever a real one would refuse:
another method, a missing token, a wrong one, a path outside ``/v1/<mount>/data/``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class KeyValueServer:
    """What it holds (``mount/data/path`` to fields), who may read, and how it answers for now."""

    token: str = "s.token"  # noqa: S105 - of a test
    secrets: dict[str, dict[str, object] | None] = field(default_factory=dict)
    status: int = 0
    body: bytes | None = None
    address: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """What a GET of ``path`` brings."""
        self.asked.append(headers)
        if self.status:
            return self.status, b'{"errors":["as told"]}'
        if self.body is not None:
            return 200, self.body
        assert path.startswith("/v1/"), path
        mount, _, rest = path.removeprefix("/v1/").partition("/data/")
        assert mount, path
        assert rest, path
        # A request without this header is refused by servers that guard against forged ones.
        assert headers.get("X-Vault-Request") == "true"
        if headers.get("X-Vault-Token") != self.token:
            return 403, b'{"errors":["permission denied"]}'
        key = f"{mount}/data/{rest}"
        if key not in self.secrets:
            return 404, b'{"errors":[]}'
        fields = self.secrets[key]
        metadata = {"version": 3, "destroyed": fields is None, "deletion_time": "", "custom_metadata": None}
        found = {"request_id": "1", "lease_id": "", "data": {"data": fields, "metadata": metadata}}
        # A version that was deleted is a 404 with its metadata.
        return (200 if fields is not None else 404), json.dumps(found).encode()


@contextmanager
def serving(server: KeyValueServer) -> Iterator[KeyValueServer]:
    """Listen on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = server.answer(self.path, dict(self.headers.items()))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", server.address + self.path)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
