"""Why the last sync of a source or of one of its lists came to nothing, as ``current.json`` remembers it.

It is for people and monitoring, and decides nothing. A failure that goes on as it began is the same value, so
that a store which is down for a week is written down once (client.md §8.6). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vallum.errors import FormatError, VallumError
from vallum.format.fields import format_time, parse_time

_LAYER = "failure"
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that failed.

    Attributes:
        stream: the list; empty if the source failed as a whole.
        since: the first sync that failed with an error of this class, and all did since.
        kind: the error's class, such as ``FetchError``.
        message, hint: of the last of them.
    """

    stream: str
    since: datetime
    kind: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"each sync has failed since {format_time(self.since)}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "list": self.stream,
            "since": format_time(self.since),
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint,
        }


def failures(
    before: Iterable[Failure], errors: Iterable[tuple[str, VallumError]], now: datetime
) -> tuple[Failure, ...]:
    """What fails now: ``errors`` of a sync by stream, each since when it fails so."""
    since = {(failure.stream, failure.kind): failure.since for failure in before}
    found = []
    for stream, error in errors:
        kind = type(error).__name__
        begun = since.get((stream, kind), now.replace(microsecond=0))
        found.append(Failure(stream, begun, kind, _line(str(error)), _line(error.hint)))
    return tuple(found)


def parse_failure(raw: object) -> Failure:
    """Read what :meth:`Failure.to_dict` made.

    Raises:
        FormatError: anything else.
    """
    if not isinstance(raw, dict):
        raise FormatError(_LAYER, "not an object")
    texts = [raw.get(name) for name in ("list", "kind", "message", "hint")]
    if not all(isinstance(text, str) and text == _line(text) for text in texts):
        raise FormatError(_LAYER, "a text is malformed")
    stream, kind, message, hint = map(str, texts)
    return Failure(stream, parse_time(_LAYER, raw.get("since")), kind, message, hint)


def _line(text: str) -> str:
    """One printable line of bounded length: what came from elsewhere stands in some messages."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])
