"""Runs: what decoders make of good ones (format.md §4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schemas.vectorsmith import PEPPER, Vectors, refused_bodies, refused_files, refused_steps, vector
from schemas.vectorsmith.streams import (
    DIGESTS,
    NEAR,
    URLS,
    Row,
    Stream,
    digest,
    file_of,
    over_the_wire,
    removals_apart,
)
from vallum.format.run import Run, apply_run, format_body, parse_run
from vallum.format.table import Table, format_table


def vectors() -> Vectors:
    """All runs, good ones first."""
    yield from good()
    for refused in (refused_files, refused_bodies, refused_steps):
        yield from refused.vectors()


def good() -> Vectors:
    """Runs that lead to tables whose digests are in the output."""
    full, match = Stream("url", "full"), Stream("url", "match", pepper=PEPPER, host_bits=20)
    hosted = Stream("url", "full", host_bits=20)
    both = ("exact", "pdq")
    bases: list[tuple[str, Stream, dict[str, list[Row]]]] = [
        ("a base of URLs", full, {"exact": URLS}),
        ("a base of URLs whose keys begin with bits of their hosts", hosted, {"exact": URLS}),
        ("a base of URLs for a match edition", Stream("url", "match", host_bits=20), {"exact": URLS}),
        ("a base of digests", Stream("hash", "full"), {"exact": DIGESTS}),
        ("a base of digests for a match edition", Stream("hash", "match"), {"exact": DIGESTS}),
        ("a base of digests and near matches", Stream("hash", "full", both), {"exact": DIGESTS, "pdq": NEAR}),
        (
            "near matches keep their values in a match edition",
            Stream("hash", "match", both),
            {"exact": DIGESTS, "pdq": NEAR},
        ),
        ("a base of an empty list", full, {"exact": []}),
        ("a base of one row", full, {"exact": URLS[:1]}),
        (
            "equal labels and tags are not written out",
            full,
            {"exact": [(1, f"a{at}.example/", ("test",)) for at in range(4)]},
        ),
        (
            "a host of more than 255 characters is shared as far as one byte says",
            full,
            {"exact": [(1, ".".join(["a" * 60] * 5) + f".example/{at}", ()) for at in range(2)]},
        ),
        (
            "more than 256 label sets make a label column of two bytes",
            Stream("hash", "match"),
            {"exact": [(18, digest(18, at), (f"l{at}",)) for at in range(257)]},
        ),
    ]
    for description, stream, tables in bases:
        run = stream.base(tables)
        yield _leads(description, stream, run, None)
    was = {"exact": URLS}
    for stream in (full, hosted, match):
        secret = "with a pepper" if stream.pepper else f"with {stream.host_bits} host bits"
        held = apply_run(over_the_wire(stream, stream.base(was, 5)), {}, stream.host_bits)
        relabelled: Row = (1, "www.site.example/a/page?id=1", ("uk-sap:1:B",))
        added: Row = (2, "new.example/z", ())
        gone: Row = (1, "came-and-went.example/", ())
        now = [relabelled, *URLS[2:], added]
        touched = [*URLS[:2], added, gone, URLS[3]]
        run = stream.step(URLS, now, touched)
        yield _leads(f"a step of a {stream.edition} edition {secret}", stream, run, held)
    held = apply_run(over_the_wire(full, full.base(was, 6)), {}, 0)
    yield _leads(
        "a step for a client that straddles its beginning", full, full.step(URLS, URLS[1:], URLS[:1]), held
    )
    yield _leads(
        "a removal that names no row here is fine",
        full,
        full.step(URLS, URLS, [(1, "never-here.example/", ())]),
        held,
    )
    yield _leads("a step that removes all rows", full, full.step(URLS, [], URLS), held)
    many: list[Row] = [(4, f"{name}.example", ()) for name in "abcdefgh"]
    held_many = apply_run(over_the_wire(full, full.base({"exact": many}, 6)), {}, 0)
    apart = removals_apart(sorted(int.from_bytes(full.key(row)) for row in many))
    step = full.step(many, [], many)
    grouped = replace(step, sections=(replace(step.sections[0], removals=apart),))
    yield _leads("a step with eight groups of removals", full, grouped, held_many)
    yield _leads("a base replaces what is held", full, full.base({"exact": URLS[:2]}), held)


def _leads(description: str, stream: Stream, run: Run, held: dict[str, Table] | None) -> tuple[str, Any]:
    data = file_of(stream, run)
    tables = apply_run(parse_run(stream.codec, data), held or {}, stream.host_bits)
    return vector(
        description,
        "run",
        stream.given(data, held),
        header={"start": run.header.start, "end": run.header.end, "generation": 1, "epoch": 1},
        body=format_body(stream.codec, run.table_salt, run.sections).hex(),
        tables={
            name: {"sha256": table.digest(), "file": format_table(table).hex()}
            for name, table in tables.items()
        },
    )
