"""The client's stage of benchmarks/scale.py: one ``vallum sync`` in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.stopwatch import Stopwatch, memory, size_of
from vallum.config import load_config
from vallum.state import read_current
from vallum.sync import workflow  # noqa: F401 - loaded before memory is counted
from vallum.sync.updater import Updater


def main(folder: str) -> None:
    """Sync once, digest check and durable writes within, and print the figures."""
    idle = memory()
    config = load_config(Path(folder) / "client" / "vallum.toml")
    watch = Stopwatch()
    report = Updater(config).sync()
    seconds, cpu = watch.read()
    assert report.ok, report.errors()
    ((source, stream, state),) = read_current(config.state).streams()
    files = state.files(source, stream).values()
    figures = {
        "s": seconds,
        "cpu": cpu,
        "memory": memory(),
        "idle": idle,
        "table": sum((config.state / path).stat().st_size for path in files),
        "fetched": report.bytes,
        "disk": size_of(config.state),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
