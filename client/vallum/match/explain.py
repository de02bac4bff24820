"""How a URL was read, what was looked up for it, and what hit: for people who must explain a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vallum.allowance import Allowances
from vallum.match.answer import Match
from vallum.match.exact import Matcher, Probe
from vallum.match.policy import most_severe_first
from vallum.url import Canonical, canonicalize, no_host, readings

SHOWN_PROBES = 100
"""How many probes of a list are kept, beside those that hit: a long path has thousands of borders."""

_SHOWN_TEXT = 400
"""Characters of an expression, or of a step of reading, that are shown."""


@dataclass(frozen=True, slots=True)
class ListProbes:
    """What was tried in one list.

    Attributes:
        probes: the first ``SHOWN_PROBES``, and all that hit.
        left_out: how many more were tried and hit nothing.
    """

    source: str
    list: str
    generation: int
    version: int
    probes: tuple[Probe, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with its reasons.

    Attributes:
        readings: the URL step by step, as ``(what was done, text after it)``; the last one is the form.
        url: the canonical form, in parts; without a host nothing is looked up.
        lists: per list every expression that could list this URL, with key and match.
        matches: what ``match_url`` returns, most severe first.
        allowed: what it would return if the operator allowed nothing, and does not.
    """

    readings: tuple[tuple[str, str], ...]
    url: Canonical
    lists: tuple[ListProbes, ...]
    matches: tuple[Match, ...]
    allowed: tuple[Match, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The whole as JSON values."""
        return {
            "readings": [{"step": step, "text": text} for step, text in self.readings],
            "form": str(self.url),
            "host": self.url.host,
            "path": self.url.path,
            "query": self.url.query,
            "lists": [
                {
                    "source": tried.source,
                    "list": tried.list,
                    "generation": tried.generation,
                    "version": tried.version,
                    "probes": [
                        {
                            "scope": str(probe.scope),
                            "expression": _cut(probe.expression),
                            "key": probe.key,
                            "hit": probe.match.id if probe.match else None,
                        }
                        for probe in tried.probes
                    ],
                    "left_out": tried.left_out,
                }
                for tried in self.lists
            ],
            "matches": [match.to_dict() for match in self.matches],
            "allowed": [match.to_dict() for match in self.allowed],
        }

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield ``(source/list, scope, expression, key, id of the hit or "")`` per probe, for a table."""
        for tried in self.lists:
            for probe in tried.probes:
                hit = probe.match.id if probe.match else ""
                yield f"{tried.source}/{tried.list}", str(probe.scope), probe.expression, probe.key, hit

    def lines(self) -> list[str]:
        """The whole as plain text: verdict first, then the reading, then every probe."""
        lines = [self._verdict(), "", "How the URL was read:"]
        width = max(len(step) for step, _ in self.readings)
        lines += [f"  {step:<{width}}  {_printable(text)}" for step, text in self.readings]
        for tried in self.lists:
            lines += [
                "",
                f"Tried in {tried.source}/{tried.list}, version {tried.generation}.{tried.version}:",
            ]
            for probe in tried.probes:
                mark = f"HIT  id {probe.match.id}" if probe.match else "-"
                lines.append(f"  {probe.key}  {mark:<24}  {_cut(probe.expression)}")
            if tried.left_out:
                lines.append(f"  … and {tried.left_out:,} more that hit nothing")
        return lines

    def _verdict(self) -> str:
        if not self.url.host:
            return f"Not looked up: {no_host(self.readings[0][1])}."
        if not self.matches and self.allowed:
            return f"Listed {len(self.allowed)} time(s), and allowed by the operator."
        if not self.matches:
            return f"Not listed in {len(self.lists)} list(s)."
        worst = self.matches[0]
        labels = ", ".join(worst.labels) or "no labels"
        return f"LISTED by {worst.source}/{worst.list} as {worst.scope}, id {worst.id} ({labels})."


def explain(url: str | bytes, matchers: Iterable[Matcher], allowed: Allowances) -> Explanation:
    """Read a URL and try everything that could list it; slower than a look-up, same matches."""
    form = canonicalize(url)
    lists = tuple(_probes(matcher, form) for matcher in matchers if form.host and matcher.scopes)
    found = most_severe_first([probe.match for tried in lists for probe in tried.probes if probe.match])
    covered = allowed.covers(form)
    spared = tuple(match for match in found if covered or match.id in allowed.ids)
    left = tuple(match for match in found if match not in spared)
    return Explanation(readings(url), form, lists, left, spared)


def _probes(matcher: Matcher, form: Canonical) -> ListProbes:
    kept: list[Probe] = []
    left_out = 0
    for probe in matcher.explain_url(form):
        if probe.match or len(kept) < SHOWN_PROBES:
            kept.append(probe)
        else:
            left_out += 1
    table = matcher.table
    return ListProbes(matcher.source, matcher.list, table.generation, table.version, tuple(kept), left_out)


def _cut(text: str) -> str:
    """Keep long texts in bounds, and say how much is left out."""
    over = len(text) - _SHOWN_TEXT
    return text if over <= 0 else f"{text[:_SHOWN_TEXT]}… ({over:,} more characters)"


def _printable(text: str) -> str:
    """Keep control characters of a hostile URL off the terminal, and long ones in bounds."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in _cut(text))
