"""Finding a way of runs to a head, and going it (client.md §5 and §6.1 to §6.5).

What comes out is verified tables in memory. Whether they may come into force is :mod:`vallum.sync.follow`'s
to ask; which path is the shortest is :mod:`vallum.path`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tuf.api.metadata import TargetFile

from vallum.access import FOLDER_MODE
from vallum.durable import make_folder, os_errors, remove_files
from vallum.errors import DataError, FetchError, NotEntitledError, StateError, VallumError
from vallum.format import limits
from vallum.format.epoch import Epoch
from vallum.format.head import Head, RunRef
from vallum.format.section import Codec
from vallum.format.table import Table
from vallum.path import FETCHES, shortest_path
from vallum.progress import Tell, counting, silent
from vallum.state import StreamState
from vallum.sync.apply import apply_listed, check_tables
from vallum.sync.fetch import AbsentError
from vallum.sync.keys import SourceKeys
from vallum.sync.place import Place
from vallum.sync.tables import table_bytes
from vallum.sync.trust import Repository


@dataclass(frozen=True, slots=True)
class Guide:
    """Leads one source's streams from what is held to what was signed."""

    place: Place
    repository: Repository
    keys: SourceKeys
    tell: Tell = silent

    def lead(
        self,
        stream: str,
        codec: Codec,
        state: StreamState,
        held: StreamState | None,
        before: dict[str, Table],
        listed: Mapping[str, TargetFile] | None = None,
        check_room: Callable[[int], None] | None = None,
    ) -> tuple[dict[str, Table], tuple[RunRef, ...], VallumError | None]:
        """Lead the tables to the head; by a base if the first way fails (client.md §6.5).

        Args:
            stream, codec: which list, and its encoding.
            state: where to.
            held, before: what is in force, and its tables; none if they are damaged.
            listed: the targets of the role that had ``state``; those of the role of today if absent.
            check_room: refuses bytes that are too many; :meth:`Place.check_quota` if absent.

        Returns:
            The tables, the runs that led there, and why a first way failed, if one did.

        Raises:
            DataError: no way leads there.
            UnavailableError: the store or this disk does not do its part.
        """
        head = state.head
        check_room = check_room or self.place.check_quota
        tables: dict[str, Table] = {}
        version = 0
        # 5.1: a version of another generation counts as none.
        if held is not None and held.head.generation == head.generation and before:
            tables, version = before, held.head.version
        way = self._way(stream, state, self._runs(stream, head, listed), version)
        path = way.path
        try:
            return self._lead(stream, codec, head, way, tables, check_room), path, None
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
            return self._lead(stream, codec, head, way, {}, check_room), way.path, first
        except _RunFailed as failed:
            raise failed.why from first

    def _runs(
        self, stream: str, head: Head, listed: Mapping[str, TargetFile] | None
    ) -> dict[RunRef, TargetFile]:
        """Return the runs of the head that the role really holds and that we would take (client.md §5.3)."""
        runs: dict[RunRef, TargetFile] = {}
        for ref in head.runs:
            if listed is None:
                run = self.repository.run(stream, head.generation, ref)
            else:
                run = listed.get(ref.target(stream, head.generation))
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
        self,
        stream: str,
        codec: Codec,
        head: Head,
        way: _Way,
        tables: dict[str, Table],
        check_room: Callable[[int], None],
    ) -> dict[str, Table]:
        runs, path = way.runs, way.path
        check_room(sum(runs[ref].length for ref in path))
        staging, name = self.place.staging, f"{self.place.name}/{stream}"
        make_folder(staging, FOLDER_MODE)
        with ThreadPoolExecutor(min(FETCHES, len(path)), "vallum-run") as pool:
            files = [staging / f"{stream}-{ref.start}-{ref.end}.run" for ref in path]
            self.repository.fetcher.count_to(
                sum(runs[ref].length for ref in path), counting(self.tell, f"{name}: bytes fetched")
            )
            downloads: list[Callable[[], None]] = [
                partial(self._download, runs[ref], file) for ref, file in zip(path, files, strict=True)
            ]
            # A thread for one run alone would cost more than the run.
            fetched = [pool.submit(one).result for one in downloads] if len(path) > 1 else downloads
            try:
                for number, (ref, file, done) in enumerate(zip(path, files, fetched, strict=True), 1):
                    try:
                        done()
                        with os_errors(file, "read"):
                            data = memoryview(file.read_bytes())
                        self.tell(f"{name}: applying run {number} of {len(path)}, {len(data):,} bytes")
                        sealed = way.keys.get(ref.epoch)
                        tables = apply_listed(codec, head.generation, ref, data, tables, sealed)
                    except VallumError as error:
                        raise _RunFailed(ref, error) from None
            finally:
                pool.shutdown(cancel_futures=True)
                self.repository.fetcher.count_to(0, silent)
                remove_files(files)
        rows = sum(len(table.rows) for table in tables.values())
        self.tell(f"{name}: checking that its {rows:,} rows are the signed ones")
        try:
            check_tables(head, tables)  # 6.4
        except StateError as error:
            raise _RunFailed(None, error) from None
        check_room(table_bytes(tables))
        return tables

    def _download(self, run: TargetFile, file: Path) -> None:
        try:
            self.repository.download(run, file)
        except AbsentError:
            raise
        except FetchError:
            # 6.1: a body that broke off is asked for once more.
            self.repository.download(run, file)


@dataclass(frozen=True, slots=True)
class _Way:
    """Runs that may be used, the cheapest path over them, and its epochs' keys."""

    runs: Mapping[RunRef, TargetFile]
    path: tuple[RunRef, ...]
    keys: Mapping[int, tuple[Epoch, bytes]]


def _path(runs: Mapping[RunRef, TargetFile], held: int, head: Head) -> tuple[RunRef, ...]:
    return shortest_path(tuple(runs), held, head.version, lambda ref: runs[ref].length)


class _RunFailed(Exception):
    """A run, or with ``ref`` ``None`` a whole path, did not lead where it should."""

    def __init__(self, ref: RunRef | None, why: VallumError) -> None:
        super().__init__()
        self.ref = ref
        self.why = why
