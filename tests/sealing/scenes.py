"""A publisher of an encrypted list, recipients on machines of their own, and a store that anyone may read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, url
from vallum.config import Config, Source
from vallum.errors import VallumError
from vallum.format.keypair import PrivateKey, Suite, generate
from vallum.recipient import write_key
from vallum.sync.report import SyncReport
from vallum.sync.transport import Answer
from vallum.sync.updater import Updater
from vallum_publisher.catalog import ListSpec, Mode
from vallum_publisher.recipients.roster import Roster
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import StoreTransport

URLS = ListSpec("urls", "url", publisher="Example Hotline")


@dataclass
class Hotline:
    """The publisher, and what it does in one line each."""

    publisher: Publisher

    @property
    def store(self) -> MemoryStore:
        store = self.publisher.store
        assert isinstance(store, MemoryStore)
        return store

    @property
    def roster(self) -> Roster:
        return Roster(self.publisher)

    def create(self, spec: ListSpec = URLS) -> None:
        self.publisher.create_list(spec, now=NOW)

    def publish(self, forms: Iterable[str]) -> int:
        """Make these (and the test row) all that the list holds."""
        info = self.publisher.catalog.get_list("urls")
        self.publisher.catalog.apply(
            "urls",
            [url(form) for form in forms],
            mode=Mode.REPLACE,
            actor="test",
            now=NOW,
            pepper=self.publisher.custody.pepper(info),
        )
        return self.publisher.publish("urls", now=NOW).version

    def objects(self) -> dict[str, bytes]:
        """Everything that a stranger can copy."""
        found = {}
        for item in self.store.list():
            stored = self.store.get(item.key)
            assert stored is not None
            found[item.key] = stored.data
        return found


class _Tampering(StoreTransport):
    """The way to a store on which somebody has put other bytes in some places."""

    def __init__(self, store: MemoryStore, swapped: dict[str, bytes]) -> None:
        super().__init__(store)
        self._swapped = swapped

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        if name in self._swapped:
            return Answer(200, iter([self._swapped[name]]))
        return super().get(name, etag=etag, fresh=fresh)


class Machine:
    """A subscriber with a key."""

    def __init__(
        self,
        hotline: Hotline,
        folder: Path,
        stream: str = "urls.match",
        key: PrivateKey | None = None,
        suite: Suite = Suite.HYBRID,
    ) -> None:
        folder.mkdir(parents=True)
        self.key = key or generate(suite)
        write_key(folder / "recipient.key", self.key)
        (folder / "root.json").write_bytes(hotline.publisher.workspace.root_bytes())
        self.stream = stream
        source = Source(
            "hotline",
            "https://lists.example",
            folder / "root.json",
            (stream,),
            recipient=folder / "recipient.key",
        )
        self.config = Config(folder / "state", (source,))
        self.store = hotline.store
        self.swapped: dict[str, bytes] = {}

    def updater(self) -> Updater:
        """A process that polls."""
        connect = _Tampering(self.store, self.swapped)
        return Updater(self.config, lambda _source: connect)

    def sync(self) -> SyncReport:
        return self.updater().sync(now=NOW, wait_for_lock=0)

    def synced(self) -> int:
        """Sync, which must succeed; the version that is in force now."""
        report = self.sync()
        assert report.ok, report.errors()
        after = report.sources[0].streams[0].after
        assert after is not None
        return after

    def refused(self, kind: type[VallumError]) -> VallumError:
        """Sync, which must fail, and leave what is in force as it was."""
        current = self.config.state / "current.json"
        before = _in_force(current)
        [(_, error)] = self.sync().errors()
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        assert _in_force(current) == before
        return error

    def path(self) -> list[tuple[int, int]]:
        """Sync, and the runs that led there."""
        report = self.sync()
        assert report.ok, report.errors()
        return list(report.sources[0].streams[0].path)

    def files(self) -> dict[str, bytes]:
        state = self.config.state
        return {
            str(path.relative_to(state)): path.read_bytes() for path in state.rglob("*") if path.is_file()
        }

    def mode(self, name: str) -> int:
        return (self.config.state / name).stat().st_mode & 0o777


def _in_force(current: Path) -> object:
    from vallum.state import parse_current

    if not current.exists():
        return []
    streams = parse_current(current.read_bytes()).streams()
    return [(stream, state.head.version, state.head.state) for _, stream, state in streams]
