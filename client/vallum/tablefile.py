"""Table files as readers find them: mapped, not read, and proved to be the signed ones.

Where they lie is said by :mod:`vallum.state`; who writes and sweeps them is :mod:`vallum.sync`.
"""

from __future__ import annotations

import mmap
from hashlib import sha256
from pathlib import Path

from vallum.errors import StateError, StorageError
from vallum.format.table import Table, parse_table
from vallum.regular import open_regular

_HINT = "run `vallum sync`: it fetches the list anew; if it cannot, `vallum pin` shows what to go back to"


def open_table(path: Path, digest: str) -> Table:
    """Map a table file whose SHA-256 is ``digest``.

    Raises:
        StorageError: it cannot be read, is empty, or is not there.
        StateError: its bytes are others.
        FormatError: they are no table.
    """
    view = _map(path)
    if sha256(view).hexdigest() != digest:
        raise StateError(f"{path}: not the table that was signed", hint=_HINT)
    return parse_table(view)


def map_table(path: Path) -> Table:
    """Map a table file that was proved to be the signed one; errors as of :func:`open_table`."""
    return parse_table(_map(path))


def _map(path: Path) -> memoryview[int]:
    try:
        with open_regular(path) as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "empty"
        raise StorageError(f"cannot read {path}: {reason}", hint=_HINT) from None
