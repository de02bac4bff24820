"""Server-sent events as hints: read in whatever pieces they come, and never believed beyond a digest."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from vallum.sync.hint import Events

DIGEST = "0123456789abcdef" * 4
OTHER = "f" * 64

lines = st.sampled_from(
    [
        f"data: {DIGEST}",
        f"data:{OTHER}",
        f"data: {DIGEST.upper()}",
        "data: ",
        "data",
        "event: head",
        "event:head",
        "event: other",
        ": a comment",
        "",
        "",
        "id: 7",
        "retry: 1",
        "nonsense: x: y",
        "x" * 5000,
        "\x00\xff",
    ]
)
ends = st.sampled_from(["\n", "\r\n", "\r"])


def naive(text: str) -> list[str]:
    """All at once, by the letter of WHATWG HTML §9.2.6, for what hints need of it."""
    found, kind, data = [], "", list[str]()
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if len(line.encode("latin-1")) > 4096:
            continue
        if not line:
            said = "\n".join(data)
            if kind == "head" and len(said) == 64 and all(letter in "0123456789abcdef" for letter in said):
                found.append(said)
            kind, data = "", []
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
    return found


@given(st.lists(st.tuples(lines, ends)), st.lists(st.integers(1, 200), max_size=30))
@example([("event: head", "\r\n"), (f"data: {DIGEST}", "\r\n"), ("", "\r\n")], [1] * 30)
@example([("event: head", "\r"), (f"data: {DIGEST}", "\r"), ("", "\r"), ("", "\n")], [12])
def test_any_pieces_give_what_the_whole_gives(said: list[tuple[str, str]], cuts: list[int]) -> None:
    text = "".join(line + end for line, end in said) + "\n\n"  # a last "\r" is no line end yet
    data, events, found, at = text.encode("latin-1"), Events(), list[str](), 0
    for size in [*cuts, len(data)]:
        found += events.feed(data[at : at + size])
        at += size
    assert found == naive(text)


@given(st.binary(max_size=10_000))
def test_no_bytes_raise_or_grow(data: bytes) -> None:
    events = Events()
    for _ in range(3):
        events.feed(data)
        assert len(events._rest) <= 4096


def test_a_line_without_end_is_dropped_and_the_next_event_still_heard() -> None:
    """A hostile server sends one line for ever, to fill the client's memory."""
    events = Events()
    for _ in range(1000):
        assert events.feed(b"data: " + b"a" * 4000) == []
        assert len(events._rest) <= 4096
    assert events.feed(f"\n\nevent: head\ndata: {DIGEST}\n\n".encode()) == [DIGEST]
