"""All lists in force at one moment. Immutable but for two bounded caches; swapped whole by :mod:`lists`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Self

from vallum.allow import NOTHING, Allowances
from vallum.errors import InputError
from vallum.expression import parse_digest
from vallum.match.answer import Match
from vallum.match.exact import Matcher
from vallum.match.names import StemFilter, stem_url_filter
from vallum.match.policy import most_severe_first
from vallum.match.prefilter import Prefilter, url_filter
from vallum.url import canonicalize


class Snapshot:
    """Looks up in every list. Safe to share between threads: the caches lose nothing but time."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self.signals = frozenset[str]().union(*(matcher.signals for matcher in self.matchers))
        self._of_urls = tuple(matcher for matcher in self.matchers if matcher.scopes)
        self._is_clean = _filter(self._of_urls)
        self.allowed = NOTHING

    def allowing(self, allowed: Allowances) -> Self:
        """The same lists with other things allowed."""
        other = copy(self)
        other.allowed = allowed
        return other

    def match_url(self, url: str | bytes) -> list[Match]:
        """Look a URL up, most severe match first.

        Raises:
            InputError: it names no host.
        """
        if isinstance(url, str) and self._is_clean(url):
            return []
        return self.match_fully(url)

    def match_urls(self, urls: Iterable[str | bytes]) -> Iterator[list[Match]]:
        """As ``match_url`` for each, in order, without a call for most of them."""
        is_clean, match_fully = self._is_clean, self.match_fully
        for url in urls:
            yield [] if isinstance(url, str) and is_clean(url) else match_fully(url)

    def match_fully(self, url: str | bytes) -> list[Match]:
        """Look a URL up without any shortcut; the answer is the same."""
        form = canonicalize(url)
        if not form.host:
            raise InputError("the URL names no host", hint="write it as https://host/path")
        found: list[Match] = []
        for matcher in self._of_urls:
            found += matcher.match_url(form)
        if found and self.allowed:
            found = [] if self.allowed.covers(form) else self._left(found)
        return most_severe_first(found)

    def match_digest(self, signal: str, digest: str | bytes) -> list[Match]:
        """Look an exact digest up, most severe match first.

        Raises:
            InputError: unknown signal, not hex, or of another length.
        """
        raw = parse_digest(signal, digest)
        found: list[Match] = []
        for matcher in self.matchers:
            found += matcher.match_digest(signal, raw)
        return most_severe_first(self._left(found))

    def _left(self, found: list[Match]) -> list[Match]:
        ids = self.allowed.ids
        return [match for match in found if match.id not in ids] if ids else found


def _filter(matchers: Iterable[Matcher]) -> Callable[[str], bool]:
    """Make the question "is this URL clearly in none of these tables"."""
    stems: list[StemFilter] = []
    keyed: list[tuple[Prefilter, bool]] = []
    for matcher in matchers:
        if matcher.stems:
            stems.append(matcher.stems)
        else:
            keyed.append((matcher.prefilter, matcher.domains))
    if not keyed:
        return stem_url_filter(stems)
    if not stems:
        return url_filter(keyed)
    by_stem, by_key = stem_url_filter(stems), url_filter(keyed)
    return lambda url: by_stem(url) and by_key(url)
