"""When a watching client polls: bounds that hold for whatever a publisher, a network or a liar does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallum.sync.schedule import LEAST, MOST, Turn, hinted, polled

draws = st.floats(0, 1)
moments = st.floats(0, 1e9)
asked = st.none() | st.integers(0, 2**53)
turns = st.builds(
    Turn,
    due=moments,
    pace=st.floats(LEAST, MOST),
    failures=st.integers(0, 50),
    gap=st.floats(1, LEAST),
    polled=moments,
    hinted=st.booleans(),
)


@given(turns, moments, asked, st.booleans(), draws)
def test_a_success_is_followed_after_what_the_publisher_asks_and_a_fifth(
    turn: Turn, now: float, min_poll: int | None, news: bool, draw: float
) -> None:
    after = polled(turn, now, failed=False, news=news, min_poll=min_poll, draw=draw)
    wait = after.due - now
    pace = 60 if min_poll is None else min(max(min_poll, LEAST), MOST)
    assert pace - 1e-6 <= wait <= pace * 1.2 + 1e-6
    assert after.failures == 0
    assert not after.hinted


@given(turns, moments, asked, draws)
def test_failures_back_off_to_an_hour_and_never_beyond(
    turn: Turn, now: float, min_poll: int | None, draw: float
) -> None:
    after = polled(turn, now, failed=True, news=False, min_poll=min_poll, draw=draw)
    assert after.failures == turn.failures + 1
    assert LEAST - 1e-6 <= after.due - now <= MOST + 1e-6


def test_an_outage_of_a_day_costs_a_store_a_few_dozen_requests() -> None:
    turn, now, polls = Turn(due=0.0), 0.0, 0
    while now < 86_400:
        turn = polled(turn, now, failed=True, news=False, min_poll=60, draw=0.5)
        now, polls = turn.due, polls + 1
    assert polls < 45


@given(turns, moments, draws)
def test_a_hint_moves_a_poll_forward_only_and_not_while_backing_off(
    turn: Turn, now: float, draw: float
) -> None:
    after = hinted(turn, now, draw)
    assert after.due <= turn.due
    if turn.failures:
        assert after == turn
    elif after.hinted and not turn.hinted:
        assert after.due >= turn.polled + turn.gap
        assert after.due >= now


def test_a_hint_after_quiet_is_followed_within_half_a_second() -> None:
    turn = polled(Turn(due=0.0), 100.0, failed=False, news=True, min_poll=300, draw=1.0)
    assert hinted(turn, 200.0, 1.0).due == pytest.approx(200.5)
    assert hinted(turn, 200.0, 0.0).due == pytest.approx(200.0)


@pytest.mark.parametrize("min_poll", [0, 60, 300, 3600])
def test_forged_hints_without_pause_add_a_handful_of_polls(min_poll: int) -> None:
    """A hostile server of hints cries all the time. Each poll that finds nothing doubles the distance."""
    turn, now, polls = Turn(due=0.0), 0.0, 0
    day = 86_400
    while now < day:
        turn = polled(turn, now, failed=False, news=False, min_poll=min_poll, draw=0.0)
        turn = hinted(turn, now, 0.0)
        now, polls = turn.due, polls + 1
    pace = max(min_poll, LEAST)
    assert polls <= day / pace + math.log2(pace) + 3


def test_news_make_hints_count_again() -> None:
    turn = Turn(due=0.0)
    for _ in range(20):
        turn = hinted(polled(turn, turn.due, failed=False, news=False, min_poll=300, draw=0.0), turn.due, 0.0)
    assert turn.gap > 100
    turn = polled(turn, turn.due, failed=False, news=True, min_poll=300, draw=0.0)
    assert turn.gap == 1.0
