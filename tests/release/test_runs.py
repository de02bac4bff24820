"""Any way from any version gives the same bytes: random histories, flapping keys, straddling clients."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.release.scenes import table_of
from vallum.errors import StateError
from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum.format.head import RunRef
from vallum.format.run import apply_run, parse_run
from vallum.format.section import Codec
from vallum.format.table import Table
from vallum.labels import LabelSet
from vallum_publisher.release.ladder import due_runs, keep_listed
from vallum_publisher.release.runs import check_run, make_run, select

_LABELS: list[LabelSet] = [(), ("uk-sap:1:A",), ("ai_generated", "uk-sap:1:B"), ("subject:1:image",)]

# What one version does: for some of twelve keys, list them with one of four label sets, or not.
_Steps = st.lists(
    st.dictionaries(st.integers(0, 11), st.sampled_from([None, 0, 1, 2, 3]), min_size=1, max_size=6),
    min_size=1,
    max_size=18,
)


def _codec(kind: str, edition: str) -> Codec:
    return Codec(kind, edition, ("exact",), Keyer(b"", 4 if kind == "url" else 0))


def _item(codec: Codec, number: int) -> tuple[bytes, bytes]:
    """Key and value. Few hosts, so that keys have long common prefixes."""
    if codec.kind == "url":
        form = f"h{number % 3}.example/{number}"
        tag = URL_TAGS[Scope.URL]
        return codec.keyer.url_key(Scope.URL, form), bytes((tag.code,)) + form.encode()
    raw = hashlib.sha256(bytes((number,))).digest()
    return codec.keyer.digest_key("sha256", raw), bytes((DIGEST_TAGS["sha256"].code,)) + raw


class _History:
    """What a catalog knows: rows at each version, and the keys that each version touched."""

    def __init__(self, codec: Codec, steps: list[dict[int, int | None]]) -> None:
        self.codec = codec
        # An honest list is never empty.
        first, value = _item(codec, 99)
        rows: dict[bytes, tuple[LabelSet, bytes]] = {first: (("test",), value)}
        self.tables: list[Table] = [table_of(codec, 0, {})]
        self.touched: list[set[bytes]] = [set()]
        for version, step in enumerate([{}, *steps], 1):
            touched = {first} if version == 1 else set()
            for number, labels in step.items():
                key, value = _item(codec, number)
                # What came and went within a version touches too: the catalog may say so, and must then hold.
                touched.add(key)
                rows.pop(key, None)
                if labels is not None:
                    rows[key] = (_LABELS[labels], value)
            self.tables.append(table_of(codec, version, dict(rows)))
            self.touched.append(touched)

    def run(self, start: int, end: int) -> bytes:
        touched = sorted(set().union(*self.touched[start + 1 : end + 1]))
        return make_run(self.codec, {"exact": self.tables[end]}, start, 1, {"exact": touched})


@pytest.mark.parametrize("edition", ["full", "match"])
@pytest.mark.parametrize("kind", ["url", "hash"])
@settings(max_examples=40, deadline=None)
@given(steps=_Steps)
def test_each_listed_run_leads_from_each_version_in_its_span(
    kind: str, edition: str, steps: list[dict[int, int | None]]
) -> None:
    history = _History(_codec(kind, edition), steps)
    last = len(history.tables) - 1
    listed: list[RunRef] = [RunRef(0, 1, 1)]
    for version in range(2, last + 1):
        listed = keep_listed([*listed, *(RunRef(start, version, 1) for start in due_runs(version))])
    for ref in listed:
        run = parse_run(history.codec, history.run(ref.start, ref.end))
        wanted = history.tables[ref.end].digest()
        for held in range(ref.start, ref.end):
            made = apply_run(run, {"exact": history.tables[held]}, history.codec.keyer.host_bits)
            assert made["exact"].digest() == wanted


@pytest.mark.parametrize("edition", ["full", "match"])
@pytest.mark.parametrize("kind", ["url", "hash"])
@settings(max_examples=15, deadline=None)
@given(steps=_Steps, data=st.data())
def test_any_chain_of_any_runs_gives_the_same_table(
    kind: str, edition: str, steps: list[dict[int, int | None]], data: st.DataObject
) -> None:
    """From nothing or from any version, to any later one, by runs of any length that fit together."""
    history = _History(_codec(kind, edition), steps)
    last = len(history.tables) - 1
    at = data.draw(st.integers(0, last - 1))
    goal = data.draw(st.integers(at + 1, last))
    table = history.tables[at]
    while at < goal:
        end = data.draw(st.integers(at + 1, goal))
        start = data.draw(st.integers(0, at))
        run = parse_run(history.codec, history.run(start, end))
        table = apply_run(run, {"exact": table}, history.codec.keyer.host_bits)["exact"]
        at = end
        assert b"".join(table.chunks()) == b"".join(history.tables[at].chunks())


def test_a_removal_is_told_from_its_neighbours_in_many_rows() -> None:
    codec = _codec("hash", "match")
    everything = dict(_item_of(codec, number) for number in range(3000))
    draw = random.Random(7)  # noqa: S311 - a test's data
    gone = set(draw.sample(sorted(everything), 700))
    kept = {key: row for key, row in everything.items() if key not in gone}
    run = make_run(codec, {"exact": table_of(codec, 2, kept)}, 1, 1, {"exact": sorted(gone)})
    check_run(
        codec, run, {"exact": table_of(codec, 1, everything)}, {"exact": table_of(codec, 2, kept).digest()}
    )
    assert len(run) < 700 * 4  # of 96 bits some 20 are sent


def test_a_run_that_forgets_a_key_is_caught_before_it_is_signed() -> None:
    history = _History(_codec("url", "full"), [{1: 0, 2: 0}, {1: None, 2: 1}])
    key = _item(history.codec, 2)[0]
    run = make_run(history.codec, {"exact": history.tables[3]}, 2, 1, {"exact": [key]})
    with pytest.raises(StateError):
        check_run(history.codec, run, {"exact": history.tables[2]}, {"exact": history.tables[3].digest()})


def test_select_copies_rows_with_a_dictionary_of_their_own() -> None:
    history = _History(_codec("url", "full"), [{1: 1, 2: 2, 3: 3, 4: 1}])
    rows = history.tables[-1].rows
    some = select(rows, [1, 3])
    assert list(some.keys()) == [rows.key(1), rows.key(3)]
    assert [some.labels(at) for at in range(2)] == [rows.labels(1), rows.labels(3)]
    values = list(rows.iter_values())
    assert list(some.iter_values()) == [values[1], values[3]]
    assert set(some.dictionary) == {rows.labels(1), rows.labels(3)}


def _item_of(codec: Codec, number: int) -> tuple[bytes, tuple[LabelSet, bytes]]:
    raw = hashlib.sha256(number.to_bytes(4)).digest()
    return codec.keyer.digest_key("sha256", raw), ((), bytes((DIGEST_TAGS["sha256"].code,)) + raw)
