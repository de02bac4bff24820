"""All lists in force at one moment. Immutable but for two bounded caches; swapped whole by :mod:`lists`."""

from __future__ import annotations

from collections.abc import Iterable

from vallum.errors import InputError
from vallum.expression import parse_digest
from vallum.match.answer import Match
from vallum.match.exact import Matcher
from vallum.match.policy import most_severe_first
from vallum.url import canonicalize, plain_host

_CACHED_HOSTS = 8192
_CACHED_LENGTH = 80
_PLAIN_SCHEMES = frozenset({"http:", "https:"})


class Snapshot:
    """Looks up in every list. Safe to share between threads: the caches lose nothing but time."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self.matchers = tuple(matchers)
        self.signals = frozenset[str]().union(*(matcher.signals for matcher in self.matchers))
        self._of_urls = tuple(matcher for matcher in self.matchers if matcher.scopes)
        self._clean: set[str] = set()

    def match_url(self, url: str | bytes) -> list[Match]:
        """Look a URL up, most severe match first.

        Raises:
            InputError: it names no host.
        """
        if isinstance(url, str):
            # Most traffic goes to few hosts. What stands in the cache has passed the expression below, so
            # that a text with these very pieces cannot be read in another way.
            pieces = url.split("/", 3)
            if len(pieces) > 2 and pieces[2] in self._clean and not pieces[1] and pieces[0] in _PLAIN_SCHEMES:
                return []
            host = plain_host(url)
            if host is not None and not self._may_list_name(host):
                if len(pieces) > 2 and len(host) <= _CACHED_LENGTH and pieces[2] == host:
                    self._remember(host)
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

    def _may_list_name(self, host: str) -> bool:
        for matcher in self._of_urls:  # noqa: SIM110 - any() costs a generator on every look-up
            if matcher.may_list_name(host):
                return True
        return False

    def _remember(self, host: str) -> None:
        if len(self._clean) >= _CACHED_HOSTS:
            self._clean.clear()
        self._clean.add(host)
