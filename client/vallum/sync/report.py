"""What one sync did, for people and for ``--json``. Names, numbers and errors; never an entry's value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vallum.errors import DataError, VallumError

StreamOutcome = Literal[
    "activated", "unchanged", "unpublished", "pinned", "quarantined", "rejected", "failed"
]
SourceOutcome = Literal["synced", "unchanged", "partial", "failed"]


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One list of one source.

    Attributes:
        outcome: ``unpublished`` means delegated, with no version yet; ``pinned``, that the operator holds an
            earlier version; ``quarantined``, that the newest one is absurd and was put aside;
            ``rejected``, that the operator does not want it.
        generation, before, after: of versions in force; ``None`` for none.
        path: the runs that were applied, as ``(from, to)``.
        requests, bytes: of this list's own metadata and runs.
        warning: what went wrong and was mended, such as a broken run that a base made good.
        error: why it failed; the version before stays in force.
        generation_before: of ``before``.
        rejected: of which newer version the operator said so, and when and why.
    """

    stream: str
    outcome: StreamOutcome
    generation: int | None = None
    before: int | None = None
    after: int | None = None
    path: tuple[tuple[int, int], ...] = ()
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    warning: VallumError | None = None
    error: VallumError | None = None
    generation_before: int | None = None
    rejected: str = ""

    @property
    def numbers(self) -> tuple[str | None, str | None]:
        """``generation.version`` in force before and after; ``None`` for none."""
        return (
            None if self.before is None else f"{self.generation_before}.{self.before}",
            None if self.after is None else f"{self.generation}.{self.after}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "stream": self.stream,
            "outcome": self.outcome,
            "generation": self.generation,
            "generation_before": self.generation_before,
            "before": self.before,
            "after": self.after,
            "path": [list(step) for step in self.path],
            "runs": len(self.path),
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "warning": _error(self.warning),
            "rejected": self.rejected,
            "error": _error(self.error),
        }


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One source.

    Attributes:
        outcome: ``synced`` (something may have changed), ``unchanged`` (one conditional request said so),
            ``partial`` (at least one list failed), ``failed`` (none was looked at).
        root_version: where its root chain ended, ``None`` if that was not reached.
        requests, bytes, seconds: of all its traffic.
        error: why it failed.
    """

    source: str
    outcome: SourceOutcome
    streams: tuple[StreamReport, ...] = ()
    root_version: int | None = None
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: VallumError | None = None

    def failed(self) -> list[tuple[str, VallumError]]:
        """What failed, by stream, ``""`` for the whole source; what is in quarantine came as it should."""
        whole = [] if self.error is None else [("", self.error)]
        return whole + [
            (stream.stream, stream.error)
            for stream in self.streams
            if stream.error is not None and stream.outcome != "quarantined"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "source": self.source,
            "outcome": self.outcome,
            "streams": [stream.to_dict() for stream in self.streams],
            "root_version": self.root_version,
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "error": _error(self.error),
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """All sources, in the order of the configuration.

    Attributes:
        warning: why old files were left lying about; the next sync tries again.
        unsettled: why what the operator's file allows was not taken over; what it said before goes on.
        unread: why what was allowed cannot be read, so that nothing is allowed; no list waits for that.
        left: lists that are followed no longer and have left force with this sync, as ``source/stream``.
        lingering: those that stay, since what is followed instead has nothing in force yet (client.md §1.4).
    """

    sources: tuple[SourceReport, ...]
    seconds: float
    warning: VallumError | None = None
    unsettled: VallumError | None = None
    unread: VallumError | None = None
    left: tuple[str, ...] = ()
    lingering: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing failed; an unpublished list is no failure."""
        return not self.errors()

    @property
    def requests(self) -> int:
        """Requests to all sources."""
        return sum(source.requests for source in self.sources)

    @property
    def bytes(self) -> int:
        """Bytes of bodies from all sources."""
        return sum(source.bytes for source in self.sources)

    def errors(self) -> list[tuple[str, VallumError]]:
        """What failed: the source, or ``source/stream``, or ``allow``, and why."""
        found = [("allow", self.unsettled)] if self.unsettled is not None else []
        for source in self.sources:
            if source.error is not None:
                found.append((source.source, source.error))
            found += [
                (f"{source.source}/{stream.stream}", stream.error)
                for stream in source.streams
                if stream.error is not None
            ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ok": self.ok,
            "allow_error": _error(self.unread or self.unsettled),
            "sources": [source.to_dict() for source in self.sources],
            "left": list(self.left),
            "lingering": list(self.lingering),
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "warning": _error(self.warning),
        }


def _error(error: VallumError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"kind": type(error).__name__, "message": str(error), "hint": error.hint}


def foreseen(error: Exception) -> VallumError:
    """Turn what nobody foresaw into a refusal, naming its class and place: its text may hold anything."""
    if isinstance(error, VallumError):
        return error
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f" in {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    return DataError(f"an unforeseen {type(error).__name__}{where}", hint="please report it to vallum")
