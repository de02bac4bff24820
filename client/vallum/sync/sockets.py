"""The sockets of one source: cut off all together, none made afterwards, none where a redirect must not lead.

A socket counts from before it connects until it is closed, whoever holds it: urllib3 hands it from hand to
hand (to TLS, to an answer that ends with its connection), and a deadline must find it all the same
(client.md §2.3); it also ends the wait for a name. What is said over them is
:mod:`vallum.sync.connections`'s.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from queue import Empty
from typing import cast
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from vallum.errors import FetchError
from vallum.host import private_range
from vallum.sync.names import NAMES, Address, Answers, addresses

Pools = dict[str, type[urllib3.HTTPConnectionPool]]
"""Classes of pools by scheme, as ``urllib3.PoolManager`` takes them."""

_INTERIM = 16
"""Interim answers (1xx) that are passed over before the answer itself."""


class Sockets:
    """All sockets of one source. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live = WeakSet[socket.socket]()
        self._asking = set[Answers]()
        self._cut = False
        self._home = ""

    def cut(self) -> None:
        """End all, whatever threads wait for on them; whoever makes another one fails from now on."""
        with self._lock:
            self._cut = True
            live, asking = list(self._live), list(self._asking)
        for answers in asking:
            answers.put(None)
        for sock in live:
            with suppress(OSError):  # it ended by itself a moment ago
                # By the plain socket's way: TLS would first say goodbye to whoever does not listen.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def add(self, sock: socket.socket) -> None:
        """Know a socket. Raises ``ConnectionAbortedError`` after :meth:`cut`, and closes it."""
        with self._lock:
            if not self._cut:
                self._live.add(sock)
                return
        sock.close()
        raise ConnectionAbortedError("cut off")

    def connect(
        self, host: str, port: int, timeout: float, options: list[tuple[int, int, int]], *, detour: bool
    ) -> socket.socket:
        """Connect to the first address of a host that answers.

        Args:
            host, port: where; a name is looked up.
            timeout: seconds for the name, and for each address.
            options: of the socket.
            detour: a redirect led there, so that it may not lead to where the source itself is not (2.1).

        Raises:
            FetchError: no address is one to which a redirect may lead.
            OSError: no address answers, or there is none.
        """
        why: Exception = OSError("no address")
        for family, kind, protocol, _, address in self._addresses(host, port, timeout):
            reach = private_reach(str(address[0]))
            if detour and reach and reach != self._home:
                why = forbidden(reach)
                continue
            sock = socket.socket(family, kind, protocol)
            try:
                self.add(sock)
                for option in options:
                    sock.setsockopt(*option)
                sock.settimeout(timeout)
                sock.connect(address)
                self.add(sock)  # a deadline may have passed meanwhile
            except OSError as error:
                sock.close()
                why = error
                continue
            if not detour:
                self._home = reach
            return sock
        raise why

    def _addresses(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        with suppress(socket.gaierror):
            return addresses(host, port, socket.AI_NUMERICHOST)
        answers = Answers()
        with self._lock:
            if self._cut:
                raise ConnectionAbortedError("cut off")
            self._asking.add(answers)
        try:
            NAMES.ask(host, port, answers)
            found = answers.get(timeout=timeout)
        except Empty:
            raise socket.gaierror(socket.EAI_AGAIN, "the name is not resolved in time") from None
        finally:
            with self._lock:
                self._asking.discard(answers)
        if found is None:
            raise ConnectionAbortedError("cut off")
        if isinstance(found, Exception):
            raise found
        return found

    def secure(self) -> type[ssl.SSLSocket]:
        """The class of TLS sockets that are known before they shake hands."""
        mine = self

        class Secure(ssl.SSLSocket):
            def do_handshake(self, block: bool = False) -> None:
                mine.add(self)  # in place of the plain one, which has given its descriptor away
                super().do_handshake(block)

        return Secure

    def pools(self, *, detour: bool) -> Pools:
        """Classes of pools whose sockets these are."""
        mine, led = self, detour

        class Plain(_Known):
            sockets, detour = mine, led

        class Secure(_Known, HTTPSConnection):
            sockets, detour = mine, led

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


def private_reach(address: str) -> str:
    """Name the private, loopback or reserved range of an address as the system writes it; empty for none."""
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return private_range(f"[{found}]" if found.version == 6 else str(found))


def forbidden(reach: str) -> FetchError:
    """The refusal of a redirect: a store may not send us where only this machine or its network can go."""
    return FetchError(
        f"the store redirects into {reach}, where it is not itself",
        hint="name the place that is meant as the source's `url`, if it is one of yours",
    )


class _Final(http.client.HTTPResponse):
    """An answer. Those that only announce it, like ``103 Early Hints``, are passed over (RFC 9110 15.2)."""

    def begin(self) -> None:
        super().begin()
        for _ in range(_INTERIM):
            if not 100 <= self.status < 200:
                return
            self.headers = None  # type: ignore[assignment]  # what makes `begin` read once more
            super().begin()
        raise http.client.BadStatusLine("too many interim answers")


class _Known(HTTPConnection):
    """A connection whose socket is known from its beginning to its end."""

    sockets: Sockets
    detour: bool
    response_class = _Final

    @property
    def sock(self) -> socket.socket | None:
        """The socket under it; http.client and urllib3 set it, wrapped or not."""
        return self._sock

    @sock.setter
    def sock(self, sock: socket.socket | None) -> None:
        self._sock = None
        # TLS within TLS is no socket, and goes over one that is known.
        if isinstance(sock, socket.socket):
            self.sockets.add(sock)
        self._sock = sock

    def _new_conn(self) -> socket.socket:
        timeout, options = cast(float, self.timeout), cast("list[tuple[int, int, int]]", self.socket_options)
        detour = self.detour and self.proxy is None
        try:
            return self.sockets.connect(self.host.strip("[]"), self.port, timeout, options, detour=detour)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        except TimeoutError:
            raise ConnectTimeoutError(self, "no connection in time") from None
        except OSError as error:
            raise NewConnectionError(self, error.strerror or "no connection") from None
