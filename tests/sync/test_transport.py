"""HTTP and folders: the two ways to a store, against a real server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository
from vallum.config import Source
from vallum.errors import ConfigError, FetchError
from vallum.sync.transport import FolderTransport, HttpTransport, open_transport


class Server:
    """Serves ``objects``; ``headers`` and ``statuses`` by path; records what was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, int] = {}
        self.cut: set[str] = set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[Server]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append((self.path, dict(self.headers.items())))
                data = outer.objects.get(self.path)
                status = outer.statuses.get(self.path, 200 if data is not None else 404)
                headers = outer.headers.get(self.path, {})
                if headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                    status, data = 304, b""
                data = data or b""
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.path in outer.cut:
                    self.wfile.write(data[:-1])
                    self.close_connection = True
                else:
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            yield self
            server.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server().running() as made:
        yield made


def source(url: str, **changes: Any) -> Source:
    return replace(Source("hotline", url, Path("root.json"), ("urls.full",), timeout=5.0), **changes)


def get(transport: HttpTransport | FolderTransport, name: str, etag: str = "") -> tuple[int, bytes, str]:
    answer = transport.get(name, etag=etag)
    return answer.status, b"".join(answer.chunks), answer.etag


def test_a_whole_sync_over_http(server: Server, repository: Repository, tmp_path: Path) -> None:
    """The real thing on a socket: cold, then one conditional request without a body."""
    repository.write_to(tmp_path / "repo")
    server.objects = {
        f"/repo/{path.relative_to(tmp_path / 'repo')}": path.read_bytes()
        for path in (tmp_path / "repo").rglob("*")
        if path.is_file()
    }
    server.headers["/repo/metadata/timestamp.json"] = {
        "ETag": '"1"', "Last-Modified": formatdate(0, usegmt=True),
    }  # fmt: skip
    client = Client(repository, tmp_path)
    [made] = client.config.sources
    client.config = replace(client.config, sources=(replace(made, url=f"{server.url}/repo"),))
    client.connect = open_transport
    assert client.synced().after == 1
    assert len(server.asked) == 6
    server.asked.clear()
    report = client.sync()
    assert report.ok
    assert (report.requests, report.bytes, report.sources[0].outcome) == (1, 0, "unchanged")
    [(path, headers)] = server.asked
    assert path == "/repo/metadata/timestamp.json"
    assert headers["If-None-Match"] == '"1"'


def test_an_etag_that_has_not_settled_is_not_kept(server: Server) -> None:
    """nginx makes an ETag of seconds and size: two quick publications can share one."""
    server.objects["/a"] = b"x"
    transport = HttpTransport(source(server.url))
    server.headers["/a"] = {"ETag": '"1"', "Last-Modified": formatdate(usegmt=True)}
    assert get(transport, "a") == (200, b"x", "")
    server.headers["/a"]["Last-Modified"] = formatdate(0, usegmt=True)
    assert get(transport, "a") == (200, b"x", '"1"')
    assert get(transport, "a", etag='"1"')[0] == 304


def test_headers_go_to_the_source_alone(server: Server) -> None:
    """A redirect leads to another host: it is followed, the operator's secret is not taken along."""
    with Server().running() as other:
        other.objects["/a"] = b"moved"
        server.statuses["/a"] = 302
        server.headers["/a"] = {"Location": f"{other.url}/a"}
        transport = HttpTransport(source(server.url, headers={"X-Key": "secret"}))
        assert get(transport, "a") == (200, b"moved", "")
        assert server.asked[0][1]["X-Key"] == "secret"
        assert "X-Key" not in other.asked[0][1]
        assert "secret" not in repr(source(server.url, headers={"X-Key": "secret"}))


def test_redirects_without_end(server: Server) -> None:
    server.statuses["/a"] = 302
    server.headers["/a"] = {"Location": "/a"}
    with pytest.raises(FetchError):
        HttpTransport(source(server.url)).get("a")
    assert len(server.asked) == 4


def test_a_body_cut_short(server: Server) -> None:
    server.objects["/a"] = bytes(1000)
    server.cut.add("/a")
    answer = HttpTransport(source(server.url)).get("a")
    with pytest.raises(FetchError, match="broke off"):
        list(answer.chunks)


def test_a_body_that_was_compressed_on_the_way(server: Server) -> None:
    """Signed lengths and hashes are those of the object as it is stored."""
    server.objects["/a"] = b"x"
    server.headers["/a"] = {"Content-Encoding": "gzip"}
    transport = HttpTransport(source(server.url))
    with pytest.raises(FetchError, match="gzip"):
        get(transport, "a")
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


def test_retry_after_in_both_spellings(server: Server) -> None:
    server.statuses["/a"] = 503
    transport = HttpTransport(source(server.url))
    server.headers["/a"] = {"Retry-After": "12"}
    assert transport.get("a").retry_after == 12
    server.headers["/a"] = {"Retry-After": formatdate(0, usegmt=True)}
    assert transport.get("a").retry_after == 0
    server.headers["/a"] = {"Retry-After": "soon"}
    assert transport.get("a").retry_after is None


def test_no_server() -> None:
    with pytest.raises(FetchError, match="no connection") as raised:
        HttpTransport(source("http://127.0.0.1:1", timeout=1.0)).get("a")
    assert "127.0.0.1" in str(raised.value)
    assert raised.value.hint


def test_a_server_that_does_not_answer(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(FetchError, match="in time"):
            HttpTransport(source(url, timeout=0.2)).get("a")


def test_proxy_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used, the source's own setting is stronger, ``none`` means none."""
    server.objects["http://lists.example/a"] = b"by proxy"
    server.objects["/a"] = b"straight"
    monkeypatch.setenv("http_proxy", server.url)
    assert get(HttpTransport(source("http://lists.example")), "a")[1] == b"by proxy"
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    own = source("http://lists.example", proxy=server.url)
    assert get(HttpTransport(own), "a")[1] == b"by proxy"
    assert get(HttpTransport(source(server.url, proxy="none")), "a")[1] == b"straight"


@pytest.mark.parametrize(
    "changes", [{"ca": Path(__file__)}, {"ca": Path("/nonexistent")}, {"proxy": "what:is:this"}]
)
def test_settings_that_cannot_be_used(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        HttpTransport(source("https://lists.example", **changes))


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/a").write_bytes(bytes(100_000))
    transport = FolderTransport(tmp_path)
    assert get(transport, "metadata/a") == (200, bytes(100_000), "")
    assert get(transport, "metadata/b")[0] == 404
    assert get(transport, "metadata")[0] == 404
    with pytest.raises(FetchError, match="not a folder"):
        FolderTransport(tmp_path / "absent").get("metadata/a")


def test_https_where_http_answers() -> None:
    """A port of the other protocol: no word of clocks and authorities, which are not what is wrong."""

    class Plain(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = source(f"https://127.0.0.1:{server.server_port}")
        with pytest.raises(FetchError, match="speaks no TLS") as raised:
            HttpTransport(made).get("metadata/timestamp.json")
        server.shutdown()
    assert "http://" in raised.value.hint
    assert "clock" not in raised.value.hint
