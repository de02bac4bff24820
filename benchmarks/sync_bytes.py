"""Bytes of runs and number of requests by how far a client lags, beside what others would send.

    python benchmarks/sync_bytes.py FEED            (the form of benchmarks/feed.py)
    python benchmarks/sync_bytes.py --rows 1000000 --kind url|hash

Metadata is what a client fetches beside runs when one list changed: timestamp, snapshot and list role, signed
with Ed25519, the latter two packed (client.md §2.6); one more request, for the next root, is answered 404.

Peers, in the same run: the minimal net change in the same codec; one text delta per version by zstd -19 (as
RRDP, NRTMv4 and ClamAV send); Safe Browsing v5's exact delta with 16-byte prefixes (a model: Rice-coded
additions, Rice-coded removal indices, a checksum); the full list as text by zstd -19.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import secrets
import statistics
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, TargetFile

from benchmarks.feed import Holdings, read_feed
from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum.format.columns import compress
from vallum.format.head import Head, RunRef
from vallum.format.section import Codec
from vallum.format.table import Table, build_table
from vallum.path import shortest_path
from vallum_publisher.catalog import ListRow
from vallum_publisher.release.ladder import base_is_due, due_runs, keep_listed
from vallum_publisher.release.metadata import list_role, make_snapshot, make_timestamp, meta_file
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import advance, edition_of

LAGS = (1, 4, 16, 64, 256, 1000)
EDITIONS = ("full", "match")
NAME = "exact"
NO_SALT = bytes(16)


@dataclass
class Ladder:
    """One edition's listed runs with their sizes."""

    sizes: dict[RunRef, int] = field(default_factory=dict)
    written: int = 0

    def add(self, start: int, end: int, size: int) -> None:
        """List a run."""
        self.sizes[RunRef(start, end, 1)] = size
        self.written += size
        self.sizes = {run: self.sizes[run] for run in keep_listed(self.sizes)}


class Model:
    """A list that lives through versions, with the ladder of each edition."""

    def __init__(self, kind: str, values: Iterable[bytes]) -> None:
        self.kind = kind
        self.keyer = Keyer(b"", 20 if kind == "url" else 0)
        self.codecs = {edition: Codec(kind, edition, (NAME,), self.keyer) for edition in EDITIONS}
        self.version = 0
        self.touched: list[set[bytes]] = [set()]
        self.values: dict[bytes, bytes] = {}
        self.ladders = {edition: Ladder() for edition in EDITIONS}
        self.table = build_table(
            kind=kind, edition="full", name=NAME, host_bits=self.keyer.host_bits, generation=1, version=0,
            salt=NO_SALT, counts=(),
        )  # fmt: skip
        self.step(dict.fromkeys(values, True))

    def key(self, value: bytes) -> bytes:
        """The key of a row's value."""
        if self.kind == "url":
            return self.keyer.url_key(Scope.URL, value[1:].decode())
        return self.keyer.digest_key("sha256", value[1:])

    def step(self, changes: dict[bytes, bool]) -> None:
        """Publish a version: values that are listed from now on, or not."""
        self.version += 1
        rows = [ListRow(self.key(value), value, () if listed else None) for value, listed in changes.items()]
        self.values |= {row.key: row.value for row in rows}
        rows.sort(key=lambda row: row.key)
        self.table = advance(self.table, self.version, NO_SALT, rows)
        self.touched.append({row.key for row in rows})
        for edition in EDITIONS:
            self._climb(edition, edition_of(self.table, edition, NAME))

    def since(self, start: int) -> list[bytes]:
        """Keys touched after ``start``."""
        return sorted(set().union(*self.touched[start + 1 :]))

    def _climb(self, edition: str, table: Table) -> None:
        ladder, codec = self.ladders[edition], self.codecs[edition]
        base = next((size for run, size in ladder.sizes.items() if run.start == 0), 0)
        for start in due_runs(self.version) if base else ():
            touched = self.since(start)
            if start < self.version - 1 and len(touched) > len(table.rows):
                continue
            size = len(make_run(codec, {NAME: table}, start, 1, {NAME: touched}))
            if start == self.version - 1 or size < base:
                ladder.add(start, self.version, size)
        if base_is_due(list(ladder.sizes), self.version, ladder.sizes.__getitem__):
            ladder.add(0, self.version, len(make_run(codec, {NAME: table}, 0, 1, {})))

    def path(self, edition: str, held: int) -> tuple[int, int]:
        """Bytes and number of the runs that a client at ``held`` fetches."""
        sizes = self.ladders[edition].sizes
        way = shortest_path(list(sizes), held, self.version, sizes.__getitem__)
        return sum(sizes[run] for run in way), len(way)

    def minimal(self, edition: str, start: int, listed_then: set[bytes]) -> int:
        """Bytes of the net change since ``start`` in the same codec: wrong for clients that straddle it."""
        table = edition_of(self.table, edition, NAME)
        net = [key for key in self.since(start) if (table.rows.find(key) is not None) != (key in listed_then)]
        return len(make_run(self.codecs[edition], {NAME: table}, start, 1, {NAME: net}))

    def metadata(self, edition: str) -> tuple[int, int]:
        """Bytes of metadata on the wire for a changed list, packed and plain."""
        stream, now = f"urls.{edition}", datetime(2026, 11, 25, tzinfo=UTC)
        ladder = self.ladders[edition]
        head = Head(
            1,
            self.version,
            {NAME: "0" * 64},
            now,
            now,
            259_200,
            900,
            {},
            tuple(sorted(ladder.sizes, key=lambda r: (r.start, r.end))),
        )
        files = {
            run: TargetFile(size, {"sha256": secrets.token_hex(32)}, run.target(stream, 1))
            for run, size in ladder.sizes.items()
        }
        role = signed(list_role(stream, head, files, now))
        meta = {
            name: meta_file(self.version, role)
            for name in ("targets.json", f"{stream}.json", "hashes.full.json")
        }
        snapshot = signed(make_snapshot(self.version, now, meta))
        timestamp = signed(make_timestamp(self.version, now, meta_file(self.version, snapshot)))
        packed = len(timestamp) + len(compress(snapshot, 19)) + len(compress(role, 19))
        return packed, len(timestamp) + len(snapshot) + len(role)


SIGNER = CryptoSigner.generate_ed25519()


def signed(content: Any) -> bytes:
    """Metadata as it lies in the store."""
    metadata = Metadata(content)
    metadata.sign(SIGNER)
    return bytes(metadata.to_bytes())


def rice_bytes(values: Sequence[int], bits: int) -> int:
    """Size of Safe Browsing's RiceDelta coding of distinct integers (first value, parameter, coded gaps)."""
    ordered = sorted(values)
    if not ordered:
        return 0
    gaps = [b - a for a, b in pairwise(ordered)]
    coded = 0
    if gaps:
        guess = max(0, int(math.log2(max(1, sum(gaps) / len(gaps)) * 0.69)))
        coded = min(
            sum((gap >> low) + 1 + low for gap in gaps) for low in range(max(0, guess - 1), guess + 3)
        )
    return bits // 8 + 3 + (coded + 7) // 8


def safe_browsing_bytes(before: set[bytes], after: set[bytes]) -> int:
    """Model of a v5 HashList partial update with 16-byte additions: the exact delta, checksum, version."""
    held = sorted(int.from_bytes(prefix) for prefix in before)
    removed = [bisect_left(held, int.from_bytes(prefix)) for prefix in before - after]
    added = [int.from_bytes(prefix) for prefix in after - before]
    return rice_bytes(added, 128) + rice_bytes(removed, 32) + 32 + 8


def text_of(value: bytes) -> str:
    """A row as others would write it."""
    return f"http://{value[1:].decode()}" if value[0] < 16 else value[1:].hex()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("feed", nargs="?", type=Path)
    parser.add_argument("--versions", type=int, default=2097)
    parser.add_argument("--rows", type=int, default=0, help="a synthetic list instead")
    parser.add_argument("--kind", choices=("url", "hash"), default="url")
    parser.add_argument("--changes", type=int, default=1000, help="per version of the synthetic list")
    parser.add_argument("--heads", type=int, default=150)
    options = parser.parse_args()
    random.seed(2026)
    began = time.monotonic()
    if options.rows:
        measure(
            synthetic(options.rows, options.kind, options.changes, options.versions), options.kind, options
        )
    else:
        measure(recorded(options.feed, options.versions), "url", options)
    print(f"{time.monotonic() - began:.0f} s")


def recorded(path: Path, versions: int) -> Iterator[dict[bytes, bool]]:
    """The changes of a recorded feed."""
    holdings, tag = Holdings(), bytes((URL_TAGS[Scope.URL].code,))
    for step in read_feed(path, versions):
        touched = holdings.apply(step)
        listed = holdings.forms()
        yield {tag + form.encode(): form in listed for form in touched}


def synthetic(rows: int, kind: str, changes: int, versions: int) -> Iterator[dict[bytes, bool]]:
    """A list of ``rows`` that changes by ``changes`` a version, half of them removals."""
    serial = 0

    def fresh() -> bytes:
        nonlocal serial
        serial += 1
        digest = hashlib.sha256(str(serial).encode()).digest()
        if kind == "hash":
            return bytes((DIGEST_TAGS["sha256"].code,)) + digest
        number = int.from_bytes(digest[:4])
        host = f"{'www.' if number & 1 else ''}{digest[4:9].hex()}{number % 977}.example"
        return b"\x01" + f"{host}/{digest[9:12].hex()}/{number % 10007}.html".encode()

    held = [fresh() for _ in range(rows)]
    yield dict.fromkeys(held, True)
    for _ in range(versions - 1):
        step = {}
        for _ in range(changes // 2):
            at = random.randrange(len(held))
            step[held[at]] = False
            held[at] = held[-1]
            held.pop()
        for _ in range(changes - changes // 2):
            held.append(fresh())
            step[held[-1]] = True
        yield step


def measure(steps: Iterator[dict[bytes, bool]], kind: str, options: argparse.Namespace) -> None:
    """Replay, look back from sampled heads, print means."""
    tag_first = next(steps)
    model = Model(kind, [value for value, listed in tag_first.items() if listed])
    zstd = zstandard.ZstdCompressor(level=19)
    text_delta = [0, 0]
    listed_at: list[set[bytes]] = [set(), {model.key(value) for value in tag_first}]
    prefix = {model.key(value): hashlib.sha256(value).digest()[:16] for value in tag_first}
    lags = [lag for lag in LAGS if lag < options.versions]
    first = (
        max(1, options.versions - 1097) if kind == "url" and not options.rows else max(lags, default=1) + 1
    )
    heads = set(
        random.sample(range(first, options.versions + 1), min(options.heads, options.versions - first))
    )
    totals: dict[tuple[str, int], list[int]] = {}
    cold: dict[str, list[int]] = {}
    for changes in steps:
        if not changes:
            continue
        model.step(changes)
        now = set(listed_at[-1])
        for value, listed in changes.items():
            key = model.key(value)
            prefix.setdefault(key, hashlib.sha256(value).digest()[:16])
            (now.add if listed else now.discard)(key)
        # Only the versions that a lag reaches back to are needed; sets share nothing, so drop the rest.
        listed_at.append(now)
        if len(listed_at) > max(lags) + 2:
            listed_at[len(listed_at) - max(lags) - 3] = set()
        lines = "".join(
            f"{'+' if listed else '-'}{text_of(value)}\n" for value, listed in sorted(changes.items())
        )
        text_delta.append(text_delta[-1] + len(zstd.compress(lines.encode())))
        if model.version not in heads:
            continue
        for edition in EDITIONS:
            size, fetches = model.path(edition, 0)
            cold.setdefault(edition, []).append(size)
            cold.setdefault(f"{edition} runs", []).append(fetches)
            packed, plain = model.metadata(edition)
            cold.setdefault(f"{edition} metadata", []).append(packed)
            cold.setdefault(f"{edition} metadata plain", []).append(plain)
        lines = "".join(sorted(f"{text_of(model.values[key])}\n" for key in now))
        cold.setdefault("zstd -19", []).append(len(zstd.compress(lines.encode())))
        for lag in lags:
            start = model.version - lag
            if start < 1:
                continue
            seen: dict[str, int] = {}
            for edition in EDITIONS:
                size, fetches = model.path(edition, start)
                seen[f"{edition}"] = size
                seen[f"{edition} runs"] = fetches
                seen[f"{edition} minimal"] = model.minimal(edition, start, listed_at[start])
            then = listed_at[start]
            seen["safe browsing"] = safe_browsing_bytes({prefix[k] for k in then}, {prefix[k] for k in now})
            seen["text deltas"] = text_delta[model.version] - text_delta[start]
            for what, number in seen.items():
                totals.setdefault((what, lag), []).append(number)
    report(totals, cold, lags, model)


def report(
    totals: dict[tuple[str, int], list[int]], cold: dict[str, list[int]], lags: list[int], model: Model
) -> None:
    """Print what was gathered."""
    heads = len(cold["full"])
    print(f"{model.version} versions, {len(model.table.rows):,} rows; mean bytes of runs over {heads} heads")
    headings = ["lag"]
    for edition, peer in (("full", "text deltas"), ("match", "Safe Browsing")):
        headings += [edition, "/minimal", f"/{peer}", "fetches", "at most"]
    print("  ".join(headings))
    ratios: dict[str, list[float]] = {"full": [], "match": []}
    for lag in lags:
        mean = {what: statistics.fmean(values) for (what, at), values in totals.items() if at == lag}
        cells = [f"{lag:>3}"]
        for edition, peer in (("full", "text deltas"), ("match", "safe browsing")):
            ratios[edition].append(mean[edition] / mean[f"{edition} minimal"])
            cells += [
                f"{mean[edition]:>{len(edition)},.0f}",
                f"{ratios[edition][-1]:>8.2f}",
                f"{mean[edition] / mean[peer]:>{len(peer) + 1}.2f}",
                f"{mean[f'{edition} runs']:>7.1f}",
                f"{max(totals[f'{edition} runs', lag]):>7}",
            ]
        print("  ".join(cells))
    for edition in EDITIONS:
        values, ladder = ratios[edition], model.ladders[edition]
        print(
            f"{edition}: /minimal on average {statistics.fmean(values):.2f}, at worst {max(values):.2f};"
            f" {ladder.written / model.version:,.0f} bytes written a version, {len(ladder.sizes)} runs listed"
        )
    for edition in EDITIONS:
        packed, plain = cold[f"{edition} metadata"], cold[f"{edition} metadata plain"]
        print(
            f"{edition}: metadata of a changed list {statistics.fmean(packed):,.0f} bytes on the wire,"
            f" at most {max(packed):,} (plain {statistics.fmean(plain):,.0f}); requests: 4 and the runs"
        )
    print(f"cold: at most {max(cold['full runs'] + cold['match runs'])} runs")
    full, text = statistics.fmean(cold["full"]), statistics.fmean(cold["zstd -19"])
    print(
        f"cold: full {full:,.0f}, the list as text by zstd -19 {text:,.0f}, ratio {full / text:.2f};"
        f" match {statistics.fmean(cold['match']):,.0f}"
    )


if __name__ == "__main__":
    main()
