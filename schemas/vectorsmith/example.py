"""The small list with which format.md begins and ends."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from schemas.vectorsmith.streams import Row, Stream, file_of, over_the_wire
from vallum.format.head import Head, RunRef, format_head
from vallum.format.run import apply_run, format_body
from vallum.format.table import Table, format_table

STREAM = Stream("url", "full", host_bits=20)
ROWS: list[Row] = [
    (1, "test.vallum.example/demo", ("test",)),
    (1, "www.site.example/a/page?id=1", ("uk-sap:1:A",)),
    (4, "www.other.example", ("uk-sap:1:A",)),
]
GONE = ROWS[2]


def tables() -> tuple[Table, Table]:
    """Version 1 holds three rows, version 2 two."""
    first = apply_run(over_the_wire(STREAM, STREAM.base({"exact": ROWS}, 1)), {}, STREAM.host_bits)
    second = apply_run(
        over_the_wire(STREAM, STREAM.step(ROWS, ROWS[:2], [GONE], 1, 2)), first, STREAM.host_bits
    )
    return first["exact"], second["exact"]


def blocks() -> dict[str, str]:
    """The blocks of format.md by name; a test requires each of them there, word by word."""
    first, second = tables()
    base, step = STREAM.base({"exact": ROWS}, 1), STREAM.step(ROWS, ROWS[:2], [GONE], 1, 2)
    day = datetime(2026, 2, 1, 8, tzinfo=UTC)
    head = Head(
        generation=1,
        version=2,
        tables={"exact": second.digest()},
        created=day,
        as_of=day,
        max_age=259200,
        min_poll=300,
        epochs={},
        runs=(RunRef(0, 1, 1), RunRef(1, 2, 1)),
    )
    keyer, host = STREAM.codec.keyer, str(GONE[1])
    rows = [
        f"{key.hex()}  {keyer.entry_id(key)}  {tag}  {text!s}  {' '.join(labels)}"
        for key, (tag, text, labels) in sorted((STREAM.key(row), row) for row in ROWS)
    ]
    return {
        "rows": "\n".join(rows),
        "table": dump(format_table(first)),
        "digest": first.digest(),
        "base": dump(file_of(STREAM, base)),
        "base body": dump(format_body(STREAM.codec, bytes(16), base.sections)),
        "step": dump(file_of(STREAM, step)),
        "step body": dump(format_body(STREAM.codec, bytes(16), step.sections)),
        "second digest": second.digest(),
        "key": "\n".join(
            part.hex()
            for part in (
                keyer.hash(f"host|{host}".encode()),
                keyer.hash(f"url|host|{host}".encode()),
                STREAM.key(GONE),
            )
        ),
        "head": _compact(json.dumps(format_head(head), indent=2)),
    }


def _compact(text: str) -> str:
    """Put arrays of numbers on one line."""
    return re.sub(r"\[[\s\d,\[\]]*\]", lambda found: json.dumps(json.loads(found[0])), text)


def dump(data: bytes) -> str:
    """Offset, 16 bytes in hexadecimal, and what of them is text."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:04x}  {part.hex(' '):47}  {text}")
    return "\n".join(lines)
