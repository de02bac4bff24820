"""Which role files ``gc`` found in force, and when: what it need not read again.

The store tells when a role file was uploaded, not whether it ever was in force: a crash leaves files that
never were. But what is in force now has replaced all that was before. So each ``gc`` writes down what it
sees, and the next ones read no further back than to what was in force a retention time ago, however long
the history is. What may go is :mod:`.collection`'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from datetime import datetime
from pathlib import Path

from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import DataError
from vallum.format.fields import format_time, parse_time

_Seen = dict[str, list[tuple[int, datetime]]]


class Sightings:
    """A file of what was seen, by stream. Losing it costs time only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def replaced_below(self, stream: str, before: datetime, numbers: Container[int]) -> int:
        """A number below which all role files of ``stream`` had been replaced ``before``; 0 if none is known.

        Args:
            stream: whose.
            before: the time.
            numbers: of the files in the store. It may have been restored from a copy since: what is not
                there was seen in another life.
        """
        seen = self._read().get(stream, [])
        return max((number for number, at in seen if at < before and number in numbers), default=0)

    def add(self, current: Mapping[str, int], at: datetime, before: datetime) -> None:
        """Write down which numbers are in force ``at`` a time.

        Of what was seen ``before`` another one, the newest sighting of each stream is kept.

        Raises:
            StorageError: it cannot be written.
        """
        seen: _Seen = {}
        known = self._read()
        for stream, number in current.items():
            sightings = sorted({*known.get(stream, []), (number, at)}, key=lambda one: one[1])
            earlier = [one for one in sightings if one[1] < before]
            seen[stream] = earlier[-1:] + sightings[len(earlier) :]
        raw = {
            stream: [[number, format_time(when)] for number, when in those] for stream, those in seen.items()
        }
        make_folder(self._path.parent, 0o700)
        write_durable(self._path, [json.dumps(raw, sort_keys=True).encode() + b"\n"])

    def _read(self) -> _Seen:
        with os_errors(self._path, "read"):
            data = self._path.read_bytes() if self._path.exists() else b"{}"
        try:
            return {
                stream: [(int(number), parse_time("sighting", when)) for number, when in seen]
                for stream, seen in json.loads(data).items()
            }
        except (ValueError, TypeError, AttributeError, RecursionError, DataError):
            return {}  # damaged: as good as lost
