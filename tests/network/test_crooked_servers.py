"""Servers that say what no server says, over raw sockets: a deadline holds, whatever they do.

Each docstring is the attack. By ``Client.refused`` the last good list is still in force; afterwards the same
client syncs with the honest store, so that no lock and no state was lost.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.network.bad_store import BadStore
from tests.network.conftest import PAGES
from tests.network.crooked import Crooked, once
from vallum.config import Source
from vallum.errors import FetchError, TrustError
from vallum.state import read_current
from vallum.sync.fetch import ATTEMPTS, AbsentError
from vallum.sync.transport import HttpTransport
from vallum.sync.updater import Updater

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def led_to(client: Client, url: str, **changes: Any) -> Iterator[None]:
    """A client whose source is elsewhere for a while; afterwards it must be as good as before."""
    config = client.config
    [source] = config.sources
    client.config = replace(config, sources=(replace(source, url=url, **changes),))
    yield
    client.config = config
    client.synced()


ENDLESS = {
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 90000\r\n\r\n",
    "a redirect without a length": b"HTTP/1.1 302 Found\r\nLocation: /else\r\n" + CHUNKED,
    "a refusal": b"HTTP/1.1 503 Unavailable\r\nContent-Length: 90000\r\n\r\n",
    "an object": b"HTTP/1.1 200 OK\r\n" + CHUNKED,
    "an object without a length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "the head": b"HTTP/1.0 200 OK\r\nX: ",
    "interim answers": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_that_drips_for_ever(client: Client, what: str) -> None:
    """A byte now and then, wherever in an answer: in the body of a redirect, or behind its connection's end.

    urllib3 once read redirects to their end, swallowed that they had been cut off, and connected anew.
    """
    crooked = Crooked()
    piece = b"HTTP/1.1 103 Early Hints\r\n\r\n" if what == "interim answers" else b"1\r\nx\r\n"
    with (
        crooked.running(crooked.drip(ENDLESS[what], piece)),
        led_to(client, crooked.url, deadline=1.0, timeout=30.0),
    ):
        began = time.monotonic()
        client.refused(FetchError)
        assert time.monotonic() - began < 10
        asked = len(crooked.asked)
        time.sleep(0.5)
        assert len(crooked.asked) == asked, "nothing is asked once the deadline has passed"


def test_a_handshake_that_drips_for_ever(client: Client) -> None:
    """TLS that never ends, though it is never silent: it is cut off, and nothing is tried afterwards."""
    crooked = Crooked()
    with (
        crooked.running(crooked.drip(b"\x16\x03\x03\x40\x00", b"\x02")),
        led_to(client, crooked.url.replace("http:", "https:"), deadline=0.5, timeout=30.0),
    ):
        began = time.monotonic()
        assert "deadline" in str(client.refused(FetchError))
        assert time.monotonic() - began < 8
        assert len(crooked.asked) == 1


def test_a_connection_that_comes_about_after_the_deadline(client: Client) -> None:
    """The store lets nobody in until the deadline has passed, then drips: there was nothing to cut off."""
    crooked = Crooked()
    with ExitStack() as stack:
        stack.enter_context(crooked.running(crooked.drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), 2.0, backlog=0))
        host, _, port = crooked.url.removeprefix("http://").partition(":")
        for _ in range(3):  # they fill the queue of those who wait to be let in
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex((host, int(port)))
        stack.enter_context(led_to(client, crooked.url, deadline=1.0, timeout=30.0))
        began = time.monotonic()
        assert "deadline" in str(client.refused(FetchError))
        assert time.monotonic() - began < 10


def test_one_that_drips_holds_back_no_other_source(
    repository: Repository, client: Client, store: BadStore
) -> None:
    """One source redirects for ever, another has a new version: it comes, and the lock is free again."""
    crooked = Crooked()
    [good] = client.config.sources
    with crooked.running(crooked.drip(ENDLESS["a redirect"], b"1\r\nx\r\n")):
        bad = replace(good, name="other", url=crooked.url, deadline=1.0)
        client.config = replace(client.config, sources=(good, bad))
        repository.release("urls", listed(*PAGES, "new.example/page"))
        with Updater(client.config) as updater:
            for _ in range(2):  # one process goes on with new connections
                report = updater.sync(wait_for_lock=0)
                assert [where for where, _ in report.errors()] == ["other"]
                assert "deadline" in str(report.errors()[0][1])
        assert read_current(client.state).sources["hotline"].streams["urls.full"].head.version == 2


FLOODS = {
    b"404 x\r\nContent-Length: 5\r\n" + CHUNKED: AbsentError,
    b"404 x\r\nContent-Length: 5\r\nContent-Length: 500000000000\r\n\r\n": FetchError,
    b"302 x\r\nLocation: /a\r\nContent-Length: 5\r\n" + CHUNKED: FetchError,
}  # fmt: skip


@pytest.mark.parametrize("head", FLOODS)
def test_a_refusal_that_floods(client: Client, head: bytes) -> None:
    """A length of five beside chunks without end: no more of it is taken than lies in the way already."""
    crooked = Crooked()
    with (
        crooked.running(crooked.flood(b"HTTP/1.1 " + head, b"100000\r\n" + bytes(1 << 20) + b"\r\n")),
        led_to(client, crooked.url),
    ):
        began = time.monotonic()
        client.refused(FLOODS[head])
        assert time.monotonic() - began < 5
        assert crooked.sent < 64 << 20


def test_early_hints(client: Client, repository: Repository, store: BadStore) -> None:
    """A server that announces its answer (103) is heard out: the answer is what follows."""
    repository.release("urls", listed(*PAGES, "new.example/page"))
    data = repository.objects["metadata/timestamp.json"]
    crooked = Crooked()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)
    with crooked.running(once(hints + hints + answer)):
        transport = HttpTransport(replace(client.config.sources[0], url=crooked.url))
        found = transport.get("metadata/timestamp.json")
        assert (found.status, b"".join(found.chunks)) == (200, data)


CROOKED = {
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n\r\n",
    "a redirect to no port": b"HTTP/1.1 302 F\r\nLocation: http://a.example:x/\r\nContent-Length: 0\r\n\r\n",
    "a redirect into a file": b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "a negative chunk": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"zz\r\nabc\r\n",
    "an immense chunk": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"F" * 60_000 + b"\r\nabc\r\n",
    "an immense status": b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n",
    "hints without an answer": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100,
}  # fmt: skip


@pytest.mark.parametrize("what", CROOKED)
def test_what_is_no_answer_is_asked_for_again(client: Client, what: str) -> None:
    """Crooked HTTP is trouble of the way, not of the metadata: retried as such, and said as such."""
    crooked = Crooked()
    with crooked.running(once(CROOKED[what])), led_to(client, crooked.url):
        error = client.refused(FetchError)
        assert len(crooked.asked) == ATTEMPTS
        assert "127.0.0.1" in str(error)


def test_a_negative_length(client: Client) -> None:
    """It says nothing, so that what comes until the connection ends is the answer: here, no metadata."""
    crooked = Crooked()
    answer = once(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}")
    with crooked.running(answer), led_to(client, crooked.url):
        assert "not TUF metadata" in str(client.refused(TrustError))


def redirect(url: str) -> bytes:
    return f"HTTP/1.1 307 Moved\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("where", ["169.254.169.254", "10.0.0.1", "[fe80::1]", "[::ffff:10.0.0.1]"])
def test_a_redirect_into_a_network_where_the_store_is_not(client: Client, where: str) -> None:
    """A store sends its clients to the addresses of a cloud's credentials, or into the company's network."""
    crooked = Crooked()
    with crooked.running(once(redirect(f"http://{where}/latest?x"))), led_to(client, crooked.url):
        assert "redirects into" in str(client.refused(FetchError))
        assert len(crooked.asked) == ATTEMPTS


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_a_redirect_to_this_machine(client: Client, name: str) -> None:
    """A public store sends its clients to a service that listens on their own loopback; also by a proxy."""
    secret, crooked = Crooked(), Crooked()
    with secret.running(once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")):
        port = secret.url.rpartition(":")[2]
        with crooked.running(once(redirect(f"http://{name}:{port}/admin?restart=1"))):
            source: Source = replace(
                client.config.sources[0],
                url="http://lists.example",
                proxy=crooked.url,
                headers={"X-Key": "k"},
            )
            with pytest.raises(FetchError, match="redirects into"):
                HttpTransport(source).get("metadata/timestamp.json")
        assert secret.asked == []
