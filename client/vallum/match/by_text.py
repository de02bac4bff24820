"""Look-ups in a table that carries its forms: rows on a host are compared as text, without a hash.

What matches is what :class:`vallum.match.exact.Matcher` finds by keys: a row's key is made of its text, and
the text says all that the key does. Written flat, since calls are what costs most.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate, islice

from vallum.expression import URL_TAGS, Scope
from vallum.format.rows import Rows
from vallum.match.answer import Match
from vallum.match.host_index import TOP, HostIndex
from vallum.match.prefilter import MatchUrl

MakeMatch = Callable[[str | None, int], Match]
"""Makes the match of a scope and a row."""

FEW = 16
"""A host with more rows than this is looked up by keys."""

_STEP = 4
"""Every so many rows the place of a value is remembered: a byte per row, and a few lengths to add up."""

_URL, _ANY_QUERY, _PREFIX, _HOST, _DOMAIN = (URL_TAGS[scope].code for scope in Scope)


def value_places(rows: Rows) -> array[int]:
    """From where the value of every ``_STEP``-th row stands among the values."""
    kind = "I" if len(rows.values) < 1 << 32 else "Q"
    return array(kind, islice(accumulate(rows.lengths or (), initial=0), 0, None, _STEP))


def text_look_up(
    rows: Rows,
    places: array[int],
    index: HostIndex,
    names_on: Callable[[str], list[str]],
    match: MakeMatch,
    by_key: MatchUrl,
) -> MatchUrl:
    """Make a look-up of URLs.

    Args:
        rows: of a table of URLs, with values.
        places: as :func:`value_places` says.
        index: of their hosts.
        names_on: lists which of a host and the names above it may have rows.
        match: makes the match of a row.
        by_key: the same look-up by keys, for hosts of many rows.
    """
    hi, lengths, values = rows.hi, rows.lengths or memoryview(b""), rows.values
    begin, read_top, starts = index.begin, TOP, index.starts
    coarse, narrow, width = index.coarse, index.narrow, index.width
    span, block_of = 1 << width, -_STEP

    def match_url(host: str, path: str, query: str | None) -> list[Match]:
        found: list[Match] = []
        for name in names_on(host):
            # As HostIndex.rows_on.
            state = begin()
            state.update(name.encode())
            top = read_top(state.digest())[0]
            slot = top >> coarse
            first = top >> narrow << width
            rows_end = starts[slot + 1]
            at = bisect_left(hi, first, starts[slot], rows_end)
            first += span
            if at + FEW < rows_end and hi[at + FEW] < first:
                return by_key(host, path, query)
            while at < rows_end and hi[at] < first:
                block = at & block_of
                start = places[at // _STEP]
                if block != at:
                    start += sum(lengths[block:at])
                form = str(values[start + 1 : start + lengths[at]], "latin-1")
                code = values[start]
                if code == _DOMAIN:
                    if form == name:
                        found.append(match("domain", at))
                elif name is not host:
                    pass
                elif code == _PREFIX:
                    place = host + path
                    if place.startswith(form) and (
                        len(place) == len(form) or form[-1] == "/" or place[len(form)] == "/"
                    ):
                        found.append(match("path_prefix", at))
                elif code == _URL:
                    if form == (host + path if query is None else f"{host}{path}?{query}"):
                        found.append(match("url", at))
                elif code == _HOST:
                    if form == host:
                        found.append(match("host", at))
                elif form == host + path:
                    found.append(match("url_any_query", at))
                at += 1
        return found

    return match_url
