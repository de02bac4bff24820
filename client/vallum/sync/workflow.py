"""A whole sync of one source: TUF's workflow, then each list (client.md §2 to §6).

Loaded only when it is needed: a poll without news loads no TUF (client.md §10).
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta

from vallum.errors import GuardError, TrustError
from vallum.failure import failures
from vallum.state import SourceState, StreamState
from vallum.sync.errand import Errand, Staged, still_followed
from vallum.sync.follow import Follower
from vallum.sync.judge import Judge
from vallum.sync.keys import SourceKeys
from vallum.sync.place import TRUST
from vallum.sync.poll import FULL_RUN_EVERY
from vallum.sync.report import StreamOutcome, StreamReport, foreseen
from vallum.sync.roles import TopLevel
from vallum.sync.tables import Proven
from vallum.sync.trust import Repository


def sync_whole(errand: Errand, proven: Proven) -> Staged:
    """Run the workflow; once more by the plain files where a packed twin may be what is wrong.

    client.md §2.6: what is there for speed alone must not keep anybody from the list.

    Raises:
        VallumError: the source as a whole is refused, or not to be had.
    """
    try:
        staged = _sync(errand, proven)
    except TrustError:
        if not errand.fetcher.go_plain():
            raise
        return _sync(errand, proven)
    doubted = any(isinstance(stream.error, TrustError) for stream in staged.report.streams)
    return _sync(errand, proven) if doubted and errand.fetcher.go_plain() else staged


def _sync(errand: Errand, proven: Proven) -> Staged:
    held, source, place = errand.held, errand.source, errand.place
    if not timedelta(0) <= errand.now - held.verified_at < FULL_RUN_EVERY:
        proven.doubt()  # 10.2
    below = proven.floor(place.folder)
    floor = below.shipped(source.floor)
    floor = floor.raised(held.root_version, {name: state.head for name, state in errand.streams.items()})
    repository = Repository(place.folder / TRUST, source.root_bytes(), errand.fetcher, source.way_to_root)
    top = repository.refresh()
    floor.check_root(top.root_version)  # 3.3
    # 6.6: when a recovered version was last verified is not known, and damage is no absence.
    verified_at = held.verified_at if held.root_version else errand.now
    judge = Judge(errand.never, verified_at, errand.now)
    keys = SourceKeys(place.state_dir, source.name, source.recipient, errand.fetcher)
    # 6.9: the configuration is another one, or the last sync was not content.
    rejudge = held.config != errand.config or not held.timestamp_sha256
    follower = Follower(
        place, repository, top, floor, judge, keys, proven, errand.uptime, rejudge, errand.tell
    )
    streams = errand.streams
    expires = [top.expires]
    reports = [_follow(errand, follower, stream, streams, expires) for stream in source.streams]
    unpublished = [report.stream for report in reports if report.outcome == "unpublished"]
    streams = still_followed(source, replace(held, streams=streams), unpublished)  # 1.4
    good = all(report.error is None for report in reports)
    # 10.1: what is in quarantine stays there under the same timestamp.
    whole = all(report.error is None or report.outcome == "quarantined" for report in reports)
    report = errand.report("synced" if good else "partial", tuple(reports), top.root_version)
    return Staged(
        report,
        SourceState(
            followed=source.streams,
            streams=streams,
            # 9.2: the newest moment ever; otherwise a clock that went back would soon look right again.
            verified_at=max(errand.now, held.verified_at),
            root_version=top.root_version,
            expires=min(expires),
            timestamp_sha256=top.timestamp_sha256 if whole else "",
            timestamp_etag=_etag(errand, top) if whole else "",
            config=errand.config,
            failures=failures(held.failures, report.failed(), errand.now),
        ),
        floor.raised(top.root_version, {name: state.head for name, state in streams.items()}),
        below,
    )


def _follow(
    errand: Errand,
    follower: Follower,
    stream: str,
    streams: dict[str, StreamState],
    expires: list[datetime],
) -> StreamReport:
    """Follow one list; ``streams`` and ``expires`` take what came of it."""
    fetcher, held = errand.fetcher, errand.streams.get(stream)
    before = None if held is None else held.head.version
    origin = None if held is None else held.head.generation
    started, requests, received = time.monotonic(), fetcher.requests, fetcher.received
    report = StreamReport(stream, "failed", origin, before=before, after=before, generation_before=origin)
    try:
        followed = follower.follow(stream, held)
    except Exception as error:  # foreseen: no error of a list may hold back another list
        outcome: StreamOutcome = "quarantined" if isinstance(error, GuardError) else "failed"
        report = replace(report, outcome=outcome, error=foreseen(error))
    else:
        if followed is None:
            report = replace(report, outcome="unpublished")
        else:
            head = followed.state.head
            streams[stream] = followed.state
            expires.append(followed.expires)
            same = held is not None and (held.head.generation, before) == (head.generation, head.version)
            report = replace(
                report,
                outcome="pinned"
                if followed.state.pin is not None
                else "rejected"
                if followed.rejected is not None
                else "unchanged"
                if same and not followed.path
                else "activated",
                generation=head.generation,
                after=head.version,
                path=tuple((ref.start, ref.end) for ref in followed.path),
                warning=followed.warning,
                rejected=followed.rejected.says if followed.rejected else "",
                error=followed.alarm,
            )
    return replace(
        report,
        requests=fetcher.requests - requests,
        bytes=fetcher.received - received,
        seconds=time.monotonic() - started,
    )


def _etag(errand: Errand, top: TopLevel) -> str:
    # python-tuf keeps its own timestamp when one of the same version but with other bytes comes.
    came = errand.fetcher.timestamp_sha256
    return errand.fetcher.timestamp_etag if came == top.timestamp_sha256 else ""
