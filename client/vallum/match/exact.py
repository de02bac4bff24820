"""Exact look-ups in one table: a URL by every expression that could list it, a digest by its key.

Which expressions those are is lookups.md §2. Nothing is widened: each scope has expressions of its own.
Reading a URL is :mod:`vallum.url`'s business; several lists and reloading are the neighbours'.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from vallum.expression import DIGEST_TAGS, TAGS, URL_TAGS, Keyer, Scope
from vallum.format.table import Table
from vallum.host import suffixes
from vallum.match.answer import Match
from vallum.match.names import StemFilter
from vallum.match.prefilter import Prefilter
from vallum.url import Canonical

WEAK_SIGNALS = frozenset({"md5", "sha1"})
_REST = (1 << 96) - 1
_LOW = struct.Struct(">8xI")
_FEW = 16
_WHOLE_TEXTS = (Scope.URL, Scope.URL_ANY_QUERY, Scope.HOST)
"""Scopes whose expression is one whole text on the URL's own host."""


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
        self.domains = Scope.DOMAIN in self.scopes
        self.stems = StemFilter(table.rows) if self.scopes and table.rows.lengths is not None else None
        self.prefilter = Prefilter(table.rows.hi, keyer, bitmap=self.stems is None)
        self._version = table.version
        self._labels, self._label_ids = table.rows.dictionary, table.rows.label_ids
        self._mask = _REST >> keyer.host_bits
        # Plain strings from here on: an enum's members hash and compare in Python.
        begin = {scope: keyer.begin(URL_TAGS[scope].prefix.encode("ascii")).copy for scope in self.scopes}
        self._own = tuple(
            (scope.value, begin[scope], text) for text, scope in enumerate(_WHOLE_TEXTS) if scope in begin
        )
        self._prefix = begin.get(Scope.PATH_PREFIX)
        self._domain = begin.get(Scope.DOMAIN)

    def match_url(self, url: Canonical) -> list[Match]:
        """Look a URL up; ``url.host`` is not empty."""
        found: list[Match] = []
        for host in self._names(url.host):
            part, start, end = self.prefilter.rows_on(host)
            left = end - start
            if not left:
                continue
            # Mostly one row or two: the last 32 bits of the hash rule nearly everything else out.
            lows = self.table.rows.lo[start:end].tolist() if left <= _FEW else None
            for scope, digest, _, _ in self._digests(url, host):
                if lows and _LOW.unpack(digest)[0] not in lows:
                    continue
                key = part | (int.from_bytes(digest) & self._mask)
                at = self._find(key, start, end)
                if at >= 0:
                    found.append(self._match("url", scope, key.to_bytes(12), at))
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
            for scope, digest, text, length in self._digests(url, host):
                key = part | (int.from_bytes(digest) & self._mask)
                at, name = self._find(key, start, end), key.to_bytes(12)
                match = self._match("url", scope, name, at) if at >= 0 else None
                yield Probe(Scope(scope), f"url|{scope}|{text[:length]}", name.hex(), match)

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

    def _names(self, host: str) -> list[str]:
        """List the host, and the names above it on which there could be a row."""
        if not self.domains:
            return [host]
        names = suffixes(host)
        if self.stems and not self.stems.has_tops and len(names) > 1:
            names.pop()
        return names

    def _digests(self, url: Canonical, host: str) -> Iterator[tuple[str, bytes, str, int]]:
        """Yield what could be listed on ``host``: all scopes on the URL's own, above it ``domain`` alone.

        As scope, hash, and a text with the length of its part that was hashed after the scope.
        """
        if host == url.host:
            place = host + url.path
            texts = (place if url.query is None else f"{place}?{url.query}", place, host)
            for scope, copy, which in self._own:
                state, text = copy(), texts[which]
                state.update(text.encode())
                yield scope, state.digest(), text, len(text)
            if self._prefix:
                # One state that grows along the path: a long path with many borders stays linear.
                state, hashed, data = self._prefix(), 0, place.encode()
                for border in _borders(place, len(host)):
                    state.update(data[hashed:border])
                    hashed = border
                    yield "path_prefix", state.digest(), place, border
        if self._domain:
            state = self._domain()
            state.update(host.encode())
            yield "domain", state.digest(), host, len(host)

    def _find(self, key: int, start: int, end: int) -> int:
        """Return the row between ``start`` and ``end`` that has the key, or -1."""
        top, hi = key >> 32, self.table.rows.hi
        at = start if end - start == 1 else bisect_left(hi, top, start, end)
        while at < end and hi[at] == top:
            if self.table.rows.lo[at] == key & 0xFFFFFFFF:
                return at
            at += 1
        return -1

    def _match(self, signal: str, scope: str | None, key: bytes, at: int) -> Match:
        return Match(
            self.source,
            self.list,
            self._version,
            self.keyer.entry_id(key),
            signal,
            scope,
            None,
            self._labels[self._label_ids[at]],
            signal in WEAK_SIGNALS,
        )


def _borders(text: str, path_at: int) -> Iterator[int]:
    """Yield the lengths at which a path that begins at ``path_at`` has a segment's border, ``/`` left out.

    ``/a/b`` has the prefixes ``/a``, ``/a/`` and ``/a/b``.
    """
    at = text.find("/", path_at + 1)
    while at > 0:
        yield at
        yield at + 1
        at = text.find("/", at + 1)
    if not text.endswith("/"):
        yield len(text)
