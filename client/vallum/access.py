"""Who may read what is verified on this machine: the user who syncs, and on demand the state folder's group.

The state folder's own mode says which (client.md §8.5): a folder that its group may search has tables and
peppers that its group may read. Keys that only a sync needs are 0600 in any case. What else lies there tells
nothing of any entry.
"""

from __future__ import annotations

import stat
from pathlib import Path

from vallum.durable import make_folder, os_errors

FOLDER_MODE, PRIVATE_FOLDER_MODE = 0o750, 0o700
FILE_MODE, PRIVATE_FILE_MODE = 0o640, 0o600
_SHARED = ("*/lists/*/*", "*/quarantine/*/*", "*/keys/*.pepper")


def prepare_state(state_dir: Path, *, group_readable: bool) -> None:
    """Make the state folder, or open an existing one to its group. Raises ``StorageError``.

    A folder that is open already stays so: whoever made it, a service manager perhaps, meant it.
    """
    make_folder(state_dir, FOLDER_MODE if group_readable else PRIVATE_FOLDER_MODE)
    if not group_readable or _is_open(state_dir):
        return
    with os_errors(state_dir, "open to its group"):
        for pattern in _SHARED:
            for path in state_dir.glob(pattern):
                if path.is_file():
                    path.chmod(FILE_MODE)
        state_dir.chmod(FOLDER_MODE)


def table_mode(state_dir: Path) -> int:
    """The mode of files that readers need and nobody else may see. Raises ``StorageError``."""
    with os_errors(state_dir, "look at"):
        return FILE_MODE if _is_open(state_dir) else PRIVATE_FILE_MODE


def _is_open(state_dir: Path) -> bool:
    return bool(state_dir.stat().st_mode & stat.S_IXGRP)
