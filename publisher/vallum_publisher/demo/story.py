"""The demo's steps: what a hotline, a provider and a thief would do, one after another, in one folder.

It uses the parts that the commands use. What it prints is what the README shows.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from io import BytesIO, StringIO
from pathlib import Path

import vallum
from vallum.config import Config
from vallum.errors import StateError
from vallum.invitation import parse_invitation, write_config
from vallum.sync.report import SyncReport
from vallum.sync.updater import Updater
from vallum.testrow import test_picture
from vallum_publisher.catalog import ListSpec, Mode
from vallum_publisher.demo.loopback import serve_folder
from vallum_publisher.intake import Format, read_records
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings, Workspace

VERSIONS = 8
PICTURES = 12
LISTED_URL = "HTTP://www.Lantern.example:80/gallery/./3.html#top"
CLEAN_URL = "https://www.lantern.example/gallery/4.html"
LISTS = (("urls", "url"), ("pictures", "hash"))

Say = Callable[[str], None]


@dataclass
class Row:
    """One line of the closing table."""

    client: str
    syncs: int = 0
    bytes: int = 0
    requests: int = 0
    seconds: float = 0.0
    versions: dict[str, int] = field(default_factory=dict)

    def add(self, report: SyncReport) -> None:
        """Count one sync."""
        self.syncs += 1
        self.bytes += report.bytes
        self.requests += report.requests
        self.seconds += report.seconds
        for source in report.sources:
            self.versions |= {each.stream: each.after for each in source.streams if each.after is not None}


@dataclass(frozen=True)
class Ending:
    """What the demo measured: clients, rows listed, versions published, seconds in all."""

    clients: tuple[Row, ...]
    rows: int
    versions: int
    seconds: float


def tell(folder: Path, say: Say) -> Ending:
    """Play the demo in an empty folder.

    Args:
        folder: where everything is made.
        say: told each step as one line.

    Raises:
        VallumError: something did not go as it must.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        url = stack.enter_context(serve_folder(_store(folder)))
        workspace = _found(folder, url, say)
        catalog = stack.enter_context(workspace.open_catalog())
        publisher = Publisher(workspace, catalog=catalog, store=workspace.open_store(), actor="demo")
        pictures = _pictures(folder)
        for name, kind in LISTS:
            publisher.create_list(ListSpec(name, kind, public=True, publisher="Demo Hotline"), now=_now())
        say("lists created: urls, pictures; each holds one harmless test row from the start")

        lagging, fresh = Row("lagging"), Row("fresh")
        configs = {row.client: _subscribe(publisher, folder / row.client) for row in (lagging, fresh)}
        for version in range(1, VERSIONS + 1):
            _publish(publisher, version, pictures)
            if version == 1:
                lagging.add(_sync(configs["lagging"]))
        say(
            f"published {VERSIONS} versions of each: entries come, go, come back; each read back and verified"
        )
        lagging.add(_sync(configs["lagging"]))
        fresh.add(_sync(configs["fresh"]))
        fresh.add(_sync(configs["fresh"]))
        say("synced: a fresh client, one that was seven versions behind, and a poll with nothing new")

        _look_up(configs["fresh"], pictures, say)
        _tamper(publisher, folder, configs["fresh"], say)
        rows = sum(each.rows for each in publisher.status(now=_now()).lists)
    return Ending((fresh, lagging), rows, VERSIONS, time.monotonic() - began)


def _found(folder: Path, url: str, say: Say) -> Workspace:
    workspace = init_workspace(
        folder / "hotline",
        Settings(name="Demo Hotline", contact="+44 20 7946 0000", store=str(_store(folder)), public_url=url),
        now=_now(),
        root_keys=1,
        root_threshold=1,
    )
    say("hotline founded; its root of trust is 1-of-1 for this demo only, a real one is 2-of-3 and offline")
    return workspace


def _store(folder: Path) -> Path:
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    return store


def _pictures(folder: Path) -> list[Path]:
    """Small grey pictures, drawn here: nobody has to hold real material to try this."""
    made = folder / "pictures"
    made.mkdir()
    paths = []
    for number in range(PICTURES + 1):
        paths.append(made / f"{number}.png")
        paths[-1].write_bytes(test_picture(f"demo-{number}"))
    return paths


def _subscribe(publisher: Publisher, folder: Path) -> Config:
    return write_config(folder / "vallum.toml", parse_invitation(publisher.invite()), "demo")


def _publish(publisher: Publisher, version: int, pictures: list[Path]) -> None:
    urls = "".join(f"{line}\n" for line in _sample(version)).encode()
    records = read_records(BytesIO(urls), kind="url", format=Format.CSV)
    publisher.catalog.apply("urls", records, mode=Mode.REPLACE, actor="demo", now=_now())
    listed = [path for at, path in enumerate(pictures[:PICTURES]) if (at + version) % 4 or at == 0]
    digests = "".join(f"{sha256(path.read_bytes()).hexdigest()}\n" for path in listed).encode()
    records = read_records(BytesIO(digests), kind="hash", format=Format.TEXT)
    publisher.catalog.apply("pictures", records, mode=Mode.REPLACE, actor="demo", now=_now())
    for name, _ in LISTS:
        publisher.publish(name, now=_now())


def _sample(version: int) -> Iterator[str]:
    """The bundled list as the hotline would have exported it at a version: CSV lines."""
    text = resources.files("vallum_publisher.demo").joinpath("urls.csv").read_text("utf-8")
    yield "url,scope,labels,ref"
    for row in csv.DictReader(StringIO(text)):
        if int(row["first"]) <= version <= int(row["last"]):
            yield f"{row['url']},{row['scope']},{row['labels']},{row['ref']}"


def _sync(config: Config) -> SyncReport:
    report = Updater(config).sync(now=_now())
    for _, error in report.errors():
        raise error
    return report


def _look_up(config: Config, pictures: list[Path], say: Say) -> None:
    with vallum.open(config.state) as lists:
        questions = (
            (LISTED_URL, lists.match_url(LISTED_URL), True),
            (CLEAN_URL, lists.match_url(CLEAN_URL), False),
            ("picture 0", lists.match_file(pictures[0]), True),
            (f"picture {PICTURES}", lists.match_file(pictures[PICTURES]), False),
        )
    for what, matches, expected in questions:
        if bool(matches) != expected:
            raise StateError(f"the demo's look-up {what} went wrong")
        answer = (
            f"LISTED, id {matches[0].id}, {', '.join(matches[0].labels) or 'no labels'}" if matches else "-"
        )
        say(f"check {what}: {answer}")


def _tamper(publisher: Publisher, folder: Path, good: Config, say: Say) -> None:
    """Flip one byte of every run in the store; a newcomer must refuse, whoever holds a list must keep it."""
    runs = sorted((_store(folder) / "targets").rglob("*.run"))
    for run in runs:
        data = bytearray(run.read_bytes())
        data[len(data) // 2] ^= 1
        run.unlink()
        run.write_bytes(data)
    say(f"tampered: one bit flipped in each of the {len(runs)} runs of the store")
    report = Updater(_subscribe(publisher, folder / "victim")).sync(now=_now())
    errors = report.errors()
    if not errors:
        raise StateError("a tampered run was accepted")
    say(f"a newcomer refuses: {errors[0][1]}")
    _sync(good)
    with vallum.open(good.state) as lists:
        if not lists.match_url(LISTED_URL):
            raise StateError("the last good list was lost")
    say("the client that holds the list keeps it and goes on matching")


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the demo is a command line of its own
