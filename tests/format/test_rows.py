"""Splicing columns, held against a dictionary."""

from __future__ import annotations

from hashlib import shake_128
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import StateError
from vallum.format.columns import encode_rice
from vallum.format.removal import GROUPS, Removals, choose_removals, resolve_removals, unique_bits
from vallum.format.rows import Rows, ascends, splice
from vallum.format.table import count_tags, recount
from vallum.labels import LabelSet

# Few first bytes and few last ones: halves of keys collide, which they hardly do in life.
KEYS = st.builds(
    lambda top, middle, low: bytes((top,)) + bytes(6) + bytes((middle,)) + bytes(3) + bytes((low,)),
    st.sampled_from((0, 1, 255)), st.integers(0, 2), st.integers(0, 6),
)  # fmt: skip
LABELS = st.sampled_from([(), ("a",), ("a", "b"), ("c",), ("x:1:y",)])
VALUES = st.binary(min_size=1, max_size=6) | st.integers(250, 800).map(bytes)
"""Lengths of one byte and of two."""

MODELS = st.dictionaries(KEYS, st.tuples(LABELS, VALUES), max_size=25)

Model = dict[bytes, tuple[LabelSet, bytes]]


def build(model: Model, *, valued: bool) -> Rows:
    return Rows.build(
        list(model),
        [labels for labels, _ in model.values()],
        [value for _, value in model.values()] if valued else None,
    )


def model_of(rows: Rows, model: Model) -> Model:
    values = list(rows.iter_values()) if rows.lengths is not None else [model[key][1] for key in rows.keys()]  # noqa: SIM118 - a method
    return {key: (rows.labels(at), values[at]) for at, key in enumerate(rows.keys())}


@given(MODELS, st.booleans())
def test_building_sorts_and_keeps_every_row(model: Model, valued: bool) -> None:
    rows = build(model, valued=valued)
    assert model_of(rows, model) == model
    assert list(rows.keys()) == sorted(model)
    assert ascends(rows.hi, rows.lo)
    assert rows.dictionary == tuple(sorted({labels for labels, _ in model.values()}))


@given(MODELS, KEYS)
def test_finding_agrees_with_looking_at_every_key(model: Model, key: bytes) -> None:
    rows = build(model, valued=False)
    ordered = sorted(model)
    assert rows.find(key) == (ordered.index(key) if key in model else None)
    assert rows.lower_bound(int.from_bytes(key)) == sum(other < key for other in ordered)


@given(MODELS, MODELS, st.data())
@settings(max_examples=100)
def test_splicing_is_deleting_and_updating_a_dictionary(
    model: Model, adds: Model, data: st.DataObject
) -> None:
    valued = data.draw(st.booleans())
    rows = build(model, valued=valued)
    gone = data.draw(st.sets(st.sampled_from(sorted(model)))) if model else set()
    removals = data.draw(st.permutations([index for key in gone if (index := rows.find(key)) is not None]))
    expected = {key: row for key, row in model.items() if key not in gone} | adds
    spliced = splice(rows, build(adds, valued=valued), removals)
    # Built anew, the columns are the same: dictionary, width of the label column and all.
    wanted = build(expected, valued=valued)
    assert model_of(spliced, expected) == expected
    assert spliced.dictionary == wanted.dictionary
    for ours, theirs in (
        (spliced.label_ids, wanted.label_ids),
        (spliced.hi, wanted.hi),
        (spliced.lo, wanted.lo),
    ):
        assert (ours.format, ours.tobytes()) == (theirs.format, theirs.tobytes())
    if valued:
        replaced = [at for key in set(adds) - gone if (at := rows.find(key)) is not None]
        dropped = [*removals, *replaced]
        assert recount(count_tags(rows), rows, dropped, build(adds, valued=True)) == count_tags(wanted)


@pytest.mark.parametrize(("sets", "code"), [(256, "B"), (257, "H"), (65_536, "H"), (65_537, "I")])
def test_the_label_column_is_as_wide_as_its_dictionary_asks(sets: int, code: str) -> None:
    labels: list[LabelSet] = [(f"l{number}",) for number in range(sets)]
    keys = [number.to_bytes(12) for number in range(sets)]
    rows = Rows.build(keys, labels, None)
    assert rows.label_ids.format == code
    one_less = splice(rows, Rows.empty(valued=False), [0])
    assert one_less.label_ids.format == Rows.build(keys[1:], labels[1:], None).label_ids.format
    grown = splice(one_less, Rows.build(keys[:1], labels[:1], None), [])
    assert grown.label_ids.tobytes() == rows.label_ids.tobytes()


def test_rows_with_values_and_without_do_not_mix() -> None:
    with pytest.raises(StateError, match="with and without values"):
        splice(Rows.empty(valued=True), Rows.empty(valued=False), [])


NUMBERS = st.sets(st.one_of(st.integers(0, 2**96 - 1), st.integers(0, 40)), min_size=1, max_size=30)


@given(NUMBERS, st.data())
def test_a_removal_names_its_row_and_no_other_of_the_span(union: set[int], data: st.DataObject) -> None:
    ordered = sorted(union)
    removed = sorted(data.draw(st.sets(st.sampled_from(ordered), min_size=1)))
    chosen = choose_removals(
        [
            (
                key,
                unique_bits(
                    key,
                    max((other for other in ordered if other < key), default=None),
                    min((other for other in ordered if other > key), default=None),
                ),
            )
            for key in removed
        ]
    )
    assert len(chosen) <= GROUPS
    held = data.draw(st.sets(st.sampled_from(ordered)))
    keys = [key.to_bytes(12) for key in sorted(held)]
    rows = Rows.build(keys, [()] * len(keys), None)
    found = sorted(resolve_removals(rows, chosen))
    assert [int.from_bytes(rows.key(at)) for at in found] == sorted(held & set(removed))


def test_rows_that_crowd_on_a_host_do_not_make_all_removals_long() -> None:
    """They need more bits than others do; with two lengths the column was half as long again."""
    drawn = [int.from_bytes(shake_128(b"%d" % at).digest(12)) for at in range(5000)]
    host = drawn[0] >> 76 << 76
    union = sorted({*drawn[:4000], *(host | key & (1 << 76) - 1 for key in drawn[4000:])})
    wanted = [
        (key, unique_bits(key, union[at - 1] if at else None, union[at + 1] if at + 1 < len(union) else None))
        for at, key in enumerate(union)
        if at % 3 == 0
    ]
    chosen = choose_removals(wanted)
    assert 3 <= len(chosen) <= GROUPS

    def size(removals: Removals) -> int:
        return sum(len(encode_rice(prefixes, bits)) for bits, prefixes in removals)

    def under(lengths: tuple[int, ...]) -> Removals:
        return tuple(
            (most, tuple(sorted(key >> 96 - most for key, bits in wanted if least < bits <= most)))
            for least, most in pairwise((0, *lengths))
        )

    needed = sorted({bits for _, bits in wanted})
    for two in combinations(needed, 2):
        if two[1] == needed[-1]:
            assert size(chosen) < 0.85 * size(under(two))


def test_a_prefix_that_two_rows_begin_with_is_refused() -> None:
    rows = Rows.build([bytes(12), bytes(11) + b"\1"], [(), ()], None)
    with pytest.raises(StateError, match="names two rows"):
        resolve_removals(rows, ((8, (0,)),))


def test_two_prefixes_of_one_row_are_refused() -> None:
    rows = Rows.build([bytes(12)], [()], None)
    with pytest.raises(StateError, match="two removals name one row"):
        resolve_removals(rows, ((8, (0,)), (9, (0,))))
