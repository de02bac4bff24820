"""The quarantine of one source: absurd versions, whole and verified, kept aside for a person to decide.

At most one version per stream is kept, the newest. Nothing here is ever looked up in. What is absurd is
:mod:`vallum.guard`'s to say; taking a version out again is :mod:`vallum.sync.levers`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from vallum.access import FILE_MODE, FOLDER_MODE
from vallum.digested import format_digested, parse_digested
from vallum.durable import clear_way, is_own_folder, make_folder, os_errors, remove_all, write_durable
from vallum.errors import FormatError
from vallum.format.charter import is_stream
from vallum.format.fields import format_time, parse_time
from vallum.format.head import Head
from vallum.format.table import Table
from vallum.regular import read_if_there
from vallum.state import StreamState, format_stream, parse_stream
from vallum.sync.floor import equivocation
from vallum.sync.place import QUARANTINE, role_file
from vallum.sync.tables import open_tables, write_version

_RECORD = "record.json"
_LAYER = "quarantine"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One version that is kept aside.

    Attributes:
        state: what would be in force.
        since: when it was first judged.
        reasons: which guard rails it breaks.
        rejected: the operator's reason for not wanting it; empty while undecided.
        rejected_at: when he said so.
    """

    state: StreamState
    since: datetime
    reasons: tuple[str, ...]
    rejected: str = ""
    rejected_at: datetime | None = None

    @property
    def says(self) -> str:
        """How it stands, for people."""
        number = self.state.head.number
        if self.rejected:
            on = f" on {format_time(self.rejected_at)}" if self.rejected_at else ""
            return f"version {number} was rejected by you{on}: {self.rejected}"
        return f"version {number} is in quarantine since {format_time(self.since)}: {'; '.join(self.reasons)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        head = self.state.head
        return {
            "generation": head.generation,
            "version": head.version,
            "name": name_of(head),
            "state": head.state,
            "created": format_time(head.created),
            "since": format_time(self.since),
            "reasons": list(self.reasons),
            "rejected": self.rejected,
            "rejected_at": format_time(self.rejected_at) if self.rejected_at else None,
        }


@dataclass(frozen=True, slots=True)
class Quarantine:
    """What one source has in quarantine. Writers hold the state folder's lock."""

    state_dir: Path
    source: str

    def find(self, stream: str) -> Quarantined | None:
        """What is kept aside of a stream; a damaged record counts as none, and is made anew."""
        path = self._folder(stream) / _RECORD
        with os_errors(path, "read"):
            data = read_if_there(path)
        if data is None:
            return None
        try:
            raw = parse_digested(_LAYER, data)  # 8.3
            if not isinstance(raw, dict) or not isinstance(raw.get("reasons"), list):
                raise FormatError(_LAYER, "a record is malformed")
            return Quarantined(
                parse_stream(raw.get("stream")),
                parse_time(_LAYER, raw.get("since")),
                tuple(map(str, raw["reasons"])),
                str(raw.get("rejected", "")),
                parse_time(_LAYER, raw["rejected_at"]) if raw.get("rejected_at") else None,
            )
        except FormatError:
            return None

    def all(self) -> Iterator[tuple[str, Quarantined]]:
        """Everything that is kept aside, by stream."""
        folder = self.state_dir / self.source / QUARANTINE
        with os_errors(folder, "read"):
            names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        for name in names:
            if is_stream(name) and (found := self.find(name)) is not None:
                yield name, found

    def offered_again(self, stream: str, head: Head) -> Quarantined | None:
        """What is kept aside, if it is this very version.

        Raises:
            EquivocationError: it has the number of this version, and another state (client.md §6.7).
        """
        found = self.find(stream)
        if found is None or found.state.head.number != head.number:
            return None
        if found.state.head.state != head.state:
            raise equivocation(stream, head)
        return found

    def tables(self, stream: str, state: StreamState) -> dict[str, Table]:
        """The tables that are kept aside of this version; empty if they are not, or damaged."""
        return open_tables(self.state_dir, state.files(self.source, stream, QUARANTINE), state.head.tables)

    def whole(self, stream: str, state: StreamState) -> tuple[dict[str, Table], bytes] | None:
        """What accepting this version needs, its tables and signed role; ``None`` if they are not whole."""
        path = self.state_dir / self.role(stream, state.head)
        with os_errors(path, "read"):
            role = read_if_there(path)
        tables = self.tables(stream, state)
        return (tables, role) if tables and role else None

    def role(self, stream: str, head: Head) -> Path:
        """Where its signed role lies, relative to the state folder."""
        return role_file(self.source, stream, head, QUARANTINE)

    def keep(self, stream: str, about: Quarantined, tables: Mapping[str, Table], role: bytes) -> None:
        """Put a version aside in place of what was there. Raises ``StorageError``."""
        files = about.state.files(self.source, stream, QUARANTINE)
        folder = self._folder(stream)
        with os_errors(folder, "look at"):
            ours = is_own_folder(folder)
        if not ours:
            remove_all([folder])  # whatever stands in its place
        make_folder(folder, FOLDER_MODE)
        if not self.tables(stream, about.state):
            write_version(self.state_dir, files, tables, {})
        # Under the version's own name: until the record names it, what was there is whole.
        signed = self.state_dir / self.role(stream, about.state.head)
        clear_way(signed)
        write_durable(signed, [role], mode=FILE_MODE)
        self._write(stream, about)
        wanted = {*(path.name for path in files.values()), signed.name, _RECORD}
        with os_errors(folder, "sweep"):
            unwanted = [path for path in folder.iterdir() if path.name not in wanted]
        remove_all(unwanted)

    def reject(self, stream: str, about: Quarantined, reason: str, now: datetime) -> None:
        """Remember that a version is not wanted. It stays whole: he who decided may decide otherwise."""
        self._write(stream, replace(about, rejected=reason, rejected_at=now))

    def drop(self, stream: str) -> None:
        """Forget what is kept aside of a stream."""
        remove_all([self._folder(stream)])

    def _write(self, stream: str, about: Quarantined) -> None:
        raw = {
            "stream": format_stream(about.state),
            "since": format_time(about.since),
            "reasons": list(about.reasons),
            "rejected": about.rejected,
            "rejected_at": format_time(about.rejected_at) if about.rejected_at else None,
        }
        path = self._folder(stream) / _RECORD
        clear_way(path)
        write_durable(path, [format_digested(raw)], mode=FILE_MODE)

    def _folder(self, stream: str) -> Path:
        return self.state_dir / self.source / QUARANTINE / stream


def name_of(head: Head) -> str:
    """What an operator calls a version that was shown to him; its number alone could mean another one."""
    return f"{head.generation}.{head.version}-{head.state[:16]}"
