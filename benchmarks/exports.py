"""What an export and a trace cost: seconds of the processor and memory, by number of rows.

python benchmarks/exports.py [--rows 1000000] [--recipients 1000]
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.drawn import Drawn
from benchmarks.stopwatch import Stopwatch, memory
from tests.export.scenes import PEPPER, SEED, UID, write_sealed
from vallum.export.selection import Selection
from vallum.export.write import open_export, write_export
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.table import Table, build_table
from vallum_publisher.recipients.leak import Leak
from vallum_publisher.recipients.tracing import sought, tally

_LABELS = (("uk-sap:1:A",), ("uk-sap:1:B",), ("ai_generated", "uk-sap:1:A"))


def _table(rows: int) -> Table:
    keyer, tag = Keyer(PEPPER, 20), URL_TAGS[Scope.URL].code
    forms = [line.removeprefix("http://") for line in Drawn("url", rows, 0).first()]
    by_key = {keyer.url_key(Scope.URL, form): form for form in forms}
    return build_table(
        kind="url",
        edition="full",
        name="exact",
        host_bits=20,
        generation=1,
        version=1,
        salt=bytes(16),
        counts=((tag, len(by_key)),),
        keys=list(by_key),
        labels=[_LABELS[at % 3] for at in range(len(by_key))],
        values=[bytes([tag]) + form.encode() for form in by_key.values()],
    )


def _exports(state: Path) -> Iterator[tuple[str, bytes]]:
    for name in ("text", "csv", "jsonl"):
        watch, path = Stopwatch(), state / f"list.{name}"
        export = open_export(state, name, Selection.of(scopes=[Scope.URL]))
        opened = watch.read()[1]
        done = write_export(path, export)
        written = watch.read()[1]
        size = path.stat().st_size
        seconds = f"open {opened:.2f} s, write {written:.2f} s"
        print(f"{name:6} {done.lines:>9,} lines, {size / 1e6:.1f} MB, {seconds}")
        yield name, path.read_bytes()


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--recipients", type=int, default=1_000)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        state = Path(folder)
        write_sealed(state, {"urls": _table(given.rows)})
        files = dict(_exports(state))
    watch = Stopwatch()
    owners = {
        marker: number
        for number in range(given.recipients)
        for marker in sought(number.to_bytes(32) if number else SEED, UID, "url")
    }
    print(f"decoys of {given.recipients:,} recipients: {watch.read()[1]:.2f} s")
    for name, data in files.items():
        watch.read()
        _, found = tally(Leak(io.BytesIO(data)), owners)
        seconds = watch.read()[1]
        print(f"trace {name:6} {seconds:5.2f} s, {len(data) / seconds / 1e6:.0f} MB/s, {len(found)} found")
    print(f"most memory, making of the list among it: {memory() / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
