"""What encryption costs: bytes by lag, time at a million rows, a rotation for a thousand recipients.

python benchmarks/sealing.py bytes FEED [--versions 1100]
python benchmarks/sealing.py time [--rows 1000000]
python benchmarks/sealing.py wraps [--recipients 1000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.sync_feed import History, read_changes
from benchmarks.sync_figures import EDITIONS, LAGS, NAME
from vallum.durable import write_durable
from vallum.expression import DIGEST_TAGS, Keyer
from vallum.format.columns import padme
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.keypair import PrivateKey, PublicKey, Suite, generate
from vallum.format.run import RUN_SALT_BYTES, apply_run, parse_run
from vallum.format.seal import TAG_BYTES, open_run
from vallum.format.section import Codec
from vallum.format.table import SALT_BYTES, build_table
from vallum.format.wrap import Secrets, cover_wraps, covers_wanted, open_wrap, seal_wrap
from vallum.path import shortest_path
from vallum_publisher.catalog import ListSpec
from vallum_publisher.recipients.custody import Member
from vallum_publisher.recipients.roster import Roster
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.runs import make_run
from vallum_publisher.workspace import Settings

_T = TypeVar("_T")
EPOCH, KEY = Epoch(bytes(16), "list.match", 1, 1), b"k" * 32
_HEADER = 14
"""Bytes of a public run's header, at the versions and sizes of the feed."""
_FIXED = RUN_SALT_BYTES + SALT_BYTES + 4 + TAG_BYTES
"""Bytes that a sealed run has beside a public one: run salt, table salt, length, tag."""


def timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """What it gives, and the least CPU seconds of three."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        result = work()
        seconds.append(time.process_time() - began)
    return result, min(seconds)


def sealed_sizes(size: int) -> tuple[int, int]:
    """What a public run of ``size`` bytes weighs sealed: without and with its padding."""
    body = size - _HEADER + _FIXED - RUN_SALT_BYTES
    return size + _FIXED, _HEADER + RUN_SALT_BYTES + padme(body)


def measure_bytes(feed: Path, versions: int) -> None:
    """Overhead by lag on a recorded feed."""
    history: History | None = None
    seen: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for changes in read_changes(feed, versions):
        if history is None:
            history = History(value for value, listed in changes.items() if listed)
            continue
        history.step(changes)
        if history.version <= versions - 150 or history.version % 3:
            continue
        for edition in EDITIONS:
            sizes = history.ladders[edition].sizes
            for lag in (lag for lag in LAGS if lag < history.version):
                way = shortest_path(list(sizes), history.version - lag, history.version, sizes.__getitem__)
                each = [(sizes[run], *sealed_sizes(sizes[run])) for run in way]
                total = (
                    sum(one[0] for one in each),
                    sum(one[1] for one in each),
                    sum(one[2] for one in each),
                )
                seen.setdefault((edition, lag), []).append(total)
    print("edition    lag    public    sealed   padding alone   all of encryption")
    for (edition, lag), totals in sorted(seen.items()):
        public, bare, padded = (statistics.fmean(column) for column in zip(*totals, strict=True))
        print(
            f"{edition:7} {lag:>6} {public:>9,.0f} {padded:>9,.0f}"
            f"{100 * (padded / bare - 1):>14.1f} % {100 * (padded / public - 1):>17.1f} %"
        )


def measure_time(rows: int) -> None:
    """A cold start of a million digests: decoding, applying, hashing, writing; public and sealed in turn."""
    for edition in EDITIONS:
        codec = Codec("hash", edition, (NAME,), Keyer(b"p" * 32, 0))
        tag = DIGEST_TAGS["sha256"].code
        digests = [sha256(at.to_bytes(8)).digest() for at in range(rows)]
        epoch = Epoch(EPOCH.uid, f"list.{edition}", 1, 1)
        forms: dict[str, tuple[Epoch, bytes] | None] = {"public": None, "sealed": (epoch, KEY)}
        runs: dict[str, bytes] = {}
        for form, key in forms.items():
            table = build_table(
                kind="hash",
                edition=edition,
                name=NAME,
                host_bits=0,
                generation=1,
                version=1,
                salt=b"t" * SALT_BYTES if key else bytes(SALT_BYTES),
                counts=((tag, rows),),
                keys=[codec.keyer.digest_key("sha256", raw) for raw in digests],
                labels=[("vallum:1:test",)] * rows,
                values=[bytes((tag,)) + raw for raw in digests],
            )
            runs[form] = make_run(codec, {NAME: table}, 0, 1, {}, key)
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for form, key in list(forms.items()) * 5:  # in turn, and the first of each only warms up
            began = time.process_time()
            run = parse_run(codec, runs[form]) if key is None else open_run(codec, runs[form], *key)
            tables = apply_run(run, {}, 0)
            tables[NAME].digest()
            with TemporaryDirectory() as folder:
                write_durable(Path(folder) / NAME, tables[NAME].chunks())
            seconds[form].append(time.process_time() - began)
        for form, data in runs.items():
            print(f"{edition:6} {form}: {len(data):>12,} bytes, {min(seconds[form][1:]):.2f} s of CPU")
        sealed, public = statistics.median(seconds["sealed"][1:]), statistics.median(seconds["public"][1:])
        print(f"{edition:6} sealed / public: {sealed / public:.2f}")


def measure_wraps(recipients: int) -> None:
    """A rotation for many recipients, and what one of them does."""
    contents = Secrets(KEY, b"p" * 32, b"s" * 32)
    commitment, pepper = commit_epoch(EPOCH, KEY), commit_pepper(EPOCH, contents.pepper)
    for suite in Suite:
        private = [generate(suite) for _ in range(recipients)]
        public = [key.public() for key in private]

        def wrap(public: list[PublicKey] = public, suite: Suite = suite) -> list[bytes]:
            real = [seal_wrap(EPOCH, contents, key) for key in public]
            covers = cover_wraps(EPOCH, commitment, suite, covers_wanted(len(real)))
            return real + [data for _, data in covers]

        wraps, sealing = timed(wrap)

        def unwrap(data: bytes = wraps[0], key: PrivateKey = private[0]) -> Secrets:
            return open_wrap(data, key, EPOCH, commitment, pepper)

        _, opening = timed(unwrap)
        print(
            f"{suite:16} {recipients:,} recipients: {len(wraps):,} wraps, {sum(map(len, wraps)):,} bytes, "
            f"{sealing:.2f} s of CPU; one client fetches {len(wraps[0]):,} bytes and opens them "
            f"in {1e3 * opening:.2f} ms"
        )


def measure_roster(recipients: int) -> None:
    """The same through catalog and store: letting them in, changing keys, letting one more in."""
    now = datetime.now(UTC)
    with TemporaryDirectory() as folder:
        workspace = init_workspace(Path(folder) / "publisher", Settings(name="Example Hotline"), now=now)
        with workspace.open_catalog() as catalog:
            desk = Publisher(workspace, catalog=catalog, store=workspace.open_store())
            desk.create_list(ListSpec("urls", "url", publisher="Example Hotline"), now=now)
            desk.publish("urls", now=now)
            roster = Roster(desk)
            members = [Member(f"member {at}", generate().public()) for at in range(recipients + 1)]
            for what, work in (
                (f"letting {recipients:,} in", lambda: roster.admit_all("urls.match", members[1:], now=now)),
                ("a rotation of both editions", lambda: roster.rotate("urls", now=now)),
                ("letting one more in", lambda: roster.admit_all("urls.match", members[:1], now=now)),
            ):
                began = time.process_time()
                work()
                print(f"{what}: {time.process_time() - began:.2f} s of CPU")


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("bytes", "time", "wraps"))
    parser.add_argument("feed", nargs="?", type=Path)
    parser.add_argument("--versions", type=int, default=1100)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--recipients", type=int, default=1000)
    options = parser.parse_args()
    if options.what == "bytes":
        measure_bytes(options.feed, options.versions)
    elif options.what == "time":
        measure_time(options.rows)
    else:
        measure_wraps(options.recipients)
        measure_roster(options.recipients)


if __name__ == "__main__":
    main()
