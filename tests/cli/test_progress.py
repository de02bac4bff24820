"""Progress: what a terminal shows of long work, and that programs and pipes never see it."""

from __future__ import annotations

import io
import json
import time
from contextlib import redirect_stderr

import pytest

from tests.cli.conftest import Type
from vallum.cli import progress
from vallum.cli.progress import clear_line, showing_rows, showing_steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.001)


def _until(shown: io.StringIO, text: str) -> None:
    end = time.monotonic() + 30
    while text not in shown.getvalue():
        assert time.monotonic() < end, shown.getvalue()
        time.sleep(0.001)


@pytest.mark.usefixtures("often")
def test_a_terminal_shows_what_is_done_and_is_clean_afterwards() -> None:
    with redirect_stderr(Terminal()) as terminal, showing_rows("reading") as count:
        count(1200, None)
        _until(terminal, "0 s  reading, 1,200")
        count(2400, 3600)
        _until(terminal, "reading, 2,400 of 3,600")
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.usefixtures("often")
def test_no_line_is_longer_than_the_terminal_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that wraps could not be cleared: each drawing would leave one behind."""
    monkeypatch.setenv("COLUMNS", "20")
    with redirect_stderr(Terminal()) as terminal, showing_steps() as tell:
        tell("signing " * 12)
        _until(terminal, "signing")
    assert max(map(len, terminal.getvalue().split("\r\x1b[K"))) == 19


@pytest.mark.usefixtures("often")
def test_whoever_asks_a_person_gets_the_line() -> None:
    with redirect_stderr(Terminal()) as terminal, showing_steps() as tell:
        tell("signing")
        _until(terminal, "signing")
        clear_line()
        asked = terminal.getvalue()
        time.sleep(0.02)
        assert terminal.getvalue() == asked  # nothing over what the person types
        assert asked.endswith("\r\x1b[K")


def test_work_that_is_done_at_once_draws_nothing() -> None:
    with redirect_stderr(Terminal()) as terminal, showing_steps() as tell:
        tell("in a moment")
    assert terminal.getvalue() == ""


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("stream", "quiet"), [(Terminal, True), (io.StringIO, False)])
def test_neither_a_pipe_nor_a_program_gets_any(stream: type[io.StringIO], quiet: bool) -> None:
    with redirect_stderr(stream()) as shown, showing_steps(quiet) as tell:
        tell("never")
        time.sleep(0.02)
    assert shown.getvalue() == ""


def test_json_on_a_terminal_is_json_alone(
    client: Type, monkeypatch: pytest.MonkeyPatch, publisher: Type
) -> None:
    monkeypatch.setattr("tests.typed._Tee.isatty", lambda _self: True, raising=False)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    assert "\r\x1b[K" in publisher("verify").err
    for result in (client("sync", "--json"), publisher("verify", "--json"), publisher("gc", "--json")):
        assert result.err == ""
        json.loads(result.out)
