"""Where a repository's objects come from: the protocol, and its two implementations (client.md §2).

One call makes one attempt. Retries, limits and counting are :mod:`vallum.sync.fetch`'s, so that they hold
for every transport; what the bytes mean is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import urllib3

from vallum.config import Source
from vallum.errors import FetchError
from vallum.regular import open_regular
from vallum.sync.connections import Connections, answered, let_go

CHUNK = 64 * 1024
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
        """Give up connections for good: what is under way in other threads fails, and what is asked later."""
        ...


class FolderTransport:
    """A repository in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """See ``Transport``. A folder has no ETags: its timestamp is as cheap to read as to ask about."""
        path = self._folder / name
        try:
            file = open_regular(path)
        except (FileNotFoundError, NotADirectoryError):
            if not self._folder.is_dir():
                raise FetchError(
                    f"{self._folder} is not a folder", hint="correct the source's url, or mount the folder"
                ) from None
            return Answer(404)
        except OSError as error:
            if path.is_dir():
                return Answer(404)  # as from a web server that lists no folders
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
        self._query = f"?{source.query}" if source.query else ""
        self._where = f"{urlsplit(source.url).scheme}://{urlsplit(source.url).netloc}"
        self._connections = Connections(source)

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """See ``Transport``."""
        extra = {"If-None-Match": etag} if etag else {}
        if fresh:
            extra["Cache-Control"] = "no-cache"
        response = self._connections.get(f"{self._url}/{name}{self._query}", extra)
        if response.status != 200:
            let_go(response)
        return Answer(
            response.status,
            self._chunks(response, name) if response.status == 200 else (),
            _settled_etag(response),
            _retry_after(response),
            response.headers.get("Date", ""),
        )

    def close(self) -> None:
        """See ``Transport``."""
        self._connections.close()

    def _chunks(self, response: urllib3.BaseHTTPResponse, name: str) -> Iterator[bytes]:
        try:
            # 2.5: lengths and hashes are those of the object as stored.
            if encoding := response.headers.get("Content-Encoding"):
                raise FetchError(
                    f"{self._where}: {name} came with an unasked Content-Encoding, {encoding[:32]!r}",
                    hint="the server must send objects as they are stored",
                )
            with answered(f"{self._where}: {name}"):
                yield from response.stream(CHUNK, decode_content=False)
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
