"""Where a repository's objects come from: the protocol, and its two implementations (client.md §2).

One call makes one attempt. Retries, limits and counting are :mod:`vallum.sync.fetch`'s, so that they hold
for every transport; what the bytes mean is nobody's business here.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass, url2pathname

import urllib3

from vallum import __name__ as product
from vallum.config import Source
from vallum.errors import ConfigError, FetchError

CHUNK = 64 * 1024
MAX_REDIRECTS = 3
_ETAG_SETTLED = 2.0
"""Seconds that a file must have been unchanged for its ETag to mean anything (DESIGN §4, fast path)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: 200; 304 where an ETag was sent and still holds; 403 or 404 if the object is not there; any
            other HTTP status as it is.
        chunks: the body, to be read once, while the transport is open; errors in it are ``FetchError``.
        etag: a tag to send with a later request, or empty.
        retry_after: seconds that the server asks to wait, or ``None``.
        date: what the server's clock says, as it writes it; empty if it does not.
    """

    status: int
    chunks: Iterable[bytes] = ()
    etag: str = ""
    retry_after: float | None = None
    date: str = ""


class Transport(Protocol):
    """Reads a repository's objects by name: ``metadata/timestamp.json``, ``targets/urls.full/….run``.

    Calls may come from several threads. Whoever implements it need not limit, retry or verify anything.
    """

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """Ask once. ``fresh`` asks every cache on the way to look again.

        Raises:
            FetchError: no answer.
        """
        ...

    def close(self) -> None:
        """Give up connections."""
        ...


class FolderTransport:
    """A repository in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """See ``Transport``. A folder has no ETags: its timestamp is as cheap to read as to ask about."""
        path = self._folder / name
        try:
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not self._folder.is_dir():
                raise FetchError(
                    f"{self._folder} is not a folder", hint="correct the source's url, or mount the folder"
                ) from None
            return Answer(404)
        except OSError as error:
            raise FetchError(f"{path}: {error.strerror}") from None

        def chunks() -> Iterator[bytes]:
            with file:
                try:
                    while chunk := file.read(CHUNK):
                        yield chunk
                except OSError as error:
                    raise FetchError(f"{path}: {error.strerror}") from None

        return Answer(200, chunks())

    def close(self) -> None:
        """Nothing is kept open."""


class HttpTransport:
    """A repository behind HTTP: object storage, a CDN, nginx."""

    def __init__(self, source: Source) -> None:
        self._url = source.url
        self._where = f"{urlsplit(source.url).scheme}://{urlsplit(source.url).netloc}"
        self._pool = open_pool(source)

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """See ``Transport``."""
        extra = {"If-None-Match": etag} if etag else {}
        if fresh:
            extra["Cache-Control"] = "no-cache"
        try:
            response = self._pool.request(
                "GET",
                f"{self._url}/{name}",
                headers={**self._pool.headers, **extra},
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise FetchError(f"{self._where}: {_reason(error)}", hint=_hint(error)) from None
        return Answer(
            response.status,
            self._chunks(response, name),
            _settled_etag(response),
            _retry_after(response),
            response.headers.get("Date", ""),
        )

    def close(self) -> None:
        """See ``Transport``."""
        self._pool.clear()

    def _chunks(self, response: urllib3.BaseHTTPResponse, name: str) -> Iterator[bytes]:
        try:
            # 2.5: lengths and hashes are those of the object as stored.
            if encoding := response.headers.get("Content-Encoding"):
                raise FetchError(
                    f"{self._where}: {name} came with an unasked Content-Encoding, {encoding[:32]!r}",
                    hint="the server must send objects as they are stored",
                )
            yield from response.stream(CHUNK, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise FetchError(f"{self._where}: {name}: {_reason(error)}") from None
        finally:
            # A body that was not read to its end would be read by the next request.
            if response.closed:
                response.release_conn()
            else:
                response.close()


def open_transport(source: Source) -> Transport:
    """Make the transport that a source's address asks for.

    Raises:
        ConfigError: its certificates or its proxy cannot be used.
    """
    parts = urlsplit(source.url)
    if parts.scheme == "file":
        return FolderTransport(Path(url2pathname(parts.path)))
    return HttpTransport(source)


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
        return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    except (urllib3.exceptions.HTTPError, ValueError):
        raise ConfigError(
            f"source {source.name}: the proxy's address is malformed",
            hint="such as http://proxy.example:3128",
        ) from None


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


def _settled_etag(response: urllib3.BaseHTTPResponse) -> str:
    # nginx makes it of the time in seconds and the size: of quick publications 38 of 39 had equal ones.
    etag = response.headers.get("ETag", "")
    with suppress(ValueError, TypeError):
        modified = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        date = parsedate_to_datetime(response.headers.get("Date", ""))
        if (date - modified).total_seconds() <= _ETAG_SETTLED:
            return ""
    return etag if etag.isprintable() and len(etag) <= 256 else ""


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text[:9])
    with suppress(ValueError, TypeError):
        until = parsedate_to_datetime(text)
        date = parsedate_to_datetime(response.headers.get("Date", ""))  # the server's clock, not ours
        return max(0.0, (until - date).total_seconds())
    return None


def _reason(error: urllib3.exceptions.HTTPError) -> str:
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


def _hint(error: urllib3.exceptions.HTTPError) -> str:
    if isinstance(getattr(error, "reason", None), urllib3.exceptions.SSLError):
        return "check the clock of this machine, and `ca` in the source if the store has its own authority"
    return "check the source's url, the network and the proxy; the lists in force stay in force"
