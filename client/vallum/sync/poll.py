"""When one conditional request for ``timestamp.json`` may stand for a whole sync (client.md §10.1). Pure.

A deliberate deviation from the TUF workflow, which asks for the next root each time. python-tuf stores a new
timestamp before it has the list's role, so "the same bytes as in its cache" would prove nothing: what
counts is the digest that ``current.json`` holds, and it is there only when all went well under it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vallum.format.head import stale_after
from vallum.state import SourceState

FULL_RUN_EVERY = timedelta(hours=1)
_MARGIN = 8


def may_poll(held: SourceState, config: str, followed: tuple[str, ...], now: datetime) -> bool:
    """Say whether an unchanged timestamp would prove that nothing changed.

    Args:
        held: the source as the last sync left it.
        config: digest of the configuration in use.
        followed: streams in use.
        now: this machine's clock.
    """
    # TUF dates nothing but expiry, so that an eighth of a life is reckoned from the last verification.
    expiries = [held.expires, *(stale_after(stream.head) for stream in held.streams.values())]
    return (
        bool(held.timestamp_sha256)
        and held.config == config
        and held.followed == followed
        and not any(stream.pin is not None and stream.pin.until <= now for stream in held.streams.values())
        and timedelta(0) <= now - held.verified_at < FULL_RUN_EVERY
        and all(expiry - now > (expiry - held.verified_at) / _MARGIN for expiry in expiries)
    )
