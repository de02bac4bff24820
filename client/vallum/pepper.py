"""The pepper of an encrypted list, as readers find it on this machine, and where the keys for syncing lie.

How they came there is :mod:`vallum.sync.keys`'s business.
"""

from __future__ import annotations

import re
from pathlib import Path

from vallum.durable import is_folder, os_errors, remove_all
from vallum.errors import StateError, StorageError, TrustError
from vallum.format.charter import Charter
from vallum.format.epoch import Epoch, check_pepper
from vallum.format.head import Head
from vallum.regular import read_regular

_ANEW = "run `vallum sync`: it fetches the pepper anew"
_EPOCH_FILE = re.compile(r"(.+)\.([0-9]+)\.([0-9]+)\.epoch")


def pepper_path(state_dir: Path, source: str, stream: str, charter: Charter) -> Path:
    """Where the pepper of a list's generation lies."""
    name = stream.rpartition(".")[0]
    return state_dir / source / "keys" / f"{name}.{charter.generation}.pepper"


def epoch_path(state_dir: Path, source: str, stream: str, generation: int, number: int) -> Path:
    """Where an epoch's key and this recipient's seed lie, one after the other."""
    return state_dir / source / "keys" / f"{stream}.{generation}.{number}.epoch"


def forget_epochs(state_dir: Path, source: str, stream: str, head: Head) -> None:
    """Remove the epoch keys that a head which is in force has left behind (client.md §4.6).

    Newer ones than it names stay: of what is in quarantine, or newer than a pin. Peppers stay, for versions
    that are kept.

    Raises:
        StorageError: a file cannot be removed.
    """
    folder, newest = state_dir / source / "keys", (head.generation, max(head.epochs, default=0))
    if not is_folder(folder):
        return
    with os_errors(folder, "clear"):
        found = [(path, _EPOCH_FILE.fullmatch(path.name)) for path in folder.iterdir()]
    for path, match in found:
        if match is None or match[1] != stream:
            continue
        epoch = int(match[2]), int(match[3])
        named = epoch[0] == head.generation and epoch[1] in head.epochs
        if epoch < newest and not named:
            remove_all([path])


def epoch_lies(state_dir: Path, source: str, stream: str, head: Head) -> bool:
    """Whether a file with the key of a head's newest epoch is there; not whether it is right.

    Raises:
        StorageError: the disk does not say.
    """
    if not head.epochs:
        return True  # of a public list
    epoch = epoch_path(state_dir, source, stream, head.generation, max(head.epochs))
    with os_errors(epoch, "look at"):
        return epoch.exists()


def read_pepper(state_dir: Path, source: str, stream: str, charter: Charter) -> bytes:
    """Read a list's pepper; empty for a public list.

    Raises:
        StorageError: it is not there, or not for this user.
        StateError: it is not the one that the charter commits to: nothing would match.
    """
    if charter.pepper is None:
        return b""
    path = pepper_path(state_dir, source, stream, charter)
    with os_errors(path, "read"):
        try:
            pepper = read_regular(path)
        except FileNotFoundError:
            raise StorageError(f"{path}: the pepper of {source}/{stream} is gone", hint=_ANEW) from None
    try:
        check_pepper(Epoch(charter.uid, stream, charter.generation, 0), pepper, charter.pepper)
    except TrustError:
        # It was the right one when it was written: this disk is to blame, and no publisher.
        raise StateError(f"{path}: not the pepper of {source}/{stream}", hint=_ANEW) from None
    return pepper
