"""A poll, beside a bare ``tuf.ngclient.Updater`` that does the same in the same run. On loopback.

    python -m benchmarks.poll [--rows 20000] [--rounds 30]

Both poll one repository of one list, and of five, that a process of its own serves as nginx would (ETags,
connections kept). *No change*: nothing was published since. *Change*: one list of them got ten rows and lost
ten. The peer refreshes, asks for every head, and downloads what it does not have; it looks into nothing,
keeps no list and judges nothing. A second peer is served the same lists as one file each, targets of a TUF
repository of their own, and downloads what has changed whole (``whole file``). Processor time is the
process's own, in milliseconds: the median over the rounds, in which one runs after the other. ``from cron``
is a whole new process, its imports included, in a Python that has no boto3, as on a client's machine
(securesystemslib would load it).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, Queue
from pathlib import Path

from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater as Tuf
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from tests.fakes.repository import Repository, listed
from vallum.config import Config
from vallum.sync.updater import Updater

CHANGED = 10
WITHOUT_BOTO3 = "import sys; sys.modules['boto3'] = sys.modules['botocore'] = sys.modules['pkcs11'] = None; "


@dataclass
class Poll:
    """What one poll took: milliseconds of this process, requests, bytes of bodies."""

    cpu: float
    requests: int
    size: int


class Counting(Urllib3Fetcher):
    """The peer's own fetcher, which also counts."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = self.size = 0

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.requests += 1
        for chunk in super()._fetch(url):
            self.size += len(chunk)
            yield chunk


class Peer:
    """A bare TUF client: refresh, every head, and what they list that is not here yet."""

    def __init__(self, folder: Path, url: str, root: bytes, streams: tuple[str, ...]) -> None:
        self._folder, self._url, self._root, self._streams = folder, url, root, streams
        self._fetcher = Counting()
        for name in ("metadata", "targets"):
            (folder / name).mkdir(parents=True)

    def poll(self) -> Poll:
        fetcher = self._fetcher
        fetcher.requests = fetcher.size = 0
        began = time.process_time()
        tuf = Tuf(
            str(self._folder / "metadata"), f"{self._url}/metadata/", str(self._folder / "targets"),
            f"{self._url}/targets/", fetcher, bootstrap=self._root,
        )  # fmt: skip
        tuf.refresh()
        self._fetch(tuf)
        return Poll((time.process_time() - began) * 1000, fetcher.requests, fetcher.size)

    def _fetch(self, tuf: Tuf) -> None:
        for stream in self._streams:
            head = tuf.get_targetinfo(f"{stream}/head")
            assert head is not None
            said = head.custom["vallum"]
            start, end, epoch = said["runs"][-1]
            _download(tuf, f"{stream}/{said['generation']}-{epoch}-{start}-{end}.run")


class WholePeer(Peer):
    """A bare TUF client of lists that are one file each."""

    def _fetch(self, tuf: Tuf) -> None:
        for stream in self._streams:
            _download(tuf, stream)


def _download(tuf: Tuf, name: str) -> None:
    target = tuf.get_targetinfo(name)
    assert target is not None
    if not tuf.find_cached_target(target):
        tuf.download_target(target)


class Ours:
    """The client, as a service that stays."""

    def __init__(self, config: Config) -> None:
        self._updater = Updater(config)

    def poll(self) -> Poll:
        began = time.process_time()
        report = self._updater.sync()
        spent = (time.process_time() - began) * 1000
        assert report.ok, report.errors()
        return Poll(spent, report.requests, report.bytes)


def _serve(folder: str, port: Queue[int]) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = Path(folder + self.path)
            data = path.read_bytes() if path.is_file() else b""
            tag = f'"{sha256(data).hexdigest()[:16]}"'
            status = 404 if not data else 304 if self.headers.get("If-None-Match") == tag else 200
            data = data if status == 200 else b""
            head = f"HTTP/1.1 {status} x\r\nETag: {tag}\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)  # one packet: two would wait for each other (Nagle)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    ports: Queue[int] = Queue()
    process = Process(target=_serve, args=(str(folder), ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.kill()


class Bench:
    """One repository of ``lists`` lists, and both clients of it."""

    def __init__(self, folder: Path, url: str, lists: int, rows: int) -> None:
        self._folder, self._rows = folder, rows
        self._repository = made = Repository()
        self._content = [f"bad{number}.example/page" for number in range(rows)]
        for number in range(lists):
            made.create(f"urls{number}")
            made.release(f"urls{number}", listed(*self._content))
        self._whole = Repository()
        self._publish()
        self._step = 0
        config = made.config(folder)
        sources = tuple(replace(source, url=url, proxy="none") for source in config.sources)
        self.config = replace(config, sources=sources)
        self.url, self.root, self.streams = url, made.first_root, sources[0].streams
        self.ours = Ours(self.config)
        self.peer = Peer(folder / "peer", url, made.first_root, self.streams)
        root = self._whole.first_root
        self.whole = WholePeer(folder / "whole-peer", f"{url}/whole", root, self.streams)

    def _publish(self) -> None:
        store, whole = self._folder / "store", self._whole
        self._repository.write_to(store)
        for name in self._repository.lists:
            stream = self._repository.stream(name)
            lines = self._content if name == "urls0" or stream not in whole.targets.signed.targets else None
            if lines is not None:
                data = "\n".join(lines).encode()
                target = TargetFile.from_data(stream, data, ["sha256"])
                whole.targets.signed.targets[stream] = target
                whole.objects[f"targets/{target.hashes['sha256']}.{stream}"] = data
        whole.publish()
        whole.write_to(store / "whole")

    def change(self) -> None:
        self._step += 1
        for number in range(CHANGED):
            self._content[(self._step * CHANGED + number) % self._rows] = f"new{self._step}.example/{number}"
        history = self._repository.lists["urls0"]
        history.spans = [(history.version, history.version + 1)]
        self._repository.release("urls0", listed(*self._content))
        self._publish()

    def compare(self, rounds: int, before: Callable[[], None]) -> tuple[list[Poll], list[Poll], list[Poll]]:
        """Ours, and the two peers, each in its turn."""
        found: tuple[list[Poll], list[Poll], list[Poll]] = ([], [], [])
        sides = [*zip(found, (self.ours.poll, self.peer.poll, self.whole.poll), strict=True)]
        for number in range(rounds):
            before()
            for polls, poll in sides if number % 2 else reversed(sides):
                polls.append(poll())
        return found


def row(what: str, ours: list[Poll], peer: list[Poll]) -> str:
    cpu = [statistics.median(poll.cpu for poll in side) for side in (ours, peer)]
    cells = [
        f"{side[-1].requests:>3} {statistics.median(poll.size for poll in side):>9,.0f} {spent:>8.2f}"
        for side, spent in zip((ours, peer), cpu, strict=True)
    ]
    return f"{what:<28} {cells[0]}   {cells[1]}   {cpu[0] / cpu[1]:>6.2f}"


def cron(program: str, rounds: int) -> float:
    """Processor milliseconds of a new process that runs ``program``, the median."""
    found = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", WITHOUT_BOTO3 + program], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    return statistics.median(found)


def from_cron(bench: Bench, folder: Path, rounds: int) -> str:
    config = bench.config
    path = folder / "vallum.toml"
    lists = ", ".join(f'"{stream}"' for stream in config.sources[0].streams)
    path.write_text(
        f'state = "{config.state}"\n[[source]]\nname = "hotline"\nurl = "{bench.url}"\nproxy = "none"\n'
        f'root = "{config.sources[0].root}"\nlists = [{lists}]\n'
    )
    ours = (
        f"sys.argv = ['vallum', '-c', {str(path)!r}, 'sync', '--json']; sys.stdout = open('/dev/null', 'w'); "
        "from vallum.cli import main; main()"
    )
    peer = (
        "from pathlib import Path; from tuf.ngclient import Updater; "
        f"folder = {str(folder / 'peer')!r}; url = {bench.url!r}; "
        f"tuf = Updater(folder + '/metadata', url + '/metadata/', folder + '/targets', url + '/targets/', "
        f"bootstrap=Path({str(config.sources[0].root)!r}).read_bytes()); tuf.refresh(); "
        f"[tuf.get_targetinfo(stream + '/head') for stream in {list(bench.streams)!r}]"
    )
    subprocess.run([sys.executable, "-c", WITHOUT_BOTO3 + ours], check=True)
    spent = cron(ours, rounds), cron(peer, rounds)
    cells = "   ".join(f"{'':>13} {milliseconds:>8.0f}" for milliseconds in spent)
    return f"{'no change, from cron':<28} {cells}   {spent[0] / spent[1]:>6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=30)
    said = parser.parse_args()
    print(f"{'':<28} {'vallum: requests, bytes, ms':>22}   {'bare tuf: the same':>22}   ratio")
    for lists in (1, 5):
        with tempfile.TemporaryDirectory() as name, serving(Path(name) / "store") as url:
            folder = Path(name)
            bench = Bench(folder, url, lists, said.rows)
            bench.compare(2, lambda: None)
            several = f"{lists} list{'s' * (lists > 1)}"
            for what, rounds, before in (
                ("no change", said.rounds, lambda: None),
                ("change", said.rounds // 3, bench.change),
            ):
                ours, peer, whole = bench.compare(rounds, before)
                print(row(f"{what}, {several}", ours, peer), flush=True)
                print(row("  the same, whole file", ours, whole), flush=True)
            if lists == 1:
                print(from_cron(bench, folder, max(3, said.rounds // 6)), flush=True)


if __name__ == "__main__":
    main()
