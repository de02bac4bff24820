"""Python's collector of reference cycles, at rest while a batch is worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_resting() -> Iterator[None]:
    """Keep the collector from running.

    A batch makes millions of tuples and no cycles, yet the collector would walk through all of them again
    and again: a third of an import's time (benchmarks/ingest.py).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
