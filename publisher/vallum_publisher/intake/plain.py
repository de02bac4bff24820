"""Plain text: one URL or digest a line; blank lines and lines that begin with ``#`` say nothing."""

from __future__ import annotations

from vallum_publisher.intake.fields import Facts, RecordMaker
from vallum_publisher.intake.lines import Lines
from vallum_publisher.intake.rejects import BadField, Found, Reject, shorten

_VALUE_FIELD = {"url": "url", "hash": "digest"}


def read_plain(lines: Lines, maker: RecordMaker, kind: str) -> Found:
    """Read all lines."""
    field, facts = _VALUE_FIELD[kind], Facts()
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if len(text.split(None, 1)) > 1:
                raise BadField(
                    field, "more than one word on a line", hint="write blanks in a URL as %20", text=text
                )
            yield lines.number, (maker.plain(field, text, facts),)
        except BadField as error:
            yield lines.number, Reject(lines.number, "", str(error), error.hint, shorten(error.text))
