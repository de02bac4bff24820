"""Whether a list in force can still be called new (client.md §9). Pure; loads no TUF.

No state here ever stops a look-up: expiry must not unblock. What an operator does about a list that stays
stale is his policy.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from vallum.config import HARD_EXPIRY_DAYS
from vallum.format.head import stale_after
from vallum.state import SourceState, StreamState

CLOCK_AHEAD = timedelta(hours=24)
"""How far into the future a head may be signed before one of the two clocks is wrong."""

CLOCK_BEHIND = timedelta(minutes=5)
"""How far this machine's clock may step back, as time servers make it do, before it is called wrong."""


CLOCK_APART = timedelta(hours=1)
"""How far this machine's clock may be ahead of the store's before it alone ends nothing for good."""


def is_ahead(now: datetime, store: datetime | None) -> bool:
    """Whether the store's clock contradicts this machine's, which is ahead of it (client.md §9.5).

    A store that lies thereby keeps in force what is in force; ``None`` is one that says no time.
    """
    return store is not None and now - store > CLOCK_APART


class Freshness(StrEnum):
    """Keep enforcing in every state; alarm in all but the first."""

    FRESH = "fresh"
    STALE = "stale"
    CLOCK = "clock"
    HARD_EXPIRED = "hard-expired"


def freshness(
    stream: StreamState, source: SourceState, now: datetime, days: int = HARD_EXPIRY_DAYS
) -> Freshness:
    """Judge one stream in force.

    ``clock`` comes first: with a wrong clock nothing can be said about age. ``stale`` is the age of the
    list's own signature (a stolen online key cannot renew that) or expired metadata. ``hard-expired`` is
    ``stale`` for ``days``, with failed syncs on as many different days: a clock that jumps is not enough.
    """
    if now < clock_until(stream, source):
        return Freshness.CLOCK
    since = min(stale_after(stream.head), source.expires)
    if now < since:
        return Freshness.FRESH
    if now - since >= timedelta(days=days) and source.failed_days >= days:
        return Freshness.HARD_EXPIRED
    return Freshness.STALE


def clock_until(stream: StreamState, source: SourceState) -> datetime:
    """When ``clock`` ends by itself, if this machine's clock is right (client.md §9.2)."""
    return max(stream.head.as_of - CLOCK_AHEAD, source.verified_at - CLOCK_BEHIND)


def half_spent(stream: StreamState, source: SourceState, now: datetime) -> datetime | None:
    """When a stream will be stale, if half of the time until then has passed without a new signature.

    The list's own half is reckoned from ``as_of``; that of the metadata from when it was verified, since TUF
    dates nothing but expiry.
    """
    for begun, end in ((stream.head.as_of, stale_after(stream.head)), (source.verified_at, source.expires)):
        if begun + (end - begun) / 2 <= now:
            return min(stale_after(stream.head), source.expires)
    return None
