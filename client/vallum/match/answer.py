"""What a look-up answers: matches, and a decision made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from vallum.labels import LabelSet


class Match(NamedTuple):
    """One row of one list that applies. A tuple, which is made in a quarter of a frozen object's time.

    Attributes:
        source, list, version: where it is listed, and as of which version of the list.
        id: 16 hex digits, the entry's pseudonym for logs, block pages and feedback (with source and list).
        signal: what was recognised: ``url``, ``sha256``, ``sha1``, ``md5``, ``pdq`` …
        scope: how far a URL row reaches; ``None`` for digests.
        distance: bits by which a near match differs; ``None`` for exact signals.
        labels: what the hotline says about it, sorted.
        weak: the signal is cheap to forge (``md5``, ``sha1``), so it should not decide alone.
    """

    source: str
    list: str
    version: int
    id: str
    signal: str
    scope: str | None
    distance: int | None
    labels: LabelSet
    weak: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "source": self.source,
            "list": self.list,
            "version": self.version,
            "id": self.id,
            "signal": self.signal,
            "scope": self.scope,
            "distance": self.distance,
            "labels": list(self.labels),
            "weak": self.weak,
        }


class Outcome(StrEnum):
    """What is known; ``unchecked`` is never ``clean``."""

    LISTED = "listed"
    CLEAN = "clean"
    UNCHECKED = "unchecked"


class Action(StrEnum):
    """What to do, from the mildest to the most severe."""

    IGNORE = "ignore"
    LOG = "log"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy makes of a look-up. ``reason`` says why it is ``unchecked``, and is empty otherwise."""

    outcome: Outcome
    action: Action
    matches: tuple[Match, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "outcome": str(self.outcome),
            "action": str(self.action),
            "matches": [match.to_dict() for match in self.matches],
            "reason": self.reason,
        }
