"""The seed of this recipient's decoys, as ``export`` finds it on this machine.

It lies with an epoch's key in a file that only the syncing user can read. How it came there is
:mod:`vallum.sync.keys`' business; what is made of it, :mod:`vallum.format.decoys`'.
"""

from __future__ import annotations

from pathlib import Path

from vallum.durable import os_errors
from vallum.errors import DataError, StorageError
from vallum.format.charter import Charter
from vallum.format.epoch import Epoch, check_epoch_key
from vallum.format.head import Head
from vallum.format.seal import KEY_BYTES
from vallum.format.wrap import SEED_BYTES
from vallum.pepper import epoch_path
from vallum.regular import read_regular


def read_seed(state_dir: Path, source: str, stream: str, charter: Charter, head: Head) -> bytes | None:
    """Read the seed that came with the newest epoch whose key is held; ``None`` for a public list.

    Raises:
        StorageError: there is none, or it is not for this user. Nobody must export without it.
    """
    if charter.pepper is None:
        return None
    for number in sorted(head.epochs, reverse=True):
        epoch = Epoch(charter.uid, stream, head.generation, number)
        path = epoch_path(state_dir, source, stream, head.generation, number)
        with os_errors(path, "read"):
            data = read_regular(path) if path.exists() else b""
        try:
            check_epoch_key(epoch, data[:KEY_BYTES], head.epochs[number])
        except DataError:
            continue  # none, or damaged: another epoch's brought the same seed
        if len(data) == KEY_BYTES + SEED_BYTES:
            return data[KEY_BYTES:]
    raise StorageError(
        f"{source}/{stream}: no key of this list is on this machine, and without it nothing is exported",
        hint="run `vallum sync`, and export as the user who syncs",
    )
