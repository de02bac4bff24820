"""A client reduced to its guard: its window, when it last verified anything, and what changed since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from vallum.guard import Change, Window, broken_limits, whole_weeks


@dataclass
class Machine:
    """Follows a list by the rules of a client; ``refused`` collects the reasons for a quarantine."""

    wide_per_week: int = 50
    window: Window | None = None
    verified_at: datetime | None = None
    refused: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.window.rows if self.window else 0

    def sync(self, now: datetime, rows: int, added: int, wide: int = 0) -> bool:
        """Meet a version of ``rows`` rows, so many of which are new to this machine."""
        if self.window is None or self.verified_at is None:
            self.window = Window(rows)
        else:
            weeks = whole_weeks(self.verified_at, now)
            change = Change(rows, added, wide)
            reasons = broken_limits(self.window.at(now), change, self.wide_per_week, weeks)
            self.verified_at = now
            if reasons:
                self.refused += reasons
                return False
            self.window = Window(rows) if weeks else self.window.then(now, change)
        self.verified_at = now
        return True


@dataclass
class Follower:
    """A machine that polls a list now and then; between its polls changes pile up."""

    machine: Machine
    before: dict[str, bool] = field(default_factory=dict)

    def touch(self, forms: Iterable[str], listed: set[str]) -> None:
        """Hear of forms that are about to change."""
        for form in forms:
            self.before.setdefault(form, form in listed)

    def poll(self, now: datetime, listed: set[str]) -> bool:
        """Sync to ``listed``; forms of bare hosts begin with ``host``."""
        fresh = [form for form, was in self.before.items() if not was and form in listed]
        wide = sum(form.startswith("host ") for form in fresh)
        done = self.machine.sync(now, len(listed), len(fresh), wide)
        if done:
            self.before.clear()
        return done
