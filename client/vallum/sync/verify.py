"""Proving once more that what is in force here is what was signed (client.md §8.2). Loads no TUF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vallum.errors import DataError, StateError, StorageError
from vallum.format.table import check_table
from vallum.pepper import read_pepper
from vallum.progress import Tell, silent
from vallum.state import read_current
from vallum.tablefile import open_table


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """One table file in force. ``digest`` is its SHA-256, and the one that the head signs."""

    source: str
    stream: str
    table: str
    generation: int
    version: int
    digest: str
    rows: int
    path: Path


def verify_state(state_dir: Path, tell: Tell = silent) -> tuple[VerifiedTable, ...]:
    """Hash every table in force again, check that its rows are in canonical order, and each list's pepper.

    Raises:
        StateError: at least one of these is damaged or gone; the message names each.
        UnavailableError, FormatError: as of :func:`vallum.state.read_current`.
    """
    good: list[VerifiedTable] = []
    bad: list[str] = []
    for source, stream, state in read_current(state_dir).streams():
        head = state.head
        try:
            read_pepper(state_dir, source, stream, state.charter)
        except (DataError, StorageError) as error:
            bad.append(str(error))
        for name, path in state.files(source, stream).items():
            tell(f"{source}/{stream}: hashing the table {name}")
            try:
                table = open_table(state_dir / path, head.tables[name])
                check_table(table)
            except (DataError, StorageError) as error:
                bad.append(str(error))
            else:
                good.append(
                    VerifiedTable(
                        source, stream, name, head.generation, head.version, head.tables[name],
                        len(table.rows), state_dir / path,
                    )
                )  # fmt: skip
    if bad:
        raise StateError("; ".join(bad), hint="`vallum sync` fetches them again")
    return tuple(good)
