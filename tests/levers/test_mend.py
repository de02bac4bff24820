"""What this disk damaged or lost, while nothing newer may come in its place: it is put back all the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import vallum
from tests.crash import sealed
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import BAD, PAGES
from vallum.doctor import BAD as BAD_FINDING
from vallum.doctor import examine
from vallum.errors import (
    FetchError,
    GuardError,
    NotEntitledError,
    StateError,
    StorageError,
    TrustError,
    VallumError,
)
from vallum.expression import Scope
from vallum.sync import levers
from vallum.sync.quarantine import Quarantine, name_of
from vallum.sync.report import StreamReport
from vallum.sync.standing import read_standing
from vallum.sync.updater import Updater
from vallum.sync.verify import verify_state

HOUR = timedelta(hours=1)


def damage(state: Path, pattern: str) -> None:
    """A bit of a table turns."""
    [table] = state.glob(f"*/lists/*/{pattern}.exact")
    data = bytearray(table.read_bytes())
    data[100] ^= 1
    table.write_bytes(data)
    with pytest.raises(StateError):
        vallum.open(state)


def put_back(client: Client) -> StreamReport:
    """Sync: version 1 stays in force, and is whole afterwards."""
    [stream] = client.sync().sources[0].streams
    assert stream.after == 1
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
    return stream


@contextmanager
def without(repository: Repository, *names: str) -> Iterator[None]:
    """The store has these no more."""
    kept = {name: repository.objects.pop(name) for name in names}
    yield
    repository.objects.update(kept)


def absurd(repository: Repository, client: Client) -> None:
    """The newest version goes into quarantine."""
    repository.release("urls", listed(*PAGES[:9]))
    client.refused(GuardError)


def sealed_and_pinned(folder: Path) -> Client:
    """Of an encrypted list version 1 is pinned, and 2 is the newest."""
    client = sealed.entitled(folder, *PAGES)
    now = client.repository.now
    client.synced(now)
    sealed.hotline(client).publish([*PAGES, "new.example/"])
    client.synced(now)
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "2 blocks our shop", now)
    return client


def test_a_damaged_table_under_a_pin(repository: Repository, client: Client) -> None:
    """Version 1 is pinned, 3 is the newest, and the table of 1 is damaged: the next sync puts it back."""
    now = repository.now
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "2 blocks our shop", now)
    repository.release("urls", listed(*PAGES, "new.example/", "newer.example/"))
    damage(client.state, "1-1-*")
    assert client.synced(now + HOUR).outcome == "pinned"
    assert client.held().pin is not None
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
        assert lists.match_url("https://new.example/") == []
    repository.requests.clear()
    client.synced(now + HOUR)
    assert repository.requests == ["metadata/timestamp.json"]


def test_a_damaged_table_while_what_is_newer_is_in_quarantine(repository: Repository, client: Client) -> None:
    """The absurd version stays aside, the alarm goes on, and the last good list is whole again."""
    absurd(repository, client)
    damage(client.state, "1-1-*")
    assert put_back(client).outcome == "quarantined"


def test_a_damaged_table_when_the_absurd_version_comes(repository: Repository, client: Client) -> None:
    """It is judged beside what is in force, as if nothing had been damaged."""
    newest = repository.release("urls", listed(*PAGES[:9]))
    [table] = client.state.glob("*/lists/*/1-1-*.exact")
    table.unlink()
    assert isinstance(put_back(client).error, GuardError)
    aside = Quarantine(client.state, "hotline").find("urls.full")
    assert aside is not None
    assert name_of(aside.state.head) == name_of(newest)


def test_a_damaged_table_while_what_is_newer_is_rejected(repository: Repository, client: Client) -> None:
    absurd(repository, client)
    aside = Quarantine(client.state, "hotline").find("urls.full")
    assert aside is not None
    levers.reject(client.config, "urls", name_of(aside.state.head), "a mistake", repository.now)
    damage(client.state, "1-1-*")
    assert put_back(client).outcome == "rejected"


def test_a_damaged_table_while_what_is_newer_is_refused(repository: Repository, client: Client) -> None:
    """The list is chartered no longer: what is in force stays, so it must be whole."""
    repository.targets.signed.targets.clear()
    repository.publish()
    damage(client.state, "1-1-*")
    assert isinstance(put_back(client).error, TrustError)


def test_a_damaged_table_makes_no_sane_version_absurd(tmp_path: Path) -> None:
    """A thousand hosts are in force, one comes, and the table is damaged: a thousand and one are not new."""
    repository = Repository()
    hosts = listed(*(f"h{number}.example" for number in range(1000)), scope=Scope.HOST)
    repository.create("urls")
    repository.release("urls", hosts)
    client = Client(repository, tmp_path)
    client.synced()
    repository.release("urls", {**hosts, **listed("one.example", scope=Scope.HOST)})
    damage(client.state, "1-1-*")
    report = client.synced()
    assert (report.outcome, report.after) == ("activated", 2)


def test_a_damaged_table_that_the_store_has_no_more(repository: Repository, client: Client) -> None:
    """What is whole here is named, for a person to choose; until then each sync says it, and tries again."""
    repository.release("urls", listed(*PAGES, "new.example/"))
    client.synced()
    absurd(repository, client)
    damage(client.state, "1-2-*")
    with without(repository, *(name for name in repository.objects if name.startswith("targets/"))):
        for _ in range(2):
            error = _failed(client)
            assert isinstance(error, StateError)
            assert "`vallum pin 1.1 --list hotline/urls.full`" in error.hint
        assert len(repository.requests) < 20
        levers.pin(client.config, "urls", "1.1", repository.now + HOUR, "the disk", repository.now)
        assert client.synced().outcome == "pinned"
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)


def test_a_damaged_table_and_nothing_else_whole(repository: Repository, client: Client) -> None:
    """The role that named its runs is damaged, too: what is in quarantine is left, or the publisher."""
    absurd(repository, client)
    damage(client.state, "1-1-*")
    [role] = client.state.glob("*/lists/*/1-1-*.role.json")
    for text in (b"{", b"[]", b'{"signed": {"_type": "root"}, "signatures": []}'):
        role.write_bytes(text)
        error = _failed(client)
        assert isinstance(error, StateError)
        assert "accept" in error.hint
    aside = Quarantine(client.state, "hotline").find("urls.full")
    assert aside is not None
    levers.accept(client.config, "urls", name_of(aside.state.head), "better than none", repository.now)
    assert client.in_force()["hotline/urls.full"][1] == 2


def test_a_kept_role_is_trusted_in_nothing(repository: Repository, client: Client) -> None:
    """Somebody writes a run of his own into it, and into the store: it is not the state in force."""
    absurd(repository, client)
    damage(client.state, "1-1-*")
    liar = Repository()
    liar.create("urls")
    liar.release("urls", listed("liar.example/"))
    name = liar.run_name("urls", 0, 1)
    repository.objects[name] = liar.objects[name]
    [role] = client.state.glob("*/lists/*/1-1-*.role.json")
    role.write_bytes(liar.objects[liar.name_of("urls.full")])
    assert isinstance(_failed(client), StateError)
    assert name in repository.requests
    with pytest.raises(StateError):
        vallum.open(client.state)


def test_a_damaged_table_of_an_encrypted_list(tmp_path: Path) -> None:
    """Its key is still here, or is fetched again."""
    client = sealed_and_pinned(tmp_path / "client")
    now = client.repository.now
    for keys_too in (False, True):
        damage(client.state, "1-1-*")
        if keys_too:
            shutil.rmtree(client.state / "hotline/keys")
        assert client.synced(now + HOUR).outcome == "pinned"
        with vallum.open(client.state) as lists:
            assert lists.match_url(BAD)
            assert lists.match_url("https://new.example/") == []


def test_a_damaged_table_and_a_store_that_is_down(repository: Repository, client: Client) -> None:
    """Nothing more is asked of a store that does not answer."""
    absurd(repository, client)
    damage(client.state, "1-1-*")
    with without(repository, *list(repository.objects)):
        assert isinstance(_failed(client), FetchError)
        assert len(repository.requests) < 6


def _failed(client: Client) -> VallumError:
    """Sync; it must fail in one way. Not ``Client.sync``: what is in force is damaged."""
    client.repository.requests.clear()
    with Updater(client.config, client.connect) as updater:
        [(_, error)] = updater.sync(wait_for_lock=0).errors()
    return error


def _spoil(pepper: Path, how: str) -> None:
    pepper.unlink() if how == "lost" else pepper.write_bytes(bytes(32))


@pytest.mark.parametrize("how", ["lost", "another"])
def test_a_pepper_that_is_lost_or_another_under_a_pin(tmp_path: Path, how: str) -> None:
    """Every look-up fails: all that look say so, none blames the publisher, and the next sync mends it."""
    client = sealed_and_pinned(tmp_path / "client")
    now = client.repository.now
    client.synced(now)
    [pepper] = client.state.glob("*/keys/*.pepper")
    right = pepper.read_bytes()
    _spoil(pepper, how)
    for look in (
        lambda: vallum.open(client.state),
        lambda: read_standing(client.config, now),
        lambda: verify_state(client.state),
    ):
        with pytest.raises((StorageError, StateError), match="pepper") as raised:
            look()
        assert "vallum sync" in raised.value.hint
    [found] = [one for one in examine(client.config, now, client.connect) if one.check == "lists"]
    assert (found.level, "pepper" in found.says) == (BAD_FINDING, True)
    assert client.synced(now).outcome == "pinned"
    assert pepper.read_bytes() == right
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
    assert verify_state(client.state)


def test_a_pepper_that_is_lost_when_its_epoch_is_long_over(tmp_path: Path) -> None:
    """The store has no wrap of that time any more: that of today holds the same pepper."""
    client = sealed.entitled(tmp_path / "client", *PAGES)
    hotline, now = sealed.hotline(client), client.repository.now
    client.synced(now)
    old = [name for name in hotline.objects() if name.startswith("wraps/")]
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "2 blocks our shop", now)
    hotline.roster.rotate("urls", now=now)
    hotline.publish([*PAGES, "new.example/"])
    for name in old:
        hotline.store.delete(name)
    [pepper] = client.state.glob("*/keys/*.pepper")
    right = pepper.read_bytes()
    pepper.unlink()
    assert client.synced(now).outcome == "pinned"
    assert pepper.read_bytes() == right
    with vallum.open(client.state) as lists:
        assert lists.match_url(BAD)
        assert lists.match_url("https://new.example/") == []


def test_a_pepper_that_is_lost_and_not_to_be_had(tmp_path: Path) -> None:
    """Each sync says whose key is not let in; nothing else changes."""
    client = sealed.entitled(tmp_path / "client", *PAGES)
    hotline, now = sealed.hotline(client), client.repository.now
    client.synced(now)
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "2 blocks our shop", now)
    hotline.roster.revoke("urls.match", "member", now=now)
    for name in [name for name in hotline.objects() if name.startswith("wraps/")]:
        hotline.store.delete(name)
    [pepper] = client.state.glob("*/keys/*.pepper")
    pepper.unlink()
    for _ in range(2):
        client.refused(NotEntitledError, now)
        assert client.held("urls.match").pin is not None
