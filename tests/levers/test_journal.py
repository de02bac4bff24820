"""The journal of what was done on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from vallum.journal import FILE, read_journal, record


def test_a_torn_line_in_the_journal(tmp_path: Path) -> None:
    """A crash in the middle of a line: the next one begins on its own."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record(tmp_path, now, "activated", {"version": 1})
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at": "2026-01-0')
    record(tmp_path, now, "activated", {"version": 2})
    assert [line["version"] for line in read_journal(tmp_path)] == [1, 2]
