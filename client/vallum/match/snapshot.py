"""All lists in force at one moment. Immutable but for two bounded caches; swapped whole by :mod:`lists`."""

from __future__ import annotations

from collections.abc import Iterable

from vallum.errors import InputError
from vallum.expression import parse_digest
from vallum.match.answer import Match
from vallum.match.exact import Matcher
from vallum.match.names import stem_url_filter
from vallum.match.policy import most_severe_first
from vallum.match.prefilter import url_filter
from vallum.url import canonicalize


class Snapshot:
    """Looks up in every list. Safe to share between threads: the caches lose nothing but time."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self.signals = frozenset[str]().union(*(matcher.signals for matcher in self.matchers))
        self._of_urls = tuple(matcher for matcher in self.matchers if matcher.scopes)
        stems = [matcher.stems for matcher in self._of_urls if matcher.stems]
        self._is_clean = (
            stem_url_filter(stems)
            if len(stems) == len(self._of_urls)
            else url_filter([(matcher.prefilter, matcher.domains) for matcher in self._of_urls])
        )

    def match_url(self, url: str | bytes) -> list[Match]:
        """Look a URL up, most severe match first.

        Raises:
            InputError: it names no host.
        """
        if isinstance(url, str) and self._is_clean(url):
            return []
        return self.match_fully(url)

    def match_fully(self, url: str | bytes) -> list[Match]:
        """Look a URL up without any shortcut; the answer is the same."""
        form = canonicalize(url)
        if not form.host:
            raise InputError("the URL names no host", hint="write it as https://host/path")
        found: list[Match] = []
        for matcher in self._of_urls:
            found += matcher.match_url(form)
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
        return most_severe_first(found)
