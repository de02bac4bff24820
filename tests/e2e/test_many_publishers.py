"""Eight publishers on one store and one PostgreSQL catalog, in processes of their own; a reader meanwhile.

Each has a list of its own, so that all want the head at once and every publication is a version; and they
share one, where whoever publishes takes along what the others have added. The normal suite runs a few
publications each; with ``VALLUM_PUBLICATIONS=50`` there are 400 and those of the shared list.

SQLite, the default, has one writer at a time, and says so to a second one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.e2e.rival_publisher import SHARED, SHARED_EVERY, own_list, serial
from tests.release.scenes import NOW, digest, listed_values, url
from tests.servers.s3 import S3Server, environment
from vallum.invitation import Invitation, write_config
from vallum.state import read_current
from vallum.sync.updater import Updater
from vallum_publisher.catalog import Catalog, ListSpec, Mode, Record, open_catalog
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import StoreTransport
from vallum_publisher.store import ObjectStore
from vallum_publisher.workspace import Settings

PUBLISHERS = 8
PUBLICATIONS = int(os.environ.get("VALLUM_PUBLICATIONS", "4"))
LISTS = [*map(own_list, range(PUBLISHERS)), SHARED]
WORKER = Path(__file__).with_name("rival_publisher.py")
PROJECT = Path(__file__).parents[2]


class Reader(threading.Thread):
    """Syncs all lists again and again; keeps every state that came into force, and every error."""

    def __init__(self, folder: Path, store: ObjectStore, root: bytes) -> None:
        super().__init__()
        streams = tuple(f"{name}.full" for name in LISTS)
        invitation = Invitation("Example", "", "https://lists.hotline.example/v", streams, root)
        folder.mkdir()
        self.config = write_config(folder / "vallum.toml", invitation, "hotline")
        self.seen: dict[tuple[str, int], dict[str, str]] = {}
        self.errors: list[str] = []
        self.syncs = 0
        self._updater = Updater(self.config, lambda _source: StoreTransport(store))
        self._newest: dict[str, int] = {}
        self._last = threading.Event()

    def run(self) -> None:
        """Read until told to stop, and once more."""
        last = False
        try:
            while not last:
                last = self._last.is_set()
                self._read()
                time.sleep(0.05)
        except Exception as error:  # a thread's own end would go unnoticed
            self.errors.append(repr(error))

    def _read(self) -> None:
        report = self._updater.sync()
        self.syncs += 1
        self.errors += [f"{where}: {error}" for where, error in report.errors()]
        if not (self.config.state / "current.json").exists():
            return
        for source, stream, state in read_current(self.config.state).streams():
            held = {
                f"full.{table}": sha256((self.config.state / path).read_bytes()).hexdigest()
                for table, path in state.files(source, stream).items()
            }
            assert state.head.version >= self._newest.get(stream, 0)
            self._newest[stream] = state.head.version
            self.seen.setdefault((stream, state.head.version), held)
            assert self.seen[stream, state.head.version] == held

    def finish(self) -> None:
        """Stop after one more sync."""
        self._last.set()
        self.join()


@pytest.mark.parametrize("server", ["seaweedfs", "radosgw"])
def test_eight_publishers_lose_and_double_nothing(
    request: pytest.FixtureRequest, server: str, tmp_path: Path, postgresql_url: str
) -> None:
    s3: S3Server = request.getfixturevalue(server)
    s3.make_bucket("rivals")
    with environment(s3.admin):
        first = _found(tmp_path / "0", s3.uri("rivals", tmp_path.name), postgresql_url, hashes=LISTS)
        store, root = first.store, first.workspace.root_bytes()
        for number in range(1, PUBLISHERS):
            shutil.copytree(tmp_path / "0", tmp_path / str(number))
        reader = Reader(tmp_path / "reader", store, root)
        reader.start()
        began = time.monotonic()
        try:
            outputs = _run_all(tmp_path)
        finally:
            seconds = time.monotonic() - began
            reader.finish()
        print(
            f"{s3.name}: {PUBLISHERS} x {PUBLICATIONS} publications in {seconds:.0f} s, {reader.syncs} syncs"
        )
        with first.catalog as catalog:
            first.verify()
            _check_versions(catalog, outputs)
            _check_reader(reader, catalog)
        for number in range(PUBLISHERS):
            expected = {serial(number, at) for at in range(PUBLICATIONS)}
            assert listed_values(store, root, f"{own_list(number)}.full") == _values(expected)
        assert listed_values(store, root, f"{SHARED}.full") == _values(_shared())


def _found(
    folder: Path, store: str, catalog: str, urls: Sequence[str] = (), hashes: Sequence[str] = ()
) -> Publisher:
    workspace = init_workspace(folder, Settings("Example", store=store, catalog=catalog), now=NOW)
    publisher = Publisher(workspace, catalog=workspace.open_catalog(), store=workspace.open_store())
    for kind, names in (("url", urls), ("hash", hashes)):
        for name in names:
            publisher.create_list(ListSpec(name, kind, public=True), now=NOW)
    return publisher


def _run_all(folder: Path) -> list[str]:
    """Run all publishers to their ends; what each printed."""
    workers = [
        subprocess.Popen(
            [sys.executable, WORKER, folder / str(number), str(number), str(PUBLICATIONS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
        for number in range(PUBLISHERS)
    ]
    ended = [worker.communicate() for worker in workers]
    for worker, (_, errors) in zip(workers, ended, strict=True):
        assert worker.returncode == 0, errors[-3000:]
    return [output for output, _ in ended]


def _check_versions(catalog: Catalog, outputs: list[str]) -> None:
    published = Counter(
        (record.list, record.details["version"]) for record in catalog.audit() if record.action == "publish"
    )
    assert set(published.values()) == {1}
    for number, output in enumerate(outputs):
        name = own_list(number)
        said = [int(line.split()[1]) for line in output.splitlines() if line.startswith(f"{name} ")]
        versions = catalog.versions(name)
        assert said == [version.version for version in versions] == list(range(1, PUBLICATIONS + 1))
        assert [version.changes for version in versions] == [2] + [1] * (PUBLICATIONS - 1)  # the test row
    shared = catalog.versions(SHARED)
    assert [version.version for version in shared] == list(range(1, len(shared) + 1))
    assert sum(version.changes for version in shared) == 1 + len(_shared())
    assert sum(published.values()) == PUBLISHERS * PUBLICATIONS + len(shared)


def _check_reader(reader: Reader, catalog: Catalog) -> None:
    assert not reader.errors, reader.errors[:5]
    for info in catalog.lists():
        stream = f"{info.name}.full"
        recorded = {(stream, version.version): version.tables for version in catalog.versions(info.name)}
        seen = {which: tables for which, tables in reader.seen.items() if which[0] == stream}
        assert seen.items() <= recorded.items()
        assert (stream, info.version) in seen


def _shared() -> set[int]:
    return {serial(number, at) for number in range(PUBLISHERS) for at in range(0, PUBLICATIONS, SHARED_EVERY)}


def _values(serials: set[int]) -> set[bytes]:
    records = map(digest, serials)
    return {
        bytes((record.tag,)) + bytes(record.value) for record in records if isinstance(record.value, bytes)
    }


def test_publishers_of_one_catalog_take_turns(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One at a time; whoever holds up the others does so for a while only."""
    order: list[str] = []

    def take(name: str, ready: threading.Barrier) -> None:
        with open_catalog(postgresql_url) as catalog:
            ready.wait()
            with catalog.turn():
                order.append(name)

    with open_catalog(postgresql_url) as first:
        with first.turn():
            ready = threading.Barrier(2)
            thread = threading.Thread(target=take, args=("second", ready))
            thread.start()
            ready.wait()
            thread.join(0.5)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]
        monkeypatch.setattr("vallum_publisher.catalog.engine._TURN_MILLISECONDS", 200)
        with first.turn():
            thread = threading.Thread(target=take, args=("impatient", ready))
            thread.start()
            ready.wait()
            thread.join()
            assert order == ["first", "second", "impatient"]
            first.lists()  # the catalog is no less to be used meanwhile
    with open_catalog(tmp_path / "catalog.sqlite") as catalog, catalog.turn(), catalog.turn():
        pass  # of SQLite there is one writer anyway


def test_sqlite_tells_a_second_writer_to_wait_and_lets_readers_pass(tmp_path: Path) -> None:
    first = _found(tmp_path / "0", "store", "catalog.sqlite", ["urls"])
    half_read, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[Record]:
        yield url("a.example/x")
        half_read.set()
        go_on.wait(60)
        yield url("b.example/y")

    def ingest() -> None:
        first.catalog.apply("urls", slowly(), mode=Mode.ADD, actor="first", now=NOW)

    (tmp_path / "more.txt").write_text("http://c.example/z\n")
    writer = threading.Thread(target=ingest)
    writer.start()
    try:
        assert half_read.wait(60)
        second = [_command(tmp_path / "0", *words) for words in (_ADD, ["publish", "urls"])]
        code, said = _ended(_command(tmp_path / "0", "diff", "urls"))
        assert code == 0, said
        for refused in second:
            code, said = _ended(refused)
            assert code not in (0, 1), said
            assert "another process is writing to the catalog" in said
            assert "PostgreSQL" in said
    finally:
        go_on.set()
        writer.join()
    for words in (_ADD, ["publish", "urls"]):
        code, said = _ended(_command(tmp_path / "0", *words))
        assert code == 0, said
    first.catalog.close()
    values = listed_values(first.store, first.workspace.root_bytes(), "urls.full")
    assert values == {b"\x01a.example/x", b"\x01b.example/y", b"\x01c.example/z"}


_ADD = ["ingest", "urls", "more.txt", "--add"]


def _command(home: Path, *words: str) -> subprocess.Popen[str]:
    program = Path(sys.executable).with_name("vallum-publisher")
    return subprocess.Popen(
        [program, "-C", home, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home.parent,
    )


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it said on its error output."""
    with process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said
