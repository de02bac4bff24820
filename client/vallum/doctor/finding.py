"""What was looked at, and what was found: good, a warning or bad, with a way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

GOOD, WARN, BAD = "good", "warning", "bad"
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: ``clock``, ``proxy``, ``ca``, ``store``, ``root``, ``recipient``, ``keys``, ``disk``,
            ``permissions``, ``processes``, ``sync``, ``lists``, ``never_block`` or ``files``.
        about: the source, list or path, if the check is about one.
        level: ``good``, ``warning`` or ``bad``.
        says: what was found.
        hint: what to do about it; empty if nothing is to be done.
        doubts: another check about the same that is not ``good`` because of it.
    """

    check: str
    about: str
    level: str
    says: str
    hint: str = ""
    doubts: str = ""

    def doubted_by(self, others: Iterable[Finding]) -> Finding:
        """It as it stands beside others."""
        for one in others:
            if self.level == GOOD and (one.doubts, one.about) == (self.check, self.about):
                return replace(self, level=WARN, hint=f"see {one.check}: {one.hint}")
        return self

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in ("check", "about", "level", "says", "hint")}
