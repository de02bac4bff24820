"""Whatever way leads to a version, everyone holds the same bytes (DESIGN §5)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.format.lists import STREAMS, TABLES, History, histories
from vallum.errors import StateError
from vallum.expression import Keyer
from vallum.format.run import apply_run, format_body, format_run, parse_run
from vallum.format.section import Codec
from vallum.format.table import Table, check_table, format_table, parse_table


def lead(history: History, edition: str, held: dict[str, Table], start: int, end: int) -> dict[str, Table]:
    codec = history.codec_of(edition)
    run = parse_run(codec, format_run(codec, history.run(edition, start, end), level=1))
    tables = apply_run(run, held, codec.keyer.host_bits)
    # What is held next comes from a file.
    return {name: parse_table(format_table(table)) for name, table in tables.items()}


@pytest.mark.parametrize(("kind", "edition"), STREAMS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_chain_of_runs_gives_the_bytes_that_the_rows_have(
    kind: str, edition: str, data: st.DataObject
) -> None:
    history = data.draw(histories(kind))
    held: dict[str, Table] = {}
    at = 0
    while at < history.version:
        # A step may begin anywhere at or before what is held: clients straddle the beginnings of runs.
        start = data.draw(st.integers(0 if not at else 1, at)) if at else 0
        start = data.draw(st.sampled_from((start, 0)))
        end = data.draw(st.integers(at + 1, history.version))
        held = lead(history, edition, held, start, end)
        at = end
        for name in TABLES[kind]:
            wanted = history.table(edition, name, at)
            assert format_table(held[name]) == format_table(wanted)
            assert held[name].digest() == wanted.digest()
            check_table(held[name])


@pytest.mark.parametrize(("kind", "edition"), STREAMS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_parsing_undoes_formatting(kind: str, edition: str, data: st.DataObject) -> None:
    history = data.draw(histories(kind))
    end = data.draw(st.integers(1, history.version))
    start = data.draw(st.integers(0, end - 1))
    codec = history.codec_of(edition)
    run = history.run(edition, start, end)
    parsed = parse_run(codec, format_run(codec, run, level=1))
    assert (parsed.header.start, parsed.header.end, parsed.is_base) == (start, end, start == 0)
    for ours, theirs in zip(run.sections, parsed.sections, strict=True):
        assert (ours.name, ours.counts, ours.removals) == (theirs.name, theirs.counts, theirs.removals)
        assert list(ours.adds.keys()) == list(theirs.adds.keys())
        assert [ours.adds.labels(at) for at in range(len(ours.adds))] == [
            theirs.adds.labels(at) for at in range(len(theirs.adds))
        ]
        assert list(ours.adds.iter_values()) == list(theirs.adds.iter_values())
    assert format_body(codec, parsed.table_salt, parsed.sections) == format_body(
        codec, run.table_salt, run.sections
    )


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_minimal_net_change_would_be_wrong_for_those_who_straddle_its_beginning(
    data: st.DataObject,
) -> None:
    """Why a run names every key touched: what came and went inside is held by some client."""
    history = data.draw(histories("url", most=4).filter(lambda history: history.version >= 3))
    held = lead(history, "full", {}, 0, 2)
    run = history.run("full", 1, 3)
    touched_in_two = history.touched[1]["exact"] | history.touched[2]["exact"]
    listed_now = set(history.states[2]["exact"])
    assert set(run.sections[0].adds.keys()) == touched_in_two & listed_now
    assert format_table(lead(history, "full", held, 1, 3)["exact"]) == format_table(
        history.table("full", "exact", 3)
    )


@pytest.mark.parametrize("held", [0, 1, 3, 4])
def test_a_step_is_refused_where_it_does_not_lead_from(held: int) -> None:
    history = History("hash", Codec("hash", "full", TABLES["hash"], Keyer(b"", 0)))
    for _ in range(4):
        history.states.append({"exact": {}, "pdq": {}})
        history.touched.append({"exact": frozenset(), "pdq": frozenset()})
    codec = history.codec_of("match")
    run = parse_run(codec, format_run(codec, history.run("match", 2, 3)))
    tables = {name: history.table("match", name, held) for name in TABLES["hash"]} if held else {}
    with pytest.raises(StateError, match=r"step|leads"):
        apply_run(run, tables, 0)
