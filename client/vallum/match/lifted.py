"""How many entries in force an allowance lifts: for the operator who makes one, and may have mistyped it.

Counted over whole tables, which takes seconds where a look-up takes microseconds. A table of the ``match``
edition holds no texts: what stands on a host can be found there by asking, and not be listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vallum.allowance import Kind
from vallum.expression import TAGS, Scope, host_of
from vallum.host import suffixes
from vallum.match.exact import Matcher
from vallum.url import parts

_WIDE = (Scope.HOST, Scope.DOMAIN)


@dataclass(frozen=True, slots=True)
class Lifted:
    """``entries`` in force that would be lifted, wholly or in part; ``blind``: lists that may hold more."""

    entries: int
    blind: tuple[str, ...] = ()


def lifted(matchers: Iterable[Matcher], kind: Kind, text: str) -> Lifted:
    """Count what an allowance lifts in lists in force.

    Args:
        matchers: of the lists.
        kind, text: as ``parse_subject`` read the allowance.
    """
    entries, blind = 0, []
    for matcher in matchers:
        if kind is Kind.ID:
            entries += list(map(matcher.keyer.entry_id, matcher.table.rows.keys())).count(text)
        elif not matcher.scopes:
            continue
        elif kind is Kind.URL:
            entries += len(matcher.match_url(*parts(text)))
        elif matcher.table.rows.lengths is None:
            found = matcher.match_url(text, "/", None)
            entries += sum(match.scope in _WIDE for match in found)
            blind.append(f"{matcher.source}/{matcher.list}")
        else:
            entries += _on(matcher, text, below=kind is Kind.NAMES)
    return Lifted(entries, tuple(blind))


def _on(matcher: Matcher, host: str, *, below: bool) -> int:
    """Count rows on a host, ``below`` its names too, and rows of domains that cover it."""
    above, end = set(suffixes(host)), host.encode()
    count = sum(
        match.scope == Scope.DOMAIN for match in matcher.match_url(host, "/", None)
    )  # its own, and those above
    for value in matcher.table.rows.iter_values():
        tag = TAGS[value[0]]
        if tag.scope is None or end not in value:
            continue
        there = host_of(value[1:].decode("ascii"))
        if tag.scope is Scope.DOMAIN and there in above:
            continue
        count += there == host or (below and host in suffixes(there))
    return count
