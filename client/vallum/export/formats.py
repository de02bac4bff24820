"""Text formats of exports, as streams of ASCII: ``text``, ``csv``, ``jsonl`` (client.md §12.3).

Which entries are written is decided elsewhere. DNS servers and proxies are to get formats of their own.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from vallum.export.selection import Entry

COLUMNS = ("source", "list", "signal", "scope", "value", "labels", "id")
_AT_A_TIME = 1024


def text_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """One value a line. It cannot say how far a value reaches: all must be of one signal and scope."""
    return (f"{entry.value}\n" for entry in entries)


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """RFC 4180 but for line feeds alone; a header, then a row each; labels separated by blanks."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    remaining = iter(entries)
    while True:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        rows = [
            (
                one.source,
                one.list,
                one.tag.signal,
                one.tag.scope or "",
                one.value,
                " ".join(one.labels),
                one.id,
            )
            for one in islice(remaining, _AT_A_TIME)
        ]
        if not rows:
            return
        writer.writerows(rows)


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """One object a line with the members that ``Match`` has; ``scope`` is ``null`` for digests."""
    encode = json.JSONEncoder().encode
    for source, name, number, tag, value, labels in entries:
        said = {
            "source": source,
            "list": name,
            "signal": tag.signal,
            "scope": tag.scope,
            "value": value,
            "labels": labels,
            "id": number,
        }
        yield f"{encode(said)}\n"


FORMATS: dict[str, Callable[[Iterable[Entry]], Iterator[str]]] = {
    "text": text_lines,
    "csv": csv_lines,
    "jsonl": json_lines,
}


def blocks(lines: Iterable[str]) -> Iterator[bytes]:
    """Join lines to blocks that are worth a system call each."""
    remaining = iter(lines)
    while block := "".join(islice(remaining, _AT_A_TIME)):
        yield block.encode("ascii")
