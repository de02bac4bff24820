"""What long work tells of itself while it goes on, for whoever watches.

Nothing is drawn here: of the command lines, :mod:`vallum.cli.progress` does so. Never an entry's value.
"""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]
"""Told what is done now, such as ``"urls: signing version 7"``. Cheap, and callable by any thread."""

Count = Callable[[int, int | None], None]
"""Told how many are done, and of how many if that is known; as cheap."""


def silent(*_told: object) -> None:
    """The :data:`Tell` and :data:`Count` of work that nobody watches."""


def counting(tell: Tell, label: str) -> Count:
    """Tell numbers as steps: ``reading, 12,000 of 1,000,000``."""

    def count(done: int, total: int | None) -> None:
        tell(f"{label}, {done:,}" if total is None else f"{label}, {done:,} of {total:,}")

    return count
