"""The exclusive lock of a state folder: one sync at a time, whatever process or thread it runs in.

Readers never take it. python-tuf crashed in 3.7 to 7.7 % of polls when four processes shared one cache
(DESIGN §4), so its cache is touched only under this lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vallum.durable import os_errors
from vallum.errors import BusyError

FILE = "lock"
WAIT = 10.0
"""Seconds that a caller waits unless it says otherwise."""

_PAUSES = 0.001, 0.05
"""Seconds between two attempts: the first pause, which doubles, and the longest. A poll holds the lock for
milliseconds: whoever always paused for long would come too late most times."""

_open = set[int]()
"""Descriptors of this process's locks, taken or waited for."""


@contextmanager
def exclusive(folder: Path, wait: float = WAIT, name: str = FILE) -> Iterator[None]:
    """Hold the lock ``name`` of ``folder``, which exists, while the block runs.

    The kernel drops the lock when its holder dies: there is nothing to clean up after a crash. A child
    that is forked meanwhile does not hold it.

    Raises:
        BusyError: somebody else held it for ``wait`` seconds.
        StorageError: the lock file cannot be opened.
    """
    path = folder / name
    # One descriptor a call: flock belongs to it, so threads of one process exclude each other too.
    with os_errors(path, "lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    _open.add(descriptor)
    try:
        _acquire(descriptor, path, time.monotonic() + wait)
        yield
    finally:
        if descriptor in _open:  # in a forked child it is not: the parent still holds the lock
            # Not by closing alone: a child that is forked at this very moment keeps a descriptor of it.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        _close(descriptor)


def _close(descriptor: int) -> None:
    if descriptor in _open:  # else a forked child has closed it, and the number may be another file's
        _open.remove(descriptor)
        with suppress(OSError):  # whatever it answers, the descriptor is gone, and the lock with it
            os.close(descriptor)


def _close_all() -> None:
    for descriptor in list(_open):
        _close(descriptor)


# A lock lives as long as any descriptor of it: a server's workers would hold their parent's for ever.
os.register_at_fork(after_in_child=_close_all)


def _acquire(descriptor: int, path: Path, until: float) -> None:
    pause, longest = _PAUSES
    while True:
        with os_errors(path, "lock"):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass
        if time.monotonic() >= until:
            raise BusyError(
                f"{path.parent}: somebody else is writing there",
                hint="wait until it is done; if none runs, ask who holds the lock: `fuser` names the process",
            )
        time.sleep(pause)
        pause = min(2 * pause, longest)
