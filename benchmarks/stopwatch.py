"""Seconds, memory and disk of a process that measures itself."""

from __future__ import annotations

import time
from pathlib import Path


class Stopwatch:
    """Seconds since it was made or last read."""

    def __init__(self) -> None:
        self._at = self._now()

    def read(self) -> tuple[float, float]:
        """By the clock and of the processor, since the last reading."""
        before, self._at = self._at, self._now()
        return self._at[0] - before[0], self._at[1] - before[1]

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


class Pace:
    """How much longer the same piece of work takes than at its best: what neighbours on a machine do to the
    processor's own seconds, through caches and shared cores.
    """

    def __init__(self) -> None:
        self._samples: list[float] = []

    def sample(self) -> None:
        """Take some samples, a tenth of a second in all."""
        for _ in range(10):
            began = time.process_time()
            sum(hash((number, began)) for number in range(50_000))
            self._samples.append(time.process_time() - began)

    def slower(self) -> float:
        """The mean of all samples, in those of the best one."""
        return sum(self._samples) / len(self._samples) / min(self._samples)


def memory() -> int:
    """The most memory that this process has held, in bytes; pages of mapped files among it."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
