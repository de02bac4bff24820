"""How long this machine has been on: the one clock that nobody sets (client.md §9.4).

Reading it is all there is here. It is an argument everywhere else, like the time of day.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Uptime:
    """Whole seconds since a start of the machine, sleep included; ``boot`` names the start.

    ``boot`` is empty where a system has no name for it: nothing can be compared then.
    """

    boot: str = ""
    seconds: int = 0

    def since(self, earlier: Uptime) -> int | None:
        """Seconds between two readings; ``None`` if the machine was started anew, or nobody knows."""
        if not self.boot or self.boot != earlier.boot:
            return None
        return self.seconds - earlier.seconds


UNKNOWN = Uptime()


def read_uptime() -> Uptime:
    """Read it now."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    with suppress(OSError, ValueError):
        if clock is not None:
            return Uptime(_boot(), int(time.clock_gettime(clock)))
    return UNKNOWN


@cache
def _boot() -> str:
    """The name of this start of the machine, which no process outlives."""
    return _BOOT_ID.read_text("ascii").strip()
