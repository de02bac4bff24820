"""A table that this disk damaged, while nothing newer may come in its place: it is put back all the same."""

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
from vallum.errors import FetchError, GuardError, StateError, TrustError, VallumError
from vallum.expression import Scope
from vallum.sync import levers
from vallum.sync.quarantine import Quarantine, name_of
from vallum.sync.report import StreamReport
from vallum.sync.updater import Updater

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
    client = sealed.entitled(tmp_path / "client", *PAGES)
    hotline, now = sealed.hotline(client), client.repository.now
    client.synced(now)
    hotline.publish([*PAGES, "new.example/"])
    client.synced(now)
    levers.pin(client.config, "urls", "1", now + 48 * HOUR, "2 blocks our shop", now)
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
