"""What a process holds, as Linux says: private memory, file handles, mapped tables."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Readings:
    """Of one process at one moment.

    Attributes:
        private: bytes of memory that it shares with nobody.
        handles: open file descriptors.
        mapped: files of a state folder that are mapped, deleted ones included.
    """

    private: int
    handles: int
    mapped: int


def read_process(pid: int, state: Path) -> Readings:
    """Look at a process; at ourselves, after the garbage collector."""
    if pid == os.getpid():
        gc.collect()
    process = Path(f"/proc/{pid}")
    rollup = process.joinpath("smaps_rollup").read_text()
    private = sum(
        int(line.split()[1])
        for line in rollup.splitlines()
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )
    maps = process.joinpath("maps").read_text()
    mapped = sum(f"{state}/" in line for line in maps.splitlines())
    return Readings(private << 10, len([*(process / "fd").iterdir()]), mapped)
