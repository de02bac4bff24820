"""Digests of a file's bytes, as many as the lists in force ask for, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from vallum.errors import StorageError
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
    try:
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                hasher.update(data)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the path and its permissions") from None
