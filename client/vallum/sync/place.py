"""Where one source lives in the state folder, and what lies there beside tables (client.md §8.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vallum.access import FILE_MODE, FOLDER_MODE
from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import StorageError
from vallum.format.head import Head
from vallum.sync.floor import Mark
from vallum.sync.tables import folder_bytes

STAGING = "staging"
EVIDENCE = "evidence"


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

    def check_quota(self, more: int) -> None:
        """Refuse what would fill more than the source may.

        Raises:
            StorageError: it would.
        """
        if folder_bytes(self.folder) + more > self.quota:
            raise StorageError(
                f"source {self.name} would fill more than its quota of {self.quota} bytes",
                hint="raise `quota` in the source if its lists are meant to be so large",
            )

    def write_role(self, stream: str, head: Head, role: bytes) -> None:
        """Keep the signed role of a version beside its tables (client.md §7.2). Raises ``StorageError``."""
        path = self.state_dir / role_file(self.name, stream, head)
        with os_errors(path, "read"):
            there = path.exists()
        if not there:
            write_durable(path, [role], mode=FILE_MODE)

    def keep_evidence(self, stream: str, held: Head | Mark, where: Path, offered: Head, role: bytes) -> None:
        """Keep both signed roles of one version with two states (client.md §4.5).

        Args:
            stream: the list.
            held, where: the state that came first, and where its role lies, relative to the state folder.
            offered, role: the other one.

        Raises:
            StorageError: they cannot be kept.
        """
        folder = self.folder / EVIDENCE
        make_folder(folder, FOLDER_MODE)
        ours, name = self.state_dir / where, role_file(self.name, stream, held).name
        pieces = [(role_file(self.name, stream, offered).name, role)]
        with os_errors(ours, "read"):
            if ours.exists():
                pieces.append((name, ours.read_bytes()))
        for piece, data in pieces:
            write_durable(folder / f"{stream}-{piece}", [data], mode=FILE_MODE, exclusive=True)


def role_file(source: str, stream: str, mark: Head | Mark) -> Path:
    """Where the signed role of a version is kept, relative to the state folder."""
    name = f"{mark.generation}-{mark.version}-{mark.state[:16]}.role.json"
    return Path(source, "lists", stream, name)
