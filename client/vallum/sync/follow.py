"""One list of one source: from its charter and head to verified table files (client.md §4 to §6).

What is written here is referred to by nobody yet; bringing it into force is :mod:`vallum.sync.activate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.metadata import TargetFile

from vallum.durable import make_folder, os_errors, remove_files, write_durable
from vallum.errors import (
    ConfigError,
    DataError,
    FetchError,
    GuardError,
    NotEntitledError,
    StateError,
    StorageError,
    TrustError,
    VallumError,
)
from vallum.format import limits
from vallum.format.charter import Charter, check_unchanged, split_stream
from vallum.format.epoch import Epoch
from vallum.format.head import Head, RunRef
from vallum.format.section import Codec
from vallum.format.table import Table
from vallum.journal import record
from vallum.path import shortest_path
from vallum.state import StreamState
from vallum.sync.apply import apply_listed, check_head_fits, check_tables
from vallum.sync.fetch import AbsentError
from vallum.sync.floor import EquivocationError, Floor, Mark
from vallum.sync.judge import Judge, absurd
from vallum.sync.keys import SourceKeys
from vallum.sync.quarantine import Quarantine, Quarantined, mark
from vallum.sync.roles import TopLevel
from vallum.sync.tables import FILE_MODE, FOLDER_MODE, folder_bytes, open_tables, write_tables
from vallum.sync.trust import Repository

WORKERS = 6
"""Runs fetched at a time."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one source lives on this machine, and how many bytes it may fill there."""

    state_dir: Path
    name: str
    quota: int

    @property
    def folder(self) -> Path:
        """The source's own folder."""
        return self.state_dir / self.name


@dataclass(frozen=True, slots=True)
class Followed:
    """A stream whose version is on disk, verified.

    Attributes:
        state: what would be in force.
        expires: expiry of the list's role.
        path: runs that led there; empty if the tables were there.
        warning: why the first path failed, if a second one was taken.
    """

    state: StreamState
    expires: datetime = NEVER
    path: tuple[RunRef, ...] = ()
    warning: VallumError | None = None


@dataclass(frozen=True, slots=True)
class Follower:
    """What following one source's streams needs."""

    place: Place
    repository: Repository
    top: TopLevel
    floor: Floor
    judge: Judge
    keys: SourceKeys

    @property
    def quarantine(self) -> Quarantine:
        """Where absurd versions of this source are kept."""
        return Quarantine(self.place.state_dir, self.place.name)

    def follow(self, stream: str, held: StreamState | None) -> Followed | None:
        """Bring the newest version of a stream onto this disk; ``None`` if it has none yet.

        Raises:
            ConfigError: the repository has no such list or edition.
            GuardError: the version is absurd; it is in quarantine, and ``held`` stays.
            DataError: what the publisher or the wire sent is refused; ``held`` stays.
            UnavailableError: the store or this disk does not do its part; ``held`` stays.
        """
        charter = self._charter(stream, held)
        head = self.repository.head(stream)
        if head is None:
            # 4.3: a list that had a version here has not become one that never had any.
            if held is not None or stream in self.floor.streams:
                raise TrustError(f"{stream}: it has no head any more", hint="call the publisher")
            return None
        check_head_fits(stream, charter, head)  # 4.4
        role, expires = self.repository.role(stream)
        state = StreamState(charter, head)
        try:
            self.floor.check_head(stream, head)  # 4.5
        except EquivocationError:
            self._keep_evidence(stream, head, role)
            raise
        if held is not None and held.pin is not None and self.judge.now < held.pin.until:
            return Followed(held, expires)  # 6.8
        followed = self._bring(stream, state, held, role)
        self._write_role(stream, head, role)
        self.keys.forget(stream, head)
        return replace(followed, expires=expires)

    def _bring(self, stream: str, state: StreamState, held: StreamState | None, role: bytes) -> Followed:
        """Bring the tables of a version onto this disk, and have them judged."""
        head, place = state.head, self.place
        pepper = self.keys.pepper(stream, state.charter, head)  # 4.6
        codec = state.charter.codec(split_stream(stream)[1], pepper)
        files = state.files(place.name, stream)
        there = open_tables(place.state_dir, files, head.tables)
        same = held if held is not None and mark(held.head) == mark(head) else None
        if same is not None and there:
            if self.quarantine.offered_again(stream, head):
                self.quarantine.drop(stream)  # it was accepted, and the acceptance was cut short
            return Followed(replace(state, window=same.window))
        before = (
            open_tables(place.state_dir, held.files(place.name, stream), held.head.tables) if held else {}
        )
        aside = self.quarantine.offered_again(stream, head)
        if aside is not None and aside.rejected:
            raise absurd(stream, state, ("the operator has rejected it",))
        path: tuple[RunRef, ...] = ()
        warning: VallumError | None = None
        tables = there or (self.quarantine.tables(stream, state) if aside else {})
        if not tables:
            tables, path, warning = self._build(stream, codec, state, held, before)
            self._check_quota(
                sum(memoryview(chunk).nbytes for table in tables.values() for chunk in table.chunks())
            )
        if same is not None:
            window = same.window
        else:
            try:
                window = self.judge.window(stream, state, held, before, tables, codec.keyer)  # 6.6
            except GuardError as error:
                self._set_aside(stream, state, error, tables, role, aside)
                raise
        if not there:
            write_tables(place.state_dir, files, tables)
        self.quarantine.drop(stream)
        return Followed(replace(state, window=window), path=path, warning=warning)

    def _set_aside(
        self,
        stream: str,
        state: StreamState,
        error: GuardError,
        tables: Mapping[str, Table],
        role: bytes,
        aside: Quarantined | None,
    ) -> None:
        """Keep an absurd version for a person to decide, and say so once (client.md §6.7)."""
        head, now = state.head, self.judge.now
        about = Quarantined(state, aside.since if aside else now, error.reasons)
        if aside is None:
            details = {
                "source": self.place.name, "list": stream, "generation": head.generation,
                "version": head.version, "state": head.state, "reasons": list(error.reasons),
            }  # fmt: skip
            record(self.place.state_dir, now, "quarantined", details)
        self.quarantine.keep(stream, about, tables, role)

    def _charter(self, stream: str, held: StreamState | None) -> Charter:
        name, edition = split_stream(stream)
        charter = self.repository.charter(name)
        if charter is None:
            if held is not None or stream in self.floor.streams:  # 4.1
                raise TrustError(f"{stream}: the list is not chartered any more", hint="call the publisher")
            raise ConfigError(
                f"the repository has no list named {name!r}",
                hint=f"it has: {', '.join(self.top.lists) or 'none'}",
            )
        if held is not None:
            check_unchanged(held.charter, charter)  # 4.2
        if edition not in charter.editions or stream not in self.top.streams:
            raise ConfigError(
                f"the list {name!r} has no edition {edition!r}", hint=f"it has: {', '.join(charter.editions)}"
            )
        return charter

    def _build(
        self,
        stream: str,
        codec: Codec,
        state: StreamState,
        held: StreamState | None,
        before: dict[str, Table],
    ) -> tuple[dict[str, Table], tuple[RunRef, ...], VallumError | None]:
        """Lead the tables to the head; by a base if the first way fails (client.md §6.5)."""
        head = state.head
        tables: dict[str, Table] = {}
        version = 0
        # 5.1: a version of another generation counts as none.
        if held is not None and held.head.generation == head.generation and before:
            tables, version = before, held.head.version
        way = self._way(stream, state, self._runs(stream, head), version)
        path = way.path
        try:
            return self._lead(stream, codec, head, way, tables), path, None
        except _RunFailed as failed:
            first = failed.why
            # A store that is down, or a full disk, is no better on the second way.
            if not isinstance(first, DataError | AbsentError) or (failed.ref is None and path[0].start == 0):
                raise first from None
            rest = {ref: run for ref, run in way.runs.items() if ref != failed.ref}
        try:
            way = self._way(stream, state, rest, 0)
        except StateError:
            raise first from None
        try:
            return self._lead(stream, codec, head, way, {}), way.path, first
        except _RunFailed as failed:
            raise failed.why from first

    def _runs(self, stream: str, head: Head) -> dict[RunRef, TargetFile]:
        """Return the runs of the head that the role really holds and that we would take (client.md §5.3)."""
        runs: dict[RunRef, TargetFile] = {}
        for ref in head.runs:
            run = self.repository.run(stream, head.generation, ref)
            if run is not None and run.length <= limits.RUN:
                runs[ref] = run
        return runs

    def _way(self, stream: str, state: StreamState, runs: Mapping[RunRef, TargetFile], version: int) -> _Way:
        """The cheapest path over runs whose epoch's key is held or can be fetched (client.md §5.2)."""
        charter, head = state.charter, state.head
        keys: dict[int, tuple[Epoch, bytes]] = {}
        while True:
            path = _path(runs, version, head)
            wanted = {ref.epoch for ref in path} - keys.keys() if charter.pepper is not None else set()
            if not wanted:
                return _Way(runs, path, keys)
            for number in wanted:
                try:
                    key = self.keys.epoch_key(stream, charter, head, number)
                except NotEntitledError:
                    # A newcomer has the current epoch's key only: its runs and its base are his way.
                    runs = {ref: run for ref, run in runs.items() if ref.epoch != number}
                else:
                    keys[number] = Epoch(charter.uid, stream, head.generation, number), key

    def _lead(
        self, stream: str, codec: Codec, head: Head, way: _Way, tables: dict[str, Table]
    ) -> dict[str, Table]:
        runs, path = way.runs, way.path
        self._check_quota(sum(runs[ref].length for ref in path))
        staging = self.place.folder / "staging"
        make_folder(staging, FOLDER_MODE)
        with ThreadPoolExecutor(min(WORKERS, len(path)), "vallum-run") as pool:
            files = [staging / f"{stream}-{ref.start}-{ref.end}.run" for ref in path]
            fetched = [
                pool.submit(self._download, runs[ref], file) for ref, file in zip(path, files, strict=True)
            ]
            try:
                for ref, file, done in zip(path, files, fetched, strict=True):
                    try:
                        done.result()
                        with os_errors(file, "read"):
                            data = memoryview(file.read_bytes())
                        sealed = way.keys.get(ref.epoch)
                        tables = apply_listed(codec, head.generation, ref, data, tables, sealed)
                    except VallumError as error:
                        raise _RunFailed(ref, error) from None
            finally:
                pool.shutdown(cancel_futures=True)
                remove_files(files)
        try:
            check_tables(head, tables)  # 6.4
        except StateError as error:
            raise _RunFailed(None, error) from None
        return tables

    def _download(self, run: TargetFile, file: Path) -> None:
        try:
            self.repository.download(run, file)
        except AbsentError:
            raise
        except FetchError:
            # 6.1: a body that broke off is asked for once more.
            self.repository.download(run, file)

    def _check_quota(self, more: int) -> None:
        if folder_bytes(self.place.folder) + more > self.place.quota:
            raise StorageError(
                f"source {self.place.name} would fill more than its quota of {self.place.quota} bytes",
                hint="raise `quota` in the source if its lists are meant to be so large",
            )

    def _write_role(self, stream: str, head: Head, role: bytes) -> None:
        """Keep the signed role beside the tables (client.md §7.2)."""
        path = self.place.state_dir / role_file(self.place.name, stream, head)
        if not path.exists():
            write_durable(path, [role], mode=FILE_MODE)

    def _keep_evidence(self, stream: str, head: Head, role: bytes) -> None:
        folder = self.place.folder / "evidence"
        make_folder(folder, FOLDER_MODE)
        held = self.place.state_dir / role_file(self.place.name, stream, self.floor.streams[stream])
        offered = role_file(self.place.name, stream, head)
        pieces = [(offered.name, role)]
        if held.exists():
            with os_errors(held, "read"):
                pieces.append((held.name, held.read_bytes()))
        for name, data in pieces:
            write_durable(folder / f"{stream}-{name}", [data], mode=FILE_MODE, exclusive=True)


@dataclass(frozen=True, slots=True)
class _Way:
    """Runs that may be used, the cheapest path over them, and its epochs' keys."""

    runs: Mapping[RunRef, TargetFile]
    path: tuple[RunRef, ...]
    keys: Mapping[int, tuple[Epoch, bytes]]


def role_file(source: str, stream: str, mark: Head | Mark) -> Path:
    """Where the signed role of a version is kept, relative to the state folder."""
    name = f"{mark.generation}-{mark.version}-{mark.state[:16]}.role.json"
    return Path(source, "lists", stream, name)


def _path(runs: Mapping[RunRef, TargetFile], held: int, head: Head) -> tuple[RunRef, ...]:
    return shortest_path(tuple(runs), held, head.version, lambda ref: runs[ref].length)


class _RunFailed(Exception):
    """A run, or with ``ref`` ``None`` a whole path, did not lead where it should."""

    def __init__(self, ref: RunRef | None, why: VallumError) -> None:
        super().__init__()
        self.ref = ref
        self.why = why
