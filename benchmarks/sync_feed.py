"""Replays a recorded feed with the publisher's ladder, and looks back from heads drawn at random."""

from __future__ import annotations

import hashlib
import random
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.feed import Holdings, read_feed
from benchmarks.sync_figures import (
    EDITIONS,
    FRONTIER,
    LAGS,
    NAME,
    NO_SALT,
    Choice,
    Figures,
    Way,
    count_metadata,
)
from benchmarks.sync_peers import safe_browsing_bytes, text_delta_bytes, text_list_bytes
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.head import RunRef
from vallum.format.section import Codec
from vallum.format.table import Table, build_table
from vallum.path import shortest_path
from vallum_publisher.catalog import ListRow
from vallum_publisher.release.ladder import BASE_SHARE, VERSION_BYTES, base_is_due, due_runs, keep_listed
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import advance, edition_of

TAG = bytes((URL_TAGS[Scope.URL].code,))


@dataclass
class Ladder:
    """One edition's listed runs with their sizes, and the rule by which its base is renewed."""

    share: int = BASE_SHARE
    most: int = VERSION_BYTES
    sizes: dict[RunRef, int] = field(default_factory=dict)
    written: int = 0

    def add(self, start: int, end: int, size: int) -> None:
        """List a run."""
        self.sizes[RunRef(start, end, 1)] = size
        self.written += size
        self.sizes = {run: self.sizes[run] for run in keep_listed(self.sizes)}

    @property
    def base(self) -> int:
        """Bytes of the base; 0 before there is one."""
        return next((size for run, size in self.sizes.items() if run.start == 0), 0)

    def renew(self, version: int, size: Callable[[], int]) -> None:
        """List a base if it is due."""
        if base_is_due(list(self.sizes), version, self.sizes.__getitem__, self.share, self.most):
            self.add(0, version, size())

    def way(self, held: int, head: int) -> Way:
        """Bytes and number of the runs that a client at ``held`` fetches."""
        way = shortest_path(list(self.sizes), held, head, self.sizes.__getitem__)
        return Way(sum(self.sizes[run] for run in way), len(way))


class History:
    """A list of URLs that lives through versions, with the ladder of each edition."""

    def __init__(self, values: Iterable[bytes], frontier: bool = False) -> None:
        self.keyer = Keyer(b"", 20)
        self.codecs = {edition: Codec("url", edition, (NAME,), self.keyer) for edition in EDITIONS}
        self.version = 0
        self.touched: list[set[bytes]] = [set()]
        self.listed: list[frozenset[bytes]] = [frozenset()]
        self.values: dict[bytes, bytes] = {}
        self.ladders = {edition: Ladder() for edition in EDITIONS}
        self.others = {edition: [Ladder(share, 0) for share in FRONTIER if frontier] for edition in EDITIONS}
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
        codec, ladders = self.codecs[edition], [self.ladders[edition], *self.others[edition]]
        begun = bool(ladders[0].sizes)
        for start in due_runs(self.version) if begun else ():
            touched = self.since(start)
            if start < self.version - 1 and len(touched) > len(table.rows):
                continue
            size = len(make_run(codec, {NAME: table}, start, 1, {NAME: touched}))
            for ladder in ladders:
                if start == self.version - 1 or size < ladder.base:
                    ladder.add(start, self.version, size)
        base = cache(lambda: len(make_run(codec, {NAME: table}, 0, 1, {})))
        for ladder in ladders:
            ladder.renew(self.version, base)


def replay(path: Path, versions: int, heads: int, frontier: bool) -> Figures:
    """Live through the feed's first ``versions``, and measure at ``heads`` of the last 1,096."""
    steps = read_changes(path, versions)
    history = History(next(steps), frontier)
    first = max(2, versions - 1096)
    chosen = set(random.sample(range(first, versions), min(heads, versions - first)))
    figures, text = Figures(), [0, 0]
    colds: dict[tuple[str, int], list[Way]] = {}
    for changes in steps:
        history.step(changes)
        text.append(text[-1] + text_delta_bytes(changes))
        if history.version in chosen:
            figures.tell(f"head {history.version}")
            _look_back(history, text, figures)
            for edition, others in history.others.items():
                for at, ladder in enumerate(others):
                    colds.setdefault((edition, at), []).append(ladder.way(0, history.version))
    for (edition, at), ways in colds.items():
        ladder = history.others[edition][at]
        size, fetches = statistics.fmean(way.size for way in ways), max(way.fetches for way in ways)
        figures.frontier.append(
            Choice(edition, ladder.share, size, ladder.written / history.version, fetches)
        )
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
