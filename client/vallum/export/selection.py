"""What an export is of: which lists, signals, scopes and labels; and what the operator allows all the same.

Reading tables is :mod:`vallum.export.entries`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from vallum.allowance import Allowances
from vallum.errors import InputError
from vallum.expression import DIGEST_TAGS, Scope, Tag, host_of
from vallum.host import suffixes
from vallum.labels import LabelSet, is_label
from vallum.match.answer import Match
from vallum.state import Current, StreamState
from vallum.streams import resolve_stream
from vallum.url import canonicalize

SIGNALS = ("url", *DIGEST_TAGS)


class Entry(NamedTuple):
    """One line of an export.

    Attributes:
        source, list: where it is listed.
        id: 16 hex digits, as look-ups say it; empty where nobody asked for ids.
        tag: its signal and scope.
        value: a canonical form without scheme (``host/path?query``, or a bare host), or a digest as hex.
        labels: sorted.
    """

    source: str
    list: str
    id: str
    tag: Tag
    value: str
    labels: LabelSet

    def __repr__(self) -> str:
        return f"<Entry {self.id}>"  # values must not reach logs


@dataclass(frozen=True, slots=True)
class Selection:
    """What an export is of; empty means all.

    Attributes:
        lists: ``urls``, ``urls.full`` or ``source/urls``.
        signals: ``url``, ``sha256`` …
        scopes: of URLs.
        labels: entries that have at least one of them.
    """

    lists: tuple[str, ...] = ()
    signals: frozenset[str] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    labels: frozenset[str] = frozenset()

    @staticmethod
    def of(
        lists: Iterable[str] = (),
        signals: Iterable[str] = (),
        scopes: Iterable[str] = (),
        labels: Iterable[str] = (),
    ) -> Selection:
        """Check the words of a selection.

        Raises:
            InputError: one of them is no signal, scope or label.
        """
        chosen = Selection(tuple(lists), frozenset(signals), frozenset(), frozenset(labels))
        for signal in chosen.signals - set(SIGNALS):
            raise InputError(f"there is no signal {signal!r}", hint=f"signals: {', '.join(SIGNALS)}")
        for label in chosen.labels:
            if not is_label(label):
                raise InputError(f"{label!r} is no label", hint="such as uk-sap:1:A or ai_generated")
        try:
            reach = frozenset(map(Scope, scopes))
        except ValueError:
            raise InputError("there is no such scope", hint=f"scopes: {', '.join(Scope)}") from None
        return Selection(chosen.lists, chosen.signals, reach, chosen.labels)

    def wants(self, tag: Tag, labels: LabelSet) -> bool:
        """Whether a row of this tag with these labels is meant."""
        return (
            (not self.signals or tag.signal in self.signals)
            and (not self.scopes or tag.scope in self.scopes)
            and (not self.labels or not self.labels.isdisjoint(labels))
        )

    def streams(self, current: Current) -> list[tuple[str, str, StreamState]]:
        """The streams in force that are meant, as source, stream, state.

        Raises:
            ConfigError: nothing, or more than one list, has such a name.
        """
        there = {(source, stream): state for source, stream, state in current.streams()}
        chosen = [resolve_stream(name, list(there)) for name in self.lists] or list(there)
        return [(source, stream, there[source, stream]) for source, stream in dict.fromkeys(chosen)]


class Spared:
    """Says which entries of one list the operator's allowances touch, wholly or in part.

    A look-up takes an allowed page out of a listed host; a line of text cannot, so it is left out.
    """

    def __init__(self, allowed: Allowances, match_url: Callable[[str, str, str | None], list[Match]]) -> None:
        """Ask once what lists the allowed URLs: ``match_url`` looks a canonical form up in the list."""
        self._ids = set(allowed.ids)
        for form in allowed.urls:
            url = canonicalize(form)
            self._ids |= {match.id for match in match_url(url.host, url.path, url.query)}
        self._hosts, self._names = allowed.hosts, allowed.names
        self._above = {name for host in (*allowed.hosts, *allowed.names) for name in suffixes(host)}

    def __bool__(self) -> bool:
        return bool(self._ids or self._hosts or self._names)

    def __call__(self, entry: Entry) -> bool:
        """Whether an entry is left out; its id must be there."""
        if entry.id in self._ids:
            return True
        if entry.tag.scope is None or not self._above:
            return False
        host = host_of(entry.value)
        if host in self._hosts or (entry.tag.scope is Scope.DOMAIN and host in self._above):
            return True
        return bool(self._names) and not self._names.isdisjoint(suffixes(host))
