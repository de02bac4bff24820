"""Exact look-ups in one table: a URL by every expression that could list it, a digest by its key.

Which expressions those are is lookups.md §2. Nothing is widened: each scope has expressions of its own.
Reading a URL is :mod:`vallum.url`'s business; several lists and reloading are the neighbours'.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from vallum.expression import DIGEST_TAGS, KEY_BYTES, TAGS, URL_TAGS, Hash, Keyer, Scope
from vallum.format.table import Table
from vallum.host import suffixes
from vallum.match.answer import Match
from vallum.match.by_text import FEW, MakeMatch, text_look_up, value_places
from vallum.match.host_index import HostIndex
from vallum.match.prefilter import KeyFilter, MatchUrl, NameFilter
from vallum.url import Canonical

WEAK_SIGNALS = frozenset({"md5", "sha1"})
_REST = (1 << 96) - 1
_LOW = (1 << 32) - 1
_HOST, _PLACE, _WHOLE = range(3)
_TEXTS = (
    (Scope.URL, _WHOLE),
    (Scope.URL_ANY_QUERY, _PLACE),
    (Scope.DOMAIN, _HOST),
    (Scope.HOST, _HOST),
)
"""Which text a scope's expression holds, for all but prefixes."""

_PATH_PREFIX = Scope.PATH_PREFIX.value


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
        domains = Scope.DOMAIN in self.scopes
        self._names = suffixes if domains else _alone
        self._index = HostIndex(table.rows.hi, keyer)
        self._rows_on = self._index.rows_on
        valued = self.scopes and table.rows.lengths is not None
        self.prefilter = (
            NameFilter.of(table.rows) if valued else KeyFilter(table.rows, keyer, domains=domains)
        )
        self._likely = self.prefilter.names_on if isinstance(self.prefilter, NameFilter) else self._names
        self._match = _match_maker("url", source, list_name, table, keyer)
        self._hi, self._lo = table.rows.hi, table.rows.lo
        self._mask = _REST >> keyer.host_bits
        # Plain strings from here on: an enum's members hash and compare in Python.
        begin = {scope: keyer.begin(URL_TAGS[scope].prefix.encode("ascii")).copy for scope in self.scopes}
        self._own = tuple((scope.value, begin[scope], text) for scope, text in _TEXTS if scope in begin)
        self._above = tuple(probe for probe in self._own if probe[0] == Scope.DOMAIN)
        self._prefix = begin.get(Scope.PATH_PREFIX)
        self._places = value_places(table.rows) if valued else None

    def url_look_up(self) -> MatchUrl:
        """Make the quickest look-up of host, path and query that there is for this table.

        Not kept here: it refers to this matcher, and a circle would keep old tables mapped until the garbage
        collector comes by.
        """
        if self._places is None:
            return self.match_url
        return text_look_up(
            self.table.rows, self._places, self._index, self._likely, self._match, self.match_url
        )

    def match_url(self, host: str, path: str, query: str | None) -> list[Match]:
        """Look a URL in canonical form up; ``host`` is not empty. Tries what :meth:`explain_url` shows."""
        found: list[Match] = []
        for name in self._likely(host):
            part, start, end = self._rows_on(name)
            if start == end:
                continue
            # Mostly one row or two: the last 32 bits of the hash rule nearly everything else out.
            if end - start == 1:
                lows: bytes | tuple[bytes, ...] = self._lo[start].to_bytes(4)
            elif end - start <= FEW:
                lows = tuple([low.to_bytes(4) for low in self._lo[start:end]])
            else:
                lows = b""
            if name is host:
                texts, scopes = _texts(host, path, query), self._own
            else:
                texts, scopes = (name.encode(),), self._above
            most = len(found) + end - start
            for scope, begin, which in scopes:
                state = begin()
                state.update(texts[which])
                digest = state.digest()
                if digest.endswith(lows):
                    self._take(found, scope, digest, part, start, end)
                    if len(found) == most:  # every row on this host has been hit: nothing else can
                        break
            else:
                if name is host and self._prefix:
                    for digest, _ in _prefixes(self._prefix(), texts[_PLACE], len(host)):
                        if digest.endswith(lows):
                            self._take(found, _PATH_PREFIX, digest, part, start, end)
                            if len(found) == most:
                                break
        return found

    def explain_url(self, url: Canonical) -> Iterator[Probe]:
        """Yield every expression that could list a URL, also those that the pre-filter spares."""
        for name in self._names(url.host):
            part, start, end = self._rows_on(name)
            for scope, digest, text in self._digests(url, name):
                found: list[Match] = []
                key = self._take(found, scope, digest, part, start, end)
                match = found[0] if found else None
                yield Probe(
                    Scope(scope), f"url|{scope}|{text.decode()}", key.to_bytes(KEY_BYTES).hex(), match
                )

    def match_digest(self, signal: str, raw: bytes) -> list[Match]:
        """Look an exact digest up; ``raw`` has the length of its algorithm."""
        if signal not in self.signals:
            return []
        key = self.keyer.digest_key(signal, raw)
        at = self.table.rows.find(key)
        if at is None:
            return []
        tag = DIGEST_TAGS[signal]
        match = _match_maker(tag.signal, self.source, self.list, self.table, self.keyer)
        return [match(None, at)]

    def _digests(self, url: Canonical, name: str) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield what could be listed on ``name``: all scopes on the URL's own host, above it ``domain``.

        As scope, hash, and the text that was hashed after the scope.
        """
        own = name == url.host
        texts = _texts(name, url.path, url.query) if own else (name.encode(),)
        for scope, begin, which in self._own if own else self._above:
            state = begin()
            state.update(texts[which])
            yield scope, state.digest(), texts[which]
        if own and self._prefix:
            for digest, border in _prefixes(self._prefix(), texts[_PLACE], len(name)):
                yield _PATH_PREFIX, digest, texts[_PLACE][:border]

    def _take(self, found: list[Match], scope: str, digest: bytes, part: int, start: int, end: int) -> int:
        """Append the row between ``start`` and ``end`` that has a key, if there is one; return the key."""
        key = part | (int.from_bytes(digest) & self._mask)
        top, hi, low = key >> 32, self._hi, key & _LOW
        at = start if end - start == 1 else bisect_left(hi, top, start, end)
        while at < end and hi[at] == top:
            if self._lo[at] == low:
                found.append(self._match(scope, at))
                break
            at += 1
        return key


def _match_maker(signal: str, source: str, list_name: str, table: Table, keyer: Keyer) -> MakeMatch:
    rows, version, begin_id, new = table.rows, table.version, keyer.begin_id().copy, tuple.__new__
    hi, lo, dictionary, label_ids = rows.hi, rows.lo, rows.dictionary, rows.label_ids
    weak = signal in WEAK_SIGNALS

    def match(scope: str | None, at: int) -> Match:
        state = begin_id()
        state.update((hi[at] << 32 | lo[at]).to_bytes(KEY_BYTES))
        # As a named tuple's own constructor in half of the time.
        facts = (
            source,
            list_name,
            version,
            state.hexdigest(),
            signal,
            scope,
            None,
            dictionary[label_ids[at]],
            weak,
        )
        return new(Match, facts)

    return match


def _alone(host: str) -> list[str]:
    return [host]


def _texts(host: str, path: str, query: str | None) -> tuple[bytes, ...]:
    place = (host + path).encode()
    return host.encode(), place, place if query is None else b"%b?%b" % (place, query.encode())


def _prefixes(state: Hash, place: bytes, path_at: int) -> Iterator[tuple[bytes, int]]:
    """Yield the hash of every path prefix, and its length.

    One state grows along the path: a long path with many borders stays linear.
    """
    hashed = 0
    for border in _borders(place, path_at):
        state.update(place[hashed:border])
        hashed = border
        yield state.digest(), border


def _borders(text: bytes, path_at: int) -> Iterator[int]:
    """Yield the lengths at which a path that begins at ``path_at`` has a segment's border, ``/`` left out.

    ``/a/b`` has the prefixes ``/a``, ``/a/`` and ``/a/b``.
    """
    at = text.find(b"/", path_at + 1)
    while at > 0:
        yield at
        yield at + 1
        at = text.find(b"/", at + 1)
    if not text.endswith(b"/"):
        yield len(text)
