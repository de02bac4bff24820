"""From matches to an action, and which match is the most severe. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vallum.expression import Scope
from vallum.labels import TEST, LabelSet
from vallum.match.answer import Action, Decision, Match, Outcome

_SEVERITY = {
    "uk-sap:1:A": 0,
    "ncmec:1:A1": 0,
    "ncmec:1:A2": 1,
    "uk-sap:1:B": 2,
    "ncmec:1:B1": 2,
    "ncmec:1:B2": 3,
    "uk-sap:1:C": 4,
}
"""Rank of the labels whose order is published by those who coined them; smaller is worse."""

_UNKNOWN = 5
_TEST = 6
_REACH = {str(scope): reach for reach, scope in enumerate(Scope)}


def severity(labels: LabelSet) -> int:
    """Rank a label set; 0 is the worst. Unknown labels rank after known ones, a test row last of all."""
    if TEST in labels:
        return _TEST
    return min((_SEVERITY.get(label, _UNKNOWN) for label in labels), default=_UNKNOWN)


def most_severe_first(matches: list[Match]) -> list[Match]:
    """Sort by severity, strong before weak, near before far, narrow before wide, then by name."""
    if len(matches) > 1:
        matches.sort(
            key=lambda match: (
                severity(match.labels),
                match.weak,
                match.distance or 0,
                _REACH.get(match.scope or "", 0),
                match.source,
                match.list,
                match.id,
            )
        )
    return matches


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do with a match by a strong signal, by weak ones alone, and without an answer."""

    listed: Action = Action.BLOCK
    weak: Action = Action.REVIEW
    unchecked: Action = Action.REVIEW

    def decide(self, matches: Sequence[Match], *, unless: str = "") -> Decision:
        """Make a decision of a look-up; ``unless`` says why finding nothing does not make it clean."""
        if not matches:
            return self.undecided(unless) if unless else Decision(Outcome.CLEAN, Action.IGNORE)
        strong = any(not match.weak for match in matches)
        return Decision(Outcome.LISTED, self.listed if strong else self.weak, tuple(matches))

    def undecided(self, reason: str) -> Decision:
        """Make a decision of a look-up that could not be made or finished."""
        return Decision(Outcome.UNCHECKED, self.unchecked, reason=reason)
