"""What is wrong with an input, line by line, for the one who gave it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vallum.errors import InputError
from vallum_publisher.catalog.entry import Record

_SHOWN_TEXT = 80
_SHOWN_LINES = 10


@dataclass(frozen=True, slots=True)
class Reject:
    """One rejected line.

    Attributes:
        line: counted from 1; where a CSV row spans lines, its first.
        column: as the input names it; empty if the line as a whole is meant.
        reason, hint: for people, without what the line says.
        text: what the line says there, cut short. It may be shown to whoever gave the input, and to nobody
            else: it is never part of a message.
        offset: byte offset in the input, where bytes are what is wrong.
    """

    line: int
    column: str
    reason: str
    hint: str = ""
    text: str = field(default="", repr=False)
    offset: int | None = None


class BadField(InputError):
    """One field of a record is wrong; becomes a :class:`Reject` where the line is known."""

    def __init__(self, name: str, reason: str, *, hint: str = "", text: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.field = name
        self.text = text


class RejectedInput(InputError):
    """An input has rejected lines, so nothing of it is taken. The message has numbers only."""

    def __init__(self, rejects: Sequence[Reject]) -> None:
        lines = sorted({reject.line for reject in rejects})
        shown = ", ".join(map(str, lines[:_SHOWN_LINES])) + (" …" if len(lines) > _SHOWN_LINES else "")
        what = "line" if len(lines) == 1 else "lines"
        super().__init__(
            f"{len(lines)} {what} rejected ({shown}); nothing of the input was taken",
            hint="correct these lines, or leave them out, then try again",
        )
        self.rejects = tuple(sorted(rejects, key=lambda reject: (reject.line, reject.column)))


Found = Iterator[tuple[int, Sequence[Record] | Reject]]
"""What a format's reader yields: the line, and its records or what is wrong with it."""


def shorten(text: str) -> str:
    """Cut a text to what a reject shows."""
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"
