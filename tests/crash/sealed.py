"""An encrypted list for the scenes: a real publisher, seen by the client like the fake repository.

Not in tests/fakes: that one is written from the documents alone, and this one is the publisher itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

from tests.fakes.client import Client
from tests.fakes.memory_store import MemoryStore
from tests.fakes.repository import Repository
from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.config import Config, Source
from vallum.format.keypair import Suite
from vallum.sync.transport import Transport
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.release.readback import StoreTransport
from vallum_publisher.workspace import Settings


@dataclass
class _Seen:
    """What a client asks of a repository."""

    hotline: Hotline
    machine: Machine
    requests: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return NOW

    def config(self, _folder: Path, *_streams: str) -> Config:
        return self.machine.config

    def connect(self, _source: Source) -> Transport:
        return StoreTransport(self.hotline.store)


def entitled(folder: Path, *pages: str) -> Client:
    """A machine in ``folder`` whose key was admitted to an encrypted list of ``pages``; it has not synced."""
    store = MemoryStore()
    workspace = init_workspace(
        folder.parent / "publisher", Settings(name="Example Hotline"), now=NOW, store=store
    )
    catalog = workspace.open_catalog(create=True)
    hotline = Hotline(Publisher(workspace, catalog=catalog, store=store))
    hotline.create()
    machine = Machine(hotline, folder / "machine", suite=Suite.X25519)
    hotline.roster.admit("urls.match", "member", machine.key.public(), now=NOW)
    hotline.publish(pages)
    return Client(cast(Repository, _Seen(hotline, machine)), folder)


def hotline(client: Client) -> Hotline:
    """The publisher whose list an :func:`entitled` machine follows."""
    return cast(_Seen, client.repository).hotline
