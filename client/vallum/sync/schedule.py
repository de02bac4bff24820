"""When a source is polled next (client.md §11): ``min_poll``, jitter, back-off, what a hint may move. Pure.

Moments are seconds of any clock that never goes back; ``draw`` is a number from 0 to 1 that the caller drew
evenly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vallum.format import limits

LEAST = 10.0
"""Seconds from one unasked poll to the next, however little the publisher asks for."""
UNKNOWN = 60.0
"""Seconds, while nothing is held that could say more."""
MOST = float(limits.MIN_POLL)
"""Seconds; no back-off is longer, so that an outage of a day is over an hour after it ended."""

_JITTER = 0.2
_SPREAD = 0.5
_GAP = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One source's place in the order.

    Attributes:
        due: moment of the next poll.
        pace: seconds between polls that the publisher asks for, within our bounds.
        failures: syncs that failed, in a row.
        gap: seconds that lie at least between the last poll and one that a hint asks for.
        polled: moment of the last poll.
        hinted: whether the next poll is a hint's doing.
    """

    due: float
    pace: float = UNKNOWN
    failures: int = 0
    gap: float = _GAP
    polled: float = float("-inf")
    hinted: bool = False


def polled(turn: Turn, now: float, *, failed: bool, news: bool, min_poll: int | None, draw: float) -> Turn:
    """Say when to poll again after a poll that ended ``now``.

    Args:
        failed: it brought no verified answer about at least one list.
        news: it brought another timestamp than the one on record.
        min_poll: seconds, the least that a held head of the source asks for; ``None`` if none is held.
    """
    pace = UNKNOWN if min_poll is None else min(max(float(min_poll), LEAST), MOST)
    if failed:
        failures = turn.failures + 1
        # 11.2: from half of it to all, so that clients that failed together do not come back together.
        wait = min(MOST, pace * 2.0 ** min(failures, 12)) * (1 + draw) / 2
        return replace(turn, due=now + wait, pace=pace, failures=failures, polled=now, hinted=False)
    gap = turn.gap
    if news:
        gap = _GAP
    elif turn.hinted:
        gap = min(2 * gap, pace)  # 11.4: who cries wolf is heard less and less
    return Turn(due=now + pace * (1 + _JITTER * draw), pace=pace, gap=gap, polled=now)


def hinted(turn: Turn, now: float, draw: float) -> Turn:
    """Say when to poll after a hint that something changed: sooner if at all, never while backing off."""
    if turn.failures:
        return turn
    soon = max(now + _SPREAD * draw, turn.polled + turn.gap)
    return replace(turn, due=soon, hinted=True) if soon < turn.due else turn
