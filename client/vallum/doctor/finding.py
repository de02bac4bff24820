"""What was looked at, and what was found: good, a warning or bad, with a way out."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    check: str
    about: str
    level: str
    says: str
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in ("check", "about", "level", "says", "hint")}
