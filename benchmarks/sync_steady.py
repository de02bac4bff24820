"""A synthetic list of any length that changes alike at each version: each run is encoded once per length.

The rows that a version removes are drawn from all that are listed, new ones included, and rows are random: so
two runs over equally many versions differ by chance only, and by little, since they hold thousands of rows.
One run of each rung's length is encoded, at one version, with the real codec; the publisher's ladder and the
client's search then run over thousands of versions with these sizes. (Encoding the ladders of 2,000 versions
of a million rows took hours and never finished.)
"""

from __future__ import annotations

import hashlib
import random
import statistics
from collections.abc import Callable, Iterator
from itertools import islice

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
from vallum.expression import DIGEST_TAGS, Keyer, Scope
from vallum.format.head import RunRef
from vallum.format.section import Codec
from vallum.format.table import Table, build_table
from vallum.path import shortest_path
from vallum_publisher.release.ladder import (
    BASE_SHARE,
    VERSION_BYTES,
    base_is_due,
    due_runs,
    keep_listed,
    rung_of,
    rungs,
)
from vallum_publisher.release.runs import make_run
from vallum_publisher.release.tables import edition_of

LONGEST = 1024
"""Longer runs are left out: no client that lags 1,000 versions would take one."""
LIVED = 3 * LONGEST
"""Versions that the ladder lives through; it is looked at in the last third."""


class SteadyList:
    """The list at version ``LONGEST + 1``, and what each version before it changed."""

    def __init__(self, kind: str, rows: int, changes: int) -> None:
        self.kind, self.rows = kind, rows
        self.keyer = Keyer(b"", 20 if kind == "url" else 0)
        self.steps = list(islice(draw(kind, rows, changes), LONGEST + 1))
        keys = {value: self._key(value) for step in self.steps for value in step}
        self.events = [{keys[value]: listed for value, listed in step.items()} for step in self.steps]
        self.values = {key: value for value, key in keys.items()}
        self.listed: set[bytes] = set()
        for step in self.events:
            for key, listed in step.items():
                (self.listed.add if listed else self.listed.discard)(key)
        ordered = list(self.listed)
        self.version = len(self.steps)
        self.table = build_table(
            kind=kind, edition="full", name=NAME, host_bits=self.keyer.host_bits, generation=1,
            version=self.version, salt=NO_SALT, counts=((self.values[ordered[0]][0], len(ordered)),),
            keys=ordered, labels=[()] * len(ordered), values=[self.values[key] for key in ordered],
        )  # fmt: skip

    def tables(self, edition: str) -> dict[str, Table]:
        """The table at the newest version."""
        return {NAME: edition_of(self.table, edition, NAME)}

    def touched(self, length: int) -> dict[bytes, bool]:
        """Keys touched in the last ``length`` versions, and whether their first change listed them."""
        events: dict[bytes, bool] = {}
        for step in self.events[self.version - length :]:
            for key, listed in step.items():
                events.setdefault(key, listed)
        return events

    def run_size(self, edition: str, length: int, keys: list[bytes]) -> int:
        """Size of a run over the last ``length`` versions that says of ``keys`` what they are now."""
        codec = Codec(self.kind, edition, (NAME,), self.keyer)
        start = self.version - length
        return len(make_run(codec, self.tables(edition), start, 1, {NAME: keys}))

    def _key(self, value: bytes) -> bytes:
        if self.kind == "url":
            return self.keyer.url_key(Scope.URL, value[1:].decode())
        return self.keyer.digest_key("sha256", value[1:])


def draw(kind: str, rows: int, changes: int) -> Iterator[dict[bytes, bool]]:
    """A list of ``rows``, then its changes, ``changes`` a version, half of them removals."""
    serial = 0

    def fresh() -> bytes:
        nonlocal serial
        serial += 1
        digest = hashlib.sha256(str(serial).encode()).digest()
        if kind == "hash":
            return bytes((DIGEST_TAGS["sha256"].code,)) + digest
        number = int.from_bytes(digest[:4])
        host = f"{'www.' if number & 1 else ''}{digest[4:9].hex()}{number % 977}.example"
        return b"\x01" + f"{host}/{digest[9:12].hex()}/{number % 10007}.html".encode()

    held = [fresh() for _ in range(rows)]
    yield dict.fromkeys(held, True)
    while True:
        step = {}
        for _ in range(changes // 2):
            at = random.randrange(len(held))
            step[held[at]] = False
            held[at] = held[-1]
            held.pop()
        for _ in range(changes - changes // 2):
            held.append(fresh())
            step[held[-1]] = True
        yield step


def measure(kind: str, rows: int, changes: int, heads: int, frontier: bool) -> Figures:
    """Encode what is needed, then let ladder and clients run."""
    figures = Figures()
    figures.tell("drawing the list")
    steady = SteadyList(kind, rows, changes)
    figures.versions, figures.rows = LIVED, len(steady.table.rows)
    sizes: dict[str, dict[int, int]] = {edition: {} for edition in EDITIONS}
    for length in rungs(LONGEST):
        touched = sorted(steady.touched(length))
        if length > 1 and len(touched) > len(steady.table.rows):
            continue
        for edition in EDITIONS:
            figures.tell(f"{edition}: a run over {length} versions")
            sizes[edition][length] = steady.run_size(edition, length, touched)
    for edition in EDITIONS:
        figures.tell(f"{edition}: the base")
        sizes[edition][0] = steady.run_size(edition, steady.version, [])
    _compare(steady, figures)
    for edition in EDITIONS:
        figures.tell(f"{edition}: {LIVED} versions of the ladder")
        _live(edition, sizes[edition], heads, figures)
        for share in FRONTIER if frontier else ():
            other = Figures()
            _live(edition, sizes[edition], heads, other, share, 0)
            cold = other.cold[edition]
            size, fetches = statistics.fmean(way.size for way in cold), max(way.fetches for way in cold)
            choice = Choice(edition, share, size, other.written[edition], fetches)
            figures.frontier.append(choice)
    return figures


def _compare(steady: SteadyList, figures: Figures) -> None:
    """The minimal changes and the peers, once per lag."""
    figures.tell("the list as text by zstd -19")
    figures.text.append(text_list_bytes(steady.values[key] for key in steady.listed))
    now = {_prefix(steady.values[key]) for key in steady.listed}
    text = sum(map(text_delta_bytes, steady.steps[-8:])) / 8
    for lag in LAGS:
        figures.tell(f"minimal changes and peers at a lag of {lag}")
        events = steady.touched(lag)
        gone = {key for key, listed in events.items() if not listed}  # listed when the client last came
        come = {key for key in events if key in steady.listed}
        for edition in EDITIONS:
            figures.add("minimal", edition, lag, steady.run_size(edition, lag, sorted(gone ^ come)))
        then = now - {_prefix(steady.values[key]) for key in come - gone}
        then |= {_prefix(steady.values[key]) for key in gone - come}
        figures.add("peer", "full", lag, round(text * lag))
        figures.add("peer", "match", lag, safe_browsing_bytes(then, now))


def _live(
    edition: str,
    sizes: dict[int, int],
    heads: int,
    figures: Figures,
    share: int = BASE_SHARE,
    most: int = VERSION_BYTES,
) -> None:
    def size_of(run: RunRef) -> int:
        return sizes[rung_of(run) if run.start else 0]

    chosen = set(random.sample(range(LIVED - LONGEST, LIVED + 1), heads))
    listed: list[RunRef] = []
    written = 0
    for version in range(1, LIVED + 1):
        due = [RunRef(start, version, 1) for start in due_runs(version)] if listed else []
        new = [run for run in due if rung_of(run) in sizes and (rung_of(run) == 1 or size_of(run) < sizes[0])]
        if base_is_due(keep_listed([*listed, *new]), version, size_of, share, most):
            new.append(RunRef(0, version, 1))
        written += sum(map(size_of, new))
        listed = keep_listed([*listed, *new])
        if version not in chosen:
            continue
        figures.cold.setdefault(edition, []).append(_way(listed, 0, version, size_of))
        figures.metadata.setdefault(edition, []).append(
            count_metadata(edition, version, {run: size_of(run) for run in listed})
        )
        for lag in LAGS:
            way = _way(listed, version - lag, version, size_of)
            figures.ways.setdefault((edition, lag), []).append(way)
    figures.written[edition] = written / LIVED


def _way(listed: list[RunRef], held: int, head: int, size_of: Callable[[RunRef], int]) -> Way:
    way = shortest_path(listed, held, head, size_of)
    return Way(sum(map(size_of, way)), len(way))


def _prefix(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()[:16]
