"""What a client pays for a million rows: cold start, a step of a thousand changes, digest, memory.

Each figure is taken in a process of its own, beside a naive client that keeps rows as tuples and sorts them
anew; the last columns are ratios, so that the machine falls out. Seconds are of the processor, so that other
work on the machine falls out too. glibc is told to give large blocks back at once (``deploy/`` does so as
well): left alone it raises that bound by itself and keeps half a table's worth of holes. Run it::

    python benchmarks/format.py [ROWS]
"""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.columns import decompress, unpack
from vallum.format.removal import choose_removals, unique_bits
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, apply_run, format_run, parse_header, parse_run
from vallum.format.section import Codec, Section
from vallum.format.table import Table, count_tags, format_table, parse_table
from vallum.labels import LabelSet

CHANGES = 1000
STREAMS = (("url", "full"), ("url", "match"), ("hash", "full"), ("hash", "match"))
LABELS: list[LabelSet] = [(f"uk-sap:1:{code}",) for code in "ABC"] + [("ai_generated", "uk-sap:1:A"), ()]


def codec_of(kind: str, edition: str) -> Codec:
    """What reads the streams of this benchmark: public lists."""
    return Codec(kind, edition, ("exact",), Keyer(b"", 20 if kind == "url" else 0))


def draw(kind: str, rng: random.Random, keyer: Keyer) -> tuple[bytes, LabelSet, bytes]:
    """One row: its key, labels and value."""
    labels = LABELS[rng.randrange(len(LABELS))]
    if kind == "hash":
        digest = rng.randbytes(32)
        return keyer.digest_key("sha256", digest), labels, bytes((16,)) + digest
    host = f"{rng.choice(('www', 'img', 'cdn', 'a'))}.site-{int(rng.paretovariate(0.6)) % 300_000}.example"
    form = f"{host}/{rng.choice(('gallery', 'wp-content', 'img', 'x'))}/{rng.getrandbits(64):x}.html"
    return keyer.url_key(Scope.URL, form), labels, bytes((URL_TAGS[Scope.URL].code,)) + form.encode()


def prepare(folder: Path, kind: str, edition: str, rows: int) -> None:
    """Write a base to version 1, its table, and the run of ``CHANGES`` changes to version 2."""
    rng = random.Random(f"{kind}")
    codec = codec_of(kind, edition)
    drawn = list({row[0]: row for row in (draw(kind, rng, codec.keyer) for _ in range(rows))}.values())
    keys, labels, values = map(list, zip(*drawn, strict=True))
    base = make(codec, 0, 1, count(values), build(edition, keys, labels, values), ())
    (folder / "base.run").write_bytes(format_run(codec, base, 3))
    table = apply_run(parse_run(codec, (folder / "base.run").read_bytes()), {}, codec.keyer.host_bits)[
        "exact"
    ]
    (folder / "1.table").write_bytes(format_table(table))

    gone = set(rng.sample(range(len(keys)), CHANGES // 2))
    come = [draw(kind, rng, codec.keyer) for _ in range(CHANGES // 2)]
    union = sorted({*map(int.from_bytes, keys), *(int.from_bytes(row[0]) for row in come)})
    place = {key: at for at, key in enumerate(union)}
    removed = []
    for number in gone:
        key = int.from_bytes(keys[number])
        at = place[key]
        below, above = union[at - 1] if at else None, union[at + 1] if at + 1 < len(union) else None
        removed.append((key, unique_bits(key, below, above)))
    stays = [value for at, value in enumerate(values) if at not in gone] + [row[2] for row in come]
    adds = build(edition, [row[0] for row in come], [row[1] for row in come], [row[2] for row in come])
    step = make(codec, 1, 2, count(stays), adds, choose_removals(removed))
    (folder / "step.run").write_bytes(format_run(codec, step))


def build(edition: str, keys: list[bytes], labels: list[LabelSet], values: list[bytes]) -> Rows:
    """Columns of rows in the shape of an edition."""
    return Rows.build(keys, labels, values if edition == "full" else None)


def count(values: list[bytes]) -> Any:
    """Rows per tag of these values."""
    return count_tags(Rows.build([bytes((0,)) * 12] * len(values), [()] * len(values), values))


def make(codec: Codec, start: int, end: int, counts: Any, adds: Rows, removals: Any) -> Run:
    """A run of the one table."""
    header = RunHeader(codec.kind, codec.edition, 1, 1, start, end, 0)
    return Run(header, bytes(16), (Section("exact", counts, adds, removals),))


# Each of these runs in a process of its own; it returns what it wants to be printed.


def cold(folder: Path, codec: Codec) -> dict[str, float]:
    """From a base to a table. Like the client, it lets go of the file's bytes once they are decompressed."""
    data = memoryview((folder / "base.run").read_bytes())
    (table, seconds) = timed(lambda: apply_run(parse_run(codec, data), {}, codec.keyer.host_bits)["exact"])
    return {"s": seconds, "digest s": timed(table.digest)[1]}


def step(folder: Path, codec: Codec) -> dict[str, float]:
    """From a mapped table and a run to the next table and its digest."""
    data = (folder / "step.run").read_bytes()
    held = {"exact": parse_table(mapped(folder / "1.table"))}

    def work() -> Table:
        table = apply_run(parse_run(codec, data), held, codec.keyer.host_bits)["exact"]
        table.digest()
        return table

    return {"s": timed(work)[1]}


def naive_cold(folder: Path, codec: Codec) -> dict[str, float]:
    """The same with tuples."""
    return {"s": timed(lambda: naive_bytes(naive_rows(folder / "base.run", codec)))[1]}


def naive_step(folder: Path, codec: Codec) -> dict[str, float]:
    """The same with tuples, a dictionary and a sort."""
    rows = naive_rows(folder / "base.run", codec)

    def work() -> bytes:
        run = parse_run(codec, (folder / "step.run").read_bytes())
        held = {row[0]: row for row in rows}
        section = run.sections[0]
        for bits, prefixes in section.removals:
            wanted = set(prefixes)
            for key in [key for key in held if int.from_bytes(key) >> 96 - bits in wanted]:
                del held[key]
        adds = section.adds
        values = list(adds.iter_values()) or [b""] * len(adds)
        for at, key in enumerate(adds.keys()):
            held[key] = (key, adds.labels(at), values[at])
        return naive_bytes(sorted(held.values()))

    return {"s": timed(work)[1]}


def naive_rows(path: Path, codec: Codec) -> list[tuple[bytes, LabelSet, bytes]]:
    """Read a base into tuples, with the checks that a reader owes left out."""
    data = path.read_bytes()
    header, at = parse_header(data)
    section = unpack("run", decompress("run", data[at:], header.raw_max), 1 << 22)[1][0]
    sets = [tuple(labels) for labels in section[1]]
    if codec.edition == "match":
        run = parse_run(codec, data)
        return sorted(
            (key, run.sections[0].adds.labels(at), b"") for at, key in enumerate(run.sections[0].adds.keys())
        )
    rows = []
    if codec.kind == "url":
        backwards = ""
        for label, shared, rest, path_text in zip(
            section[2],
            section[4],
            section[5].decode().split("\n"),
            section[6].decode().split("\n"),
            strict=True,
        ):
            backwards = backwards[:shared] + rest
            form = ".".join(reversed(backwards.split("."))) + "/" + path_text
            rows.append((codec.keyer.url_key(Scope.URL, form), sets[label], b"\x01" + form.encode()))
        return sorted(rows)
    run = parse_run(codec, data)
    adds = run.sections[0].adds
    return [
        (key, adds.labels(at), value)
        for at, (key, value) in enumerate(zip(adds.keys(), adds.iter_values(), strict=True))
    ]


def naive_bytes(rows: list[tuple[bytes, LabelSet, bytes]]) -> bytes:
    """Columns made of tuples."""
    dictionary = {labels: at for at, labels in enumerate(sorted({row[1] for row in rows}))}
    return (
        b"".join(row[0][:8][::-1] for row in rows)
        + b"".join(row[0][8:][::-1] for row in rows)
        + bytes(dictionary[row[1]] for row in rows)
        + b"".join(len(row[2]).to_bytes(2) for row in rows)
        + b"".join(row[2] for row in rows)
    )


WORKS = {"cold": cold, "step": step, "naive_cold": naive_cold, "naive_step": naive_step}


def mapped(path: Path) -> Any:
    """A file's bytes without reading them."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the processor's seconds that it took."""
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(work: str, folder: str, kind: str, edition: str) -> None:
    """Do one piece of work and print its figures."""
    before = peak()
    figures = WORKS[work](Path(folder), codec_of(kind, edition))
    print(json.dumps({**figures, "peak": peak() - before, "whole": peak()}))


def measure(work: str, folder: Path, kind: str, edition: str) -> dict[str, float]:
    """Run :func:`child` and read its figures."""
    command = [sys.executable, __file__, "child", work, str(folder), kind, edition]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


COLUMNS = (
    "table MB",
    "cold s",
    "digest s",
    "step s",
    "mem cold",
    "mem step",
    "naive cold",
    "naive step",
    "naive mem",
)


def main(rows: int) -> None:
    """Print the table."""
    print(
        f"{rows:,} rows, a step of {CHANGES:,} changes (with its digest). mem: peak above an idle process, in"
    )
    print("tables. naive: its seconds, and its memory for a step, in ours.\n")
    print(" " * 11 + "".join(f"{column:>12}" for column in COLUMNS))
    for kind, edition in STREAMS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            subprocess.run([sys.executable, __file__, "prepare", name, kind, edition, str(rows)], check=True)
            size = (folder / "1.table").stat().st_size
            figures = {work: measure(work, folder, kind, edition) for work in WORKS}
        first, again = figures["cold"], figures["step"]
        naive_first, naive_again = figures["naive_cold"], figures["naive_step"]
        row = (
            size / 1e6, first["s"], first["digest s"], again["s"], first["peak"] / size, again["peak"] / size,
            naive_first["s"] / first["s"], naive_again["s"] / again["s"], naive_again["peak"] / again["peak"],
        )  # fmt: skip
        print(f"{kind + ' ' + edition:11}" + "".join(f"{figure:12.2f}" for figure in row), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["child", work, folder, kind, edition]:
            child(work, folder, kind, edition)
        case ["prepare", folder, kind, edition, rows]:
            prepare(Path(folder), kind, edition, int(rows))
        case [rows]:
            main(int(rows))
        case _:
            main(1_000_000)
