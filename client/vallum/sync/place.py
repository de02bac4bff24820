"""Where one source lives in the state folder, and what lies there beside tables (client.md §8.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vallum.access import FILE_MODE, FOLDER_MODE
from vallum.durable import (
    clear_way,
    is_folder,
    is_own_folder,
    make_folder,
    os_errors,
    remove_all,
    write_durable,
)
from vallum.errors import FormatError, StorageError
from vallum.format.head import Head
from vallum.regular import parse_json, read_if_there
from vallum.sync.floor import Mark
from vallum.sync.tables import folder_bytes

STAGING = "staging"
QUARANTINE = "quarantine"
EVIDENCE = "evidence"
MOST_EVIDENCE = 16
"""Signed roles of one list that are kept: as many states of one version prove no more."""
TRUST = "trust"
_ROOTS = "root_history"
"""A folder of python-tuf's in its cache."""


@dataclass(frozen=True, slots=True)
class Place:
    """One source's folder, and how many bytes it may fill there."""

    state_dir: Path
    name: str
    quota: int

    @property
    def folder(self) -> Path:
        """The source's own folder."""
        return self.state_dir / self.name

    @property
    def staging(self) -> Path:
        """Where runs lie while they are fetched; empty between two syncs."""
        return self.folder / STAGING

    def clear_staging(self) -> None:
        """Remove what a killed sync left. Raises ``StorageError``."""
        with os_errors(self.staging, "clear"):
            left = list(self.staging.iterdir()) if is_own_folder(self.staging) else [self.staging]
        remove_all(left)

    def clear_cache(self) -> None:
        """Remove what is no file where python-tuf is about to read files: it would wait for a pipe.

        Raises:
            StorageError: it cannot be removed.
        """
        for folder in (self.folder / TRUST, self.folder / TRUST / _ROOTS):
            with os_errors(folder, "clear"):
                if is_own_folder(folder):
                    found = [path for path in folder.iterdir() if path.name != _ROOTS and not path.is_file()]
                else:
                    found = [folder]
            remove_all(found)

    def check_quota(self, more: int) -> None:
        """Refuse what would fill more than the source may (client.md §8.9).

        What is in quarantine, or kept as evidence, is not counted: it must not keep an honest version out.

        Raises:
            StorageError: it would.
        """
        if folder_bytes(self.folder, apart=(QUARANTINE, EVIDENCE)) + more > self.quota:
            raise StorageError(
                f"source {self.name} would fill more than its quota of {self.quota} bytes",
                hint="raise `quota` in the source if its lists are meant to be so large",
            )

    def check_quota_aside(self, stream: str, more: int) -> None:
        """Refuse to put a version aside where those of all lists would fill more than as much again.

        Raises:
            StorageError: it would.
        """
        folder = self.folder / QUARANTINE
        others = folder_bytes(folder, apart=(stream,)) if is_folder(folder) else 0
        if others + more > self.quota:
            raise StorageError(
                f"{stream}: it is absurd, and with it what is in quarantine of source {self.name} would fill "
                f"more than its quota of {self.quota} bytes",
                hint="call the publisher; `vallum quarantine show` shows the others, and `accept` makes room",
            )

    def write_role(self, stream: str, head: Head, role: bytes) -> None:
        """Keep the signed role of a version beside its tables (client.md §7.2), if it does not lie there.

        Raises:
            StorageError: it cannot be kept.
        """
        path = self.state_dir / role_file(self.name, stream, head)
        with os_errors(path, "read"):
            there = read_if_there(path)
        if there != role:
            clear_way(path)
            write_durable(path, [role], mode=FILE_MODE)

    def keep_evidence(self, stream: str, held: Head | Mark, where: Path, offered: Head, role: bytes) -> None:
        """Keep both signed roles of one version with two states (client.md §4.5).

        Args:
            stream: the list.
            held, where: the state that came first, and where its role lies, relative to the state folder.
            offered, role: the other one.

        Raises:
            StorageError: they cannot be kept, or what lies there is not the role of the first.
        """
        make_folder(self.folder / EVIDENCE, FOLDER_MODE)
        self._keep_piece(stream, offered, role)  # first: it is not to be had again
        path = self.state_dir / where
        with os_errors(path, "read"):
            ours = read_if_there(path)
        if ours is None or not _says(ours, stream, held):
            raise StorageError(f"of {held.generation}.{held.version}, which was first, it is damaged or gone")
        self._keep_piece(stream, held, ours)

    def _keep_piece(self, stream: str, state: Head | Mark, role: bytes) -> None:
        folder = self.folder / EVIDENCE
        path = folder / f"{stream}-{role_file(self.name, stream, state).name}"
        with os_errors(folder, "read"):
            there = [piece.name for piece in folder.glob(f"{stream}-*")]
        if len(there) >= MOST_EVIDENCE and path.name not in there:  # 8.9
            raise StorageError(f"{folder} holds {len(there)} roles of {stream}; move them to a safe place")
        write_durable(path, [role], mode=FILE_MODE, exclusive=True)


def _says(role: bytes, stream: str, mark: Head | Mark) -> bool:
    """Whether a role names this state; whether it is rightly signed is for whoever judges the evidence."""
    try:
        raw: Any = parse_json(EVIDENCE, role)
        said = raw["signed"]["targets"][f"{stream}/head"]["custom"]["vallum"]
        return bool(said["state"] == mark.state)
    except (FormatError, LookupError, TypeError):
        return False


def role_file(source: str, stream: str, mark: Head | Mark, folder_name: str = "lists") -> Path:
    """Where the signed role of a version is kept, relative to the state folder."""
    name = f"{mark.generation}-{mark.version}-{mark.state[:16]}.role.json"
    return Path(source, folder_name, stream, name)
