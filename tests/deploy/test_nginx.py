"""`deploy/nginx/mirror.conf`, on a real nginx: what is served, what is kept, and what never is."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.servers.nginx import StartNginx, start_origin_and_mirror
from vallum.sync.transport import open_transport
from vallum_publisher.store import METADATA, PACKED_METADATA, RUN, TIMESTAMP, WRAP, ObjectStore
from vallum_publisher.store.directory import DirectoryStore


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


@dataclass
class Site:
    store: ObjectStore
    origin: int
    mirror: int


@pytest.fixture
def site(tmp_path: Path, start_nginx: StartNginx) -> Site:
    """Both servers of the file, the mirror fetching from the other."""
    store = DirectoryStore(tmp_path / "store")
    origin, mirror = start_origin_and_mirror(start_nginx, tmp_path)
    return Site(store, origin, mirror)


@pytest.mark.parametrize("server", ["origin", "mirror"])
def test_objects_have_the_headers_that_their_kinds_say(site: Site, server: str) -> None:
    port = getattr(site, server)
    site.store.create("metadata/1.root.json", b"{}", METADATA)
    site.store.create("metadata/2.a.full.json.zst", b"packed", PACKED_METADATA)
    site.store.create("targets/a.full/1.run", b"run", RUN)
    site.store.create("wraps/00ff", b"wrap", WRAP)
    site.store.replace("metadata/timestamp.json", b"{1}", TIMESTAMP, None)
    for key, kind in {
        "metadata/1.root.json": METADATA,
        "metadata/2.a.full.json.zst": PACKED_METADATA,
        "targets/a.full/1.run": RUN,
        "wraps/00ff": WRAP,
        "metadata/timestamp.json": TIMESTAMP,
    }.items():
        stored = site.store.get(key)
        assert stored is not None
        for _ in range(2):
            answer = ask(port, f"/{key}")
            assert (answer.status, answer.body) == (200, stored.data)
            assert answer.headers["Content-Type"] == kind.content_type
            assert answer.headers["Cache-Control"] == kind.cache_control


@pytest.mark.parametrize("server", ["origin", "mirror"])
def test_a_poll_without_change_has_no_body(site: Site, server: str) -> None:
    port = getattr(site, server)
    site.store.replace("metadata/timestamp.json", b"{1}", TIMESTAMP, None)
    etag = ask(port, "/metadata/timestamp.json").headers["ETag"]
    answer = ask(port, "/metadata/timestamp.json", If_None_Match=etag)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["Cache-Control"] == "no-cache"
    site.store.replace("metadata/timestamp.json", b"{22}", TIMESTAMP, _tag(site.store))
    assert ask(port, "/metadata/timestamp.json", If_None_Match=etag).body == b"{22}"


@pytest.mark.parametrize("server", ["origin", "mirror"])
def test_what_was_missing_is_there_as_soon_as_it_exists(site: Site, server: str) -> None:
    port = getattr(site, server)
    answer = ask(port, "/metadata/2.root.json")
    assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
    site.store.create("metadata/2.root.json", b"{}", METADATA)
    assert ask(port, "/metadata/2.root.json").status == 200


@pytest.mark.parametrize("server", ["origin", "mirror"])
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/metadata", "/metadata/", "/targets/", "/targets/a.full/"),
        *("/.lock", "/.incoming/", "/metadata/.x", "/metadata/../.lock", "/metadata/%2e%2e/.lock"),
        *("/other/file", "/probe/x"),
    ],
)
def test_there_is_no_listing_and_nothing_but_the_repository(
    site: Site, server: str, path: str, tmp_path: Path
) -> None:
    (tmp_path / "store/.lock").write_bytes(b"private")
    site.store.create("targets/a.full/1.run", b"run", RUN)
    site.store.create("metadata/1.root.json", b"{}", METADATA)
    (tmp_path / "store/metadata/.x").write_bytes(b"private")
    site.store.create("other/file", b"private", METADATA)
    answer = ask(getattr(site, server), path)
    assert answer.status in (400, 403, 404)
    assert b"1.run" not in answer.body
    assert b"private" not in answer.body
    assert answer.headers.get("Cache-Control", "no-store") == "no-store"


@pytest.mark.parametrize("server", ["origin", "mirror"])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nobody_writes(site: Site, server: str, method: str) -> None:
    site.store.create("metadata/1.root.json", b"{}", METADATA)
    assert ask(getattr(site, server), "/metadata/1.root.json", method).status in (403, 405)
    assert ask(getattr(site, server), "/metadata/1.root.json").body == b"{}"


def test_a_mirror_keeps_no_wraps(site: Site, tmp_path: Path) -> None:
    """Whoever gets at its cache would count those that were asked for, which covers never are."""
    site.store.create("wraps/00ff", b"one wrap", WRAP)
    assert ask(site.mirror, "/wraps/00ff").body == b"one wrap"
    (tmp_path / "store/wraps/00ff").write_bytes(b"another")
    assert ask(site.mirror, "/wraps/00ff").body == b"another"


def test_a_damaged_copy_is_mended_by_asking_past_the_cache(site: Site, tmp_path: Path) -> None:
    site.store.create("targets/a.full/1.run", b"whole run", RUN)
    path = tmp_path / "store/targets/a.full/1.run"
    path.write_bytes(b"torn run!")
    assert ask(site.mirror, "/targets/a.full/1.run").body == b"torn run!"
    path.write_bytes(b"whole run")
    assert ask(site.mirror, "/targets/a.full/1.run").body == b"torn run!"
    assert ask(site.mirror, "/targets/a.full/1.run", Cache_Control="no-cache").body == b"whole run"
    assert ask(site.mirror, "/targets/a.full/1.run").body == b"whole run"


@dataclass
class CarelessOrigin:
    """An origin that says of everything, errors too, that it may be kept for an hour."""

    port: int
    status: int = 200
    seen: list[dict[str, str]] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)
    queries: set[str] = field(default_factory=set)


@pytest.fixture
def careless_origin() -> Iterator[CarelessOrigin]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            origin.seen.append({name.lower(): value for name, value in self.headers.items()})
            origin.methods.add(self.command)
            query = urlsplit(self.path).query
            origin.queries.add(query)
            self.send_response(origin.status)
            self.send_header("Cache-Control", "public, max-age=3600")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"<xml" if query else b"body")

        do_PUT = do_POST = do_DELETE = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = CarelessOrigin(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield origin
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_mirror_keeps_good_answers_only_whatever_the_origin_says(
    careless_origin: CarelessOrigin, tmp_path: Path, start_nginx: StartNginx
) -> None:
    _, mirror = start_origin_and_mirror(start_nginx, tmp_path, careless_origin.port)
    for status in (403, 404, 500, 503):
        careless_origin.status = status
        assert ask(mirror, "/metadata/2.root.json").status == status
        assert ask(mirror, "/metadata/2.root.json").headers["Cache-Control"] == "no-store"
    careless_origin.status = 200
    assert len(careless_origin.seen) == 8
    for _ in range(3):
        answer = ask(mirror, "/metadata/2.root.json", Cookie="who=me", Authorization="Basic secret")
        assert (answer.status, answer.body) == (200, b"body")
    assert len(careless_origin.seen) == 9
    assert not careless_origin.seen[-1].keys() & {"cookie", "authorization"}
    for number in range(10, 13):
        assert ask(mirror, "/metadata/timestamp.json").status == 200
        assert len(careless_origin.seen) == number
    for method in ("PUT", "POST", "DELETE"):
        for path in ("/metadata/2.root.json", "/metadata/timestamp.json"):
            assert ask(mirror, path, method).status == 403
    assert careless_origin.methods == {"GET"}


def test_a_root_that_a_cache_never_should_have_kept_is_asked_for_past_it(
    tmp_path: Path, start_nginx: StartNginx
) -> None:
    """Another cache is careless still: what it keeps in the next root's name, for ever, is no metadata."""
    (tmp_path / "store").mkdir()
    _, mirror = start_origin_and_mirror(start_nginx, tmp_path)
    repository = Repository()
    repository.create("urls")
    repository.release("urls", listed("a.example/x"))
    client = Client(repository, tmp_path / "client")
    (source,) = client.config.sources
    client.config = replace(client.config, sources=(replace(source, url=f"http://127.0.0.1:{mirror}/"),))
    client.connect = open_transport
    repository.write_to(tmp_path / "store")
    client.synced()
    (tmp_path / "store/metadata/2.root.json").write_bytes(b"<Tagging/>")
    assert ask(mirror, "/metadata/2.root.json").body == b"<Tagging/>"
    repository.rotate("timestamp")
    repository.publish()
    repository.write_to(tmp_path / "store")
    assert ask(mirror, "/metadata/2.root.json").body == b"<Tagging/>"
    client.synced()
    assert ask(mirror, "/metadata/2.root.json").body == repository.objects["metadata/2.root.json"]


@pytest.mark.parametrize("fresh", [{}, {"Cache_Control": "no-cache"}], ids=["cached", "past the cache"])
def test_a_question_about_an_object_is_not_kept_as_the_object(
    careless_origin: CarelessOrigin, tmp_path: Path, start_nginx: StartNginx, fresh: dict[str, str]
) -> None:
    """`?tagging` on a readable key gives 200 and XML (SeaweedFS): asked once, no client gets its root."""
    _, mirror = start_origin_and_mirror(start_nginx, tmp_path, careless_origin.port)
    for path in ("/metadata/3.root.json", "/targets/a.full/1.run", "/wraps/00ff", "/metadata/timestamp.json"):
        # A client whose source has a `query` is served all the same.
        assert ask(mirror, f"{path}?tagging", **fresh).body == b"body"
        assert ask(mirror, path).body == b"body"
        assert ask(mirror, f"{path}?acl&sig=0123", **fresh).body == b"body"
    assert careless_origin.queries == {""}


def _tag(store: ObjectStore) -> str:
    stored = store.get("metadata/timestamp.json")
    assert stored is not None
    return stored.tag
