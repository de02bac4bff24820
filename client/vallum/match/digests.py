"""Digests of a file's bytes, as many as the lists in force ask for, in one pass."""

from __future__ import annotations

import hashlib
import math
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vallum.errors import InputError, StorageError, UnavailableError
from vallum.match.answer import Match
from vallum.match.policy import most_severe_first

COMPUTABLE = ("sha256", "sha1", "md5")
"""Signals that are made of a file's bytes here; others need a decoder or a licence."""

_CHUNK = 1 << 20

LookUp = Callable[[str, bytes], list[Match]]


class Hasher:
    """Takes a file in pieces, then looks up all its digests. For one thread and one file."""

    def __init__(self, signals: Iterable[str], look_up: LookUp) -> None:
        self._look_up = look_up
        self._states = {
            signal: hashlib.new(signal, usedforsecurity=False)
            for signal in COMPUTABLE
            if signal in set(signals)
        }

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece."""
        for state in self._states.values():
            state.update(data)

    def finish(self) -> list[Match]:
        """Look the digests up, most severe match first; more pieces may follow all the same."""
        found: list[Match] = []
        for signal, state in self._states.items():
            found += self._look_up(signal, state.digest())
        return most_severe_first(found)


def feed(hasher: Hasher, path: Path) -> None:
    """Give a whole file to a hasher.

    Raises:
        StorageError: it cannot be read.
    """
    with _reading(path), path.open("rb") as file:
        while data := file.read(_CHUNK):
            hasher.update(data)


def feed_bounded(hasher: Hasher, path: Path, max_bytes: int | None, timeout: float | None) -> None:
    """Give a whole file to a hasher, for those who must not wait for it.

    Raises:
        StorageError: it cannot be read.
        InputError: it is no regular file, which may never end, or larger than ``max_bytes``.
        UnavailableError: ``timeout`` seconds have passed.
    """
    end = math.inf if timeout is None else time.monotonic() + timeout
    most = math.inf if max_bytes is None else max_bytes
    with _reading(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: not a regular file")
        with path.open("rb") as file:
            # What it holds counts, not what it says: it may grow while it is read.
            while data := file.read(_CHUNK):
                if file.tell() > most:
                    raise InputError(f"{path}: larger than {max_bytes} bytes")
                if time.monotonic() > end:
                    raise UnavailableError(f"{path}: not read within {timeout:g} seconds")
                hasher.update(data)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the path and its permissions") from None
    except ValueError:
        raise StorageError(f"{str(path)!r}: no path", hint="a path holds no NUL") from None
