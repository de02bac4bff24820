"""Which runs there are: every version finds a short way, at any head."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vallum.format.head import RunRef
from vallum.path import FETCHES, shortest_path
from vallum_publisher.release.ladder import (
    BASE_VERSIONS,
    FACTOR,
    KEPT,
    RUNGS,
    base_is_due,
    due_runs,
    keep_listed,
    rung_of,
)


@pytest.mark.parametrize(
    ("version", "starts"),
    [
        (1, []),
        (2, [1]),
        (3, [2]),
        (4, [3, 1]),
        (5, [4]),
        (8, [7, 4]),
        (16, [15, 12, 1]),
        (32, [31, 28, 16, 1]),
        (64, [63, 60, 48, 32]),
        (128, [127, 124, 112, 96, 1]),
        (256, [255, 252, 240, 224, 128, 1]),
        (1024, [1023, 1020, 1008, 992, 896, 768, 512]),
        (2048, [2047, 2044, 2032, 2016, 1920, 1792, 1536, 1]),
        (255, [254]),
        (252, [251, 248]),
    ],
)
def test_due_runs(version: int, starts: list[int]) -> None:
    assert due_runs(version) == starts


def test_a_run_cut_off_at_version_1_belongs_to_its_rung() -> None:
    spans = ((1, 2), (1, 4), (4, 8), (1, 16), (16, 32), (1, 32), (1, 64))
    assert [rung_of(RunRef(*span, 1)) for span in spans] == [1, 4, 4, 16, 16, 32, 128]


def test_the_newest_of_each_rung_stay_and_one_base() -> None:
    steps = [RunRef(at, at + 1, 1) for at in range(1, 12)]
    merged = [RunRef(1, 4, 1), RunRef(4, 8, 1)]
    bases = [RunRef(0, 3, 1), RunRef(0, 9, 1)]
    assert keep_listed([*steps, *merged, *bases]) == [RunRef(0, 9, 1), *merged, *steps[-RUNGS[1] :]]


def test_enough_of_each_rung_stay_to_reach_the_next() -> None:
    lengths = [*RUNGS, max(RUNGS) * FACTOR]
    for length, longer in pairwise(lengths):
        assert longer % length == 0
        assert RUNGS[length] >= longer // length - 1
    assert KEPT >= FACTOR - 1


def test_every_version_finds_a_short_way() -> None:
    """Uniform changes to a large list, over two of the longest rung of the table and beyond."""

    def size(run: RunRef) -> int:
        return 10**9 if run.start == 0 else 100 * (run.end - run.start) + 1

    listed: list[RunRef] = []
    bases, by_base = [], set()
    for version in range(1, 1100):
        listed = keep_listed([*listed, *(RunRef(start, version, 1) for start in due_runs(version))])
        if base_is_due(listed, version, size):
            bases.append(version)
            listed = keep_listed([*listed, RunRef(0, version, 1)])
        if (
            version in (2, 5, 63, 64, 65, 127, 254, 255, 256, 257, 511, 767, 1022, 1023, 1024, 1025)
            or version % 53 == 0
        ):
            for held in (0, *range(version % 5 + 1, version, 5)):
                way = shortest_path(listed, held, version, size)
                assert len(way) <= FETCHES
                if held and not way[0].start:
                    # No more than a cold start, and only after many versions, at few heads of 512 (here one):
                    # the steps on each rung would be thirteen.
                    assert version - held >= 512
                    by_base.add(version)
    assert by_base == {1023}
    assert 4 <= len(bases) <= 8


def test_a_client_that_was_away_for_a_month() -> None:
    """The example of docs/explanation/catch-up.md."""

    def size(run: RunRef) -> int:
        return 1_000_000 if run.start == 0 else 100 * (run.end - run.start) + 1

    listed: list[RunRef] = []
    for version in range(1, 1001):
        listed = keep_listed([*listed, *(RunRef(start, version, 1) for start in due_runs(version))])
        if base_is_due(listed, version, size):
            listed = keep_listed([*listed, RunRef(0, version, 1)])
    way = shortest_path(listed, 280, 1000, size)
    assert [(run.start, run.end) for run in way] == [
        (256, 512), (512, 768), (768, 896), (896, 928), (928, 960), (960, 992), (992, 996), (996, 1000),
    ]  # fmt: skip


def test_a_base_is_due_at_a_sixteenth_or_256_versions_or_where_no_way_leads_on() -> None:
    sizes = {RunRef(0, 1, 1): 1600, RunRef(1, 2, 1): 100, RunRef(2, 3, 1): 1, RunRef(0, 3, 1): 900}
    first, second, third, _ = sizes
    assert base_is_due([], 1, sizes.__getitem__)
    assert not base_is_due([first, second], 2, sizes.__getitem__)
    assert base_is_due([first, second, third], 3, sizes.__getitem__)
    assert base_is_due([first, third], 3, sizes.__getitem__)  # version 1 cannot be left
    far = RunRef(1, BASE_VERSIONS + 1, 1)
    assert base_is_due([first, far], BASE_VERSIONS + 1, lambda run: 10_000 if run.start == 0 else 1)


def test_a_large_base_waits_until_it_can_be_afforded() -> None:
    """A base of 7 MB; runs write 9 KB a version and leave 71 KB for bases: one in a hundred versions."""

    def due(step: int, version: int) -> bool:
        sizes = {
            RunRef(0, 1, 1): 7_000_000,
            RunRef(1, version - 1, 1): 500_000,  # a run of 128 versions, cut off at the first
            RunRef(version - 1, version, 1): step,
        }
        return base_is_due([*sizes], version, sizes.__getitem__)

    assert not due(5_000, 90)
    assert due(5_000, 110)
    # Where runs alone are beyond what a version may write, only the cold start counts.
    assert due(90_000, 90)
