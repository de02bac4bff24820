"""What README, tutorial and how-to pages show is played, and what comes back compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, kind, pages, same, session
from tests.docs.scenes import PLAYED, steps


@pytest.mark.parametrize("page", PLAYED)
def test_a_page_does_what_it_shows(page: str, tmp_path: Path) -> None:
    for step, actual in steps(page, tmp_path):
        assert same(step.expected, actual), "\n".join(
            [f"$ {step.command}", "--- the page shows", *step.expected, "--- what came back", *actual]
        )


def test_every_session_is_played() -> None:
    shown = {str(page.relative_to(ROOT)) for page in pages() if "\n```console\n" in page.read_text("utf-8")}
    assert {page for page in shown if page.startswith(("docs/", "README"))} == PLAYED.keys()


def test_a_document_for_a_command_belongs_to_it() -> None:
    typed, answered = session("$ cat >list <<'END'\na\n$ b\nEND\n$ cat list\na\n")
    assert (typed.command, typed.expected) == ("cat >list <<'END'\na\n$ b\nEND", [])
    assert (answered.command, answered.expected) == ("cat list", ["a"])


def test_make_demo_is_the_command_that_is_played() -> None:
    recipe = re.search(r"^demo:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1].endswith("/vallum-publisher demo")


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("fresh  36  8,474  9  0.32", "fresh     36  18,474  9  10.40"),
        ("state 07d343cb24157c04", "state 17d343cb24157c04"),
        ("in 5.7 s", "in 6.3 s"),
        ("2 rows, 128 bytes", "2 rows, 99,131 bytes"),
    ],
)
def test_what_varies_is_compared_by_its_kind(shown: str, came: str) -> None:
    assert kind(shown) == kind(came)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("version 1.1", "version 1.2"),
        ("2 added", "3 added"),
        ("LISTED as url", "LISTED as domain"),
        ("exit code 1", "exit code 0"),
        ("7 requests", "8 requests"),
    ],
)
def test_what_must_not_vary_is_compared_as_it_is(shown: str, came: str) -> None:
    assert kind(shown) != kind(came)


def test_dots_stand_for_any_lines() -> None:
    assert same(["a", "...", "d"], ["a", "b", "c", "d"])
    assert not same(["a", "...", "e"], ["a", "b", "c", "d"])
    assert not same(["a"], ["a", "b"])
