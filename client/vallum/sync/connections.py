"""Connections to a source: its proxy, authorities, headers, time-outs; and cutting them all off.

One attempt each; what is asked over them is :mod:`vallum.sync.transport`'s.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from vallum import __name__ as product
from vallum.config import Source
from vallum.errors import ConfigError

MAX_REDIRECTS = 3


class Connections:
    """All connections to one source, kept from request to request. Safe to share between threads.

    Raises:
        ConfigError: the source's certificates or its proxy cannot be used.
    """

    def __init__(self, source: Source) -> None:
        live = self._live = WeakSet[HTTPConnection]()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                live.add(self)
                super().connect()

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                live.add(self)
                super().connect()

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self.pool = open_pool(source)
        self.pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def close(self) -> None:
        """Give up all connections; what is under way, in whichever thread, fails as if they had broken."""
        for connection in list(self._live):
            if (sock := connection.sock) is not None:
                with suppress(OSError):  # it ended by itself a moment ago
                    # By the plain socket's way: TLS would first say goodbye to whoever does not listen.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self.pool.clear()


def open_pool(source: Source) -> urllib3.PoolManager:
    """Make the connections to a source: its proxy, authorities, headers and timeouts; no retries.

    Raises:
        ConfigError: its certificates or its proxy cannot be used.
    """
    headers = {"User-Agent": product, "Accept-Encoding": "identity", **source.headers}
    # To follow a redirect is fine (what comes is verified), to take the operator's headers along is not.
    retries = urllib3.Retry(
        total=None, connect=0, read=0, status=0, other=0,
        redirect=MAX_REDIRECTS, remove_headers_on_redirect=frozenset(source.headers),
    )  # fmt: skip
    options: dict[str, Any] = {
        "headers": headers,
        "retries": retries,
        "timeout": urllib3.Timeout(connect=source.timeout, read=source.timeout),
        "maxsize": 8,
        # Reading the system's authorities costs more than a poll: not where nobody asks for them.
        "ssl_context": _tls(source) if source.ca or not source.url.startswith("http://") else None,
    }
    proxy = proxy_of(source)
    try:
        if not proxy:
            return urllib3.PoolManager(**options)
        return urllib3.ProxyManager(proxy, proxy_headers=_credentials(proxy), **options)
    except (urllib3.exceptions.HTTPError, ValueError):
        raise ConfigError(
            f"source {source.name}: the proxy's address is malformed",
            hint="such as http://proxy.example:3128",
        ) from None


def _credentials(proxy: str) -> dict[str, str]:
    """The header for the user and password in a proxy's address, which urllib3 leaves out."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    return dict(
        urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    )


def _tls(source: Source) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if source.ca is not None:
        try:
            context = ssl.create_default_context(cafile=str(source.ca))
        except (OSError, ssl.SSLError):
            raise ConfigError(
                f"source {source.name}: ca {source.ca} cannot be read as certificates", hint="a PEM file"
            ) from None
    return context


def authorities(source: Source) -> int:
    """How many certificates of authorities are trusted for a source; 0 if they lie in a folder, uncounted.

    Raises:
        ConfigError: its file of certificates cannot be used.
    """
    return _tls(source).cert_store_stats()["x509_ca"]


def proxy_of(source: Source) -> str:
    """The proxy on the way to a source, as its configuration or the environment says; empty for none."""
    if source.proxy:
        return "" if source.proxy == "none" else source.proxy
    parts = urlsplit(source.url)
    if proxy_bypass(parts.netloc):
        return ""
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all") or ""


def reason(error: urllib3.exceptions.HTTPError) -> str:
    """Say why a request came to nothing, without a part of its URL."""
    # urllib3's texts show object addresses and the whole URL; its classes say enough.
    cause = getattr(error, "reason", None)
    cause = cause if isinstance(cause, Exception) else error
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "the host name does not resolve"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"TLS failed ({cause.args[0] if cause.args else 'no reason given'})"
    if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError):
        return "no connection"
    if isinstance(cause, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(cause, urllib3.exceptions.IncompleteRead | urllib3.exceptions.ProtocolError):
        return "the connection broke off"
    return type(cause).__name__


def hint(error: urllib3.exceptions.HTTPError) -> str:
    """Say what to do about it."""
    if isinstance(getattr(error, "reason", None), urllib3.exceptions.SSLError):
        return "check the clock of this machine, and `ca` in the source if the store has its own authority"
    return "check the source's url, the network and the proxy; the lists in force stay in force"
