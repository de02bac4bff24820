"""The journal: an append-only account of what came into force on this machine, and of every local decision.

One JSON object a line. A line is written and synced *before* the act, so that no act can be missing; one that
a crash cut short stands there twice. It holds names, versions, ids and reasons, never an entry's text.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from vallum.durable import os_errors, sync_folder
from vallum.errors import FormatError
from vallum.format.fields import format_time
from vallum.format.head import Head
from vallum.regular import check_regular, parse_json, read_regular

FILE = "journal.jsonl"
_LAYER = "journal"


def record(state_dir: Path, now: datetime, what: str, details: Mapping[str, Any]) -> None:
    """Append one line, durably.

    System calls: open(O_APPEND), one write of the whole line, fsync, close, and fsync of the folder for a new
    file. Lines of several processes do not mix; one that a crash tore is closed by the next one's line end.

    Raises:
        StorageError: it cannot be written; the act must not follow.
    """
    path = state_dir / FILE
    line = json.dumps({"at": format_time(now), "what": what, **details}).encode() + b"\n"
    with os_errors(path, "write"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        try:
            check_regular(descriptor)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if not size:
        sync_folder(state_dir)


def record_version(
    state_dir: Path, now: datetime, what: str, source: str, stream: str, head: Head, **more: Any
) -> None:
    """Append what happened to one version of a list; errors as of :func:`record`."""
    details = {
        "source": source, "list": stream, "generation": head.generation, "version": head.version,
        "state": head.state, **more,
    }  # fmt: skip
    record(state_dir, now, what, details)


def read_journal(state_dir: Path) -> list[dict[str, Any]]:
    """Read all lines, oldest first; torn ones are left out.

    Raises:
        StorageError: it cannot be read.
    """
    path = state_dir / FILE
    found = []
    with os_errors(path, "read"):
        data = read_regular(path) if path.exists() else b""
    for line in data.splitlines():
        try:
            said = parse_json(_LAYER, line)
        except FormatError:
            continue
        if isinstance(said, dict):
            found.append(said)
    return found
