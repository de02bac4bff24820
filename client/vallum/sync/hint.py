"""Hints that something changed (client.md §11.3): server-sent events, read and never trusted.

An event of the type ``head`` carries the SHA-256 of ``timestamp.json``; it is a reason to poll and nothing
else. When to poll is :mod:`vallum.sync.schedule`'s, doing it :mod:`vallum.sync.watch`'s.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from random import SystemRandom

import urllib3

from vallum.config import Source
from vallum.errors import VallumError
from vallum.sync.connections import Connections

SILENCE = 60.0
"""Seconds without a byte after which a connection counts as lost; a server sends a comment every 15."""
SETTLED = 60.0
"""Seconds that a connection must have lasted for the next one to be made without back-off."""
SLOWEST = 300.0
"""Seconds between attempts to connect, at most."""

_BREATH = 0.05
"""Seconds from one reading to the next (client.md §11.3): whatever a flood is made of, its sender waits."""
_MAX_LINE = 4096
_CHUNK = 4096
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Events:
    """Parses ``text/event-stream`` (WHATWG HTML §9.2.6) as it comes, as much of it as hints need.

    Anything that is not a ``head`` event with one digest is passed over; a line without end does not grow.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._type = b""
        self._data: bytes | None = None
        self._overlong = False

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes, in whatever pieces, and return the digests of the events they complete."""
        *lines, self._rest = _LINE_END.split(self._rest + data)
        if data.endswith(b"\r"):
            # A line feed may follow, and belong to this line end: an empty line would end the event early.
            self._rest = lines.pop() + b"\r"
        found = []
        for line in lines:
            overlong, self._overlong = self._overlong or len(line) > _MAX_LINE, False
            if overlong:
                continue
            if (digest := self._line(line)) is not None:
                found.append(digest)
        if len(self._rest) > _MAX_LINE:
            self._rest, self._overlong = b"", True
        return found

    def _line(self, line: bytes) -> str | None:
        if not line:
            kind, data, self._type, self._data = self._type, self._data, b"", None
            return data.decode() if kind == b"head" and data and _DIGEST.fullmatch(data) else None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._type = value
        elif field == b"data":
            # Several lines of data are joined by line feeds, which no digest holds.
            joined = value if self._data is None else self._data + b"\n" + value
            self._data = joined[:_MAX_LINE]
        return None


class Listener(threading.Thread):
    """Keeps one connection to a source's events and passes digests on until it is told to stop."""

    def __init__(self, source: Source, hear: Callable[[str, str], None]) -> None:
        super().__init__(name=f"vallum-hints-{source.name}", daemon=True)
        self._source = source
        self._hear = hear
        self._ended = threading.Event()

    def end(self) -> None:
        """Stop; a read that waits is left to die with the process."""
        self._ended.set()

    def run(self) -> None:
        """Connect, listen, connect again: what fails here costs time and never a list."""
        random, failures = SystemRandom(), 0
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                for digests in self._listen():
                    if self._ended.is_set():
                        return
                    for digest in digests[-1:]:  # what was said before it is old by now
                        self._hear(self._source.name, digest)
                    self._ended.wait(_BREATH)
            except (VallumError, urllib3.exceptions.HTTPError, OSError, ValueError):
                pass  # the polls go on by themselves, and tell of what is wrong with the source
            failures = 0 if time.monotonic() - began >= SETTLED else failures + 1
            self._ended.wait(min(SLOWEST, 2.0 ** min(failures, 12)) * random.uniform(0.5, 1))

    def _listen(self) -> Iterator[list[str]]:
        """Read on; what the events of each reading say."""
        connections = Connections(self._source)
        try:
            response = connections.get(
                self._source.hints,
                {"Accept": "text/event-stream", "Cache-Control": "no-store"},
                SILENCE,
            )
            try:
                if response.status != 200:
                    return
                events = Events()
                while chunk := response.read1(_CHUNK):
                    yield events.feed(chunk)
            finally:
                response.close()
        finally:
            connections.close()
