"""The entries of lists in force, as text, in the order of their keys, decoys among them (client.md §12).

That order is as good as random, the same in every version, and the same for decoys, whose keys are made like
all others: no place tells one. Nothing is sorted or collected, so a list of any size costs the same memory.
What lines look like is :mod:`vallum.export.formats`' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from vallum.allowance import Allowances
from vallum.errors import ConfigError, StateError, UnavailableError
from vallum.export.selection import Entry, Selection, Spared
from vallum.expression import KEY_BYTES, TAGS, Keyer, Tag
from vallum.format.charter import split_stream
from vallum.format.decoys import decoys_for
from vallum.format.rows import Rows
from vallum.format.table import Table
from vallum.match.answer import Match
from vallum.match.exact import Matcher
from vallum.pepper import read_pepper
from vallum.seed import read_seed
from vallum.state import Current, StreamState
from vallum.tablefile import open_table

_Decoys = list[tuple[bytes, Entry]]


class Listing:
    """One list in force, opened for an export.

    Attributes:
        source, list, generation, version: which.
        left_out: how many entries :meth:`entries` left out, so far, for what the operator allows.
    """

    def __init__(
        self,
        current: Current,
        state_dir: Path,
        found: tuple[str, str, StreamState],
        selection: Selection,
        allowed: Allowances,
    ) -> None:
        """Open its tables, its pepper and the recipient's seed.

        Raises:
            ConfigError: it is followed in the ``match`` edition, which holds no text.
            UnavailableError: it is not enforced any more, or something cannot be read.
            DataError: a table or key is not the one that was signed.
        """
        self.source, stream, state = found
        self.list, edition = split_stream(stream)
        self.generation, self.version, self.left_out = state.head.generation, state.head.version, 0
        name = f"{self.source}/{stream}"
        if edition != "full":
            raise ConfigError(
                f"{name} is the {edition} edition, which holds keys and no text: exports need the full one",
                hint=f"ask {state.charter.publisher or 'the publisher'} to add your key to {self.list}.full, "
                f'put lists = ["{self.list}.full"] into the source, and run `vallum sync`',
            )
        if stream in current.sources[self.source].lifted:
            raise UnavailableError(
                f"{name} is hard-expired and, as your policy says, not enforced: it is not exported either",
                hint="run `vallum sync`",
            )
        seed = read_seed(state_dir, self.source, stream, state.charter, state.head)
        self._uid, self._seed, self._selection = state.charter.uid, seed, selection
        self._keyer = Keyer(
            read_pepper(state_dir, self.source, stream, state.charter), state.charter.host_bits
        )
        self._tables = {
            table: open_table(state_dir / path, state.head.tables[table])
            for table, path in state.files(self.source, stream).items()
        }
        self._spared = Spared(allowed, self._match_url)

    @cached_property
    def chosen(self) -> dict[Tag, int]:
        """Rows that are meant, by tag, allowances aside."""
        tally: Counter[Tag] = Counter()
        for (code, labels), count in self._strata.items():
            if self._selection.wants(TAGS[code], labels):
                tally[TAGS[code]] += count
        return dict(tally)

    def entries(self, *, ids: bool) -> Iterator[Entry]:
        """What is meant, in the order of the keys, table by table; with their ids if they are asked for.

        Raises:
            StateError: a row is not of its table's form, which no signed table is.
        """
        ids = ids or bool(self._spared)
        for name, table in self._tables.items():
            decoys = self._decoys(name, table.rows, ids=ids)
            for entry in _merged(self._rows(table, ids=ids), decoys):
                if ids and self._spared(entry):
                    self.left_out += 1
                else:
                    yield entry

    @cached_property
    def _strata(self) -> Counter[tuple[int, tuple[str, ...]]]:
        """Rows by tag code and label set."""
        tally: Counter[tuple[int, tuple[str, ...]]] = Counter()
        for table in self._tables.values():
            rows = table.rows
            starts = accumulate(rows.lengths[:-1], initial=0) if rows.lengths else ()
            for (code, sets), count in Counter(
                zip(map(rows.values.__getitem__, starts), rows.label_ids, strict=True)
            ).items():
                tally[code, rows.dictionary[sets]] += count
        return tally

    def _rows(self, table: Table, *, ids: bool) -> Iterator[tuple[bytes, Entry]]:
        rows, keyer = table.rows, self._keyer
        source, name, wants = self.source, self.list, self._selection.wants
        wanted = {
            (code, at)
            for code, _ in table.counts
            for at, labels in enumerate(rows.dictionary)
            if wants(TAGS[code], labels)
        }
        identify = keyer.entry_id if ids else _nothing
        for key, at, value in zip(rows.keys(), rows.label_ids, rows.iter_values(), strict=True):
            code = value[0]
            if (code, at) in wanted:
                tag = TAGS[code]
                yield (
                    key,
                    Entry(source, name, identify(key), tag, _text(tag, value[1:]), rows.dictionary[at]),
                )

    def _decoys(self, table: str, rows: Rows, *, ids: bool) -> _Decoys:
        """The decoys of one table by key (client.md §12.2); one that is listed, by a miracle, is an entry."""
        if self._seed is None:
            return []
        made = []
        for decoy in decoys_for(self._seed, self._uid, self._strata, self._selection.wants):
            tag = decoy.tag
            if tag.table != table:
                continue
            if tag.scope is None:
                key = self._keyer.digest_key(tag.signal, bytes.fromhex(decoy.text))
            else:
                key = self._keyer.url_key(tag.scope, decoy.text)
            if rows.find(key) is None:
                number = self._keyer.entry_id(key) if ids else ""
                made.append((key, Entry(self.source, self.list, number, tag, decoy.text, decoy.labels)))
        return sorted(made, key=lambda one: one[0])

    def _match_url(self, host: str, path: str, query: str | None) -> list[Match]:
        return self._matcher.match_url(host, path, query)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.source, self.list, self._tables["exact"], self._keyer)


def _merged(rows: Iterator[tuple[bytes, Entry]], decoys: _Decoys) -> Iterator[Entry]:
    waiting = iter([*decoys, (b"\xff" * (KEY_BYTES + 1), None)])
    below, decoy = next(waiting)
    for key, entry in rows:
        while below < key and decoy is not None:
            yield decoy
            below, decoy = next(waiting)
        yield entry
    while decoy is not None:
        yield decoy
        _, decoy = next(waiting)


def _text(tag: Tag, value: bytes) -> str:
    if tag.scope is None:
        return value.hex()
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise StateError("a row's form is not ASCII", hint="run `vallum verify`") from None


def _nothing(_key: bytes) -> str:
    return ""
