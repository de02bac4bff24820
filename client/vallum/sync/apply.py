"""Runs and tables: what must hold before a version may be written (client.md §6). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vallum.errors import StateError
from vallum.format.charter import Charter
from vallum.format.epoch import Epoch
from vallum.format.head import Head, RunRef
from vallum.format.run import apply_run, parse_run
from vallum.format.seal import open_run
from vallum.format.section import Codec
from vallum.format.table import Table


def check_head_fits(stream: str, charter: Charter, head: Head) -> None:
    """Refuse a head that is not one of this charter (client.md §4.4).

    Raises:
        StateError: another generation or other tables, or keys where there is no pepper, or the reverse.
    """
    if head.generation != charter.generation:
        raise StateError(
            f"{stream}: the head is of generation {head.generation}, the charter of {charter.generation}",
            hint="the publisher is in the middle of something; it should pass with the next sync",
        )
    if tuple(sorted(head.tables)) != charter.tables:
        raise StateError(f"{stream}: the head has other tables than the charter", hint="call the publisher")
    if bool(head.epochs) != (charter.pepper is not None):
        raise StateError(
            f"{stream}: charter and head do not agree on whether the list is encrypted",
            hint="call the publisher",
        )


def apply_listed(
    codec: Codec,
    generation: int,
    ref: RunRef,
    data: bytes | memoryview[int],
    held: Mapping[str, Table],
    sealed: tuple[Epoch, bytes] | None = None,
) -> dict[str, Table]:
    """Apply one run that the head lists.

    Args:
        codec: of the stream.
        generation, ref: what the run was asked for by name.
        data: its bytes, whose hash TUF has checked; a view is released.
        held: the tables to start from; looked at by a step, not by a base.
        sealed: the run's epoch and its key, checked against the head; ``None`` for a public list.

    Raises:
        FormatError: not the canonical encoding of a run, or sealed where it must not be, or the reverse.
        TrustError: it does not open with this key.
        StateError: another run than its name says, or it does not lead on from ``held``.
    """
    run = open_run(codec, data, *sealed) if sealed else parse_run(codec, data)
    header = run.header
    # 6.2: otherwise the name that the list's keys signed would mean nothing.
    if (header.generation, header.epoch, header.start, header.end) != (
        generation, ref.epoch, ref.start, ref.end
    ):  # fmt: skip
        raise StateError("the run is not the one that its name says", hint="tell the publisher")
    return apply_run(run, held, codec.keyer.host_bits)  # 6.3


def check_tables(head: Head, tables: Mapping[str, Table]) -> None:
    """Require the very state that was signed (client.md §6.4).

    Raises:
        StateError: a table's digest is another one.
    """
    for name, digest in head.tables.items():
        table = tables.get(name)
        if table is None:
            raise StateError(f"no run brought the table {name}")
        if table.digest() != digest:
            raise StateError(
                f"the table {name} at version {head.number} is not the signed one", hint="tell the publisher"
            )
