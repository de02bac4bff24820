"""A run's body as plain lists, to be bent out of shape, and the file that carries it (format.md §4)."""

from __future__ import annotations

from typing import Any

import msgpack

from schemas.vectorsmith.streams import Stream, header
from vallum.format.columns import compress
from vallum.format.run import Run, format_body

Body = list[Any]
"""``[salt, [section…]]`` as plain lists."""

COUNTS, SETS, IDS, TAG_COLUMN, SHARED, RESTS, PATHS, REMOVALS = range(8)
"""Where the fields of a section of URLs are."""
HI, LO = 3, 4
"""Where those of a match edition are."""
GROUPS = 3
"""Where that of digests is."""

URL = Stream("url", "full", host_bits=20)


def body_of(stream: Stream, run: Run) -> Body:
    """The body of a run."""
    return msgpack.unpackb(format_body(stream.codec, bytes(16), run.sections), raw=False)  # type: ignore[no-any-return]  # msgpack is untyped


def carry(stream: Stream, body: Body, **change: int | bytes) -> bytes:
    """The file of a body, whatever it says."""
    raw = msgpack.packb(body)
    return header(stream, raw, **change) + compress(raw, 19)
