"""The head: what a list's own keys say about the newest version of a stream (format.md §6).

It travels as ``custom.vallum`` of the zero-length target ``<stream>/head``, which TUF has verified before
:func:`parse_head` sees it. Unknown fields are ignored; unknown *critical* features are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

from vallum.errors import FormatError
from vallum.format import limits
from vallum.format.fields import FORMAT, check_format, format_time, integer, parse_time, text

KNOWN_CRITICAL: frozenset[str] = frozenset()
"""Features that this client knows; none has been needed yet."""

_LAYER = "head"
_HEX64 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class RunRef:
    """One listed run: it leads from any version in ``[start, end)`` to ``end``."""

    start: int
    end: int
    epoch: int

    def target(self, stream: str, generation: int) -> str:
        """The name of its TUF target."""
        return f"{stream}/{generation}-{self.epoch}-{self.start}-{self.end}.run"


@dataclass(frozen=True, slots=True)
class Head:
    """One stream at its newest version.

    Attributes:
        generation, version: compare lexicographically.
        tables: SHA-256 of each table file as hex, by name.
        created: when this version was made.
        as_of: when these keys last said that it is the newest.
        max_age: seconds after ``as_of`` at which a client calls the list stale.
        min_poll: seconds between polls that the publisher asks for.
        epochs: commitment to each epoch's key as hex, by number; empty in a public list.
        runs: what leads here, ascending.
        critical: features that a client must know or refuse.
    """

    generation: int
    version: int
    tables: Mapping[str, str]
    created: datetime
    as_of: datetime
    max_age: int
    min_poll: int
    epochs: Mapping[int, str]
    runs: tuple[RunRef, ...]
    critical: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """``generation.version``, as people write it everywhere."""
        return f"{self.generation}.{self.version}"

    @property
    def state(self) -> str:
        """One digest over all tables (format.md §6.2)."""
        return state_of(self.tables)


def state_of(tables: Mapping[str, str]) -> str:
    """SHA-256 over the lines ``name:hexdigest\\n`` of all tables by name, as hex."""
    lines = "".join(f"{name}:{tables[name]}\n" for name in sorted(tables))
    return sha256(lines.encode("ascii")).hexdigest()


def format_head(head: Head) -> dict[str, Any]:
    """Write ``custom.vallum`` of the head target."""
    return {
        "format": FORMAT,
        "generation": head.generation,
        "version": head.version,
        "state": head.state,
        "tables": dict(sorted(head.tables.items())),
        "created": format_time(head.created),
        "as_of": format_time(head.as_of),
        "max_age": head.max_age,
        "min_poll": head.min_poll,
        "epochs": {str(number): head.epochs[number] for number in sorted(head.epochs)},
        "runs": [[run.start, run.end, run.epoch] for run in head.runs],
        "critical": list(head.critical),
    }


def parse_head(raw: object) -> Head:
    """Read ``custom.vallum`` of the head target.

    Raises:
        FormatError: a field is missing, malformed or out of bounds, a critical feature is unknown, or
            ``state`` is not that of ``tables``.
    """
    if not isinstance(raw, Mapping):
        raise FormatError(_LAYER, "not an object")
    check_format(_LAYER, raw)
    critical = _strings(raw.get("critical"), limits.CRITICAL)
    if unknown := sorted(set(critical) - KNOWN_CRITICAL):
        raise FormatError(
            _LAYER, f"a critical feature is unknown here: {unknown[0]}", hint="upgrade vallum on this machine"
        )
    version = integer(_LAYER, raw, "version", 1, limits.MAX_VERSION)
    tables = _tables(raw.get("tables"))
    head = Head(
        generation=integer(_LAYER, raw, "generation", 1, limits.MAX_GENERATION),
        version=version,
        tables=tables,
        created=parse_time(_LAYER, raw.get("created")),
        as_of=parse_time(_LAYER, raw.get("as_of")),
        max_age=integer(_LAYER, raw, "max_age", 1, limits.MAX_AGE),
        min_poll=min(integer(_LAYER, raw, "min_poll", 0, limits.MAX_VERSION), limits.MIN_POLL),
        epochs=_epochs(raw.get("epochs")),
        runs=_runs(raw.get("runs"), version),
        critical=critical,
    )
    if head.epochs and not {run.epoch for run in head.runs} <= set(head.epochs):
        raise FormatError(_LAYER, "a run's epoch has no commitment")
    if raw.get("state") != head.state:
        raise FormatError(_LAYER, "state is not that of its tables")
    return head


def stale_after(head: Head) -> datetime:
    """The moment from which the list counts as stale (DESIGN §4)."""
    return head.as_of + timedelta(seconds=head.max_age)


def _strings(raw: object, most: int) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > most:
        raise FormatError(_LAYER, "critical is not an array within bounds")
    return tuple(text(_LAYER, {"critical": item}, "critical") for item in raw)


def _tables(raw: object) -> dict[str, str]:
    if not isinstance(raw, Mapping) or not 1 <= len(raw) <= limits.TABLES:
        raise FormatError(_LAYER, "tables is not an object within bounds")
    for name, digest in raw.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise FormatError(_LAYER, "a table's name is malformed")
        if not (isinstance(digest, str) and _HEX64.fullmatch(digest)):
            raise FormatError(_LAYER, "a table's digest is malformed")
    return dict(sorted(raw.items()))


def _epochs(raw: object) -> dict[int, str]:
    if not isinstance(raw, Mapping) or len(raw) > limits.EPOCHS:
        raise FormatError(_LAYER, "epochs is not an object within bounds")
    epochs: dict[int, str] = {}
    for number, commitment in raw.items():
        if not (isinstance(number, str) and re.fullmatch(r"[1-9][0-9]{0,9}", number)):
            raise FormatError(_LAYER, "an epoch's number is malformed")
        if not (isinstance(commitment, str) and _HEX64.fullmatch(commitment)):
            raise FormatError(_LAYER, "an epoch's commitment is malformed")
        if int(number) > limits.MAX_EPOCH:
            raise FormatError(_LAYER, "an epoch's number is out of bounds")
        epochs[int(number)] = commitment
    return dict(sorted(epochs.items()))


def _runs(raw: object, version: int) -> tuple[RunRef, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= limits.HEAD_RUNS:
        raise FormatError(_LAYER, f"runs is not an array of 1 to {limits.HEAD_RUNS}")
    runs: list[RunRef] = []
    for item in raw:
        match item:
            case [int(start), int(end), int(epoch)] if all(type(number) is int for number in item):
                pass
            case _:
                raise FormatError(_LAYER, "a run is not three integers")
        if not 0 <= start < end <= version or not 1 <= epoch <= limits.MAX_EPOCH:
            raise FormatError(_LAYER, "a run leads nowhere within the versions of this head")
        runs.append(RunRef(start, end, epoch))
    if any((a.start, a.end) >= (b.start, b.end) for a, b in pairwise(runs)):
        raise FormatError(_LAYER, "runs are not in strictly ascending order")
    return tuple(runs)
