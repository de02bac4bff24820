"""Fetching with bounds: limits by kind, retries, a deadline, counting (client.md §2). Loads no TUF.

A signed length *replaces* python-tuf's maximum (with 10¹² it fetched without end, measured), and it gives
errors while iterating a body through as they are: so the limits and the errors are made here.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from random import SystemRandom

from vallum.errors import DataError, FetchError, FormatError
from vallum.format import limits
from vallum.format.columns import decompress
from vallum.progress import Count, silent
from vallum.sync.transport import Answer, Transport
from vallum.sync.watchdog import WATCHDOG

METADATA = "metadata/"
TARGETS = "targets/"
WRAPS = "wraps/"
TIMESTAMP = f"{METADATA}timestamp.json"

ATTEMPTS = 4
BACKOFF = 0.5
"""Seconds; doubled by every attempt, then drawn evenly from half of it to all of it."""

MAX_RETRY_AFTER = 30.0
"""Seconds; whoever asks for more is asked again by the next sync."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_ABSENT = frozenset({403, 404})
"""An S3 bucket that may not be listed answers 403 for what is not there."""

_ROOT = re.compile(r"metadata/[0-9]+\.root\.json")
_SNAPSHOT = re.compile(r"metadata/[0-9]+\.snapshot\.json")
_PACKED = re.compile(r"metadata/[0-9]+\.(?!root\.json)[^/]+\.json")
PACKED = ".zst"
"""Behind the name of pinned metadata: the same bytes as one zstd frame (client.md §2.6)."""


class AbsentError(FetchError):
    """The store answered that there is no such object."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name}: the store answers {status}", hint=_way_out(status))


def refusal(name: str, status: int) -> FetchError:
    """What an answer that is neither 200 nor a 304 that was asked for means, and what to do about it."""
    if status in _ABSENT:
        return AbsentError(name, status)
    return FetchError(f"{name}: the store answers {status}", hint=_way_out(status))


def _way_out(status: int) -> str:
    if status in {401, 403}:
        return (
            "access has ended or was never given: check `headers` and `query` of the source, and ask the "
            "publisher"
        )
    if status >= 500 or status in _TRANSIENT:
        return "the store is in trouble: it passes, or call the publisher; the lists in force stay in force"
    return "is the source's url that of a repository? If so, tell the publisher"


class TooLargeError(DataError):
    """An object is larger than its kind may be, whatever was signed."""


def is_root(name: str) -> bool:
    """Whether an object is a numbered root, whose name anybody can guess and no metadata pins."""
    return _ROOT.fullmatch(name) is not None


def limit_of(name: str) -> int:
    """The most bytes that we take of an object, whatever was signed (client.md §2.2)."""
    name = name.removesuffix(PACKED)
    if name.startswith(TARGETS):
        return limits.RUN
    if name.startswith(WRAPS):
        return limits.WRAP
    if name == TIMESTAMP:
        return limits.TIMESTAMP
    if is_root(name):
        return limits.ROOT
    if _SNAPSHOT.fullmatch(name):
        return limits.SNAPSHOT
    return limits.LIST_ROLE


class Fetcher:
    """One source's way to its store during one sync. Safe to share between threads.

    While :meth:`watched`, the deadline also ends what hangs: time-outs do not, as long as bytes drip.

    Attributes:
        requests: attempts made, whatever became of them.
        received: bytes of bodies.
        timestamp_etag, timestamp_sha256: of the ``timestamp.json`` that came.
        date: the newest moment that the store's clock said in this sync, if it said one.
        overdue: whether the deadline closed the transport, so that the next sync needs another one.
    """

    def __init__(
        self, transport: Transport, deadline: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._transport = transport
        self._until = time.monotonic() + deadline
        self._sleep = sleep
        self._lock = threading.Lock()
        self._random = SystemRandom()
        self._ready: dict[str, bytes] = {}
        self._count: Count = silent
        self._counted_from = self._total = 0
        self._packed, self._unpacked = True, False
        self.requests = 0
        self.received = 0
        self.timestamp_etag = ""
        self.timestamp_sha256 = ""
        self.date: datetime | None = None
        self.overdue = False

    def watched(self) -> AbstractContextManager[None]:
        """A block in which the transport is closed at the deadline, whatever it is in the middle of."""
        return WATCHDOG.watching(self._until, self._cut_off)

    def _cut_off(self) -> None:
        self.overdue = True
        self._transport.close()

    def count_to(self, total: int, count: Count) -> None:
        """Tell from now on how many of the next ``total`` bytes have come."""
        self._counted_from, self._total, self._count = self.received, total, count

    def poll(self, etag: str) -> bytes | None:
        """Ask whether ``timestamp.json`` changed; ``None`` means that ``etag`` still holds.

        What came is kept for the next ``read`` of it, so that nothing is fetched twice.
        """
        data = self._read_unless(TIMESTAMP, etag)
        if data is not None:
            self._ready[TIMESTAMP] = data
        return data

    def read(self, name: str) -> bytes:
        """Fetch a small object whole; a body that breaks off is asked for again.

        Raises:
            AbsentError: there is none.
            FetchError: no answer, or not this one.
            TooLargeError: more bytes than its kind may have.
        """
        if (ready := self._ready.pop(name, None)) is not None:
            return ready
        if self._packed and _PACKED.fullmatch(name):
            # client.md §2.6: half the bytes. TUF checks what comes out; a store that has none is asked once.
            try:
                data = decompress("metadata", self._read(name + PACKED), limit_of(name))
                self._unpacked = True
                return data
            except (AbsentError, FormatError):
                self._packed = False
        return self._read(name)

    def go_plain(self) -> bool:
        """Ask for no packed metadata any more; say whether some was used, so that it may be to blame."""
        used, self._packed, self._unpacked = self._unpacked, False, False
        return used

    def read_past_caches(self, name: str) -> bytes:
        """Fetch a small object from the store itself, as far as caches heed it; errors as of :meth:`read`."""
        return self._read(name, fresh=True)

    def _read(self, name: str, fresh: bool = False) -> bytes:
        data = self._read_unless(name, "", fresh)
        assert data is not None  # noqa: S101 - nothing was sent that a 304 could answer
        return data

    def _read_unless(self, name: str, etag: str, fresh: bool = False) -> bytes | None:
        """Fetch an object whole, again if its body breaks off; ``None`` if ``etag`` still is its tag."""
        made = 0
        while True:
            answer, made = self._ask(name, etag, made, fresh)
            if answer.status == 304:
                return None
            try:
                data = self._whole(name, answer)
            except FetchError:
                if made == ATTEMPTS:
                    raise
                self._pause(made - 1, None)
            else:
                if name == TIMESTAMP:
                    self._note_timestamp(data, answer)
                return data

    def stream(self, name: str) -> Iterator[bytes]:
        """Fetch a large object in pieces; errors as of :meth:`read`, except that nothing is repeated."""
        answer, _ = self._ask(name)
        return self._capped(name, answer)

    def _note_timestamp(self, data: bytes, answer: Answer) -> None:
        self.timestamp_etag, self.timestamp_sha256 = answer.etag, sha256(data).hexdigest()

    def _note_date(self, text: str) -> None:
        with suppress(ValueError, TypeError, OverflowError):  # none, or none that can be read
            date = parsedate_to_datetime(text).astimezone(UTC)
            with self._lock:
                self.date = max(self.date or date, date)

    def _whole(self, name: str, answer: Answer) -> bytes:
        return b"".join(self._capped(name, answer))

    def _ask(self, name: str, etag: str = "", made: int = 0, fresh: bool = False) -> tuple[Answer, int]:
        """Ask until there is an answer that is worth something; ``made`` attempts were made before.

        Past caches if ``fresh``, or where they may be to blame.

        Returns:
            The answer, and how many attempts were made by then.
        """
        for attempt in range(made, ATTEMPTS):
            last = attempt + 1 == ATTEMPTS
            self._check_deadline()
            with self._lock:
                self.requests += 1
            try:
                answer = self._transport.get(name, etag=etag, fresh=fresh)
            except FetchError:
                self._check_deadline()
                if last:
                    raise
                self._pause(attempt, None)
                continue
            self._note_date(answer.date)
            if answer.status == 200 or (answer.status == 304 and etag):
                return answer, attempt + 1
            _discard(answer)
            if answer.status in _ABSENT:
                # client.md §2.4: verified metadata pins every name but the next root's and the timestamp's;
                # a cache may remember that such a name was not there yet.
                if fresh or not _is_pinned(name):
                    raise AbsentError(name, answer.status)
                fresh = True
            elif answer.status not in _TRANSIENT or last:
                raise refusal(name, answer.status)
            else:
                self._pause(attempt, answer.retry_after)
        raise AbsentError(name, 404)

    def _capped(self, name: str, answer: Answer) -> Iterator[bytes]:
        limit, size = limit_of(name), 0
        try:
            for chunk in self._timely(answer.chunks):
                size += len(chunk)
                with self._lock:
                    self.received += len(chunk)
                    received = self.received
                self._count(received - self._counted_from, self._total)
                if size > limit:
                    raise TooLargeError(f"{name}: more than {limit} bytes, the most that its kind may have")
                self._check_deadline()
                yield chunk
            self._check_deadline()  # what was cut off may look whole: a head, a body without a length
        finally:
            _discard(answer)

    def _timely(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except FetchError:
            self._check_deadline()
            raise

    def _pause(self, attempt: int, asked: float | None) -> None:
        wait = BACKOFF * 2**attempt * self._random.uniform(0.5, 1)
        if asked is not None:
            if asked > MAX_RETRY_AFTER:
                raise FetchError(
                    f"the store asks to wait {asked:.0f} s", hint="the next sync tries again; poll less often"
                )
            wait = max(wait, asked)
        self._sleep(wait)

    def _check_deadline(self) -> None:
        # 2.3: a store that sends a byte now and then would hold the lock for ever.
        if time.monotonic() > self._until:
            raise FetchError(
                "the source took longer than its deadline",
                hint="raise `deadline` in the source if the line is slow; the lists in force stay in force",
            )


def _is_pinned(name: str) -> bool:
    return name != TIMESTAMP and not is_root(name) and not name.endswith(PACKED)


def _discard(answer: Answer) -> None:
    close = getattr(answer.chunks, "close", None)
    if close is not None:
        close()
