"""The S3 store on servers and networks that fail in the middle of a write."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.servers.faulty_proxy import FaultyProxy, Spoil, faulty_proxy
from tests.servers.process import free_ports
from tests.servers.s3 import Identity, S3Server
from vallum.errors import ConfigError, FetchError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import METADATA, RUN, TIMESTAMP, ObjectKind, ObjectStore
from vallum_publisher.store.kinds import KINDS, PROBE
from vallum_publisher.store.s3 import Patience, S3Store

HEAD = "metadata/timestamp.json"
PATIENCE = Patience(attempts=3, first_pause=0.01, longest_pause=0.02, connect_timeout=2, read_timeout=1)
# Whether the server stored what the spoilt request brought.
STORING = [Spoil.ERROR_AFTER, Spoil.CUT_AFTER, Spoil.HANG_AFTER]
LOSING = [Spoil.ERROR_BEFORE, Spoil.CUT_BEFORE, Spoil.CONFLICT]


@dataclass
class Line:
    """A store behind a bad line (``bad``), its proxy, and the same place seen directly (``good``)."""

    bad: S3Store
    proxy: FaultyProxy
    good: ObjectStore


@pytest.fixture
def line(seaweedfs: S3Server) -> Iterator[Line]:
    with line_to(seaweedfs) as opened:
        yield opened


@contextmanager
def line_to(server: S3Server) -> Iterator[Line]:
    server.make_bucket("faults")
    prefix = uuid.uuid4().hex
    with faulty_proxy(server.endpoint, hang=1.5) as proxy:
        behind = S3Server("proxy", proxy.endpoint, server.admin)
        bad = behind.store("faults", prefix, patience=PATIENCE)
        bad.probe()
        proxy.conditions.clear()
        yield Line(bad, proxy, server.store("faults", prefix))


def content(store: ObjectStore, key: str) -> bytes | None:
    stored = store.get(key)
    return None if stored is None else stored.data


@dataclass
class Scripted:
    """A store behind a server that answers PUT as told, then with success, and every GET with ``held``."""

    store: S3Store
    puts: list[int]
    held: tuple[bytes, str] | None = None
    """A body, and its tag if it has one."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: bytes = b"", tag: str = "") -> None:
            self.send_response(status)
            if tag:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(made.puts.pop(0) if made.puts else 200, tag='"new"')

        def do_GET(self) -> None:
            self._answer(200, *made.held) if made.held else self._answer(404)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store = S3Store("b", endpoint=f"http://127.0.0.1:{server.server_port}", region="any", patience=PATIENCE)
    made = Scripted(store, [])
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("spoil", [*LOSING, *STORING], ids=lambda spoil: spoil.name)
def test_one_fault_is_survived(line: Line, spoil: Spoil) -> None:
    line.proxy.spoil = [spoil]
    line.bad.create("metadata/1.a.json", b"one", METADATA)
    assert content(line.good, "metadata/1.a.json") == b"one"

    tag = line.good.replace(HEAD, b"1", TIMESTAMP, None)
    line.proxy.spoil = [spoil]
    moved = line.bad.replace(HEAD, b"2", TIMESTAMP, tag)
    stored = line.good.get(HEAD)
    assert stored is not None
    assert (stored.data, stored.tag) == (b"2", moved)
    # What was stored is not sent again: reading tells.
    assert len(line.proxy.conditions) == (2 if spoil in STORING else 4)


@pytest.mark.parametrize("spoil", LOSING, ids=lambda spoil: spoil.name)
def test_lasting_faults_end_in_an_error_and_the_same_call_settles_it(line: Line, spoil: Spoil) -> None:
    tag = line.good.replace(HEAD, b"1", TIMESTAMP, None)
    line.proxy.spoil = [spoil] * PATIENCE.attempts
    with pytest.raises(FetchError, match=r"cannot write .*timestamp\.json.*3 attempts") as raised:
        line.bad.replace(HEAD, b"2", TIMESTAMP, tag)
    assert raised.value.hint
    assert content(line.good, HEAD) == b"1"
    line.bad.replace(HEAD, b"2", TIMESTAMP, tag)
    assert content(line.good, HEAD) == b"2"


@pytest.mark.parametrize("spoil", LOSING, ids=lambda spoil: spoil.name)
def test_another_writer_during_a_fault_wins(line: Line, spoil: Spoil) -> None:
    tag = line.good.replace(HEAD, b"1", TIMESTAMP, None)
    line.proxy.spoil = [spoil]
    line.proxy.before = lambda: (
        content(line.good, HEAD) == b"1" and line.good.replace(HEAD, b"his", TIMESTAMP, tag)
    )
    with pytest.raises(ConflictError):
        line.bad.replace(HEAD, b"mine", TIMESTAMP, tag)
    assert content(line.good, HEAD) == b"his"


def test_an_answer_that_ends_half_way_is_asked_for_again(line: Line) -> None:
    line.good.create("targets/a/1.run", b"x" * 1000, RUN)
    line.proxy.method = "GET"
    line.proxy.spoil = [Spoil.TRUNCATE, Spoil.CUT_AFTER]
    assert content(line.bad, "targets/a/1.run") == b"x" * 1000
    line.proxy.spoil = [Spoil.TRUNCATE] * PATIENCE.attempts
    with pytest.raises(FetchError, match="cannot read"):
        line.bad.get("targets/a/1.run")


def test_a_server_that_compares_etags_without_quotes_is_served_without(radosgw: S3Server) -> None:
    with line_to(radosgw) as line:
        tag = line.good.replace(HEAD, b"1", TIMESTAMP, None)
        moved = line.bad.replace(HEAD, b"2", TIMESTAMP, tag)
        assert line.proxy.conditions == [tag, tag.strip('"')]
        assert moved.startswith('"')
        # A real conflict on such a server needs no second try.
        line.proxy.conditions.clear()
        with pytest.raises(ConflictError):
            line.bad.replace(HEAD, b"3", TIMESTAMP, tag)
        assert line.proxy.conditions == [tag]


def test_pauses_grow_within_bounds_and_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    (port,) = free_ports(1)
    nowhere = S3Server("nowhere", f"http://127.0.0.1:{port}", Identity("key", "value"))
    store = nowhere.store("bucket", patience=Patience(attempts=12, first_pause=0.2, longest_pause=5))
    with pytest.raises(FetchError, match="12 attempts"):
        store.get(HEAD)
    assert len(pauses) == 11
    assert all(0 <= pause <= min(5, 0.2 * 2**at) for at, pause in enumerate(pauses))
    assert len(set(pauses)) == len(pauses)  # publishers that met once do not meet again


def test_a_large_run_is_one_put_and_no_multi_part_upload(line: Line) -> None:
    """Beyond the 8 MiB from which boto3's own transfers cut: parts are not conditional everywhere."""
    data = secrets.token_bytes(20 << 20)
    line.good.create("targets/a/large.run", data, RUN)
    stored = line.good.get("targets/a/large.run")
    assert stored is not None
    assert stored.data == data
    assert stored.tag == f'"{md5(data, usedforsecurity=False).hexdigest()}"'  # that of parts has a dash


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not PROBE], ids=lambda kind: kind.name)
def test_objects_carry_the_headers_of_their_kind(s3_server: S3Server, kind: ObjectKind) -> None:
    prefix = uuid.uuid4().hex
    store = s3_server.store("contract", prefix)
    key = HEAD if kind.mutable else "some/key"
    if kind.mutable:
        store.replace(key, b"x", kind, None)
    else:
        store.create(key, b"x", kind)
    client = s3_server.client()
    answer = client.head_object(Bucket="contract", Key=f"{prefix}/{key}")
    client.close()
    assert answer["ContentType"] == kind.content_type
    assert answer["CacheControl"] == kind.cache_control


def test_a_listing_of_many_pages_is_whole(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_server.store("contract", uuid.uuid4().hex)
    keys = {f"targets/a/{number}.run" for number in range(7)} | {"targets/a-b/1.run", "targets/a.b/1.run"}
    for key in keys:
        store.create(key, b"x", RUN)
    ask = store._client.list_objects_v2
    monkeypatch.setattr(store._client, "list_objects_v2", lambda **request: ask(MaxKeys=2, **request))
    found = [listed.key for listed in store.list("targets/")]
    assert len(found) == len(keys)
    assert set(found) == keys


PAGE = """<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>%s</ListBucketResult>"""
ITEM = """<Contents><Key>%s</Key><Size>1</Size><LastModified>2030-01-01T00:00:00Z</LastModified></Contents>"""
MORE = "<IsTruncated>true</IsTruncated>"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html><body>Sign in</body></html>", "IsTruncated"),
        (PAGE % MORE, "NextContinuationToken"),
        (PAGE % (MORE + "<NextContinuationToken>a</NextContinuationToken>"), "leads to itself"),
        (PAGE % ("<IsTruncated>false</IsTruncated>" + ITEM % "other/key"), "other keys"),
        (PAGE % "<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>", "without Key"),
    ],
)
def test_an_answer_that_is_no_listing_is_no_empty_store(body: str, reason: str, scripted: Scripted) -> None:
    """A proxy's page with status 200: `gc` would take every run for one that nobody lists."""
    scripted.held = (body.encode(), "")
    with pytest.raises(FetchError, match=reason) as refused:
        list(scripted.store.list("targets/"))
    assert refused.value.hint


def test_a_server_that_refuses_its_own_tags_is_no_store(scripted: Scripted) -> None:
    """Weak ETags, `W/"…"`, compare equal to nothing."""
    scripted.held, scripted.puts = (b"1", 'W/"1"'), [412] * 9
    with pytest.raises(ConfigError, match="refuses a condition that holds") as refused:
        scripted.store.replace("probe/1", b"2", PROBE, 'W/"1"')
    assert "If-Match" in refused.value.hint


def test_a_redirection_while_names_spread_passes(scripted: Scripted) -> None:
    scripted.puts = [307]
    assert scripted.store.replace("probe/1", b"2", PROBE, None) == '"new"'
    scripted.puts = [307] * PATIENCE.attempts
    with pytest.raises(FetchError, match="307") as refused:
        scripted.store.replace("probe/1", b"2", PROBE, None)
    assert "region" in refused.value.hint


def test_an_answer_without_a_tag_is_none(scripted: Scripted) -> None:
    scripted.held = (b"somebody's page", "")
    with pytest.raises(FetchError, match="ETag"):
        scripted.store.get(HEAD)
