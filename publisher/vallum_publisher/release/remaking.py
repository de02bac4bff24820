"""Runs of the newest version that the store lost or damaged, made again: the same rows give the same bytes.

Who reads them back is :mod:`.course`'s business. A run that ends before the newest version cannot be made any
more: the catalog knows its rows as they are today.
"""

from __future__ import annotations

from collections.abc import Mapping

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TargetFile

from vallum.format.charter import split_stream
from vallum.format.epoch import Epoch
from vallum.format.head import RunRef
from vallum.progress import Tell, silent
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.release.metadata import run_key
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import TableCache, current_tables, edition_of
from vallum_publisher.release.version import StreamHead, charter_for
from vallum_publisher.store import RUN, ObjectStore
from vallum_publisher.store.acceptance import create_kept


def put_back(
    store: ObjectStore,
    catalog: Catalog,
    cache: TableCache,
    custody: Custody,
    info: ListInfo,
    version: Version,
    public: Mapping[str, StreamHead | None],
    tell: Tell = silent,
) -> int:
    """Make the damaged ones among the runs that end at a public version, and put them in their places.

    Args:
        store, catalog, cache, custody: of the workspace.
        info: the list.
        version: its newest one.
        public: what each stream's role says of it.
        tell: told what is put back.

    Returns:
        How many were.

    Raises:
        ConfigError: the key that one is sealed with is not here, or what is damaged may not be deleted.
        UnavailableError: the store does not answer, or does not keep them.
    """
    done = 0
    for stream, held in public.items():
        for run, file in held.listed.items() if held else ():
            if run.end != version.version or _is_whole(store, file):
                continue
            tell(f"making the run from {run.start} to {run.end} of {stream} again")
            data = _remake(catalog, cache, custody, info, version, stream, run, tell)
            if _is(file, data):  # not by another version of this program, which may pack it otherwise
                create_kept(store, run_key(file), data, RUN)
                done += 1
    return done


def _is_whole(store: ObjectStore, file: TargetFile) -> bool:
    stored = store.get(run_key(file))
    return stored is not None and _is(file, stored.data)


def _is(file: TargetFile, data: bytes) -> bool:
    try:
        file.verify_length_and_hashes(data)
    except RepositoryError:
        return False
    return True


def _remake(
    catalog: Catalog,
    cache: TableCache,
    custody: Custody,
    info: ListInfo,
    version: Version,
    stream: str,
    run: RunRef,
    tell: Tell,
) -> bytes:
    pepper = custody.pepper(info)
    charter = charter_for(info, pepper)
    _, now = current_tables(catalog, cache, info.name, charter, version.version, version.salt, tell)
    edition = split_stream(stream)[1]
    tables = {name: edition_of(table, edition, name) for name, table in now.tables.items()}
    touched = {
        name: catalog.touched_keys(info.name, name, run.start) if run.start else [] for name in charter.tables
    }
    epoch = Epoch(info.uid, stream, version.generation, run.epoch)
    sealed = None if info.public else (epoch, custody.key(epoch))
    return make_run(charter.codec(edition, pepper), tables, run.start, run.epoch, touched, sealed)
