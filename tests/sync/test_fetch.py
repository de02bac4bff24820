"""Fetching with bounds: what a store may answer, and how often it is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallum.errors import DataError, FetchError
from vallum.format import limits
from vallum.format.columns import compress
from vallum.sync import fetch
from vallum.sync.fetch import ATTEMPTS, MAX_RETRY_AFTER, PACKED, AbsentError, Fetcher, TooLargeError, limit_of
from vallum.sync.transport import Answer

ROLE = "metadata/7.urls.full.json"
TIMESTAMP = "metadata/timestamp.json"


class Script:
    """A transport that gives prepared answers, and asserts that no more is asked than there are.

    It has no packed metadata unless ``packed`` is given.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bool]] = []
        self.packed: Answer | None = None

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        if name.endswith(PACKED):
            return self.packed or Answer(404)
        self.asked.append((name, etag, fresh))
        assert self.answers, "asked more often than expected"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


def fetcher(script: Script, deadline: float = 60, slept: list[float] | None = None) -> Fetcher:
    return Fetcher(script, deadline, sleep=(slept if slept is not None else []).append)


def body(data: bytes = b"data") -> Answer:
    return Answer(200, iter([data]))


def broken_body() -> Iterator[bytes]:
    yield b"da"
    raise FetchError("the connection broke off")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_retried(status: int) -> None:
    slept: list[float] = []
    script = Script(Answer(status), FetchError("no connection"), Answer(200, broken_body()), body())
    found = fetcher(script, slept=slept)
    assert found.read(ROLE) == b"data"
    assert found.requests == 5, "four for the plain file, after one for the packed one"
    assert found.received == 6
    assert len(slept) == 3


@pytest.mark.parametrize("status", [400, 401, 410, 304, 206])
def test_other_answers_are_not(status: int) -> None:
    with pytest.raises(FetchError, match=str(status)):
        fetcher(Script(Answer(status))).read(ROLE)


def test_trouble_that_stays_ends() -> None:
    script = Script(*[Answer(503) for _ in range(ATTEMPTS)])
    with pytest.raises(FetchError, match="503"):
        fetcher(script).read(ROLE)
    script = Script(*[Answer(200, broken_body()) for _ in range(ATTEMPTS)])
    with pytest.raises(FetchError, match="broke off"):
        fetcher(script).read(ROLE)
    assert not script.answers


def test_pauses_grow_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF", 0.5)
    slept: list[float] = []
    fetcher(Script(Answer(503), Answer(503), Answer(503), body()), slept=slept).read(ROLE)
    for pause, longest in zip(slept, (0.5, 1.0, 2.0), strict=True):
        assert longest / 2 <= pause <= longest


def test_retry_after_is_honoured_within_bounds() -> None:
    """A store may ask for patience, not for silence."""
    slept: list[float] = []
    fetcher(Script(Answer(429, retry_after=7.0), body()), slept=slept).read(ROLE)
    assert slept == [7.0]
    with pytest.raises(FetchError, match="wait") as raised:
        fetcher(Script(Answer(429, retry_after=MAX_RETRY_AFTER + 1)), slept=slept).read(ROLE)
    assert slept == [7.0]
    assert raised.value.hint


@pytest.mark.parametrize("status", [403, 404])
def test_a_pinned_name_is_asked_for_past_the_cache_once(status: int) -> None:
    script = Script(Answer(status), body())
    assert fetcher(script).read(ROLE) == b"data"
    assert [fresh for _, _, fresh in script.asked] == [False, True]
    with pytest.raises(AbsentError):
        fetcher(Script(Answer(status), Answer(status))).read(ROLE)


@pytest.mark.parametrize("name", ["metadata/2.root.json", TIMESTAMP])
def test_a_name_that_nothing_pins_is_asked_for_once(name: str) -> None:
    """The next root is absent in almost every sync: that is no reason to bother the origin."""
    with pytest.raises(AbsentError):
        fetcher(Script(Answer(404))).read(name)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        (TIMESTAMP, limits.TIMESTAMP),
        ("metadata/12.snapshot.json", limits.SNAPSHOT),
        ("metadata/3.root.json", limits.ROOT),
        ("metadata/4.targets.json", limits.LIST_ROLE),
        (ROLE, limits.LIST_ROLE),
        ("metadata/1.snapshot.full.json", limits.LIST_ROLE),
        ("targets/urls.full/ab.1-1-0-1.run", limits.RUN),
    ],
)
def test_limits_by_kind(name: str, limit: int) -> None:
    assert limit_of(name) == limit


def test_one_byte_too_many() -> None:
    """The limit itself is allowed, one byte more is the store's fault and not retried."""
    assert len(fetcher(Script(body(bytes(limits.TIMESTAMP)))).read(TIMESTAMP)) == limits.TIMESTAMP
    with pytest.raises(TooLargeError):
        fetcher(Script(body(bytes(limits.TIMESTAMP + 1)))).read(TIMESTAMP)
    assert issubclass(TooLargeError, DataError)


def test_a_deadline_ends_a_slow_source() -> None:
    """A store that sends a byte now and then would hold the lock for ever."""
    with pytest.raises(FetchError, match="deadline"):
        list(fetcher(Script(Answer(200, iter([b"a", b"b"]))), deadline=-1).stream(ROLE))


def test_poll_hands_a_changed_timestamp_on() -> None:
    """What one conditional request brought is not fetched twice."""
    script = Script(Answer(200, iter([b"new"]), etag='"2"'))
    found = fetcher(script)
    assert found.poll('"1"') == b"new"
    assert found.read(TIMESTAMP) == b"new"
    assert script.asked == [(TIMESTAMP, '"1"', False)]
    assert found.timestamp_etag == '"2"'
    assert fetcher(Script(Answer(304))).poll('"1"') is None


def test_a_304_that_nobody_asked_for_is_an_error() -> None:
    with pytest.raises(FetchError, match="304"):
        fetcher(Script(Answer(304))).poll("")


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_bodies_come_through_in_any_pieces(pieces: list[bytes]) -> None:
    found = fetcher(Script(Answer(200, iter(pieces))))
    assert b"".join(found.stream(ROLE)) == b"".join(pieces)
    assert found.received == sum(map(len, pieces))


def test_packed_metadata_serves_where_there_is_some() -> None:
    script = Script()
    script.packed = body(compress(b"metadata " * 50, 19))
    found = fetcher(script)
    assert found.read(ROLE) == b"metadata " * 50
    assert found.requests == 1
    assert found.received < 100, "what goes over the wire is counted"


@pytest.mark.parametrize(
    "packed",
    [
        b"not a frame",
        compress(b"x" * (limits.LIST_ROLE + 1), 1),
        compress(b"metadata", 3) + b"more",
    ],
)
def test_a_packed_file_that_is_none_is_passed_over(packed: bytes) -> None:
    """A bomb, or rubbish, beside good metadata: the plain file serves, and the packed one is left alone."""
    script = Script(body(), body())
    script.packed = body(packed)
    found = fetcher(script)
    assert found.read(ROLE) == found.read(ROLE) == b"data"
    assert found.requests == 3


@pytest.mark.parametrize("name", ["metadata/2.root.json", TIMESTAMP])
def test_what_nothing_pins_is_never_packed(name: str) -> None:
    script = Script(body())
    script.packed = body(compress(b"forged", 3))
    assert fetcher(script).read(name) == b"data"
