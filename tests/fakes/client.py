"""A client of the fake repository, whose every look at its own state asserts what must always hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tests.fakes.repository import Repository
from vallum.config import Config, Source
from vallum.errors import VallumError
from vallum.state import StreamState, read_current
from vallum.sync.report import StreamReport, SyncReport
from vallum.sync.transport import Transport
from vallum.sync.updater import Updater
from vallum.uptime import Uptime

InForce = dict[str, tuple[int, int, str]]
"""(generation, version, state) by ``source/stream``."""


class Client:
    """A machine in ``folder`` that follows all lists of ``repository``, or the streams named."""

    def __init__(self, repository: Repository, folder: Path, *streams: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.repository = repository
        self.config: Config = repository.config(folder, *streams)
        self.connect: Callable[[Source], Transport] = repository.connect

    @property
    def state(self) -> Path:
        return self.config.state

    def sync(self, now: datetime | None = None, uptime: Uptime | None = None) -> SyncReport:
        self.repository.requests.clear()
        with Updater(self.config, self.connect) as updater:
            # A machine that was on all the time, whatever moments a test lets pass.
            on = None if now is None else Uptime("test", int(now.timestamp()))
            report = updater.sync(now=now, wait_for_lock=0, uptime=uptime or on)
        self.in_force()
        return report

    def synced(self, now: datetime | None = None) -> StreamReport:
        """Sync, which must succeed; the report of the first list."""
        report = self.sync(now)
        assert report.ok, report.errors()
        return report.sources[0].streams[0]

    def refused(self, kind: type[VallumError], now: datetime | None = None) -> VallumError:
        """Sync, which must fail in one way only, and leave what is in force as it was."""
        before = self.in_force()
        report = self.sync(now)
        [(_, error)] = report.errors()
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        assert self.in_force() == before
        return error

    def in_force(self) -> InForce:
        """What a reader would find; every table file must be the signed one."""
        if not (self.state / "current.json").exists():
            return {}
        found: InForce = {}
        for source, stream, state in read_current(self.state).streams():
            for name, path in state.files(source, stream).items():
                digest = hashlib.sha256((self.state / path).read_bytes()).hexdigest()
                assert digest == state.head.tables[name], f"{path} is not the signed table"
            head = state.head
            found[f"{source}/{stream}"] = (head.generation, head.version, head.state)
        return found

    def held(self, stream: str = "urls.full", source: str = "hotline") -> StreamState:
        return read_current(self.state).sources[source].streams[stream]

    def files(self) -> set[str]:
        """Names of all files below the state, TUF's cache aside."""
        return {
            path.relative_to(self.state).as_posix()
            for path in self.state.rglob("*")
            if path.is_file() and "trust" not in path.parts
        }
