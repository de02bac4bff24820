"""One list's whole history, and what any client must have of it: its tables and runs.

Made by ``vallum.format`` from the documents alone; signed and stored by :mod:`tests.fakes.repository`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum.format.charter import Charter
from vallum.format.removal import choose_removals, unique_bits
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, format_run
from vallum.format.section import Section
from vallum.format.table import SALT_BYTES, Table, build_table
from vallum.labels import LabelSet

Listed = Mapping[str, LabelSet]
"""A list's whole content: labels by expression (``url|host|bad.example``, ``sha256|<hex>``)."""

Span = tuple[int, int]


@dataclass
class ListHistory:
    """One list: its charter, every version of its present generation, and what its head shall say."""

    charter: Charter
    versions: list[Listed] = field(default_factory=lambda: [{}])
    epoch: int = 1
    as_of: datetime | None = None
    max_age: int = 72 * 3600
    spans: list[Span] | None = None
    runs: dict[tuple[int, int, int], bytes] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return len(self.versions) - 1

    @property
    def keyer(self) -> Keyer:
        return Keyer(b"", self.charter.host_bits)

    def table(self, version: int) -> Table:
        """What every client must hold at this version."""
        keyed = _keyed(self.keyer, self.versions[version])
        return build_table(
            kind=self.charter.kind,
            edition=self.charter.editions[0],
            name="exact",
            host_bits=self.charter.host_bits,
            generation=self.charter.generation,
            version=version,
            salt=bytes(SALT_BYTES),
            counts=_counts(keyed),
            keys=list(keyed),
            labels=[labels for labels, _ in keyed.values()],
            values=[value for _, value in keyed.values()],
        )

    def run(self, start: int, end: int) -> bytes:
        """What leads from any version in ``[start, end)`` to ``end``; a test may have put another there."""
        name = (self.charter.generation, start, end)
        if name not in self.runs:
            self.runs[name] = self._build_run(start, end)
        return self.runs[name]

    def _build_run(self, start: int, end: int) -> bytes:
        keyed = [_keyed(self.keyer, listed) for listed in self.versions]
        final = keyed[end]
        if start == 0:
            touched = set(final)
        else:
            touched = {
                key
                for version in range(start + 1, end + 1)
                for key in {*keyed[version], *keyed[version - 1]}
                if keyed[version].get(key) != keyed[version - 1].get(key)
            }
        union = sorted({int.from_bytes(key) for version in range(start, end + 1) for key in keyed[version]})
        removed = [
            (
                at,
                unique_bits(
                    key, union[at - 1] if at else None, union[at + 1] if at + 1 < len(union) else None
                ),
            )
            for at, key in enumerate(union)
            if key.to_bytes(12) in touched and key.to_bytes(12) not in final
        ]
        added = sorted(touched & set(final))
        section = Section(
            "exact",
            _counts(final),
            Rows.build(added, [final[key][0] for key in added], [final[key][1] for key in added]),
            choose_removals([(union[at], bits) for at, bits in removed]),
        )
        charter = self.charter
        header = RunHeader(charter.kind, charter.editions[0], charter.generation, self.epoch, start, end, 0)
        codec = charter.codec(charter.editions[0])
        return format_run(codec, Run(header, bytes(SALT_BYTES), (section,)), level=3)


def ladder(version: int) -> list[Span]:
    """The runs of DESIGN §5 with a base every eighth version: newest four of each level."""
    base = version - version % 8 or 1
    spans = {(0, base)}
    for length in (1, 4, 16, 64):
        ends = [end for end in range(length, version + 1, length) if end > 1]
        spans |= {(max(1, end - length), end) for end in ends[-4:]}
    return sorted(spans)


def _keyed(keyer: Keyer, listed: Listed) -> dict[bytes, tuple[LabelSet, bytes]]:
    rows: dict[bytes, tuple[LabelSet, bytes]] = {}
    for expression, labels in sorted(listed.items()):
        signal, _, rest = expression.partition("|")
        if signal == "url":
            scope, _, form = rest.partition("|")
            key = keyer.url_key(Scope(scope), form)
            value = bytes((URL_TAGS[Scope(scope)].code,)) + form.encode()
        else:
            raw = bytes.fromhex(rest)
            key, value = keyer.digest_key(signal, raw), bytes((DIGEST_TAGS[signal].code,)) + raw
        rows[key] = (labels, value)
    return dict(sorted(rows.items()))


def _counts(keyed: Mapping[bytes, tuple[LabelSet, bytes]]) -> tuple[tuple[int, int], ...]:
    tally: dict[int, int] = {}
    for _, value in keyed.values():
        tally[value[0]] = tally.get(value[0], 0) + 1
    return tuple(sorted(tally.items()))
