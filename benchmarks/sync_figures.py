"""What benchmarks/sync_bytes.py gathers, and how it is printed."""

from __future__ import annotations

import secrets
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, TargetFile

from vallum.format.columns import compress
from vallum.format.head import Head, RunRef
from vallum_publisher.release.metadata import list_role, make_snapshot, make_timestamp, meta_file

LAGS = (1, 4, 16, 64, 256, 1000)
FRONTIER = (4, 8, 12, 16, 24)
"""Other shares of the base that the way from it may weigh, whatever bases write then."""
EDITIONS = ("full", "match")
PEERS = {"full": "text deltas", "match": "Safe Browsing"}
NAME = "exact"
NO_SALT = bytes(16)


class Way(NamedTuple):
    """What a client fetches: bytes of runs, and their number."""

    size: int
    fetches: int


class Choice(NamedTuple):
    """A share at which bases are renewed, and its price: bytes of a cold start, and written a version."""

    edition: str
    share: int
    cold: float
    written: float
    fetches: int


class Wire(NamedTuple):
    """Metadata of a changed list in bytes: as fetched (packed), and plain."""

    packed: int
    plain: int


@dataclass
class Figures:
    """Everything measured, a value per head.

    Attributes:
        ways: by edition and lag.
        sizes: of ``minimal`` changes and of the ``peer``'s, by edition and lag.
        cold, metadata: by edition.
        text: the whole list by zstd -19.
        written: bytes of runs per version, by edition.
        frontier: other rules of renewing bases, if they were asked for.
    """

    versions: int = 0
    rows: int = 0
    ways: dict[tuple[str, int], list[Way]] = field(default_factory=dict)
    sizes: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)
    cold: dict[str, list[Way]] = field(default_factory=dict)
    metadata: dict[str, list[Wire]] = field(default_factory=dict)
    text: list[int] = field(default_factory=list)
    written: dict[str, float] = field(default_factory=dict)
    frontier: list[Choice] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, what: str, edition: str, lag: int, size: int) -> None:
        """Note a size."""
        self.sizes.setdefault((what, edition, lag), []).append(size)

    def tell(self, doing: str) -> None:
        """Say on the terminal's last line, else a line each, what is done now."""
        start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
        print(f"{start}{time.monotonic() - self.began:6.0f} s  {doing}", end=end, file=sys.stderr, flush=True)

    def report(self) -> None:
        """Print the tables."""
        heads = len(self.cold["full"])
        print(f"{self.versions} versions, {self.rows:,} rows; mean bytes of runs over {heads} heads")
        headings = ["lag ", *(f"{edition:>12}  /minimal  /{PEERS[edition]}  fetches" for edition in EDITIONS)]
        print("".join(headings))
        ratios: dict[str, list[float]] = {edition: [] for edition in EDITIONS}
        for lag in LAGS:
            cells = [f"{lag:>4}"]
            for edition in EDITIONS if ("full", lag) in self.ways else ():
                ways = self.ways[edition, lag]
                mean = statistics.fmean(way.size for way in ways)
                minimal = statistics.fmean(self.sizes["minimal", edition, lag])
                peer = statistics.fmean(self.sizes["peer", edition, lag])
                ratios[edition].append(mean / minimal)
                fetches = statistics.fmean(way.fetches for way in ways)
                most = max(way.fetches for way in ways)
                cells.append(f"{mean:>12,.0f}{mean / minimal:>10.2f}")
                cells.append(f"{mean / peer:>{len(PEERS[edition]) + 3}.2f}{fetches:>5.1f}, {most:>2}")
            print("".join(cells))
        for edition in EDITIONS:
            values, cold, metadata = ratios[edition], self.cold[edition], self.metadata[edition]
            print(
                f"{edition}: /minimal on average {statistics.fmean(values):.2f}, at worst {max(values):.2f};"
                f" {self.written[edition]:,.0f} bytes of runs written a version"
            )
            print(
                f"  cold {statistics.fmean(way.size for way in cold):,.0f} bytes in at most"
                f" {max(way.fetches for way in cold)} fetches"
            )
            packed = [wire.packed for wire in metadata]
            print(
                f"  metadata of a changed list {statistics.fmean(packed):,.0f} bytes on the wire, at most"
                f" {max(packed):,} (plain {statistics.fmean(wire.plain for wire in metadata):,.0f});"
                " requests: 4 and the runs"
            )
        text = statistics.fmean(self.text)
        full = statistics.fmean(way.size for way in self.cold["full"])
        print(f"the list as text by zstd -19: {text:,.0f}; full cold in it: {full / text:.2f}")
        for one in self.frontier:
            print(
                f"  {one.edition}: bases at 1/{one.share}: cold {one.cold / text:.3f} of the text,"
                f" {one.written:,.0f} bytes of runs written a version, {one.fetches} fetches"
            )


def count_metadata(edition: str, version: int, sizes: Mapping[RunRef, int]) -> Wire:
    """Bytes of timestamp, snapshot and list role of a changed list."""
    stream, now = f"urls.{edition}", datetime(2026, 11, 25, tzinfo=UTC)
    head = Head(
        generation=1,
        version=version,
        tables={NAME: "0" * 64},
        created=now,
        as_of=now,
        max_age=259_200,
        min_poll=900,
        epochs={},
        runs=tuple(sorted(sizes, key=lambda run: (run.start, run.end))),
    )
    files = {
        run: TargetFile(size, {"sha256": secrets.token_hex(32)}, run.target(stream, 1))
        for run, size in sizes.items()
    }
    role = _signed(list_role(stream, head, files, now))
    meta = {name: meta_file(version, role) for name in ("targets.json", f"{stream}.json", "hashes.full.json")}
    snapshot = _signed(make_snapshot(version, now, meta))
    timestamp = _signed(make_timestamp(version, now, meta_file(version, snapshot)))
    packed = len(timestamp) + len(compress(snapshot, 19)) + len(compress(role, 19))
    return Wire(packed, len(timestamp) + len(snapshot) + len(role))


_SIGNER = CryptoSigner.generate_ed25519()


def _signed(content: Any) -> bytes:
    """Metadata as it lies in the store."""
    metadata = Metadata(content)
    metadata.sign(_SIGNER)
    return bytes(metadata.to_bytes())
