"""What a list of a given length costs: ingest, publication, a client's first and every later sync.

    python -m benchmarks.scale                                   (10⁵, 10⁶ and 10⁷ rows, an hour)
    python -m benchmarks.scale --rows 1000000 --kind url --versions 32

Every command runs in a process of its own, as it would from a timer; figures of publication and of later
syncs are medians over the versions, bytes written are means. Store and catalog are folders on this machine.
Peers (benchmarks/scale_peers.py) run beside it: python-tuf with the whole list as one target, and RRDP's
delta and snapshot files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.drawn import Drawn
from benchmarks.stopwatch import Pace

SIZES = (100_000, 1_000_000, 10_000_000)
KINDS = ("hash", "url")
PEERS = {"tuf": "python-tuf", "rrdp": "RRDP"}
PEER_VERSIONS = 3
MB = 1e6

Figures = dict[str, float]
"""What a stage measured."""


@dataclass
class Progress:
    """What is being done, on a terminal's last line, else a line each."""

    began: float
    pace: Pace = field(default_factory=Pace)

    def tell(self, doing: str) -> None:
        """Say what is done next, and sample how busy the machine is."""
        self.pace.sample()
        seconds = time.monotonic() - self.began
        start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
        print(f"{start}{seconds:6.0f} s  {doing}", end=end, file=sys.stderr, flush=True)


def run(module: str, *arguments: object) -> str:
    """Run a stage in a process of its own; return what it printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    # As deploy/ sets it: glibc gives large blocks back at once.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout


class Measured:
    """One list's life; figures by stage, in order."""

    def __init__(self, folder: Path, drawn: Drawn, progress: Progress) -> None:
        self._folder = folder
        self._drawn = drawn
        self._progress = progress
        self.figures: dict[str, list[Figures]] = {}

    def stage(self, name: str, label: str = "") -> Figures:
        """Run one stage."""
        drawn = self._drawn
        self._progress.tell(f"{drawn.kind} {drawn.rows:,}: {label or name}")
        said: Figures = json.loads(
            run("scale_client", self._folder)
            if name == "sync"
            else run("scale_publisher", name, self._folder, drawn.kind, drawn.rows, drawn.changes)
        )
        self.figures.setdefault(label or name, []).append(said)
        return said

    def live(self, versions: int, more: int) -> None:
        """From an empty list through ``versions`` changes that the client follows, and ``more``."""
        self.stage("found", "drawing the list")
        self.stage("ingest")
        self.stage("publish", "first publication")
        self.stage("sync", "cold start")
        for _ in range(versions):
            for name in ("change", "publish", "sync"):
                self.stage(name)
        drawn = self._drawn
        self._progress.tell(f"{drawn.kind} {drawn.rows:,}: {more} more versions")
        lines = run("scale_publisher", "long life", self._folder, drawn.kind, drawn.rows, drawn.changes, more)
        self.figures["long life"] = [json.loads(line) for line in lines.splitlines()]

    def median(self, stage: str, figure: str) -> float:
        """The median of one figure over a stage's runs."""
        return statistics.median(found[figure] for found in self.figures[stage])

    def mean(self, stage: str, figure: str) -> float:
        """The mean of one figure over a stage's runs."""
        return statistics.fmean(found[figure] for found in self.figures[stage])

    def most(self, stage: str, figure: str) -> float:
        """The largest of one figure over a stage's runs."""
        return max(found[figure] for found in self.figures[stage])


def measure(drawn: Drawn, versions: int, more: int, progress: Progress, parent: Path | None) -> Measured:
    """Live through one list in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="vallum-scale-", dir=parent) as folder:
        measured = Measured(Path(folder), drawn, progress)
        measured.live(versions, more)
    return measured


def peers(drawn: Drawn, progress: Progress) -> dict[str, list[list[float]]]:
    """The peers' figures: seconds by clock and processor, bytes written, memory."""
    found = {}
    for peer, name in PEERS.items():
        progress.tell(f"{drawn.kind} {drawn.rows:,}: {name}")
        lines = run("scale_peers", peer, drawn.kind, drawn.rows, drawn.changes, PEER_VERSIONS).splitlines()
        found[peer] = [[float(word) for word in line.split()] for line in lines]
    return found


def report(drawn: Drawn, measured: Measured, versions: int, beside: dict[str, list[list[float]]]) -> None:
    """Print one list's figures."""
    (ingest,), (first,), (cold,) = (
        measured.figures[stage] for stage in ("ingest", "first publication", "cold start")
    )
    table = cold["table"]

    def held(figures: Figures) -> str:
        above = figures["memory"] - figures["idle"]
        return f"{figures['memory'] / MB:,.0f} MB, {above / table:.2f} tables above idle"

    step = max(measured.figures["sync"], key=lambda found: found["memory"])
    print(f"\n{drawn.kind}, {drawn.rows:,} rows, {drawn.changes:,} changes a version, {versions} versions")
    print(
        f"  ingest       {drawn.rows / ingest['s']:>9,.0f} rows/s, by the processor's time"
        f" {drawn.rows / ingest['cpu']:,.0f}; {ingest['memory'] / MB:,.0f} MB of memory,"
        f" {ingest['disk'] / MB:,.0f} MB of disk"
    )
    print(
        f"  first        {first['s']:>9.2f} s, processor {first['cpu']:.2f}; {first['memory'] / MB:,.0f} MB,"
        f" base {first['base'] / MB:,.2f} MB"
    )
    print(
        f"  change       {measured.median('change', 's'):>9.3f} s, processor"
        f" {measured.median('change', 'cpu'):.3f}"
    )
    print(
        f"  publish      {measured.median('publish', 's'):>9.3f} s, processor"
        f" {measured.median('publish', 'cpu'):.3f}, at most {measured.most('publish', 's'):.3f};"
        f" {measured.most('publish', 'memory') / MB:,.0f} MB"
    )
    written = report_written(measured)
    print(
        f"  cold start   {cold['s']:>9.2f} s, processor {cold['cpu']:.2f}; {held(cold)};"
        f" table {table / MB:,.1f} MB, state folder {cold['disk'] / MB:,.1f} MB,"
        f" fetched {cold['fetched'] / MB:,.2f} MB"
    )
    print(
        f"  apply        {measured.median('sync', 's'):>9.3f} s, processor"
        f" {measured.median('sync', 'cpu'):.3f}, at most {measured.most('sync', 's'):.3f}; {held(step)};"
        f" fetched {measured.median('sync', 'fetched') / 1e3:,.1f} KB"
    )
    publishing = measured.median("publish", "cpu")
    for peer, rounds in beside.items():
        seconds, cpu, size, memory = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"  {PEERS[peer]:<12} {seconds:>9.3f} s, processor {cpu:.3f} ({cpu / publishing:.1f} of ours);"
            f" {size / MB:,.1f} MB written ({size / written:,.0f} of ours); {memory / MB:,.0f} MB"
        )


def report_written(measured: Measured) -> float:
    """Print what the versions after the first wrote into the store; return the mean without bases."""
    versions = measured.figures["publish"] + measured.figures["long life"]
    bases = [found for found in versions if found["base"]]
    written = statistics.fmean(found["written"] for found in versions)
    renewed = sum(found["base"] for found in bases) / len(versions)
    print(
        f"  written      {written / 1e3:>9.1f} KB a version over {len(versions)} versions without bases,"
        f" {(written + renewed) / 1e3:,.1f} KB with {len(bases)} of them"
        + (f" ({statistics.median(found['s'] for found in bases):.1f} s each)" if bases else "")
    )
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, action="append", help=f"by default {SIZES}")
    parser.add_argument("--kind", choices=KINDS, action="append", help="by default both")
    parser.add_argument("--versions", type=int, default=16)
    parser.add_argument("--more", type=int, default=0, help="versions after these, without a client")
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work, instead of the system's own place")
    options = parser.parse_args(arguments)
    progress = Progress(time.monotonic())
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the beginning")
    for rows in options.rows or SIZES:
        for kind in options.kind or KINDS:
            drawn = Drawn(kind, rows, options.changes)
            measured = measure(drawn, options.versions, options.more, progress, options.folder)
            beside = {} if options.no_peers else peers(drawn, progress)
            report(drawn, measured, options.versions, beside)
    print(
        f"\nload {os.getloadavg()[0]:.1f} at the end; the same work took {progress.pace.slower():.2f} of the"
        " processor's seconds at its best"
    )


if __name__ == "__main__":
    main()
