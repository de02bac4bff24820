"""Whether a list in force can still be called new (client.md §9). Pure; loads no TUF.

No state here ever stops a look-up: expiry must not unblock. What an operator does about a list that stays
stale is his policy.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from vallum.format.head import stale_after
from vallum.state import SourceState, StreamState

CLOCK_AHEAD = timedelta(hours=24)
"""How far into the future a head may be signed before one of the two clocks is wrong."""

CLOCK_BEHIND = timedelta(minutes=5)
"""How far this machine's clock may step back, as time servers make it do, before it is called wrong."""


class Freshness(StrEnum):
    """Keep enforcing in every state; alarm in all but the first."""

    FRESH = "fresh"
    STALE = "stale"
    CLOCK = "clock"


def freshness(stream: StreamState, source: SourceState, now: datetime) -> Freshness:
    """Judge one stream in force.

    ``clock`` comes first: with a wrong clock nothing can be said about age. ``stale`` is the age of the
    list's own signature (a stolen online key cannot renew that) or expired metadata.
    """
    if stream.head.as_of > now + CLOCK_AHEAD or now < source.verified_at - CLOCK_BEHIND:
        return Freshness.CLOCK
    if now >= stale_after(stream.head) or now >= source.expires:
        return Freshness.STALE
    return Freshness.FRESH
