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


class NotRegularError(OSError):
    """A pipe, a device or a folder lies where a file should."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file")


def check_regular(descriptor: int) -> None:
    """Refuse what is open and no regular file. Raises ``NotRegularError``."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotRegularError


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, without waiting. Raises ``OSError``, of which ``NotRegularError`` is one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_regular(descriptor)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """Read a file whole; errors as of :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_if_there(path: Path) -> bytes | None:
    """Read a file whole; ``None`` if none is there, or something else in its place. Raises ``OSError``."""
    try:
        return read_regular(path)
    except (FileNotFoundError, NotADirectoryError, NotRegularError):
        return None


def read_bounded(path: Path, limit: int, layer: str, *, hint: str = "") -> bytes:
    """Read a file whole that may have so many bytes.

    Raises:
        FormatError: it has more.
        OSError: as of :func:`open_regular`.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise FormatError(layer, f"larger than {limit} bytes", hint=hint)
        return file.read()


def identity(path: Path) -> tuple[int, int, int]:
    """What tells a file from the next one in its place without reading it: its inode, size and time.

    Raises ``OSError``.
    """
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def parse_json(layer: str, data: bytes, *, hint: str = "") -> object:
    """Decode JSON.

    Raises:
        FormatError: it is none, or nested more deeply than anything of ours.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError(layer, "damaged, not JSON", hint=hint) from None
