"""Where the bytes that a version writes come from, rung by rung, and what no ladder could do without.

    python -m benchmarks.scale_written --rows 1000000 --kind hash      (two minutes)

Real runs of every length are made of a drawn list, by the code that publishes; then the ladder's own rules
are played for 4,096 versions over their sizes. Beside it the minimum: what a version must write if a client
that missed one version, and one that comes cold, are to fetch what they do today.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.drawn import Drawn
from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum.format.head import RunRef
from vallum.format.rows import Rows
from vallum.format.section import Codec
from vallum.format.table import Table, count_tags
from vallum.path import shortest_path
from vallum.url import entry_form
from vallum_publisher.release.ladder import base_is_due, due_runs, keep_listed
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import edition_of

LONGEST = 1024
"""The version at which runs are made: one of each length begins there."""
PLAYED = 4096
METADATA = 11_000
"""Bytes: list role, snapshot, timestamp, the first two also packed (``benchmarks.scale`` measures them)."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of an edition's runs by length, and of its base."""

    runs: Mapping[int, int]
    base: int

    def of(self, run: RunRef) -> int:
        """Bytes of any run; between the lengths that were made it grows evenly."""
        length = run.end - run.start
        if run.start == 0:
            return self.base
        known = sorted(self.runs)
        at = bisect_left(known, length)
        if at == len(known) or known[at] == length:
            return self.runs[known[min(at, len(known) - 1)]]
        low, high = known[at - 1], known[at]
        share = (length - low) / (high - low)
        return round(self.runs[low] + share * (self.runs[high] - self.runs[low]))


def make_sizes(drawn: Drawn) -> dict[str, Sizes]:
    """Make the runs that end at one version, of each length, and the base; by edition."""
    keyer = Keyer(b"", 20 if drawn.kind == "url" else 0)
    end = LONGEST
    values = dict(row_of(drawn.kind, keyer, line) for line in drawn.first())
    touched: list[set[bytes]] = [set(), set()]
    for version in range(2, end + 1):
        removed = {row_of(drawn.kind, keyer, line)[0] for line in drawn.removed(version)}
        added = dict(row_of(drawn.kind, keyer, line) for line in drawn.added(version))
        for key in removed:
            del values[key]
        values |= added
        touched.append(removed | added.keys())
    rows = Rows.build(list(values), [()] * len(values), list(values.values()))
    full = Table(drawn.kind, "full", keyer.host_bits, 1, end, bytes(16), count_tags(rows), rows)
    sizes = {}
    for edition in ("full", "match"):
        tables = {"exact": edition_of(full, edition, "exact")}
        codec = Codec(drawn.kind, edition, ("exact",), keyer)
        runs = {}
        for length in (end - start for start in due_runs(end)):
            keys = sorted(set().union(*touched[end - length + 1 :]))
            runs[length] = len(make_run(codec, tables, end - length, 1, {"exact": keys}))
        sizes[edition] = Sizes(runs, len(make_run(codec, tables, 0, 1, {})))
    return sizes


def row_of(kind: str, keyer: Keyer, line: str) -> tuple[bytes, bytes]:
    """Key and value of one line of a drawn list."""
    if kind == "url":
        form = entry_form(line, Scope.URL)
        return keyer.url_key(Scope.URL, form), bytes([URL_TAGS[Scope.URL].code]) + form.encode()
    raw = bytes.fromhex(line)
    return keyer.digest_key("sha256", raw), bytes([DIGEST_TAGS["sha256"].code]) + raw


@dataclass
class Written:
    """Bytes that ``PLAYED`` versions wrote by length of run, how many bases, and what a cold start
    fetched on average over the heads."""

    runs: dict[int, int]
    bases: int
    cold: float


def play(sizes: Sizes) -> Written:
    """Publish ``PLAYED`` versions by the ladder's rules."""
    written: dict[int, int] = {}
    listed: list[RunRef] = []
    bases, cold = 0, 0
    for version in range(1, PLAYED + 1):
        for start in due_runs(version):
            run = RunRef(start, version, 1)
            if start == version - 1 or sizes.of(run) < sizes.base:
                listed.append(run)
                length = version - start
                written[length] = written.get(length, 0) + sizes.of(run)
        listed = keep_listed(listed)
        if base_is_due(listed, version, sizes.of):
            bases += 1
            listed = keep_listed([*listed, RunRef(0, version, 1)])
        cold += sum(map(sizes.of, shortest_path(listed, 0, version, sizes.of)))
    return Written(written, bases, cold / PLAYED)


def report(drawn: Drawn, edition: str, sizes: Sizes) -> None:
    """Print one edition's account."""
    done = play(sizes)
    print(f"\n{drawn.kind} {edition}, {drawn.rows:,} rows, {drawn.changes:,} changes a version")
    for length, size in sorted(done.runs.items()):
        each = f"{sizes.runs[length] / 1e3:>9,.1f} KB" if length in sizes.runs else " " * 12
        print(f"  runs of {length:>5}  {each} each  {size / PLAYED / 1e3:>7,.1f} KB a version")
    ladder = sum(done.runs.values()) / PLAYED
    based = done.bases * sizes.base / PLAYED
    print(f"  bases  {done.bases:>4}  each {sizes.base / 1e3:>8,.1f} KB  {based / 1e3:>7,.1f} KB a version")
    print(f"  metadata                        {METADATA / 1e3:>7,.1f} KB a version")
    print(f"  together                        {(ladder + based + METADATA) / 1e3:>7,.1f} KB a version")
    print(f"  a cold start fetches {done.cold / sizes.base:.3f} bases on average")
    # A step is written by any scheme; so is a base, as often as a cold start of this size needs. A tail grows
    # by a step a version at most, so with a base every n versions the mean cold start is base + n/2 steps.
    step = sizes.runs[1]
    apart = 2 * (done.cold - sizes.base) / step
    least = step + METADATA + sizes.base / apart
    print(
        f"  minimum for that cold start: {least / 1e3:,.1f} KB a version, the step {step / 1e3:,.1f} of it"
        f" and a base every {apart:,.0f} versions {sizes.base / apart / 1e3:,.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Account for what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=("hash", "url"), default="hash")
    parser.add_argument("--changes", type=int, default=1000)
    options = parser.parse_args(arguments)
    drawn = Drawn(options.kind, options.rows, options.changes)
    for edition, sizes in make_sizes(drawn).items():
        report(drawn, edition, sizes)


if __name__ == "__main__":
    main()
