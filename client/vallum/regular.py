"""Reading files of a folder into which somebody else may have put something: regular files, and their JSON.

Whoever opens a named pipe waits until somebody writes into it, and a device may have no end: with the lock of
the state folder held, that would be for ever (client.md §8.7). What the bytes mean is left to the callers.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import BinaryIO

from vallum.errors import FormatError


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, without waiting. Raises ``OSError``, also if it is no regular file."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file")
    return file


def read_regular(path: Path) -> bytes:
    """Read a file whole; errors as of :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def parse_json(layer: str, data: bytes, *, hint: str = "") -> object:
    """Decode JSON.

    Raises:
        FormatError: it is none, or nested more deeply than anything of ours.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError(layer, "damaged, not JSON", hint=hint) from None
