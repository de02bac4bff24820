"""Stories of slips: neither damage nor a line left out for one poll makes a cold start of what was held."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import vallum
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES, said, unplug
from vallum.config import Config
from vallum.errors import ConfigError, GuardError, StorageError, UnavailableError
from vallum.state import read_current
from vallum.sync import activate, levers
from vallum.sync.errand import still_followed
from vallum.sync.quarantine import Quarantine, name_of
from vallum.sync.standing import LINGERS, read_standing

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def two(repository: Repository, client: Client, tmp_path: Path) -> tuple[Config, Config]:
    """The configuration of two lists, both in force, and one that has lost the first."""
    repository.create("other")
    repository.release("other", listed("other.example/"))
    both = repository.config(tmp_path / "client", "urls.full", "other.full")
    client.config = both
    client.synced()
    return both, repository.config(tmp_path / "client", "other.full")


def _edition(config: Config, stream: str) -> Config:
    return replace(config, sources=(replace(config.sources[0], streams=(stream,)),))


def test_a_quiet_list_whose_state_is_damaged(repository: Repository, tmp_path: Path) -> None:
    """Nothing new for a week, then an absurd version, then a torn `current.json`: quiet is no absence."""
    client, now = Client(repository, tmp_path / "quiet"), repository.now
    for halves in range(17, 0, -1):
        client.synced(now - halves * DAY / 2)
    good = client.in_force()
    repository.release("urls", listed(*PAGES[:60]))
    client.refused(GuardError, now - HOUR)
    (client.state / "current.json").write_bytes(b"{")
    [(_, error)] = client.sync(now).errors()
    assert type(error) is GuardError
    assert client.in_force() == good


def test_all_that_is_known_of_a_list_is_damaged(repository: Repository, client: Client) -> None:
    """Nothing is left to judge beside: what was put aside waits for a person all the same."""
    repository.release("urls", listed(*PAGES[:60]))
    client.refused(GuardError)
    for path in (client.state / "hotline/lists/urls.full").iterdir():
        path.write_bytes(b"{")
    (client.state / "current.json").write_bytes(b"{")
    for _ in range(2):
        [(_, error)] = client.sync().errors()
        assert type(error) is GuardError
        assert "fewer" in str(error)
        assert client.in_force() == {}
    aside = Quarantine(client.state, "hotline").find("urls.full")
    assert aside is not None
    levers.accept(client.config, "urls", name_of(aside.state.head), "called", repository.now)
    client.synced()
    assert client.in_force()["hotline/urls.full"][1] == 2


def test_a_list_that_is_left_out_for_one_poll(
    repository: Repository, client: Client, two: tuple[Config, Config]
) -> None:
    """Its line is deleted by mistake and put back: what is in quarantine does not come into force by that."""
    both, one = two
    good = client.in_force()
    repository.release("urls", listed(*PAGES[:3]))
    client.refused(GuardError)
    client.config = one
    client.synced()
    assert "hotline/urls.full" not in client.in_force()
    assert said(client)[-1] == "left force"
    client.config = both
    [(_, error)] = client.sync().errors()
    assert type(error) is GuardError
    assert client.in_force() == good
    assert vallum.open(client.state).match_url(BAD)


def test_a_source_that_another_process_does_not_know(repository: Repository, client: Client) -> None:
    """A service runs on an older configuration than cron: the guard of what comes and goes is not reset."""
    second = Repository()
    second.create("b")
    second.release("b", listed(*PAGES))
    added = second.config(client.state.parent, name="second").sources
    old = client.config
    client.connect = lambda source: (second if source.name == "second" else repository).connect(source)
    client.config = new = replace(old, sources=(*old.sources, *added))
    client.synced()
    good = client.in_force()
    client.config = old
    client.synced()
    second.release("b", listed("one.example/"))
    client.config = new
    [(_, error)] = client.sync().errors()
    assert type(error) is GuardError
    assert client.in_force() == good


def test_files_of_a_list_that_left_stay_for_a_day(
    repository: Repository, client: Client, two: tuple[Config, Config]
) -> None:
    """A slip can be taken back while the store is down; after a day nothing of what left is on this disk."""
    both, one = two
    now, good = repository.now, client.in_force()
    client.config = one
    for hours in (1, 3, 20):
        client.synced(now + hours * HOUR)
    client.config = both
    unplug(repository)
    assert not client.sync(now + 21 * HOUR).ok
    assert client.in_force() == good
    repository.answers = {}
    client.config = one
    for hours in (22, 47):
        client.synced(now + hours * HOUR)
    assert not any(name.startswith("hotline/lists/urls.full/") for name in client.files())


def test_an_edition_that_cannot_be_had(repository: Repository, client: Client) -> None:
    """Another edition is asked for while the store is down, or one that is none: the old one stays."""
    good, right = client.in_force(), client.config
    client.config = _edition(right, "urls.match")
    unplug(repository)
    for days in range(3):
        assert not client.sync(repository.now + days * DAY).ok
        assert client.in_force() == good
        assert vallum.open(client.state).match_url(BAD)
    repository.answers = {}
    client.refused(ConfigError)
    client.config = right
    client.synced()
    assert client.in_force() == good


def test_a_name_that_is_mistyped(repository: Repository, client: Client) -> None:
    """A letter is missing in `lists`: the list that was meant is looked up in still, and that is said."""
    good, right = client.in_force(), client.config
    client.config = _edition(right, "url.full")
    report = client.sync()
    [(where, error)] = report.errors()
    assert (where, type(error)) == ("hotline/url.full", ConfigError)
    assert (report.left, report.lingering) == ((), ("hotline/urls.full",))
    assert client.in_force() == good
    with pytest.raises(UnavailableError, match=r"url\.full"):
        vallum.open(client.state)
    assert vallum.open(client.state, incomplete=True).match_url(BAD)
    [standing] = read_standing(client.config, repository.now).streams
    assert [remark.says for remark in standing.remarks()] == [LINGERS]
    client.config = right
    assert client.sync().lingering == ()


def test_a_source_that_is_renamed_while_the_store_is_down(repository: Repository, client: Client) -> None:
    """Another name makes another source of it, which has nothing yet: the old one stays until it has."""
    good, right = client.in_force(), client.config
    client.config = replace(right, sources=(replace(right.sources[0], name="iwf"),))
    unplug(repository)
    assert not client.sync().ok
    assert client.in_force() == good
    repository.answers = {}
    report = client.sync()
    assert report.left == ("hotline/urls.full",)
    assert [*client.in_force()] == ["iwf/urls.full"]


def test_a_source_of_which_nothing_was_published(repository: Repository, client: Client) -> None:
    """A source that has no version yet holds up nothing: what is taken out leaves."""
    second = Repository()
    second.create("b")
    second.publish()
    client.connect = lambda source: (second if source.name == "second" else repository).connect(source)
    client.config = replace(client.config, sources=second.config(client.state.parent, name="second").sources)
    assert client.sync().left == ("hotline/urls.full",)
    assert client.in_force() == {}


def test_a_source_that_cannot_be_read_here(repository: Repository, client: Client) -> None:
    """Its floor is no file, as after a command of another user: other sources go on."""
    second = Repository()
    second.create("b")
    second.release("b", listed(*PAGES))
    added = second.config(client.state.parent, name="second").sources
    client.connect = lambda source: (second if source.name == "second" else repository).connect(source)
    client.config = replace(client.config, sources=(*client.config.sources, *added))
    (client.state / "second/floor.json").mkdir(parents=True)
    repository.release("urls", {**listed(*PAGES), **listed("new.example/a")})
    report = client.sync()
    assert [where for where, _ in report.errors()] == ["second"]
    assert client.in_force()["hotline/urls.full"][1] == 2


def test_what_comes_in_the_place_of_a_list(repository: Repository, client: Client) -> None:
    """Once what is followed instead is in force, was never published, or is nothing, the old one leaves."""
    [source] = client.config.sources
    full = client.held()
    held = replace(read_current(client.state).sources["hotline"], streams={"urls.full": full})
    match = replace(source, streams=("urls.match",))
    assert still_followed(match, held) == {"urls.full": full}
    assert still_followed(match, held, unpublished=["urls.match"]) == {}
    came = replace(held, streams={"urls.full": full, "urls.match": full})
    assert still_followed(match, came) == {"urls.match": full}
    assert still_followed(replace(source, streams=()), held) == {}


def test_a_pin_that_came_to_nothing(
    repository: Repository, blocked_shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the middle of `pin`; weeks later `current.json` is torn: no way back."""
    client, now = blocked_shop, repository.now
    good = client.in_force()

    def full(*_arguments: object, **_options: object) -> None:
        raise StorageError("cannot write current.json: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(activate, "write_durable", full)
        with pytest.raises(StorageError):
            levers.pin(client.config, "urls", "1", now + 30 * DAY, "an idea", now)
    (client.state / "current.json").write_bytes(b"{")
    client.synced(now + HOUR)
    assert client.in_force() == good
    assert client.held().pin is None


def test_a_pin_ends_where_its_list_leaves(
    repository: Repository, client: Client, two: tuple[Config, Config]
) -> None:
    """A pinned list is taken out and put back: it is pinned no more, whatever is damaged later."""
    both, one = two
    now = repository.now
    levers.pin(client.config, "urls", "1", now + 30 * DAY, "an idea", now)
    for config in (one, both):
        client.config = config
        client.synced(now + HOUR)
    (client.state / "current.json").write_bytes(b"{")
    client.synced(now + 2 * HOUR)
    assert client.held().pin is None
