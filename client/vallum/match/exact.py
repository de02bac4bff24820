"""Exact look-ups in one table: a URL by every expression that could list it, a digest by its key.

Which expressions those are is lookups.md §2. Nothing is widened: each scope has expressions of its own.
Reading a URL is :mod:`vallum.url`'s business; several lists and reloading are the neighbours'.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from vallum.expression import DIGEST_TAGS, TAGS, URL_TAGS, Keyer, Scope
from vallum.format.table import Table
from vallum.host import suffixes
from vallum.match.answer import Match
from vallum.match.prefilter import Prefilter
from vallum.url import Canonical

WEAK_SIGNALS = frozenset({"md5", "sha1"})
_REST = (1 << 96) - 1


@dataclass(frozen=True, slots=True)
class Probe:
    """One expression that a look-up tried, for people: what was hashed, to which key, and whether it hit."""

    scope: Scope
    expression: str
    key: str
    match: Match | None


class Matcher:
    """Answers for one table of one list. Immutable after ``__init__``; safe to share between threads."""

    def __init__(self, source: str, list_name: str, table: Table, keyer: Keyer) -> None:
        self.source, self.list, self.table, self.keyer = source, list_name, table, keyer
        codes = {code for code, _ in table.counts}
        self.scopes = frozenset(scope for scope, tag in URL_TAGS.items() if tag.code in codes)
        self.signals = frozenset(TAGS[code].signal for code in codes if TAGS[code].scope is None)
        self.prefilter = Prefilter(table.rows.hi, keyer)
        self._begin = {scope: keyer.begin(URL_TAGS[scope].prefix.encode("ascii")) for scope in self.scopes}
        self.domains = Scope.DOMAIN in self.scopes
        self._mask = _REST >> keyer.host_bits

    def match_url(self, url: Canonical) -> list[Match]:
        """Look a URL up; ``url.host`` is not empty."""
        found: list[Match] = []
        for host, part, start, end in self._places(url.host):
            left = end - start
            for scope, digest, _ in self._digests(url, host):
                key, at = self._find(digest, part, start, end)
                if at >= 0:
                    found.append(self._url_match(scope, key, at))
                    left -= 1
                    if not left:  # every row on this host has been hit: nothing else can
                        break
        return found

    def explain_url(self, url: Canonical) -> Iterator[Probe]:
        """Yield every expression that could list a URL, also those that the pre-filter spares."""
        for host in suffixes(url.host) if self.domains else [url.host]:
            part, start, end = self.prefilter.rows_on(host)
            if start == end:
                part = self.keyer.host_part(host)
            for scope, digest, form in self._digests(url, host):
                key, at = self._find(digest, part, start, end)
                match = self._url_match(scope, key, at) if at >= 0 else None
                yield Probe(scope, f"{URL_TAGS[scope].prefix}{form}", key.to_bytes(12).hex(), match)

    def match_digest(self, signal: str, raw: bytes) -> list[Match]:
        """Look an exact digest up; ``raw`` has the length of its algorithm."""
        if signal not in self.signals:
            return []
        key = self.keyer.digest_key(signal, raw)
        at = self.table.rows.find(key)
        if at is None:
            return []
        tag = DIGEST_TAGS[signal]
        return [self._match(tag.signal, None, key, at)]

    def _places(self, host: str) -> Iterator[tuple[str, int, int, int]]:
        """Yield the host, and the names above it, on which there are rows, with where they stand."""
        part, start, end = self.prefilter.rows_on(host)
        if start < end:
            yield host, part, start, end
        if self.domains:
            for name in suffixes(host)[1:]:
                part, start, end = self.prefilter.rows_on(name)
                if start < end:
                    yield name, part, start, end

    def _digests(self, url: Canonical, host: str) -> Iterator[tuple[Scope, bytes, str]]:
        """Yield scope, hash and form of the expressions on ``host``; above the URL's own, ``domain``."""
        begin = self._begin
        if host == url.host:
            place = host + url.path
            if Scope.URL in begin:
                form = str(url)
                yield Scope.URL, self._hash(Scope.URL, form), form
            if Scope.URL_ANY_QUERY in begin:
                yield Scope.URL_ANY_QUERY, self._hash(Scope.URL_ANY_QUERY, place), place
            if Scope.HOST in begin:
                yield Scope.HOST, self._hash(Scope.HOST, host), host
        if Scope.DOMAIN in begin:
            yield Scope.DOMAIN, self._hash(Scope.DOMAIN, host), host
        if Scope.PATH_PREFIX in begin and host == url.host:
            # One state that grows along the path: a long path with many borders stays linear.
            state = begin[Scope.PATH_PREFIX].copy()
            state.update(host.encode("ascii"))
            at, path = len(host), url.path
            for border in _borders(path):
                state.update(path[at - len(host) : border].encode("ascii"))
                at = len(host) + border
                yield Scope.PATH_PREFIX, state.digest(), place[:at]

    def _hash(self, scope: Scope, form: str) -> bytes:
        state = self._begin[scope].copy()
        state.update(form.encode("ascii"))
        return state.digest()

    def _find(self, digest: bytes, part: int, start: int, end: int) -> tuple[int, int]:
        """Return the key, and the row between ``start`` and ``end`` that has it, or -1."""
        key = part | (int.from_bytes(digest) & self._mask)
        top, rows = key >> 32, self.table.rows
        at = bisect_left(rows.hi, top, start, end)
        while at < end and rows.hi[at] == top:
            if rows.lo[at] == key & 0xFFFFFFFF:
                return key, at
            at += 1
        return key, -1

    def _url_match(self, scope: Scope, key: int, at: int) -> Match:
        return self._match("url", str(scope), key.to_bytes(12), at)

    def _match(self, signal: str, scope: str | None, key: bytes, at: int) -> Match:
        return Match(
            source=self.source,
            list=self.list,
            version=self.table.version,
            id=self.keyer.entry_id(key),
            signal=signal,
            scope=scope,
            distance=None,
            labels=self.table.rows.labels(at),
            weak=signal in WEAK_SIGNALS,
        )


def _borders(path: str) -> Iterator[int]:
    """Yield the lengths of the prefixes of a path that end at a segment's border, ``/`` alone left out.

    ``/a/b`` has ``/a``, ``/a/`` and ``/a/b``.
    """
    at = path.find("/", 1)
    while at > 0:
        yield at
        yield at + 1
        at = path.find("/", at + 1)
    if not path.endswith("/"):
        yield len(path)
