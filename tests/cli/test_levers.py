"""The operator's commands as they are typed: exit codes, JSON, and mistakes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, Type
from tests.cli.said import documents, refused
from vallum.cli.levers import parse_until
from vallum.errors import ConfigError

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
WHY = ("--reason", "a mistake")


def test_a_damaged_file_of_allowances_is_said(client: Type, both: Path) -> None:
    """The page is blocked again: whoever looks it up learns why, and `status` still shows the lists."""
    assert client("allow", "add", LISTED, "--until", "2h", *WHY).code == 0
    file = both / "provider" / "state" / "allow.json"
    for damage in (b'{"format": 1, "allow": [{', b"[]"):
        file.write_bytes(damage)
        for words in (("check", LISTED), ("check", "--json", LISTED), ("check", "--explain", LISTED)):
            answer = client(*words)
            assert (answer.code, "listed" in answer.out.lower()) == (0, True)
            assert "warning: what the operator allowed cannot be read" in answer.err
            assert "state/allow.json: damaged" in answer.err
            assert "hint: restore it from your backup, or remove it and allow anew" in answer.err
        synced = client("sync")
        assert (synced.code, "warning: what the operator allowed cannot be read" in synced.err) == (0, True)
        assert "allow.json" in json.loads(client("sync", "--json").out)["allow_error"]["message"]
        stands = client("status")
        assert (stands.code, "hotline/urls.full" in stands.out) == (1, True)
        assert "warning: what the operator allowed cannot be read" in stands.err
        assert "allow.json" in json.loads(client("status", "--json").out)["allow_error"]
    file.unlink()
    assert client("status").code == 0


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
    settled = absurd("sync")
    assert settled.code == absurd("status").code == 0
    assert "urls.full: version 1.2 was rejected by you on " in settled.err
    assert "; 1.1 stays in force" in settled.err
    assert "version 1.2 was rejected by you on " in absurd("status").err
    assert absurd("check", "https://www.shop.example/").code == 1


def test_what_is_in_quarantine_is_shown_without_its_name(absurd: Type, publisher: Type, both: Path) -> None:
    """As the hints of `sync` and `doctor` write it."""
    assert "`vallum quarantine" in absurd("sync").err
    assert absurd("quarantine", "show").out == absurd("quarantine", "show", "urls").out != ""
    assert publisher("list", "create", "more", "--kind", "url", "--public").code == 0
    line = b'{"url": "https://www.shop.example/", "scope": "host"}\n'
    assert publisher("ingest", "more", "-", "--add", "--format", "jsonl", stdin=line).code == 0
    assert publisher("publish", "more").code == 0
    config = both / "provider" / "vallum.toml"
    config.write_text(config.read_text().replace("lists = [", 'lists = ["more.full", '))
    assert absurd("sync").code == 3
    several = absurd("quarantine", "show")
    refused(
        several,
        2,
        "of several lists are in quarantine: hotline/more.full, hotline/urls.full",
        "show hotline/more.full",
    )
    assert absurd("quarantine", "show", "hotline/more.full").code == 0
    names = {each["list"]: each["name"] for each in json.loads(absurd("quarantine", "list", "--json").out)}
    assert absurd("quarantine", "reject", "urls", names["urls.full"], *WHY).code == 0
    assert "hotline/more.full" in absurd("quarantine", "show").out, "the other one is decided"


def test_a_pin_that_ends_over_a_rejected_version(absurd: Type) -> None:
    """What was pinned stays, pinned no longer; the sync says so, and where to look for what else is kept."""
    [held] = json.loads(absurd("quarantine", "list", "--json").out)
    assert absurd("quarantine", "reject", "urls", held["name"], *WHY).code == 0
    assert absurd("pin", "1", "--list", "urls", "--until", "2h", *WHY).code == 0
    assert "pinned" in absurd("sync").out
    assert absurd("pin", "--end", "--list", "urls", *WHY).code == 0
    for _ in range(2):
        ended = absurd("sync")
        assert ended.code == 0
        assert "version 1.2 was rejected by you on " in ended.err
        assert "; 1.1 stays in force; `vallum pin` shows what else is kept" in ended.err
        streams = json.loads(absurd("sync", "--json").out)["sources"][0]["streams"]
        assert [one["outcome"] for one in streams if one["stream"] == "urls.full"] == ["rejected"]
        assert "pinned" not in absurd("status").err


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
    ("pin", "1.1", "--until", "2h", *WHY),
    ("pin", "--until", "2h", *WHY),
    ("pin", "1.1", "--list", "urls", "--until", "2h", "--reason", "two\nlines"),
    ("allow", "add", "*", "--until", "2h", *WHY),
    ("allow", "add", "*.co.uk", "--until", "2h", *WHY),
    ("allow", "add", "*.com", "--until", "2h", *WHY),
    ("allow", "add", "0f1e2d3c4b5a697", "--until", "2h", *WHY),
    ("allow", "add", "www.example", "--until", "2h", "--reason", ""),
    ("allow", "add", "www.example", "--until", "2h", "--reason", " "),
    ("allow", "add", "www.example", *WHY),
    ("allow", "add", "www.example", "--until", "0h", *WHY),
    ("allow", "remove", "www.example", *WHY),
    ("quarantine", "show"),
    ("quarantine", "show", "urls"),
    ("quarantine", "accept", "urls", "1", *WHY),
])  # fmt: skip
def test_mistakes(client: Type, words: tuple[str, ...]) -> None:
    result = client(*words)
    assert result.code == 2
    assert "error:" in result.err
    assert json.loads(client("allow", "list", "--json").out) == []
    assert not any(each["pinned"] for each in json.loads(client("status", "--json").out)["lists"])


def test_allow(client: Type) -> None:
    assert client("check", LISTED).code == 0
    made = json.loads(client("allow", "add", LISTED, "--until", "2h", *WHY, "--json").out)
    answer = client("check", LISTED)
    assert (answer.code, made["lifts"]) == (1, 1)
    first, second = answer.out.splitlines()
    assert first == f"not listed: allowed until {made['until']} (handle {made['handle']}, a mistake)"
    assert "without that  hotline/urls version 1.1 as url, id " in second
    [said] = documents(client("check", "--json", LISTED))
    assert isinstance(said, dict)
    assert (said["listed"], said["matches"], len(said["allowed"])) == (False, [], 1)
    assert [each["handle"] for each in said["allowances"]] == [made["handle"]]
    assert client("check", "https://clean.example/").out == "not listed\n"
    assert "allowed by the operator" in client("check", "--explain", LISTED).out
    [held] = json.loads(client("allow", "list", "--json").out)
    assert held["in_force"] is True
    assert {name: held[name] for name in held if name in made} == {
        name: made[name] for name in made if name in held
    }
    assert made["text"] in client("allow", "list").out
    assert "1 allowance" in client("status").out
    assert json.loads(client("status", "--json").out)["allowed"][0]["handle"] == made["handle"]
    assert client("allow", "remove", made["handle"], *WHY).code == 0
    assert client("check", LISTED).code == 0


@pytest.mark.parametrize(("subject", "said", "lifts"), [
    (LISTED, "the page www.lantern.example/gallery/3.html, and nothing else", "1 entry"),
    ("www.lantern.example", "everything on the host www.lantern.example, and not the names below", "1 entry"),
    ("*.lantern.example", "everything on lantern.example and on all names below it", "1 entry"),
    ("lantern.example", "everything on the host lantern.example", "none of the entries"),
    ("f" * 16, "the entry ffffffffffffffff, in every list", "none of the entries"),
])  # fmt: skip
def test_allow_says_how_it_was_read_and_whether_it_helps(
    client: Type, subject: str, said: str, lifts: str
) -> None:
    result = client("allow", "add", subject, "--until", "2h", *WHY)
    assert result.code == 0
    assert f"allows {said}" in result.out
    assert f"it lifts {lifts}" in result.mixed
    assert ("warning: " in result.err) == (lifts[0] == "n")


def test_allow_takes_an_id_as_check_prints_it(client: Type) -> None:
    printed = client("check", LISTED).out
    found = re.search(r"(hotline/urls) .* (id ([0-9a-f]{16}))", printed)
    assert found is not None
    for words in (f"{found[1]} {found[2]}", f"{found[1]} {found[3].upper()}", found[3], found[2]):
        made = json.loads(client("allow", "add", words, "--until", "2h", *WHY, "--json").out)
        assert (made["kind"], made["text"], made["lifts"]) == ("id", found[3], 1)
    assert client("check", LISTED).code == 1


def test_of_a_digest_that_is_allowed_check_says_so(client: Type) -> None:
    digest = ("--digest", "7c6f3ae2c8a4f0d6b8ff5d1f8dcf9a1e")
    found = re.search(r"id ([0-9a-f]{16})", client("check", *digest).out)
    assert found is not None
    assert client("allow", "add", found[1], "--until", "2h", *WHY).code == 0
    assert "not listed: allowed until" in client("check", *digest).out


def test_lines_of_the_allow_file_show_before_a_sync_takes_them_over(both: Path, client: Type) -> None:
    config = both / "provider" / "vallum.toml"
    config.write_text('allow = "allow.txt"\n' + config.read_text())
    (both / "provider" / "allow.txt").write_text("www.lantern.example\n")
    for command in (("allow", "list"), ("status",)):
        assert "1 line of" in client(*command).err
        assert "with the next `vallum sync`" in client(*command).err
    [coming] = json.loads(client("allow", "list", "--json").out)
    assert (coming["text"], coming["in_force"]) == ("www.lantern.example", False)
    assert client("check", LISTED).code == 0
    assert client("sync").code == 0
    [held] = json.loads(client("allow", "list", "--json").out)
    assert (held["text"], held["in_force"], held["until"]) == ("www.lantern.example", True, None)
    assert "www.lantern.example" in client("allow", "list").out
    assert "1 allowance" in client("status").out
    assert "not listed: allowed without an end" in client("check", LISTED).out
    (both / "provider" / "allow.txt").write_text("*.co.uk\n")
    [found] = [
        each for each in json.loads(client("doctor", "--json").out)["findings"] if each["about"] == "allow"
    ]
    assert (found["level"], "line 1" in found["says"]) == ("bad", True)


def test_a_line_of_the_allow_file_that_reaches_too_far(both: Path, client: Type) -> None:
    """`*.co.uk`, which `allow add` refuses: in force, as the file is the operator's, and said each time."""
    config, file = both / "provider" / "vallum.toml", both / "provider" / "allow.txt"
    config.write_text('allow = "allow.txt"\n' + config.read_text())
    file.write_text("www.shop.example\n*.co.uk\n")
    assert client("allow", "add", "*.co.uk", "--until", "2h", *WHY).code == 2
    for words in (["sync"], ["sync", "--json"], ["status"]):
        result = client(*words)
        assert result.code == 0, result.mixed
        assert "warning: " in result.err
        assert "allow.txt: line 2 of allow.txt: anybody can register names below co.uk" in result.err
        assert "hint: name the one that is meant" in result.err
    [warning] = json.loads(client("status", "--json").out)["allow_warnings"]
    assert "line 2 of allow.txt" in warning
    file.write_text("www.shop.example\n")
    for command in ("sync", "status"):
        assert "co.uk" not in client(command).mixed


def test_a_pin_among_two_generations(client: Type, publisher: Type) -> None:
    """Version 1 of two generations is kept: its number alone means neither."""
    assert publisher("list", "new-generation", "urls", "--reason", "a wanted change").code == 0
    assert client("sync").code == 0
    shown = client("pin", "--list", "urls")
    assert [line.split()[1] for line in shown.out.splitlines()] == ["version", "2.1", "1.1"]
    result = client("pin", "1", "--list", "urls", "--until", "2h", *WHY)
    refused(result, 2, "1 is ambiguous: 2.1, 1.1", "name generation and version")
    assert client("pin", "1.1", "--list", "urls", "--until", "2h", *WHY).code == 0
    kept = json.loads(client("pin", "--json").out)
    assert [(each["list"], each["version"], each["in_force"]) for each in kept] == [
        ("hotline/pictures.full", "1.1", True), ("hotline/urls.full", "2.1", False),
        ("hotline/urls.full", "1.1", True),
    ]  # fmt: skip
    assert kept[2]["pinned_until"]
    refused(
        client("pin", "1.1", "--end", "--list", "urls", *WHY), 2, "--end takes no VERSION", "leave it out"
    )
    ended = client("pin", "--end", "--list", "urls", *WHY)
    assert "version 1.1 stays until `vallum sync` brings the newest" in ended.out
    refused(client("pin", "--end", "--list", "urls", *WHY), 2, "is not pinned", "vallum sync")
    assert client("sync").code == 0


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


def test_a_file_allow_that_cannot_be_meant(both: Path, client: Type) -> None:
    """What it said before goes on, and that is what a sync says, for people and in JSON."""
    config, file = both / "provider/vallum.toml", both / "provider/allow.txt"
    config.write_text(f'allow = "allow.txt"\n{config.read_text()}')
    file.write_text("www.lantern.example\n")
    assert json.loads(client("sync", "--json").out)["allow_error"] is None
    file.write_text("*\n")
    result = client("sync")
    assert "allow failed; what was allowed before stays allowed" in result.err
    assert "nothing of it is in force" not in result.err
    told = json.loads(client("sync", "--json").out)
    assert told["allow_error"]["kind"] == "ConfigError"
    assert not told["ok"]
    assert "allowed" in client("check", LISTED).out
