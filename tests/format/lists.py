"""A small publisher to hold the format against: lists as dictionaries, runs made by the book.

It knows nothing of columns: states are dictionaries, and the bits of a removal are found by comparing a key
with every other one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import shake_128

from hypothesis import strategies as st

from vallum.expression import TAGS, Keyer, Scope, Tag
from vallum.format.removal import KEY_BITS, Removals, choose_removals
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader
from vallum.format.section import Codec, Section
from vallum.format.table import Counts, Table, build_table, is_valued
from vallum.labels import LabelSet

HOSTS = ("site.example", "a.site.example", "other.example", "a.example", "xn--bcher-kva.example", "192.0.2.1")
PATHS = ("/", "/a", "/a/b", "/b%20c", "/z/", "/a?q=1")
URL_TAGS = [tag for tag in TAGS.values() if tag.scope is not None]
DIGEST_TAGS = [tag for tag in TAGS.values() if tag.scope is None]
LABELS: tuple[LabelSet, ...] = ((), ("test",), ("uk-sap:1:A",), ("ai_generated", "uk-sap:1:B"))
TABLES = {"url": ("exact",), "hash": ("exact", "pdq")}
STREAMS = [("url", "full"), ("url", "match"), ("hash", "full"), ("hash", "match")]

State = Mapping[str, Mapping[bytes, tuple[LabelSet, bytes]]]
"""Rows by table: key to labels and value."""


@dataclass
class History:
    """States of a list at versions 1, 2, …, and the keys that each version touched."""

    kind: str
    codec: Codec
    states: list[State] = field(default_factory=list)
    touched: list[Mapping[str, frozenset[bytes]]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.states)

    def table(self, edition: str, name: str, version: int) -> Table:
        """The table as anyone may build it from the rows."""
        rows = self.states[version - 1][name]
        return build_table(
            kind=self.kind, edition=edition, name=name, host_bits=self.codec.keyer.host_bits, generation=1,
            version=version, salt=bytes(16), counts=count(rows), keys=list(rows),
            labels=[labels for labels, _ in rows.values()], values=[value for _, value in rows.values()],
        )  # fmt: skip

    def run(self, edition: str, start: int, end: int) -> Run:
        """The run over ``(start, end]``, by the sentences of DESIGN §5."""
        sections = tuple(self._section(edition, name, start, end) for name in TABLES[self.kind])
        return Run(RunHeader(self.kind, edition, 1, 1, start, end, 0), bytes(16), sections)

    def _section(self, edition: str, name: str, start: int, end: int) -> Section:
        now = self.states[end - 1][name]
        if start == 0:
            return Section(name, count(now), rows_of(edition, name, now), ())
        touched = frozenset().union(
            *(self.touched[version - 1][name] for version in range(start + 1, end + 1))
        )
        ever = frozenset().union(*(self.states[version - 1][name] for version in range(start, end + 1)))
        adds = {key: now[key] for key in touched if key in now}
        removals = naive_removals(sorted(touched - set(now)), ever | touched)
        return Section(name, count(now), rows_of(edition, name, adds), removals)

    def codec_of(self, edition: str) -> Codec:
        return Codec(self.kind, edition, self.codec.tables, self.codec.keyer)


def naive_removals(removed: Sequence[bytes], union: frozenset[bytes]) -> Removals:
    """Shortest prefixes that no other key of the union begins with."""

    def bits(key: bytes) -> int:
        number = int.from_bytes(key)
        others = [int.from_bytes(other) for other in union if other != key]
        return next(
            bits
            for bits in range(1, KEY_BITS + 1)
            if not any(other >> KEY_BITS - bits == number >> KEY_BITS - bits for other in others)
        )

    return choose_removals([(int.from_bytes(key), bits(key)) for key in removed])


def rows_of(edition: str, name: str, rows: Mapping[bytes, tuple[LabelSet, bytes]]) -> Rows:
    labels = [labels for labels, _ in rows.values()]
    values = [value for _, value in rows.values()] if is_valued(edition, name) else None
    return Rows.build(list(rows), labels, values)


def count(rows: Mapping[bytes, tuple[LabelSet, bytes]]) -> Counts:
    codes = [value[0] for _, value in rows.values()]
    return tuple((code, codes.count(code)) for code in sorted(set(codes)))


def url_entry(keyer: Keyer, tag: Tag, host: str, path: str) -> tuple[bytes, bytes] | None:
    """Key and value of a URL row; nothing where the scope cannot be meant with this path."""
    scope = tag.scope
    assert scope is not None
    if scope in (Scope.HOST, Scope.DOMAIN):
        form = host
    else:
        form = host + (path if scope is Scope.URL else path.partition("?")[0])
        if scope is Scope.PATH_PREFIX and path == "/":
            return None
    return keyer.url_key(scope, form), bytes((tag.code,)) + form.encode("ascii")


def digest_entry(keyer: Keyer, tag: Tag, number: int) -> tuple[bytes, bytes]:
    raw = shake_128(b"%d" % number).digest(tag.size)
    return keyer.digest_key(tag.signal, raw), bytes((tag.code,)) + raw


def entries(keyer: Keyer, kind: str) -> dict[str, dict[bytes, bytes]]:
    """All rows that may come up in a history, by table: key to value."""
    pool: dict[str, dict[bytes, bytes]] = {name: {} for name in TABLES[kind]}
    if kind == "url":
        made = (url_entry(keyer, tag, host, path) for tag in URL_TAGS for host in HOSTS for path in PATHS)
        pool["exact"] = dict(entry for entry in made if entry)
    else:
        for tag in DIGEST_TAGS:
            pool[tag.table] |= dict(digest_entry(keyer, tag, number) for number in range(24))
    return pool


@st.composite
def histories(draw: st.DrawFn, kind: str, most: int = 6) -> History:
    """Lists whose rows come, go, come back, change labels, and are touched without a change."""
    host_bits = draw(st.sampled_from((0, 20, 32))) if kind == "url" else 0
    keyer = Keyer(draw(st.sampled_from((b"", b"\x07" * 32))), host_bits)
    history = History(kind, Codec(kind, "full", TABLES[kind], keyer))
    pool = entries(keyer, kind)
    state: dict[str, dict[bytes, tuple[LabelSet, bytes]]] = {name: {} for name in pool}
    for _ in range(draw(st.integers(1, most))):
        touched: dict[str, frozenset[bytes]] = {}
        for name, values in pool.items():
            rows = state[name] = dict(state[name])
            keys = draw(st.lists(st.sampled_from(sorted(values)), max_size=12, unique=True))
            for key in keys:
                labels = draw(st.sampled_from((None, *LABELS)))
                if labels is None:
                    rows.pop(key, None)  # or it came and went within one version
                else:
                    rows[key] = (labels, values[key])
            touched[name] = frozenset(keys)
        history.states.append(dict(state))
        history.touched.append(touched)
    return history
