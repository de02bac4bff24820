"""Allowing what a list blocks: at once, in every process, and ending by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES, SHOP, said
from vallum import allow
from vallum.allow import Allowance, Allowances, Kind, parse_subject
from vallum.cli.check import _Question
from vallum.errors import ConfigError, FormatError, InputError
from vallum.expression import Scope
from vallum.journal import FILE
from vallum.sync.standing import read_standing
from vallum.url import canonicalize

HOUR = timedelta(hours=1)
SUBJECTS = {
    "https://shop.example/": (Kind.URL, "shop.example/"),
    "HTTP://Shop.Example:80/a/../b?x": (Kind.URL, "shop.example/b?x"),
    "Shop.Example": (Kind.HOST, "shop.example"),
    "*.example.com": (Kind.NAMES, "example.com"),
    "0f1e2d3c4b5a6978": (Kind.ID, "0f1e2d3c4b5a6978"),
    "192.0.2.1": (Kind.HOST, "192.0.2.1"),
    "hotline/urls 0f1e2d3c4b5a6978": (Kind.ID, "0f1e2d3c4b5a6978"),
    "hotline/urls.full: id 0F1E2D3C4B5A6978": (Kind.ID, "0f1e2d3c4b5a6978"),
    "facade.example": (Kind.HOST, "facade.example"),
    "beefcafe.example": (Kind.HOST, "beefcafe.example"),
}


@pytest.mark.parametrize("text", SUBJECTS)
def test_what_can_be_allowed(text: str) -> None:
    assert parse_subject(text) == SUBJECTS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "*.",
        "*.*.example",
        "/",
        "?",
        "*",
        "0f1e2d3c4b5a697",
        "0f1e2d3c4b5a69780",
    ],
)
def test_what_cannot_be_allowed(text: str) -> None:
    with pytest.raises(InputError):
        parse_subject(text)


@pytest.mark.parametrize("text", ["co.uk", "com", "unheard-of", "github.io"])
def test_the_names_of_strangers_are_not_allowed(text: str) -> None:
    with pytest.raises(InputError):
        allow.refuse_reach(Kind.NAMES, text)
    allow.refuse_reach(Kind.HOST, text)
    allow.refuse_reach(Kind.NAMES, f"shop.{text}")


@given(st.text(max_size=40))
def test_any_text_is_a_subject_or_refused(text: str) -> None:
    try:
        kind, form = parse_subject(text)
    except InputError:
        return
    assert form
    if kind is Kind.HOST:
        assert parse_subject(form)[1] == form


@pytest.mark.parametrize(("kind", "text", "covered"), [
    (Kind.URL, "shop.example/", [SHOP]),
    (Kind.HOST, "shop.example", [SHOP, f"{SHOP}other?x"]),
    (Kind.NAMES, "shop.example", [SHOP, f"{SHOP}other?x", "https://www.shop.example/"]),
    (Kind.NAMES, "example", [SHOP, f"{SHOP}other?x", "https://www.shop.example/", BAD]),
])  # fmt: skip
def test_how_far_an_allowance_reaches(kind: Kind, text: str, covered: list[str]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    allowed = Allowances.of([Allowance(kind, text, now, None, "x")], now)
    every = [SHOP, f"{SHOP}other?x", "https://www.shop.example/", BAD, "https://myshop.example.net/"]
    assert [url for url in every if allowed.covers(canonicalize(url))] == covered


def _allow(client: Client, subject: str, until: datetime) -> Allowance:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - readers judge it by the real clock
    made = Allowance(*parse_subject(subject), now, until, "a mistake")
    allow.add(client.state, made, now)
    return made


def test_an_allowance_reaches_every_process_within_five_seconds(blocked_shop: Client) -> None:
    """A reader in another process, and one here, while a sync holds its lock."""
    from vallum.lock import exclusive

    program = (
        "import sys, time, vallum\n"
        "lists = vallum.open(sys.argv[1])\n"
        "assert lists.match_url(sys.argv[2])\n"
        "print('ready', flush=True)\n"
        "began = time.monotonic()\n"
        "while lists.match_url(sys.argv[2]):\n"
        "    time.sleep(0.05)\n"
        "    assert time.monotonic() - began < 30\n"
        "print(time.monotonic())\n"
    )
    client = blocked_shop
    arguments = [sys.executable, "-c", program, str(client.state), SHOP]
    with (
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other,
        vallum.open(client.state) as here,
    ):
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with exclusive(client.state):
            began = time.monotonic()
            _allow(client, "shop.example", datetime.now(UTC) + HOUR)  # noqa: TID251 - as above
            assert float(other.stdout.readline()) - began < 5
        assert here.match_url(SHOP) == []
        assert here.decide_url(SHOP).outcome == "clean"
        assert here.match_url(BAD)
        explanation = here.explain_url(SHOP)
        assert explanation.matches == ()
        assert len(explanation.allowed) == 1
        assert "allowed by the operator" in explanation.lines()[0]


def test_an_allowance_by_id_and_its_end(repository: Repository, blocked_shop: Client) -> None:
    """One entry, wherever it would hit; when its time is over the list applies again, also without a sync."""
    client = blocked_shop
    with vallum.open(client.state) as lists:
        [match] = lists.match_url(SHOP)
        _allow(client, match.id, datetime.now(UTC) + timedelta(seconds=3))  # noqa: TID251 - as above
        time.sleep(1.1)
        assert lists.match_url(SHOP) == []
        time.sleep(3.1)
        assert lists.match_url(SHOP)
    repository.lists["urls"].as_of = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - as above
    repository.renew("urls")
    client.synced()
    client.sync()
    assert said(client)[-1] == "allowance ended"
    assert json.loads((client.state / "allow.json").read_text())["allow"] == []


def _spoil(client: Client, what: str) -> None:
    """The newest state cannot be opened."""
    if what == "current.json":
        (client.state / what).write_bytes(b"{")
        return
    client.repository.release("urls", listed("new.example/", SHOP.removeprefix("https://"), *PAGES))
    client.synced()
    [table] = (client.state / "hotline/lists/urls.full").glob("1-3-*.exact")
    table.write_bytes(table.read_bytes()[:-1])


@pytest.mark.parametrize("damaged", ["current.json", "a table"])
def test_an_allowance_while_the_newest_state_cannot_be_opened(blocked_shop: Client, damaged: str) -> None:
    """Made, ended, made and taken back: in force in a running process all the same, and so is each end."""
    client = blocked_shop
    with vallum.open(client.state) as lists:
        _spoil(client, damaged)
        _look(lists)
        assert lists.problem
        for taken_back in (False, True):
            assert lists.match_url(SHOP)
            until = datetime.now(UTC) + (HOUR if taken_back else timedelta(seconds=3))  # noqa: TID251 - as above
            made = _allow(client, "shop.example", until)
            _look(lists)
            assert lists.match_url(SHOP) == []
            if taken_back:
                allow.remove(client.state, "shop.example", "listed rightly", made.since)
            else:
                _wait(until)
            _look(lists)
        assert lists.match_url(SHOP)
        assert lists.problem


def test_an_allowance_ends_though_its_file_is_damaged(blocked_shop: Client) -> None:
    """A running process goes on with what it had read, until its end; then the list applies there, too."""
    client = blocked_shop
    until = datetime.now(UTC) + timedelta(seconds=3)  # noqa: TID251 - as above
    _allow(client, "shop.example", until)
    with vallum.open(client.state) as lists:
        (client.state / allow.FILE).write_text("{")
        _look(lists)
        assert lists.match_url(SHOP) == []
        assert "damaged" in lists.problem
        _wait(until)
        _look(lists)
        assert lists.match_url(SHOP)
        assert "damaged" in lists.problem


def _wait(until: datetime) -> None:
    """Until then, by the clock that readers go by."""
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))  # noqa: TID251 - as above


def _look(lists: vallum.Lists) -> None:
    """A second is over."""
    lists._due = 0.0
    lists.match_url(BAD)


def test_what_is_asked_or_allowed_is_in_no_repr() -> None:
    """A traceback that shows its values, or a log line of one, is read by others than the operator."""
    url, host, names = (frozenset({text}) for text in ("shop.example/x", "shop.example", "*.shop.example"))

    def look_up(_text: str, _lists: object) -> tuple[()]:
        return ()

    def deaf(_text: str, _snapshot: object) -> str:
        return ""

    allowed = Allowances(url, host, names)
    asked = _Question("URL 1", partial(look_up, SHOP), partial(deaf, SHOP), SHOP)
    assert "shop" not in repr(allowed) + repr(asked)


def test_the_journal_never_holds_what_is_allowed(blocked_shop: Client) -> None:
    made = _allow(blocked_shop, SHOP, datetime.now(UTC) + HOUR)  # noqa: TID251 - as above
    allow.remove(blocked_shop.state, SHOP, "listed rightly", made.since)
    text = (blocked_shop.state / FILE).read_text()
    assert "shop" not in text
    assert made.handle in text
    with pytest.raises(ConfigError):
        allow.remove(blocked_shop.state, made.handle, "again", made.since)


def test_the_operators_file(repository: Repository, blocked_shop: Client, tmp_path: Path) -> None:
    """What stands in it holds without an end, from the next sync on, and goes when its line goes."""
    client, file = blocked_shop, tmp_path / "allow.txt"
    file.write_text("shop.example # ours\n")
    client.config = replace(client.config, allow=file)
    client.synced()
    with vallum.open(client.state) as lists:
        assert lists.match_url(SHOP) == []
        with pytest.raises(ConfigError, match="file"):
            allow.remove(client.state, "shop.example", "x", repository.now)
        file.write_text("")
        client.synced()
        time.sleep(1.1)
        assert lists.match_url(SHOP)


@pytest.mark.parametrize("damage", [b"shop.example\n*\n", b"\xff\n", None])
def test_a_line_of_the_operators_file_that_cannot_be_meant(
    repository: Repository, blocked_shop: Client, tmp_path: Path, damage: bytes | None
) -> None:
    """A slip of the pen, or a deployment that lost the file: lists go on being updated, and it is said.

    What the file said before goes on, too: else a typo would block the shop again.
    """
    client, file = blocked_shop, tmp_path / "allow.txt"
    file.write_text("shop.example\n")
    client.config = replace(client.config, allow=file)
    client.synced()
    file.unlink() if damage is None else file.write_bytes(damage)
    repository.release("urls", {**listed(*PAGES, "x.example/"), **listed("shop.example", scope=Scope.HOST)})
    report = client.sync()
    [(where, error)] = report.errors()
    assert (where, type(error)) == ("allow", ConfigError)
    assert report.sources[0].streams[0].after == 3
    assert str(file) in str(read_standing(client.config, repository.now).unsettled)
    with vallum.open(client.state) as lists:
        assert lists.match_url(SHOP) == []
    file.write_text("shop.example\n")
    client.synced()
    assert read_standing(client.config, repository.now).unsettled is None


def test_a_damaged_file_of_allowances(repository: Repository, blocked_shop: Client) -> None:
    """Lists stay enforced and go on being synced; whoever reads it is told."""
    client = blocked_shop
    (client.state / allow.FILE).write_text("{")
    with vallum.open(client.state) as lists:
        assert lists.match_url(SHOP)
        assert "damaged" in lists.problem
        repository.release("urls", listed(*PAGES))
        client.synced()
        time.sleep(1.1)
        assert lists.match_url(SHOP) == []
    with pytest.raises(FormatError):
        allow.read_allowances(client.state)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda values: (
            st.lists(values, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "allow", "kind", "text", "since", "until", "reason"]), values
            )
        ),
    )
)
def test_anything_as_a_file_of_allowances(tmp_path_factory: pytest.TempPathFactory, raw: object) -> None:
    folder = tmp_path_factory.mktemp("state")
    (folder / allow.FILE).write_text(json.dumps(raw))
    with pytest.raises(FormatError):
        allow.read_allowances(folder)
    (folder / allow.FILE).write_text(json.dumps({"format": 1, "allow": [raw]}))
    with pytest.raises(FormatError):
        allow.read_allowances(folder)
