"""The operator's commands as they are typed: exit codes, JSON, and mistakes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, Type
from vallum.cli.levers import parse_until
from vallum.errors import ConfigError

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
WHY = ("--reason", "a mistake")


@pytest.fixture
def absurd(client: Type, publisher: Type, both: Path) -> Type:
    """Version 2 is in quarantine, since the operator's own list forbids it."""
    config = both / "provider" / "vallum.toml"
    (both / "provider" / "never.txt").write_text("www.shop.example\n")
    config.write_text('never_block = "never.txt"\n' + config.read_text())
    line = b'{"url": "https://www.shop.example/", "scope": "host"}\n'
    assert publisher("ingest", "urls", "-", "--add", "--format", "jsonl", stdin=line).code == 0
    assert publisher("publish", "urls").code == 0
    assert client("sync").code == 3
    return client


def test_quarantine(absurd: Type) -> None:
    """Sync, status and list alarm by exit code; accept does not lift an absolute; reject ends the alarm."""
    [held] = json.loads(absurd("quarantine", "list", "--json").out)
    assert (held["list"], held["version"], held["rejected"]) == ("urls.full", 2, "")
    assert "shop" not in json.dumps(held)
    assert absurd("quarantine", "list").code == 1
    assert absurd("status").code == 3
    shown = json.loads(absurd("quarantine", "show", "urls", "--json").out)
    assert shown["rows_in_quarantine"]["host"] == 1
    assert "never-block" in absurd("quarantine", "show", "urls").out
    assert held["name"] in absurd("quarantine", "show", "urls").out
    assert absurd("quarantine", "accept", "urls", held["name"], *WHY).code == 3
    for other in ("2", "1.2", held["name"][:-1], "5"):
        assert absurd("quarantine", "accept", "urls", other, *WHY).code == 2
    assert absurd("quarantine", "reject", "urls", held["name"], *WHY).code == 0
    assert absurd("quarantine", "list").code == 0
    assert absurd("check", "https://www.shop.example/").code == 1


def test_pin(client: Type, publisher: Type) -> None:
    assert publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\n").code == 0
    assert publisher("publish", "urls").code == 0
    assert client("sync").code == 0
    assert client("check", "https://b.example/").code == 0
    kept = json.loads(client("pin", "--list", "urls", "--json").out)
    assert [each["version"] for each in kept] == ["1.2", "1.1"]
    assert client("pin", "1", "--list", "urls", "--until", "2h", *WHY).code == 0
    assert client("check", "https://b.example/").code == 1
    [held] = [each for each in json.loads(client("status", "--json").out)["lists"] if each["pinned"]]
    assert (held["list"], held["version"], held["pinned"]["reason"]) == ("urls.full", 1, "a mistake")
    assert client("sync").code == 0
    assert client("pin", "--end", "--list", "urls", *WHY).code == 0
    assert client("sync").code == 0
    assert client("check", "https://b.example/").code == 0


@pytest.mark.parametrize("words", [
    ("pin", "1", "--list", "urls", "--until", "2h"),
    ("pin", "1", "--list", "urls", *WHY),
    ("pin", "1", "--list", "urls", "--until", "yesterday", *WHY),
    ("pin", "1", "--list", "nothing", "--until", "2h", *WHY),
    ("pin", "77", "--list", "urls", "--until", "2h", *WHY),
    ("pin", "--end", "--list", "urls", *WHY),
    ("allow", "add", "*", "--until", "2h", *WHY),
    ("allow", "add", "www.example", *WHY),
    ("allow", "add", "www.example", "--until", "0h", *WHY),
    ("allow", "remove", "www.example", *WHY),
    ("quarantine", "show", "urls"),
    ("quarantine", "accept", "urls", "1", *WHY),
])  # fmt: skip
def test_mistakes(client: Type, words: tuple[str, ...]) -> None:
    result = client(*words)
    assert result.code == 2
    assert "error:" in result.err


def test_allow(client: Type) -> None:
    assert client("check", LISTED).code == 0
    made = json.loads(client("allow", "add", LISTED, "--until", "2h", *WHY, "--json").out)
    assert client("check", LISTED).code == 1
    assert "allowed by the operator" in client("check", "--explain", LISTED).out
    [held] = json.loads(client("allow", "list", "--json").out)
    assert held == made
    assert made["text"] in client("allow", "list").out
    assert "1 allowance" in client("status").out
    assert json.loads(client("status", "--json").out)["allowed"][0]["handle"] == made["handle"]
    assert client("allow", "remove", made["handle"], *WHY).code == 0
    assert client("check", LISTED).code == 0


def test_doctor(client: Type, both: Path) -> None:
    for path in (both / "provider" / "state").rglob("*"):
        path.chmod(path.stat().st_mode & ~0o007)
    said = json.loads(client("doctor", "--json").out)
    assert said["level"] in ("good", "warning")
    assert {"store", "root", "lists"} <= {each["check"] for each in said["findings"]}
    (both / "provider" / "state" / "hotline" / "floor.json").write_text("{")
    result = client("doctor")
    assert result.code == 4
    assert "hint:" in result.out


def test_a_new_generation(client: Type, publisher: Type) -> None:
    result = publisher("list", "new-generation", "urls", "--reason", "the key was stolen", "--json")
    assert result.code == 0
    assert (json.loads(result.out)["generation"], json.loads(result.out)["version"]) == (2, 1)
    assert client("sync").code == 0
    [held] = [
        each for each in json.loads(client("status", "--json").out)["lists"] if each["list"] == "urls.full"
    ]
    assert (held["generation"], held["version"]) == (2, 1)


@pytest.mark.parametrize(("text", "until"), [
    ("30m", NOW + timedelta(minutes=30)),
    ("2h", NOW + timedelta(hours=2)),
    ("1w", NOW + timedelta(weeks=1)),
    ("2026-11-05", datetime(2026, 11, 5, tzinfo=UTC)),
    ("2026-11-02T14:00+01:00", datetime(2026, 11, 2, 13, tzinfo=UTC)),
])  # fmt: skip
def test_ends(text: str, until: datetime) -> None:
    assert parse_until(text, NOW) == until


@pytest.mark.parametrize("text", ["", "2", "h", "0d", "-1d", "53w", "2026-11-01", "2036-01-01", "99999w"])
def test_no_ends(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_until(text, NOW)
