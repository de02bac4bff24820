"""State folders of encrypted lists, without publisher or network, and exports of them as rows."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tests.match.states import Entry, url_table, write_state
from vallum.export.selection import Selection
from vallum.export.write import open_export
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.decoys import Decoy, decoys_for
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.table import Table
from vallum.pepper import epoch_path, pepper_path
from vallum.state import FILE, Current, format_current, read_current

PEPPER, KEY, SEED = b"p" * 32, b"k" * 32, b"s" * 32
UID = bytes(16)

A, B, AI = ("uk-sap:1:A",), ("uk-sap:1:B",), ("ai_generated", "uk-sap:1:A")
TEST = (Scope.URL, "test.vallum.example/demo", ("test",))
ENTRIES: list[Entry] = [
    TEST,
    *((Scope.URL, f"site{at}.example/a/page?id={at}", (A, B, AI)[at % 3]) for at in range(300)),
    *((Scope.URL_ANY_QUERY, f"any{at}.example/a/page", A) for at in range(60)),
    *((Scope.PATH_PREFIX, f"path{at}.example/a", B) for at in range(60)),
    *((Scope.HOST, f"www.host{at}.example", A) for at in range(120)),
    *((Scope.DOMAIN, f"domain{at}.example", B) for at in range(60)),
]
TABLE = url_table(ENTRIES, pepper=PEPPER)


class Row(NamedTuple):
    """A line of an export, whatever its format."""

    source: str
    list: str
    signal: str
    scope: str
    value: str
    labels: tuple[str, ...]
    id: str


def write_sealed(
    state_dir: Path, lists: Mapping[str, Table], *, near: Mapping[str, Table] | None = None
) -> None:
    """Put encrypted lists in force, with the keys that a sync leaves beside them."""
    write_state(state_dir, lists, near=near)
    about = read_current(state_dir).sources["hotline"]
    streams = {}
    for stream, state in about.streams.items():
        epoch = Epoch(UID, stream, state.head.generation, 3)
        charter = replace(state.charter, pepper=commit_pepper(epoch, PEPPER))
        head = replace(
            state.head,
            epochs={3: commit_epoch(epoch, KEY)},
            runs=tuple(replace(run, epoch=3) for run in state.head.runs),
        )
        streams[stream] = replace(state, charter=charter, head=head)
        path = epoch_path(state_dir, "hotline", stream, epoch.generation, epoch.number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(KEY + SEED)
        pepper_path(state_dir, "hotline", stream, charter).write_bytes(PEPPER)
    (state_dir / FILE).write_bytes(format_current(Current({"hotline": replace(about, streams=streams)})))


def exported(state_dir: Path, format_name: str = "jsonl", **selection: tuple[str, ...]) -> bytes:
    """The bytes of one export."""
    return b"".join(open_export(state_dir, format_name, Selection.of(**selection)).blocks())


def rows(state_dir: Path, **selection: tuple[str, ...]) -> list[Row]:
    """One export as rows, in order; csv and jsonl say the same."""
    of_json = [
        Row(
            said["source"], said["list"], said["signal"], said["scope"] or "", said["value"],
            tuple(said["labels"]), said["id"],
        )
        for said in map(json.loads, exported(state_dir, "jsonl", **selection).splitlines())
    ]  # fmt: skip
    table = csv.DictReader(io.StringIO(exported(state_dir, "csv", **selection).decode()))
    of_csv = [
        Row(
            said["source"], said["list"], said["signal"], said["scope"], said["value"],
            tuple(said["labels"].split()), said["id"],
        )
        for said in table
    ]  # fmt: skip
    assert of_csv == of_json
    return of_json


def decoys_of(entries: list[Entry], **selection: tuple[str, ...]) -> tuple[Decoy, ...]:
    """What an export of these entries has beside them."""
    strata = Counter((URL_TAGS[scope].code, labels) for scope, _, labels in entries)
    return decoys_for(SEED, UID, strata, Selection.of(**selection).wants)


def line_of(scope: Scope, value: str, labels: tuple[str, ...], pepper: bytes = b"") -> Row:
    """An entry as an export's line."""
    keyer = Keyer(pepper, 20)
    number = keyer.entry_id(keyer.url_key(scope, value))
    return Row("hotline", "urls", "url", scope, value, labels, number)
