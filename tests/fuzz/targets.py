"""What is fuzzed: every decoder that meets bytes of strangers or of a disk that lies, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fuzz import keys, machine, rows, signed
from tests.fuzz.target import Target

TARGETS: dict[str, Callable[[Path], Target]] = {
    "run": rows.run,
    "sealed-run": rows.sealed_run,
    "table": rows.table,
    "head": signed.head,
    "charter": signed.charter,
    "twin": signed.twin,
    "metadata": signed.metadata,
    "wrap": keys.wrap,
    "keyfile": keys.keyfile,
    "line": keys.line,
    "current": machine.current,
    "floor": machine.floor,
    "allowances": machine.allowances,
    "configuration": machine.configuration,
    "invitation": machine.invitation,
}
