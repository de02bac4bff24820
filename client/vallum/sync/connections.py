"""Connections to a source: its proxy, authorities, headers, time-outs, redirects; and cutting them all off.

One attempt each; what is asked over them is :mod:`vallum.sync.transport`'s.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from vallum import __name__ as product
from vallum.config import Source
from vallum.errors import ConfigError, FetchError
from vallum.host import host_form, private_range
from vallum.sync.sockets import Pools, Sockets, forbidden, private_reach

MAX_REDIRECTS = 3

_PORTS = {"http": 80, "https": 443}
_LOOK = "check the source's url, the network and the proxy; the lists in force stay in force"


class Connections:
    """All connections to one source, kept from request to request. Safe to share between threads.

    Raises:
        ConfigError: the source's certificates or its proxy cannot be used.
    """

    def __init__(self, source: Source) -> None:
        self._sockets = Sockets()
        self._headers = {"User-Agent": product, "Accept-Encoding": "identity"}
        self._own, self._timeout = source.headers, source.timeout
        self._proxied = bool(proxy_of(source))
        # Reading the system's authorities costs more than a poll: not where nobody asks for them.
        tls = _tls(source) if source.ca or not source.url.startswith("http://") else None
        if tls is not None:
            tls.sslsocket_class = self._sockets.secure()
        self._straight = _open_pool(source, tls, self._sockets.pools(detour=False))
        self._detours = _open_pool(source, tls, self._sockets.pools(detour=True))

    def get(
        self, url: str, headers: Mapping[str, str], silence: float | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Ask once, following redirects (client.md §2.1); the body is left to be read.

        ``silence`` is how many seconds may pass without a byte; the source's time-out if absent.

        urllib3 would read the body of a redirect to its end, which a hostile one does not have.

        Raises:
            FetchError: no answer, too many redirects, or one that must not be followed.
        """
        home, where, pool = _origin(url), url, self._straight
        timeout = urllib3.Timeout(connect=self._timeout, read=silence or self._timeout)
        for _ in range(MAX_REDIRECTS + 1):
            # To follow a redirect is fine (what comes is verified), to take the operator's headers along not.
            own = self._own if _origin(where) == home else {}
            with answered(_place(home)):
                response = pool.request(
                    "GET", where, headers={**self._headers, **own, **headers},
                    redirect=False, preload_content=False, decode_content=False, timeout=timeout,
                )  # fmt: skip
                location = response.get_redirect_location()
                if not location:
                    return response
                let_go(response)
                where, pool = urljoin(where, location), self._detours
                self._check(home, _origin(where))
        raise FetchError(f"{_place(home)}: more than {MAX_REDIRECTS} redirects", hint=_LOOK)

    def _check(self, home: _Origin, there: _Origin) -> None:
        """Refuse a redirect that leads astray, as far as its address says; the rest is seen on connecting."""
        if there.scheme not in ("http", "https") or (home.scheme == "https" and there.scheme == "http"):
            raise FetchError(f"{_place(home)}: it redirects to {there.scheme[:16] or 'nowhere'}", hint=_LOOK)
        # Behind a proxy only what an address says can be known of where it leads.
        if self._proxied and (reach := _said_reach(there.host)) and reach != _said_reach(home.host):
            raise forbidden(reach)

    def close(self) -> None:
        """Give up all connections; what is under way, in whichever thread, fails as if they had broken."""
        self._sockets.cut()
        self._straight.clear()
        self._detours.clear()


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int | None


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    return _Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme))


def _place(origin: _Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if origin.port == _PORTS.get(origin.scheme) else f":{origin.port}"
    return f"{origin.scheme}://{host}{port}"


def _said_reach(host: str) -> str:
    """Name the range of a host that is an address, or of a name such as ``localhost``; empty for others."""
    try:
        return private_reach(host)
    except ValueError:
        return private_range(host_form(host))  # also where it says `127.1`, or one number


@contextmanager
def answered(what: str) -> Iterator[None]:
    """Turn whatever a request over the network comes to into ``FetchError``; ``what`` is for its message."""
    try:
        yield
    # Urllib3 lets through what a crooked answer makes of its arithmetic: a negative length, a bad port.
    except (
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,
        ArithmeticError,
    ) as error:
        raise FetchError(f"{what}: {_reason(error)}", hint=_hint(error)) from None


def let_go(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back, if what comes with a refusal is as short as it should be; else close it."""
    # A length beside chunks says nothing (RFC 9112 §6.3): they may have no end.
    length = "" if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length", "")
    if response.status == 304 or (length.isdecimal() and len(length) < 6):
        if response.status != 304:  # which has no body
            response.drain_conn()
        response.release_conn()
    else:
        response.close()


def _open_pool(source: Source, tls: ssl.SSLContext | None, classes: Pools) -> urllib3.PoolManager:
    """Make connections to a source: its proxy and authorities; no retries, no redirects.

    Raises:
        ConfigError: its proxy cannot be used.
    """
    options: dict[str, Any] = {
        "retries": urllib3.Retry(total=None, connect=0, read=0, redirect=0, status=0, other=0),
        "maxsize": 8,
        "ssl_context": tls,
    }
    proxy = proxy_of(source)
    try:
        if proxy:
            pool: urllib3.PoolManager = urllib3.ProxyManager(
                proxy, proxy_headers=_credentials(proxy), **options
            )
        else:
            pool = urllib3.PoolManager(**options)
    except (urllib3.exceptions.HTTPError, ValueError):
        raise ConfigError(
            f"source {source.name}: the proxy's address is malformed",
            hint="such as http://proxy.example:3128",
        ) from None
    pool.pool_classes_by_scheme = classes
    return pool


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


def _reason(error: Exception) -> str:
    """Say why a request came to nothing, without a part of its URL."""
    # urllib3's texts show object addresses and the whole URL; its classes say enough.
    cause = _cause(error)
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return "the host name does not resolve"
    if _is_plain(cause):
        return "what answers there speaks no TLS"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"TLS failed ({cause.args[0] if cause.args else 'no reason given'})"
    if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError):
        return "no connection"
    if isinstance(cause, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(cause, urllib3.exceptions.ProtocolError | OSError):
        return "the connection broke off"
    return "the answer is malformed"


def _cause(error: Exception) -> Exception:
    """What urllib3 has put its ``MaxRetryError`` around, if it has."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, Exception) else error


def _is_plain(cause: Exception) -> bool:
    """Whether something answered that is no TLS, such as a web server's port for http."""
    plain = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
    return isinstance(cause, urllib3.exceptions.SSLError) and any(word in str(cause) for word in plain)


def _hint(error: Exception) -> str:
    """Say what to do about it."""
    cause = _cause(error)
    if _is_plain(cause):
        return "is the address an http:// one, or its port another? Correct `url` in the source, or the proxy"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return "check the clock of this machine, and `ca` in the source if the store has its own authority"
    return _LOOK
