"""Replays a recorded feed with the publisher's ladder, and looks back from heads drawn at random."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.feed import Holdings, read_feed
from benchmarks.sync_figures import EDITIONS, LAGS, NAME, NO_SALT, Figures, Way, count_metadata
from benchmarks.sync_peers import safe_browsing_bytes, text_delta_bytes, text_list_bytes
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.head import RunRef
from vallum.format.section import Codec
from vallum.format.table import Table, build_table
from vallum.path import shortest_path
from vallum_publisher.catalog import ListRow
from vallum_publisher.release.ladder import base_is_due, due_runs, keep_listed
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import advance, edition_of

TAG = bytes((URL_TAGS[Scope.URL].code,))


@dataclass
class Ladder:
    """One edition's listed runs with their sizes."""

    sizes: dict[RunRef, int] = field(default_factory=dict)
    written: int = 0

    def add(self, start: int, end: int, size: int) -> None:
        """List a run."""
        self.sizes[RunRef(start, end, 1)] = size
        self.written += size
        self.sizes = {run: self.sizes[run] for run in keep_listed(self.sizes)}

    def way(self, held: int, head: int) -> Way:
        """Bytes and number of the runs that a client at ``held`` fetches."""
        way = shortest_path(list(self.sizes), held, head, self.sizes.__getitem__)
        return Way(sum(self.sizes[run] for run in way), len(way))


class History:
    """A list of URLs that lives through versions, with the ladder of each edition."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self.keyer = Keyer(b"", 20)
        self.codecs = {edition: Codec("url", edition, (NAME,), self.keyer) for edition in EDITIONS}
        self.version = 0
        self.touched: list[set[bytes]] = [set()]
        self.listed: list[frozenset[bytes]] = [frozenset()]
        self.values: dict[bytes, bytes] = {}
        self.ladders = {edition: Ladder() for edition in EDITIONS}
        self.table = build_table(
            kind="url", edition="full", name=NAME, host_bits=self.keyer.host_bits, generation=1, version=0,
            salt=NO_SALT, counts=(),
        )  # fmt: skip
        self.step(dict.fromkeys(values, True))

    def step(self, changes: dict[bytes, bool]) -> None:
        """Publish a version: values that are listed from now on, or not."""
        self.version += 1
        rows = [
            ListRow(self.keyer.url_key(Scope.URL, value[1:].decode()), value, () if listed else None)
            for value, listed in changes.items()
        ]
        self.values |= {row.key: row.value for row in rows}
        rows.sort(key=lambda row: row.key)
        self.table = advance(self.table, self.version, NO_SALT, rows)
        self.touched.append({row.key for row in rows})
        come = {row.key for row in rows if row.labels is not None}
        self.listed.append((self.listed[-1] - self.touched[-1]) | come)
        if self.version > max(LAGS) + 1:
            self.listed[self.version - max(LAGS) - 1] = frozenset()  # no lag reaches so far back
        for edition in EDITIONS:
            self._climb(edition, edition_of(self.table, edition, NAME))

    def since(self, start: int) -> list[bytes]:
        """Keys touched after ``start``."""
        return sorted(set().union(*self.touched[start + 1 :]))

    def minimal(self, edition: str, start: int) -> int:
        """Bytes of the net change since ``start`` in the same codec: wrong for clients that straddle it."""
        net = sorted(self.listed[start] ^ self.listed[self.version])
        table = edition_of(self.table, edition, NAME)
        return len(make_run(self.codecs[edition], {NAME: table}, start, 1, {NAME: net}))

    def prefixes(self, version: int) -> set[bytes]:
        """What Safe Browsing would list at a version."""
        return {hashlib.sha256(self.values[key]).digest()[:16] for key in self.listed[version]}

    def _climb(self, edition: str, table: Table) -> None:
        ladder, codec = self.ladders[edition], self.codecs[edition]
        base = next((size for run, size in ladder.sizes.items() if run.start == 0), 0)
        for start in due_runs(self.version) if base else ():
            touched = self.since(start)
            if start < self.version - 1 and len(touched) > len(table.rows):
                continue
            size = len(make_run(codec, {NAME: table}, start, 1, {NAME: touched}))
            if start == self.version - 1 or size < base:
                ladder.add(start, self.version, size)
        if base_is_due(list(ladder.sizes), self.version, ladder.sizes.__getitem__):
            ladder.add(0, self.version, len(make_run(codec, {NAME: table}, 0, 1, {})))


def replay(path: Path, versions: int, heads: int) -> Figures:
    """Live through the feed's first ``versions``, and measure at ``heads`` of the last 1,096."""
    steps = read_changes(path, versions)
    history = History(next(steps))
    first = max(2, versions - 1096)
    chosen = set(random.sample(range(first, versions), min(heads, versions - first)))
    figures, text = Figures(), [0, 0]
    for changes in steps:
        history.step(changes)
        text.append(text[-1] + text_delta_bytes(changes))
        if history.version in chosen:
            figures.tell(f"head {history.version}")
            _look_back(history, text, figures)
    figures.versions, figures.rows = history.version, len(history.table.rows)
    figures.written = {edition: history.ladders[edition].written / history.version for edition in EDITIONS}
    return figures


def _look_back(history: History, text: list[int], figures: Figures) -> None:
    head = history.version
    for edition, ladder in history.ladders.items():
        figures.cold.setdefault(edition, []).append(ladder.way(0, head))
        figures.metadata.setdefault(edition, []).append(count_metadata(edition, head, ladder.sizes))
    figures.text.append(text_list_bytes(history.values[key] for key in history.listed[head]))
    now = history.prefixes(head)
    for lag in LAGS:
        if lag >= head:
            continue
        start = head - lag
        for edition, ladder in history.ladders.items():
            figures.ways.setdefault((edition, lag), []).append(ladder.way(start, head))
            figures.add("minimal", edition, lag, history.minimal(edition, start))
        figures.add("peer", "full", lag, text[head] - text[start])
        figures.add("peer", "match", lag, safe_browsing_bytes(history.prefixes(start), now))


def read_changes(path: Path, versions: int) -> Iterator[dict[bytes, bool]]:
    """The versions of a recorded feed that change something."""
    holdings = Holdings()
    for step in read_feed(path, versions):
        touched = holdings.apply(step)
        listed = holdings.forms()
        if touched:
            yield {TAG + form.encode(): form in listed for form in touched}
