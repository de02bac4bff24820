"""A publisher whose keys are changed, and a client that follows before, during and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Signed, Snapshot, Targets, Timestamp

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, fill, url
from vallum.config import Config, Source
from vallum.durable import make_folder
from vallum.errors import VallumError
from vallum.state import read_current
from vallum.sync.updater import Updater
from vallum_publisher.release.holders import Holder, read_holders
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import StoreTransport
from vallum_publisher.release.repository import TIMESTAMP_KEY
from vallum_publisher.release.rotation import Rotation
from vallum_publisher.store import METADATA, TIMESTAMP

STREAM = "urls.full"


@dataclass
class Machine:
    """A client. What was in force stays in force whenever a sync is refused: each look asserts it."""

    config: Config
    store: MemoryStore

    def synced(self) -> tuple[int, int]:
        """Sync, which must succeed; generation and version that are in force."""
        report = self._sync()
        assert report == [], report
        return self.in_force()

    def refused(self, kind: type[VallumError] = VallumError) -> VallumError:
        """Sync, which must fail and leave what is in force as it was."""
        before = self.in_force()
        errors = self._sync()
        assert len(errors) == 1, errors
        assert isinstance(errors[0], kind), f"{type(errors[0]).__name__}: {errors[0]}"
        assert self.in_force() == before
        return errors[0]

    def tries(self) -> tuple[int, int]:
        """Sync, which may fail; generation and version that are in force."""
        self._sync()
        return self.in_force()

    def in_force(self) -> tuple[int, int]:
        head = read_current(self.config.state).sources["hotline"].streams[STREAM].head
        return head.generation, head.version

    def _sync(self) -> list[VallumError]:
        transport = StoreTransport(self.store)
        report = Updater(self.config, lambda _source: transport).sync(wait_for_lock=0)
        return [error for _, error in report.errors()]


def follow(publisher: Publisher, store: MemoryStore, folder: Path) -> Machine:
    """A machine that starts from the publisher's present root, synced."""
    make_folder(folder)
    root = folder / "hotline.root.json"
    root.write_bytes(publisher.repository.root_bytes)
    source = Source("hotline", "https://lists.hotline.example/v", root, (STREAM,))
    machine = Machine(Config(folder / "state", (source,)), store)
    machine.synced()
    return machine


@dataclass
class Scene:
    """The publisher, its store, and one client."""

    publisher: Publisher
    store: MemoryStore
    client: Machine

    def rotation(self) -> Rotation:
        return Rotation(self.publisher)

    def holders(self) -> list[Holder]:
        return read_holders(self.publisher.repository, self.publisher.workspace)

    def publish(self, *forms: str) -> tuple[int, int]:
        """Make these all that the list holds, and publish it."""
        fill(self.publisher.catalog, "urls", [url(form) for form in forms])
        done = self.publisher.publish("urls", now=NOW)
        return done.generation, done.version

    def signer(self, name: str) -> CryptoSigner:
        """A copy of a key file, as a thief would have it."""
        path = self.publisher.workspace.folder / "keys" / f"{name}.pem"
        [key] = [
            entry.key for entry in self.publisher.workspace.signers() if entry.uri.endswith(f"/{name}.pem")
        ]
        return CryptoSigner.from_priv_key_uri(f"file2:{path}", key)


@dataclass
class Thief:
    """Somebody with copies of keys and with rights to write into the store."""

    publisher: Publisher
    online: CryptoSigner
    list_key: CryptoSigner | None = None

    def jump(
        self,
        number: int,
        roles: dict[str, Targets] | None = None,
        meta: Mapping[str, MetaFile] | None = None,
    ) -> None:
        """Sign timestamp and snapshot at ``number``, roles with the list's key, and put all of it there."""
        tip = self.publisher.repository.tip()
        named = dict(tip.meta if meta is None else meta)
        for role, content in (roles or {}).items():
            assert self.list_key is not None
            content.version = number
            data = self._sign(content, self.list_key)
            self.publisher.store.create(f"metadata/{number}.{role}.json", data, METADATA)
            named[f"{role}.json"] = MetaFile.from_data(number, data, ["sha256"])
        assert tip.snapshot is not None
        assert tip.timestamp is not None
        snapshot = Snapshot(number, expires=tip.snapshot.expires, meta=named)
        data = self._sign(snapshot, self.online)
        self.publisher.store.create(f"metadata/{number}.snapshot.json", data, METADATA)
        file = MetaFile.from_data(number, data, ["sha256"])
        timestamp = Timestamp(number, expires=tip.timestamp.expires, snapshot_meta=file)
        self.put(self._sign(timestamp, self.online))

    def put(self, timestamp: bytes) -> None:
        held = self.publisher.store.get(TIMESTAMP_KEY)
        self.publisher.store.replace(TIMESTAMP_KEY, timestamp, TIMESTAMP, held.tag if held else None)

    def timestamp(self) -> bytes:
        held = self.publisher.store.get(TIMESTAMP_KEY)
        assert held is not None
        return held.data

    def _sign(self, content: Signed, signer: CryptoSigner) -> bytes:
        metadata: Metadata[Any] = Metadata(content)
        metadata.sign(signer)
        return metadata.to_bytes()
