"""Replays a recorded feed through the real publisher and store, with clients that lag by various amounts.

    python benchmarks/replay.py FEED --versions 300
    python benchmarks/replay.py FEED --versions 300 --store 's3://lists?endpoint=http://127.0.0.1:8333' \\
        --public-url http://127.0.0.1:8333/lists

Each client's table is compared with the expected set after each of its syncs. Bytes are bodies of everything
that a sync fetched, metadata included; the full list is printed beside it as text, plain and by zstd -19.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import zstandard

from benchmarks.feed import Holdings, Step, read_feed
from vallum.config import Config
from vallum.expression import URL_TAGS, Scope
from vallum.format.table import parse_table
from vallum.invitation import Invitation, write_config
from vallum.state import read_current
from vallum.sync.updater import Updater
from vallum_publisher.catalog import ListSpec, Mode, Record
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings

LIST, STREAM = "urls", "urls.full"
TAG = URL_TAGS[Scope.URL].code
TEST_FORM = "test.vallum.example/urls"


@dataclass
class Client:
    """One subscriber and what its syncs cost."""

    name: str
    config: Config
    every: int
    bytes: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def sync(self, expected: set[str]) -> None:
        """Sync, and compare what is in force with what is expected."""
        began = time.perf_counter()
        report = Updater(self.config).sync()
        self.seconds.append(time.perf_counter() - began)
        for where, error in report.errors():
            raise SystemExit(f"{self.name}: {where}: {error}")
        self.bytes.append(report.bytes)
        self.requests.append(report.requests)
        self.runs.append(sum(len(stream.path) for source in report.sources for stream in source.streams))
        ((source, stream, state),) = read_current(self.config.state).streams()
        path = self.config.state / state.files(source, stream)["exact"]
        data = path.read_bytes()
        assert sha256(data).hexdigest() == state.head.tables["exact"], f"{self.name}: not the signed table"
        held = {value[1:].decode() for value in parse_table(data).rows.iter_values()}
        assert held == expected | {TEST_FORM}, f"{self.name}: the table is not the expected set"


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("feed", type=Path)
    parser.add_argument("--versions", type=int, default=300)
    parser.add_argument("--store", default="store", help="a folder (by default a temporary one) or s3://…")
    parser.add_argument("--public-url", default="", help="where clients fetch from, if not the folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        replay(Path(folder), options)


def replay(folder: Path, options: argparse.Namespace) -> None:
    """Publish every version, let clients sync when it is their turn, print what it cost."""
    now = datetime.now(UTC)
    workspace = init_workspace(
        folder / "hotline",
        Settings(name="Replay", store=options.store),
        now=now,
        root_keys=1,
        root_threshold=1,
    )
    url = options.public_url or str(folder / "hotline" / options.store)
    root = workspace.root_bytes()

    def client(name: str, every: int) -> Client:
        invitation = Invitation("Replay", "", url, (STREAM,), root)
        return Client(name, write_config(folder / name / "vallum.toml", invitation, "replay"), every)

    clients = [client("every version", 1), client("every 16th", 16), client("every 256th", 256)]
    holdings = Holdings()
    publishing: list[float] = []
    uploaded = refused = 0
    with workspace.open_catalog() as catalog:
        publisher = Publisher(workspace, catalog=catalog, store=workspace.open_store(), actor="replay")
        publisher.create_list(ListSpec(LIST, "url", public=True, publisher="Replay"), now=now)
        for number, step in enumerate(read_feed(options.feed, options.versions), start=1):
            refused += step.refused
            holdings.apply(step)
            ingest(publisher, step)
            began = time.perf_counter()
            published = publisher.publish(LIST, now=datetime.now(UTC))
            publishing.append(time.perf_counter() - began)
            uploaded += published.uploaded
            for subscriber in clients:
                if number % subscriber.every == 0:
                    subscriber.sync(holdings.forms())
            if sys.stderr.isatty():
                print(f"\r{number} of {options.versions}", end="", file=sys.stderr)
        cold = client("cold", 0)
        cold.sync(holdings.forms())
    show([*clients, cold], holdings.forms())
    print(
        f"{published.version} versions, publish mean {statistics.fmean(publishing):.3f} s,"
        f" {uploaded / published.version:,.0f} bytes of runs uploaded a version; {refused} URLs refused"
    )


def ingest(publisher: Publisher, step: Step) -> None:
    """Apply one step; a URL's digest stands for the report number, since two URLs may have one form."""
    now = datetime.now(UTC)
    for changes, mode in ((step.remove, Mode.REMOVE), (step.add, Mode.ADD)):
        records = [Record(TAG, form, sha256(url.encode()).hexdigest()[:16]) for url, form in changes.items()]
        if records:
            publisher.catalog.apply(LIST, records, mode=mode, actor="replay", now=now)


def show(clients: list[Client], forms: set[str]) -> None:
    """Print the table."""
    text = "".join(f"http://{form}\n" for form in sorted(forms)).encode()
    packed = zstandard.ZstdCompressor(level=19).compress(text)
    print(f"the full list: {len(forms):,} URLs, {len(text):,} bytes as text, {len(packed):,} by zstd -19")
    print("means per sync; share is of the full list by zstd -19")
    print(f"{'client':<14} {'syncs':>5} {'bytes':>9} {'requests':>8} {'runs':>5} {'seconds':>7} {'share':>7}")
    for client in clients:
        if not client.bytes:
            continue
        means = [statistics.fmean(v) for v in (client.bytes, client.requests, client.runs, client.seconds)]
        fetched, requests, runs, seconds = means
        print(
            f"{client.name:<14} {len(client.bytes):>5} {fetched:>9,.0f} {requests:>8.1f} {runs:>5.1f}"
            f" {seconds:>7.3f} {fetched / len(packed):>7.1%}"
        )


if __name__ == "__main__":
    main()
