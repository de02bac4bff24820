"""Reading the repository back with the code that clients run (:mod:`vallum.sync`), before anybody is told.

The store's own API is the transport, so what is proved is what lies in the store; what a CDN makes of it is
for monitoring to watch.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

from tuf.api.metadata import TargetFile

from vallum.durable import held_folder, sweep
from vallum.errors import DataError, FormatError, StateError
from vallum.format.columns import decompress
from vallum.format.head import Head, RunRef
from vallum.sync.fetch import PACKED, AbsentError, Fetcher, limit_of
from vallum.sync.transport import Answer
from vallum.sync.trust import Repository as ClientRepository
from vallum_publisher.errors import with_hint
from vallum_publisher.release.metadata import run_key
from vallum_publisher.store import ObjectStore

_DEADLINE = 600.0
"""Seconds for one reading; the largest base over a slow line."""
_CHUNK = 1 << 20
_RESTORE = "restore it from a copy of the store; without one, open a new generation"


class StoreTransport:
    """What a client's :class:`vallum.sync.transport.Transport` asks for, out of an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        """See ``Transport``. The plain metadata files are what is proved; a packed twin must say the same."""
        if name.endswith(PACKED):
            return Answer(404)
        stored = self._store.get(name)
        if stored is None:
            return Answer(404)
        data = stored.data
        if name.endswith(".json"):
            self._compare(name + PACKED, data)
        return Answer(200, (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)))

    def close(self) -> None:
        """Nothing is kept open."""

    def _compare(self, name: str, plain: bytes) -> None:
        packed = self._store.get(name)
        if packed is None:
            return
        reason = "not what the plain file says"
        try:
            if decompress("metadata", packed.data, limit_of(name)) == plain:
                return
        except FormatError as error:
            reason = str(error)
        raise DataError(
            f"{name}: {reason}",
            hint="clients read this one first: delete it, then the plain file serves everybody",
        )


class Reading:
    """One client's view of the repository, from the root of trust on."""

    def __init__(self, store: ObjectStore, root: bytes, folder: Path) -> None:
        self._folder = folder
        self.client = ClientRepository(folder / "trust", root, Fetcher(StoreTransport(store), _DEADLINE))
        self.top = self.client.refresh()

    def head(self, stream: str) -> Head:
        """The head of a stream.

        Raises:
            DataError: it has none.
        """
        head = self.client.head(stream)
        if head is None:
            raise DataError(f"{stream}: no head where one was published")
        return head

    def listed(self, stream: str, generation: int, ref: RunRef) -> TargetFile:
        """What signed metadata says of a listed run.

        Raises:
            DataError: nothing.
        """
        file = self.client.run(stream, generation, ref)
        if file is None:
            raise DataError(f"{stream}: the head lists a run that is no target")
        return file

    def run(self, stream: str, generation: int, ref: RunRef) -> bytes:
        """Fetch a listed run, its length and hash checked against signed metadata.

        Raises:
            DataError: it is not listed, or altered.
            AbsentError: it is missing.
        """
        file = self.listed(stream, generation, ref)
        path = self._folder / "run"
        try:
            self.client.download(file, path)
        except DataError as error:
            error.hint = _RESTORE  # a client's says: tell the publisher
            raise
        data = path.read_bytes()
        path.unlink()
        return data


@contextmanager
def reading(store: ObjectStore, root: bytes) -> Iterator[Reading]:
    """Read a repository like a new client that was given ``root``.

    Raises:
        VallumError: as a client would; of a missing object with a publisher's hint.
    """
    place = Path(gettempdir()) / "vallum-reading"
    sweep(place)
    with held_folder(place) as folder:
        try:
            yield Reading(store, root, folder)
        except AbsentError as error:
            error.hint = _RESTORE
            raise


def check_listed(store: ObjectStore, stream: str, listed: Iterable[TargetFile]) -> None:
    """Require that all runs that a head is about to list lie in the store, each with its length.

    What they say was proved when they were published; it is not read again. That something took or cut one
    since would show at a client only, one that is far behind.

    Raises:
        StateError: one is missing, or has another length. Nothing that lists it may be signed.
    """
    sizes = {item.key: item.size for item in store.list(f"targets/{stream}/")}
    _check_sizes(store, sizes, listed)


def _check_sizes(store: ObjectStore, sizes: Mapping[str, int], listed: Iterable[TargetFile]) -> None:
    for file in listed:
        size = sizes.get(run_key(file))
        if size is None and (stored := store.get(run_key(file))):
            size = len(stored.data)  # a listing may lag; what is read is what clients get
        if size != file.length:
            what = "is missing from the store" if size is None else f"has {size:,} bytes in the store"
            raise StateError(
                f"{run_key(file)}, of {file.length:,} bytes, {what}",
                hint=_RESTORE,
            )


def lacking(store: ObjectStore, listed: Mapping[str, Iterable[TargetFile]]) -> dict[str, str]:
    """Say which streams list a run that the store has not whole, and what :func:`check_listed` says of it.

    It takes one listing of all runs.
    """
    sizes = {item.key: item.size for item in store.list("targets/")}
    found = {}
    for stream, files in listed.items():
        try:
            _check_sizes(store, sizes, files)
        except StateError as error:
            found[stream] = with_hint(error)
    return found


def check_published(
    store: ObjectStore, root: bytes, published: Mapping[str, Head], whole: Container[str] = ()
) -> None:
    """Require that a client that starts now sees these heads, and that the runs that end there are whole.

    Older runs that they list were read when they were new; :func:`check_listed` knows that they are there.

    Args:
        store: where it was published.
        root: a root of trust.
        published: head by stream.
        whole: keys of runs that were read back already, when they were uploaded.

    Raises:
        DataError: a client sees something else.
        AbsentError: something is missing.
    """
    with reading(store, root) as client:
        for stream, expected in published.items():
            head = client.head(stream)
            if (head.generation, head.version, head.state, head.runs) != (
                expected.generation,
                expected.version,
                expected.state,
                expected.runs,
            ):
                raise DataError(f"{stream}: a client sees another head than was published")
            for ref in head.runs:
                if (
                    ref.end == head.version
                    and run_key(client.listed(stream, head.generation, ref)) not in whole
                ):
                    client.run(stream, head.generation, ref)
