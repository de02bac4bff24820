"""Ingest speed: a million digests and a million URLs, from a file's bytes to a committed catalog.

Beside it, in the same run, what `sqlite3` alone needs to insert the same rows (key, value) with one
`executemany` into one table: the floor under any catalog in SQLite.
Run: `python benchmarks/ingest.py [ROWS]`.
"""

from __future__ import annotations

import io
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from vallum_publisher.catalog import Applied, Catalog, ListSpec, Mode, open_catalog
from vallum_publisher.intake import read_records

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GOALS = {"hash": 50_000, "url": 20_000}


def make_input(kind: str, rows: int) -> list[bytes]:
    """Lines with reserved names, about as long as real ones; two in three URLs on a host of their own."""
    draw = random.Random(7)
    if kind == "hash":
        return [draw.randbytes(32).hex().encode() for _ in range(rows)]
    hosts = [f"{draw.randbytes(6).hex()}.example" for _ in range(rows * 2 // 3 or 1)]
    return [f"https://{draw.choice(hosts)}/{draw.randbytes(8).hex()}/{n}.html".encode() for n in range(rows)]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor; on a busy machine only the second says much."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def floor(path: Path, lines: list[bytes]) -> tuple[float, float]:
    """Seconds that sqlite3 alone needs."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    rows = sorted((random.Random(line).randbytes(12), line) for line in lines)

    def insert() -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    seconds = timed(insert)
    connection.close()
    return seconds


def ingest(catalog: Catalog, name: str, lines: list[bytes]) -> Applied:
    kind = catalog.get_list(name).kind
    records = read_records(io.BytesIO(b"\n".join([*lines, b""])), kind=kind, format="text")
    return catalog.apply(name, records, mode=Mode.REPLACE, actor="benchmark", now=NOW)


def measure(kind: str, rows: int) -> None:
    lines = make_input(kind, rows)
    few = rows // 1000
    changed = lines[few:] + make_input(kind, rows + few)[rows:]
    with TemporaryDirectory() as folder, open_catalog(Path(folder) / "catalog.db") as catalog:
        base = floor(Path(folder) / "floor.db", lines)
        catalog.create_list(ListSpec(kind, kind, public=True), actor="benchmark", now=NOW)
        steps: list[tuple[str, int, Callable[[], object]]] = [
            ("first import", rows, lambda: ingest(catalog, kind, lines)),
            ("the same again: nothing changes", rows, lambda: ingest(catalog, kind, lines)),
            ("publishing all, in the catalog", rows, lambda: publish(catalog, kind)),
            ("one in a thousand replaced", rows, lambda: ingest(catalog, kind, changed)),
            ("publishing these, in the catalog", 2 * few, lambda: publish(catalog, kind)),
        ]
        show(kind, "sqlite3 alone", rows, base, base)
        for name, count, step in steps:
            show(kind, name, count, timed(step), base)


def show(kind: str, step: str, rows: int, taken: tuple[float, float], base: tuple[float, float]) -> None:
    clock, cpu = taken
    print(
        f"{kind:5} {step:34} {clock:8.2f} {rows / clock:9,.0f} {GOALS[kind]:7,} {clock / base[0]:9.2f}"
        f" {cpu:8.2f} {rows / cpu:9,.0f}",
        flush=True,
    )


def main(rows: int) -> None:
    print(
        f"{'list':5} {'step':34} {'seconds':>8} {'rows/s':>9} {'goal':>7} {'x sqlite3':>9}"
        f" {'cpu':>8} {'rows/cpu':>9}"
    )
    for kind in GOALS:
        measure(kind, rows)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def publish(catalog: Catalog, name: str) -> None:
    """What the release asks of the catalog for one version."""
    version = catalog.begin_version(name, salt=bytes(16), actor="benchmark", now=NOW)
    assert version is not None
    assert len(catalog.version_changes(name)) == version.changes
    assert len(list(catalog.touched_rows(name, "exact", version.version - 1))) == version.changes
    catalog.seal_version(name, version.version, state="0" * 64, tables={"exact": "0" * 64})
    catalog.finish_version(name, version.version, actor="benchmark", now=NOW)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
