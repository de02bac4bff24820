"""``vallum doctor``: what on this machine keeps lists from being verified and enforced, each with a way out.

It looks and changes nothing. What it finds are findings, never exceptions: one broken thing must not hide
the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from vallum.config import Config, Source
from vallum.doctor import machine, source
from vallum.doctor.finding import BAD, GOOD, WARN, Finding
from vallum.doctor.machine import lock_holders
from vallum.sync.transport import Transport, open_transport

__all__ = ["BAD", "GOOD", "WARN", "Finding", "examine", "lock_holders"]


def examine(
    config: Config, now: datetime, connect: Callable[[Source], Transport] = open_transport
) -> list[Finding]:
    """Look at everything.

    Args:
        config: of this machine.
        now: its clock.
        connect: how to reach a source.
    """
    found: list[Finding] = []
    for each in config.sources:
        found += _looked("root", source.root(config, each))
        found += _looked("proxy", source.way(each))
        found += _looked("store", source.store(config, each, now, connect))
        found += _looked("recipient", source.recipient(config, each))
    found += _looked("clock", machine.clock(config, now))
    found += _looked("keys", machine.keys(config))
    found += _looked("disk", machine.disk(config))
    found += _looked("permissions", machine.permissions(config))
    found += _looked("processes", machine.processes(config))
    found += _looked("files", machine.files(config, now))
    found += _looked("lists", machine.lists(config, now))
    found += _looked("never_block", machine.never_block(config))
    return [one.doubted_by(found) for one in found]


def _looked(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """What this machine does not let us look at is a finding, too."""
    try:
        yield from findings
    except OSError as error:
        where = str(error.filename or "")
        yield Finding(
            check, where, BAD, f"it cannot be looked at: {error.strerror or type(error).__name__}",
            "run `vallum doctor` as the owner of the state folder; if it is, the disk may be failing",
        )  # fmt: skip
