"""Absurd versions: what a client does with them, and what its operator may decide."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES, said
from vallum.errors import ConfigError, GuardError
from vallum.expression import Scope
from vallum.format.fields import format_time
from vallum.journal import read_journal
from vallum.metrics import format_metrics
from vallum.sync import levers
from vallum.sync.floor import EquivocationError
from vallum.sync.quarantine import Quarantine, name_of
from vallum.sync.standing import read_standing

DAY = timedelta(days=1)
HALF = listed(*PAGES[:99])


def aside(client: Client) -> str:
    """The name of what is in quarantine."""
    found = Quarantine(client.state, "hotline").find("urls.full")
    assert found is not None
    return name_of(found.state.head)


def test_a_list_that_lost_most_of_its_rows(repository: Repository, client: Client) -> None:
    """The last good list stays, the alarm goes on, the floor does not move; a good version ends it."""
    repository.release("urls", HALF)
    error = client.refused(GuardError)
    assert "99 rows" in str(error)
    assert "quarantine" in error.hint
    floor = json.loads((client.state / "hotline/floor.json").read_text())
    assert floor["streams"]["urls.full"]["version"] == 1
    assert said(client) == ["activated", "quarantined"]
    [stream] = client.sync().sources[0].streams
    assert (stream.outcome, stream.before, stream.after) == ("quarantined", 1, 1)
    repository.release("urls", listed(*PAGES, "new.example/"))
    assert client.synced().after == 3
    assert Quarantine(client.state, "hotline").find("urls.full") is None


def test_polls_go_on_cheaply_while_it_is_in_quarantine(repository: Repository, client: Client) -> None:
    """Nothing is fetched twice, the alarm stays; each full sync judges again what was kept aside."""
    repository.release("urls", HALF)
    client.sync()
    report = client.sync()
    assert repository.requests == ["metadata/timestamp.json"]
    assert report.sources[0].streams[0].outcome == "quarantined"
    assert not report.ok
    client.sync(now=repository.now + timedelta(hours=2))
    assert not any(name.startswith("targets/") for name in repository.requests)
    assert said(client) == ["activated", "quarantined"], "one alarm in the journal, not one a poll"


def test_an_empty_list(repository: Repository, client: Client) -> None:
    repository.release("urls", {})
    client.refused(GuardError)
    with vallum.open(client.state) as lists:
        assert lists.match_url(f"https://{PAGES[0]}")


def test_a_match_everything_list(repository: Repository, client: Client, tmp_path: Path) -> None:
    """A domain row of ``com``: neither a running client nor a new one takes it, in any generation."""
    wide = {**listed(*PAGES), **listed("com", scope=Scope.DOMAIN)}
    repository.release("urls", wide)
    assert "public suffix" in str(client.refused(GuardError))
    newcomer = Client(repository, tmp_path / "newcomer")
    assert "public suffix" in str(newcomer.refused(GuardError))
    repository.new_generation("urls")
    repository.release("urls", wide)
    assert "public suffix" in str(client.refused(GuardError))
    with pytest.raises(GuardError):
        levers.accept(client.config, "urls", aside(client), "surely not", repository.now)


def test_many_hosts_at_once(repository: Repository, client: Client) -> None:
    """More host rows than the charter allows a week; the offline keys may allow more."""
    hosts = listed(*(f"shop{number}.example" for number in range(51)), scope=Scope.HOST)
    repository.release("urls", {**listed(*PAGES), **hosts})
    assert "hosts or domains" in str(client.refused(GuardError))
    repository.charter("urls", replace(repository.lists["urls"].charter, wide_per_week=60))
    repository.publish()
    assert client.synced().outcome == "activated"


def test_ten_percent_an_hour(repository: Repository, client: Client) -> None:
    """A stolen list key lets a list grow step by step; polls are hourly, the ladder is real."""
    repository.release("urls", listed(*(f"h{number}.example/" for number in range(10_300))))
    client.refused(GuardError)
    repository.release("urls", listed(*(f"h{number}.example/" for number in range(9_000))))
    assert client.synced().after == 3


def test_a_new_generation_passes_the_limits(repository: Repository, client: Client) -> None:
    """A wanted change beyond the limits: only the offline keys can say so."""
    repository.release("urls", HALF)
    client.refused(GuardError)
    repository.new_generation("urls")
    repository.release("urls", HALF)
    assert client.synced().generation == 2
    assert client.held().window is not None
    assert client.held().window.rows == 99  # type: ignore[union-attr]  # asserted in the line before


def test_after_weeks_of_absence(repository: Repository, client: Client) -> None:
    """A machine that was away for three weeks takes what it would not take in one."""
    repository.release("urls", listed(*PAGES[:60]))
    now = repository.now
    state = client.state / "current.json"
    raw = json.loads(state.read_text())
    del raw["sha256"]
    raw["sources"]["hotline"]["verified_at"] = (now - 22 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    state.write_text(json.dumps(raw))
    assert client.synced(now).after == 2
    window = client.held().window
    assert window is not None
    assert (window.start, window.spans) == (60, ())


def test_accept(repository: Repository, client: Client) -> None:
    """The operator called the hotline: it is in force without any network, and the window starts anew."""
    head = repository.release("urls", HALF)
    client.sync()
    repository.requests.clear()
    with pytest.raises(ConfigError):
        levers.accept(client.config, "urls", f"1.7-{head.state[:16]}", "another version", repository.now)
    levers.accept(client.config, "urls", name_of(head), "called the hotline", repository.now)
    assert repository.requests == []
    assert client.in_force() == {"hotline/urls.full": (1, 2, head.state)}
    assert said(client) == ["activated", "quarantined", "quarantine accepted", "activated"]
    assert client.synced().outcome == "unchanged"
    repository.release("urls", listed(*PAGES[:80]))
    assert client.synced().after == 3


def test_reject(repository: Repository, client: Client) -> None:
    """Not that one, not even when the limits would allow it; that settles it, and the next one is judged.

    Syncs and polls say what was rejected and do not fail; so do `status` and the metrics.
    """
    hosts = listed(*(f"shop{number}.example" for number in range(30)), scope=Scope.HOST)
    more = listed(*(f"bank{number}.example" for number in range(30)), scope=Scope.HOST)
    repository.release("urls", {**listed(*PAGES), **hosts})
    client.synced()
    repository.release("urls", {**listed(*PAGES), **hosts, **more})
    client.refused(GuardError)
    levers.reject(client.config, "urls", aside(client), "these are banks", repository.now)
    said = f"version 1.3 was rejected by you on {format_time(repository.now)}: these are banks"
    for hours in (0, 0, 24 * 8):
        [stream] = client.sync(repository.now + timedelta(hours=hours)).sources[0].streams
        assert (stream.outcome, stream.error, stream.numbers) == ("rejected", None, ("1.2", "1.2"))
        assert stream.rejected == said
    standing = read_standing(client.config, repository.now)
    assert [remark.says for remark in standing.streams[0].remarks()][-1:] == [said]
    assert list(standing.failing()) == []
    metrics = format_metrics(standing, repository.now)
    assert 'vallum_list_quarantined{source="hotline",list="urls.full"} 0' in metrics
    assert 'vallum_list_rejected{source="hotline",list="urls.full"} 1' in metrics
    with pytest.raises(ConfigError, match="rejected already"):
        levers.reject(client.config, "urls", aside(client), "again", repository.now)
    repository.release("urls", {**listed(*PAGES), **hosts})
    assert client.synced().after == 4


def test_a_pin_ends_over_a_rejected_version(repository: Repository, client: Client) -> None:
    """What was pinned stays in force, pinned no longer: that is said once, and polls are cheap again."""
    hour, now = timedelta(hours=1), repository.now
    repository.release("urls", {**listed(*PAGES), **listed("new.example/")})
    client.synced(now)
    repository.release("urls", listed(*PAGES[:9]))
    client.refused(GuardError, now)
    levers.pin(client.config, "urls", "1", now + hour, "it blocks our shop", now)
    levers.reject(client.config, "urls", aside(client), "most is gone", now)
    assert client.synced(now).outcome == "pinned"
    report = client.synced(now + 2 * hour)
    assert (report.outcome, report.after) == ("rejected", 1)
    assert client.held().pin is None
    assert [line["what"] for line in read_journal(client.state)].count("pin ended") == 1
    assert client.sync(now + 2 * hour).sources[0].outcome == "unchanged"


def test_a_rejection_can_be_taken_back(repository: Repository, client: Client) -> None:
    """It was the wrong list on the telephone: the version stayed whole, and needs no network."""
    repository.release("urls", HALF)
    client.sync()
    levers.reject(client.config, "urls", aside(client), "an error of theirs", repository.now)
    client.sync()
    repository.requests.clear()
    levers.accept(client.config, "urls", aside(client), "it was right", repository.now)
    assert repository.requests == []
    assert client.in_force()["hotline/urls.full"][1] == 2
    assert client.synced().outcome == "unchanged"


def test_a_rejected_version_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    """A new machine whose only version was rejected has no list: that is not settled, and fails on."""
    repository.release("urls", listed("com", scope=Scope.DOMAIN))
    newcomer = Client(repository, tmp_path / "newcomer")
    newcomer.refused(GuardError)
    levers.reject(newcomer.config, "urls", aside(newcomer), "no", repository.now)
    for _ in range(2):
        assert "nothing else is in force" in str(newcomer.refused(GuardError))


@pytest.mark.parametrize(("row", "hint"), [
    ("www.bank.example", "Take it out and run `vallum sync`"),
    ("com", "no lever lifts this: call the publisher"),
])  # fmt: skip
def test_hints_lead_out_of_quarantine(
    repository: Repository, client: Client, tmp_path: Path, row: str, hint: str
) -> None:
    """What `accept` cannot lift is not told to accept: sync, accept and status name what helps."""
    names = tmp_path / "never.txt"
    names.write_text("www.bank.example\n")
    client.config = replace(client.config, never_block=names)
    repository.release("urls", {**listed(*PAGES), **listed(row, scope=Scope.DOMAIN)})
    assert hint in client.refused(GuardError).hint
    with pytest.raises(GuardError) as raised:
        levers.accept(client.config, "urls", aside(client), "please", repository.now)
    assert hint in raised.value.hint
    [remark] = read_standing(client.config, repository.now).streams[0].remarks()
    assert hint in remark.hint
    assert "domain rows" in remark.says


@pytest.mark.parametrize("decision", ["accepted", "rejected"])
def test_another_state_under_the_number_that_was_shown(
    repository: Repository, client: Client, decision: str
) -> None:
    """While the operator is on the telephone, a thief of the list's key signs version 2 anew: an empty list.

    What was shown is what is accepted, and what was rejected does not come back under its number.
    """
    shown = repository.release("urls", HALF)
    client.sync()
    if decision == "rejected":
        levers.reject(client.config, "urls", name_of(shown), "no", repository.now)
    history = repository.lists["urls"]
    history.versions[-1] = {} if decision == "accepted" else listed(*PAGES, "evil.example/")
    history.runs.clear()
    other = repository.fill_role("urls")
    repository.publish()
    assert (other.version, other.state) != (2, shown.state)
    for _ in range(2):
        assert "two signed states" in str(client.refused(EquivocationError))
    assert aside(client) == name_of(shown)
    assert {path.name for path in (client.state / "hotline/evidence").iterdir()} == {
        f"urls.full-1-2-{head.state[:16]}.role.json" for head in (shown, other)
    }
    with pytest.raises(ConfigError):
        levers.accept(client.config, "urls", name_of(other), "on the telephone", repository.now)
    if decision == "accepted":
        levers.accept(client.config, "urls", name_of(shown), "99 rows are right", repository.now)
        client.refused(EquivocationError)
        assert client.in_force()["hotline/urls.full"] == (1, 2, shown.state)
    history.versions[-1] = dict(HALF)
    history.runs.clear()
    repository.release("urls", listed(*PAGES[: 98 if decision == "accepted" else 398]))
    assert client.synced().after == 3


def test_a_sync_that_was_killed_between_two_absurd_versions(repository: Repository, client: Client) -> None:
    """Version 3 was about to take the place of 2, which is the one that is shown: 2 is accepted, whole.

    The role that is kept beside it must be its own: by that it is fetched anew, or proves an equivocation.
    """
    folder = client.state / "hotline/quarantine/urls.full"
    shown = repository.release("urls", HALF)
    client.sync()
    second = {path.name: path.read_bytes() for path in folder.iterdir()}
    [role] = [data for name, data in second.items() if "role" in name]
    repository.release("urls", listed(*PAGES[:98]))
    client.sync()
    # What came last is the record; nothing of version 2 was removed before.
    for name, data in second.items():
        if name == "record.json" or not (folder / name).exists():
            (folder / name).write_bytes(data)
    levers.accept(client.config, "urls", name_of(shown), "99 rows are right", repository.now)
    [kept] = (client.state / "hotline/lists/urls.full").glob("1-2-*.role.json")
    assert kept.read_bytes() == role


def test_never_block(repository: Repository, client: Client, tmp_path: Path) -> None:
    """A domain row above one of the operator's names: only striking the name lets it pass."""
    names = tmp_path / "never.txt"
    names.write_text("# ours\nwww.bank.example\n")
    client.config = replace(client.config, never_block=names)
    repository.release("urls", {**listed(*PAGES), **listed("bank.example", scope=Scope.DOMAIN)})
    error = client.refused(GuardError)
    assert re.search(r"cover names on the never-block list \(ids [0-9a-f]{16} for line 2\)", str(error))
    assert "that line of your never-block list" in error.hint
    assert "bank" not in str(error)
    names.write_text("# ours\n")
    assert client.synced().after == 2


def test_a_name_that_is_named_too_late(repository: Repository, client: Client, tmp_path: Path) -> None:
    """The operator puts a name on his list that a version in force covers: it is said at once, and each time.

    Nothing better is there to put in its place, so it stays; his `allow` takes the row out within a second.
    """
    repository.release("urls", {**listed(*PAGES), **listed("bank.example", scope=Scope.DOMAIN)})
    client.synced()
    names = tmp_path / "never.txt"
    names.write_text("www.bank.example\n")
    client.config = replace(client.config, never_block=names)
    for hours in (0, 0, 2):
        error = client.refused(GuardError, repository.now + timedelta(hours=hours))
        assert "never-block" in str(error)
        assert "bank" not in str(error)
        assert "allow add" in error.hint
        assert client.in_force()["hotline/urls.full"][1] == 2
    repository.release("urls", listed(*PAGES))
    assert client.synced().after == 3


def test_a_never_block_file_that_breaks_is_noticed(client: Client, tmp_path: Path) -> None:
    """A file is emptied by a bad deployment, or gone: without any new version the next sync says so."""
    names = tmp_path / "never.txt"
    names.write_text("www.bank.example\n")
    client.config = replace(client.config, never_block=names)
    client.synced()
    for damage in (b"\xff\xfe", b"https://www.bank.example/\n", None):
        names.unlink() if damage is None else names.write_bytes(damage)
        for _ in range(2):
            client.refused(ConfigError)
    names.write_text("www.bank.example\n")
    client.synced()


def test_a_never_block_file_that_cannot_be_meant(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    """A typo must not switch the guard rail off in silence: nothing new comes into force."""
    names = tmp_path / "never.txt"
    names.write_text("https://www.bank.example/\n")
    client.config = replace(client.config, never_block=names)
    repository.release("urls", listed(*PAGES, "new.example/"))
    assert "line 1" in str(client.refused(ConfigError))


def test_one_absurd_list_holds_back_no_other(repository: Repository, tmp_path: Path) -> None:
    repository.create("more")
    repository.release("more", listed("more.example/"))
    client = Client(repository, tmp_path / "two")
    client.sync()
    repository.lists["more"].versions.append(listed("more.example/", "evenmore.example/"))
    repository.fill_role("more")
    repository.release("urls", {})
    report = client.sync()
    assert [stream.outcome for stream in report.sources[0].streams] == ["activated", "quarantined"]
