"""All lists in force at one moment. Immutable but for bounded caches; swapped whole by :mod:`lists`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Self

from vallum.allowance import NOTHING, Allowances
from vallum.errors import InputError
from vallum.expression import DIGEST_TAGS, VECTOR_TABLES, parse_digest
from vallum.host import refuse_parser
from vallum.match.answer import Match
from vallum.match.digests import COMPUTABLE, Hasher
from vallum.match.exact import Matcher
from vallum.match.policy import most_severe_first
from vallum.match.prefilter import MatchUrl, filtered
from vallum.url import Canonical, no_host, parts


class Snapshot:
    """Looks up in every list. Safe to share between threads: the caches lose nothing but time."""

    def __init__(
        self,
        matchers: Iterable[Matcher],
        near: frozenset[str] = frozenset(),
        lifted: frozenset[str] = frozenset(),
    ) -> None:
        """``near``: signals that the lists hold, and that are not matched exactly.

        ``lifted``: kinds of the lists that are not enforced, and not among ``matchers`` (client.md §9.4).
        """
        self.matchers, self._near, self.lifted = tuple(matchers), near, lifted
        self.signals = frozenset[str]().union(*(matcher.signals for matcher in self.matchers))
        self._kinds = lifted.union(matcher.table.kind for matcher in self.matchers)
        refuse_parser()
        self._of_urls = tuple(matcher for matcher in self.matchers if matcher.scopes)
        self._allow(NOTHING)

    def allowing(self, allowed: Allowances) -> Self:
        """The same lists with other things allowed."""
        other = copy(self)
        other._allow(allowed)
        return other

    def _allow(self, allowed: Allowances) -> None:
        self.allowed = allowed
        # Hold the tables and not this snapshot, or only the garbage collector would let go of old tables.
        answer = _answering(self._of_urls, allowed)
        self.match_fully = _reading(answer)
        """Looks a URL up without any shortcut; the answer is the same."""
        self._look_up = filtered(self.match_fully, answer, [matcher.prefilter for matcher in self._of_urls])

    def match_url(self, url: str | bytes) -> list[Match]:
        """Look a URL up, most severe match first.

        Raises:
            InputError: it names no host, or its host and path are too long to be read (MAX_INPUT).
        """
        return self._look_up(url)

    def match_urls(self, urls: Iterable[str | bytes]) -> Iterator[list[Match]]:
        """As ``match_url`` for each, in order."""
        return map(self._look_up, urls)

    def match_digest(self, signal: str, digest: str | bytes) -> list[Match]:
        """Look an exact digest up, most severe match first.

        Raises:
            InputError: unknown signal, not hex, of another length, or one that is not matched exactly.
        """
        raw = parse_digest(signal, digest)
        if DIGEST_TAGS[signal].table in VECTOR_TABLES:
            raise InputError(f"{signal} is matched by nearness, which is not done here")
        found: list[Match] = []
        for matcher in self.matchers:
            found += matcher.match_digest(signal, raw)
        return most_severe_first(_left(found, self.allowed))

    def hasher(self) -> Hasher:
        """Begin a file that comes in pieces: ``update(bytes)`` …, then ``finish()`` gives the matches."""
        return Hasher(self.signals, self.match_digest)

    def deaf_to(self, signal: str) -> str:
        """Say why a digest of this kind that is not listed is not clean (client.md §9.4); empty if it is.

        Who asks by ``md5`` alone, of lists that hold ``sha256``, would find everything clean.
        """
        if signal in self.signals or self._holds_nothing():
            return ""
        return f"no list in force holds {signal} digests"

    def deaf_to_urls(self) -> str:
        """Say why a URL that is not listed is not clean (client.md §9.4); empty if it is."""
        return "" if "url" in self._kinds else "no list in force holds URLs"

    def deaf_to_files(self) -> str:
        """Say why a file of which no digest is listed is not clean; empty if it is."""
        missing = sorted((self.signals | self._near) - set(COMPUTABLE))
        if missing:
            return f"lists in force hold {', '.join(missing)}, which cannot be made of a file here"
        return "" if self.signals or self._holds_nothing() else "no list in force holds digests"

    def _holds_nothing(self) -> bool:
        """Whether there are lists of digests, and all are empty, or one is lifted, whatever it held."""
        return "hash" in self.lifted or ("hash" in self._kinds and not self.signals and not self._near)


def _reading(answer: MatchUrl) -> Callable[[str | bytes], list[Match]]:
    def look_up(url: str | bytes) -> list[Match]:
        host, path, query = parts(url)
        if not host:
            raise no_host(url)
        found = answer(host, path, query)
        return most_severe_first(found) if len(found) > 1 else found

    return look_up


def _answering(matchers: Sequence[Matcher], allowed: Allowances) -> MatchUrl:
    """Look a form up in all lists, in any order, and leave out what is allowed."""
    first, *others = [matcher.url_look_up() for matcher in matchers] or [_nothing]
    if not others and not allowed:
        return first

    def answer(host: str, path: str, query: str | None) -> list[Match]:
        found = first(host, path, query)
        for match_url in others:
            found += match_url(host, path, query)
        if found and allowed:
            found = [] if allowed.covers(Canonical(host, path, query)) else _left(found, allowed)
        return found

    return answer


def _nothing(host: str, path: str, query: str | None) -> list[Match]:
    """A look-up in no list of URLs."""
    return []


def _left(found: list[Match], allowed: Allowances) -> list[Match]:
    ids = allowed.ids
    return [match for match in found if match.id not in ids] if ids else found
