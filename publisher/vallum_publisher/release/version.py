"""One version, computed: its tables, its state, and for each stream the runs and the head that it adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import TargetFile

from vallum.format.charter import Charter, format_charter, parse_charter
from vallum.format.epoch import Epoch, commit_pepper
from vallum.format.head import Head, RunRef, state_of
from vallum.format.section import Codec
from vallum.format.table import Table
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.recipients.custody import Custody, Keyed
from vallum_publisher.release.ladder import base_is_due, due_runs, keep_listed
from vallum_publisher.release.metadata import run_file, run_key
from vallum_publisher.release.runs import check_run, make_run
from vallum_publisher.release.tables import FULL, HeldTables, TableCache, current_tables, edition_of

ListedRuns = Mapping[RunRef, TargetFile]
"""The runs that a stream lists, and how its role names their files."""


@dataclass(frozen=True, slots=True)
class StreamHead:
    """What a list role says: the head, and the files of the runs that it lists."""

    head: Head
    listed: ListedRuns


@dataclass(frozen=True)
class Release:
    """Everything that one version adds to the store but metadata.

    Attributes:
        streams: the new head of each stream.
        files: the new runs' bytes by key in the store.
        state: of the full tables.
        digests: of each table as ``<edition>.<table>``, the full ones always among them.
        rows: of each table.
        tables: the full ones, by name.
    """

    streams: Mapping[str, StreamHead]
    files: Mapping[str, bytes]
    state: str
    digests: Mapping[str, str]
    rows: Mapping[str, int]
    tables: Mapping[str, Table]


def charter_for(info: ListInfo, pepper: bytes = b"") -> Charter:
    """What the offline keys say about a list; ``pepper`` is empty for a public one.

    Raises:
        FormatError: clients would refuse it; nothing of it must be signed.
    """
    any_epoch = Epoch(info.uid, f"{info.name}.{FULL}", info.generation, 0)
    charter = Charter(
        uid=info.uid,
        generation=info.generation,
        kind=info.kind,
        host_bits=info.host_bits,
        tables=info.tables,
        editions=info.editions,
        publisher=info.publisher,
        jurisdiction=info.jurisdiction,
        appeal_url=info.appeal_url,
        wide_per_week=info.wide_per_week,
        canon=info.canon,
        pepper=commit_pepper(any_epoch, pepper) if pepper else None,
    )
    # Read as clients will: a catalog may be older than today's rules.
    return parse_charter(format_charter(charter))


def streams_of(info: ListInfo) -> list[str]:
    """The names of a list's streams."""
    return [f"{info.name}.{edition}" for edition in info.editions]


def make_release(
    catalog: Catalog,
    cache: TableCache,
    info: ListInfo,
    version: Version,
    public: Mapping[str, StreamHead | None],
    custody: Custody,
    now: datetime,
    tell: Callable[[str], None],
) -> Release:
    """Compute a version from the catalog, or, of one that is public, what its streams' new epochs add.

    Args:
        catalog, cache: where rows and former tables are.
        custody: the keys of encrypted lists.
        info: the list.
        version: the one under way, or the newest one.
        public: what each stream's role says now.
        now: when the head is signed.
        tell: told what is done next, where it may take long.

    Raises:
        StateError: a run does not lead to the state; nothing of it must be signed.
    """
    pepper = custody.pepper(info)
    charter = charter_for(info, pepper)
    before, after = current_tables(catalog, cache, info.name, charter, version.version, version.salt, tell)
    digests = {f"{FULL}.{name}": digest for name, digest in after.digests.items()}
    streams: dict[str, StreamHead] = {}
    files: dict[str, bytes] = {}
    for edition in info.editions:
        stream = f"{info.name}.{edition}"
        tables = {name: edition_of(table, edition, name) for name, table in after.tables.items()}
        its_digests = {
            name: after.digests[name] if edition == FULL else table.digest() for name, table in tables.items()
        }
        digests |= {f"{edition}.{name}": digest for name, digest in its_digests.items()}
        held = public[stream]
        listed = dict(held.listed) if held and held.head.generation == version.generation else {}
        codec, keyed = charter.codec(edition, pepper), custody.current(info, stream)
        if keyed is not None and not any(run.epoch == keyed.epoch.number for run in listed):
            # A new epoch begins with a base of its own, so that its key alone is enough for a newcomer.
            # Runs under a key that was lost are listed no more: nobody here could say what is in them.
            listed = {
                run: file
                for run, file in listed.items()
                if run.start and custody.holds(Epoch(info.uid, stream, version.generation, run.epoch))
            }
        for run, data in _new_runs(catalog, info.name, codec, version, tables, listed, keyed, tell):
            tell(f"checking the run from {run.start} to {run.end} of {stream}, {len(data):,} bytes")
            _check(codec, run, data, edition, before, its_digests, keyed)
            file = listed[run] = run_file(stream, version.generation, run, data)
            files[run_key(file)] = data
        kept = keep_listed(listed)
        head = Head(
            generation=version.generation,
            version=version.version,
            tables=its_digests,
            created=version.created_at,
            as_of=now,
            max_age=info.max_age,
            min_poll=info.min_poll,
            epochs=_epochs(kept, keyed),
            runs=tuple(kept),
        )
        streams[stream] = StreamHead(head, {run: listed[run] for run in kept})
    rows = {name: len(table.rows) for name, table in after.tables.items()}
    return Release(streams, files, state_of(after.digests), digests, rows, after.tables)


def _new_runs(
    catalog: Catalog,
    name: str,
    codec: Codec,
    version: Version,
    tables: Mapping[str, Table],
    listed: ListedRuns,
    keyed: Keyed | None,
    tell: Callable[[str], None],
) -> Iterator[tuple[RunRef, bytes]]:
    """Yield the runs that end at this version: the step, merged ones worth listing, a base if it is due.

    Args:
        listed: what is listed so far; the caller adds what is yielded before it asks for more.
    """
    rows = sum(len(table.rows) for table in tables.values())
    epoch, sealed = (keyed.epoch.number, keyed.sealed) if keyed else (version.epoch, None)
    base = next((file.length for run, file in listed.items() if run.start == 0), 0)
    stepped = any(run.end == version.version for run in listed)
    for start in due_runs(version.version) if listed and not stepped else ():
        touched = {table: catalog.touched_keys(name, table, start) for table in codec.tables}
        merged = start < version.version - 1
        if merged and sum(map(len, touched.values())) > rows:
            continue  # more than the whole state: nobody would choose it
        tell(f"making the run from {start} to {version.version}")
        data = make_run(codec, tables, start, epoch, touched, sealed)
        if not merged or not base or len(data) < base:
            yield RunRef(start, version.version, epoch), data
    kept = keep_listed(listed)
    if base_is_due(kept, version.version, lambda run: listed[run].length):
        tell(f"making a base of {rows:,} rows")
        yield RunRef(0, version.version, epoch), make_run(codec, tables, 0, epoch, {}, sealed)


def _epochs(kept: Sequence[RunRef], keyed: Keyed | None) -> dict[int, str]:
    """The commitments that clients need: to the keys of the listed runs."""
    return (
        {} if keyed is None else {number: keyed.commitments[number] for number in {run.epoch for run in kept}}
    )


def _check(
    codec: Codec,
    run: RunRef,
    data: bytes,
    edition: str,
    before: HeldTables | None,
    digests: Mapping[str, str],
    keyed: Keyed | None,
) -> None:
    """Apply a new run like a client, before anything is signed.

    From the tables of the last version the step is what most clients do, and a merged run is what a client in
    the middle of it does. Without those tables (the cache was lost) the base alone can be tried.
    """
    sealed = keyed.sealed if keyed else None
    if run.start == 0:
        check_run(codec, data, {}, digests, sealed)
    elif before is not None and run.start <= before.version:
        held = {name: edition_of(table, edition, name) for name, table in before.tables.items()}
        check_run(codec, data, held, digests, sealed)
