"""What must be signed again though nothing changed: what says "this is still the newest" (DESIGN §4).

A client that is shown old metadata for ever is being frozen; expiry and ``as_of`` are what reveals it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tuf.api.metadata import Targets

from vallum.errors import StateError
from vallum.format.fields import format_time
from vallum_publisher.catalog import Catalog, ListInfo
from vallum_publisher.errors import LostError, with_hint
from vallum_publisher.release.agreement import public_head, public_heads, public_version, readable_heads
from vallum_publisher.release.metadata import list_role, make_targets
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.release.version import StreamHead, streams_of
from vallum_publisher.workspace import Lifetimes

_AHEAD = timedelta(hours=1)
"""What lasts longer than this beyond its life was signed by a clock that was ahead. It is due at once: until
it expires, it could be shown to clients as the newest."""


def timestamp_is_due(tip: Tip, lifetimes: Lifetimes, now: datetime) -> bool:
    """Say whether a third of the timestamp's life is over: 8 hours of a day."""
    if tip.timestamp is None:
        return True
    left, lifetime = tip.timestamp.expires - now, lifetimes.of("timestamp")
    return left <= lifetime * 2 / 3 or left > lifetime + _AHEAD


def snapshot_is_due(tip: Tip, lifetimes: Lifetimes, now: datetime) -> bool:
    """Say whether half of the snapshot's life is over."""
    if tip.snapshot is None:
        return True
    left, lifetime = tip.snapshot.expires - now, lifetimes.of("snapshot")
    return left <= lifetime / 2 or left > lifetime + _AHEAD


def offline_is_due(expires: datetime, lifetime: timedelta, now: datetime) -> bool:
    """Say whether root or targets should be renewed: a sixth of their life is left, two months of a year."""
    return expires - now <= lifetime / 6


def head_is_due(
    held: StreamHead | None, role: Targets, number: int, lifetimes: Lifetimes, now: datetime
) -> bool:
    """Say whether a list role is to be signed again: for ``as_of``, or before it expires.

    So it is at once if ``role`` is one before the ``number`` that the snapshot names, which is lost.
    """
    if role.version != number:
        return True
    left, lifetime = role.expires - now, lifetimes.of("list")
    if left <= lifetime / 2 or left > lifetime + _AHEAD:
        return True
    if held is None:
        return False
    age = now - held.head.as_of
    return age >= timedelta(seconds=held.head.max_age) / 3 or age < -_AHEAD


def due_heads(
    repository: Repository,
    catalog: Catalog,
    lists: Sequence[ListInfo],
    tip: Tip,
    lifetimes: Lifetimes,
    now: datetime,
) -> tuple[dict[str, StreamHead | None], dict[str, str]]:
    """The list roles that are due, and why others must not be signed, due or not, by stream.

    That catalog and store disagree is said at once: else it would show when the list is about to go stale.
    """
    due: dict[str, StreamHead | None] = {}
    refused: dict[str, str] = {}
    known = {stream: info for info in lists for stream in streams_of(info)}
    for stream in tip.streams():
        try:
            held, role = public_head(repository, tip, stream), repository.last_role(tip, stream)
        except LostError as error:
            refused[stream] = with_hint(error)
            continue
        wanted = head_is_due(held, role, tip.number(stream), lifetimes, now)
        if stream not in known:
            if wanted:  # until then its own catalog's publisher may do so
                refused[stream] = "the list is not in this catalog"
            continue
        info = known[stream]
        try:
            # To say "this is the newest" of what is not ours would be to sign a second history.
            pending = catalog.pending_version(info.name)
            public_version(catalog, info, pending, public_heads(repository, tip, info))
        except StateError as error:
            refused[stream] = with_hint(error)
        else:
            if wanted:
                due[stream] = held
    return due, refused


def clock_doubt(repository: Repository, tip: Tip, now: datetime) -> str:
    """Say that this clock is behind what was signed, or an earlier one was ahead; empty if neither is.

    Which of the two it is only a person can tell. What a clock that is behind signs is expired for everybody.
    """
    signed = max((held.head.as_of for held in readable_heads(repository, tip).values()), default=now)
    if signed - now <= _AHEAD:
        return ""
    return (
        f"what is public was signed at {format_time(signed)}, this clock says {format_time(now)}: if "
        "it is behind, set it and run refresh again; if an earlier one was ahead, refresh has made that good"
    )


def renewed(heads: Mapping[str, StreamHead | None], now: datetime) -> dict[str, Targets]:
    """The same list roles, said again now."""
    return {
        stream: make_targets(now)
        if held is None
        else list_role(stream, replace(held.head, as_of=now), held.listed, now)
        for stream, held in heads.items()
    }
