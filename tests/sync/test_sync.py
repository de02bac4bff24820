"""The main job: a client that trusts a root file holds, after each sync, exactly what was signed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum import aio
from vallum.errors import ConfigError, FormatError, StateError, TrustError
from vallum.state import read_current
from vallum.sync.transport import open_transport
from vallum.sync.verify import verify_state


def test_first_sync(repository: Repository, tmp_path: Path) -> None:
    """A fresh client fetches a base and holds the signed table; all requests and bytes are counted."""
    client = Client(repository, tmp_path)
    report = client.sync()
    assert report.ok
    [source] = report.sources
    [stream] = source.streams
    assert (source.outcome, stream.outcome, stream.before, stream.after) == ("synced", "activated", None, 1)
    assert stream.path == ((0, 1),)
    assert source.requests == len(repository.requests) == 6
    assert source.bytes == sum(map(repository.wire_size, repository.requests))
    assert stream.bytes == sum(
        repository.wire_size(name) for name in repository.requests if "urls.full" in name
    )
    assert client.in_force() == {"hotline/urls.full": (1, 1, repository.head("urls").state)}


def test_each_change_reaches_the_client(repository: Repository, client: Client) -> None:
    """What is added, relabelled, removed and added again at the hotline is so here after one sync each."""
    contents = [
        listed("bad.example/a", "bad.example/b", "worse.example/c"),
        {**listed("bad.example/a", labels=("uk-sap:1:C",)), **listed("worse.example/c")},
        listed("bad.example/a"),
        listed("bad.example/a", "worse.example/c", labels=("test",)),
    ]
    for version, content in enumerate(contents, 2):
        repository.release("urls", content)
        report = client.synced()
        assert (report.outcome, report.before, report.after) == ("activated", version - 1, version)
        assert report.path == ((version - 1, version),)
        [table] = verify_state(client.state)
        assert table.rows == len(content)


def test_a_client_that_was_away_catches_up(repository: Repository, client: Client) -> None:
    """Ten versions later a few runs lead to the newest one, not ten."""
    for number in range(10):
        repository.release("urls", listed(*(f"bad.example/{n}" for n in range(number, number + 20))))
    report = client.synced()
    assert report.after == 11
    assert len(report.path) <= 4


def test_nothing_new(client: Client) -> None:
    """A second sync changes nothing, fetches no list and no run."""
    before = client.files()
    report = client.synced()
    assert (report.outcome, report.requests, report.path) == ("unchanged", 0, ())
    assert client.files() == before


def test_a_renewed_head_moves_its_age_only(repository: Repository, client: Client) -> None:
    """``refresh`` signs the same version again: its age is renewed, and no run is fetched."""
    repository.lists["urls"].as_of = repository.now + timedelta(hours=8)
    head = repository.renew("urls")
    report = client.synced()
    assert (report.outcome, report.path) == ("unchanged", ())
    assert client.held().head.as_of == head.as_of
    assert not any(name.endswith(".run") for name in repository.requests)


def test_charter_facts_that_may_change_do(repository: Repository, client: Client) -> None:
    """Another appeal address reaches the client without a new version."""
    charter = replace(repository.lists["urls"].charter, appeal_url="https://hotline.example/new")
    repository.charter("urls", charter)
    repository.publish()
    client.synced()
    assert client.held().charter == charter


def test_an_unpublished_list_is_no_error(repository: Repository, tmp_path: Path) -> None:
    """A list that is delegated and has no version yet is said to be so; the others go on."""
    repository.create("hashes", kind="hash")
    client = Client(repository, tmp_path)
    report = client.sync()
    assert report.ok
    assert [stream.outcome for stream in report.sources[0].streams] == ["unpublished", "activated"]
    assert read_current(client.state).missing() == ["hotline/hashes.full"]
    repository.release("hashes", {f"sha256|{'ab' * 32}": ("test",), f"md5|{'cd' * 16}": ("test",)})
    assert client.sync().ok
    assert read_current(client.state).missing() == []


def test_a_list_that_does_not_exist(repository: Repository, tmp_path: Path) -> None:
    """A typing error in the configuration is told with what there is; the other list is in force."""
    client = Client(repository, tmp_path, "urls.full", "urlz.full")
    report = client.sync()
    [(where, error)] = report.errors()
    assert (where, type(error)) == ("hotline/urlz.full", ConfigError)
    assert "urlz" in str(error)
    assert error.hint == "it has: urls"
    assert list(client.in_force()) == ["hotline/urls.full"]


def test_an_edition_that_does_not_exist(repository: Repository, tmp_path: Path) -> None:
    error = Client(repository, tmp_path, "urls.match").refused(ConfigError)
    assert error.hint == "it has: full"


def test_a_new_generation(repository: Repository, client: Client) -> None:
    """A new generation starts again at version 1: from its base, and below the old version number."""
    for _ in range(3):
        repository.release("urls", listed("bad.example/x"))
        repository.release("urls", listed("bad.example/y"))
    client.synced()
    repository.new_generation("urls")
    repository.release("urls", listed("bad.example/z"))
    report = client.synced()
    assert (report.generation, report.before, report.after, report.path) == (2, 7, 1, ((0, 1),))
    assert client.in_force()["hotline/urls.full"][:2] == (2, 1)


def test_old_files_go_when_nobody_can_need_them(repository: Repository, client: Client) -> None:
    """The last versions stay for an operator to pin, and one round for readers; all else goes."""
    states = [client.held()]
    for form in "cdefg":
        repository.release("urls", listed(f"bad.example/{form}"))
        client.synced()
        states.append(client.held())
    tables = {name for name in client.files() if name.endswith(".exact")}
    kept = {state.files("hotline", "urls.full")["exact"].as_posix() for state in (states[0], *states[-3:])}
    assert tables == kept


def test_a_list_that_is_followed_no_longer(repository: Repository, tmp_path: Path) -> None:
    """It leaves force at once and the disk a day later (client.md §7.5); its floor stays."""
    repository.create("more")
    repository.release("more", listed("bad.example/more"))
    client = Client(repository, tmp_path)
    client.sync()
    client.config = repository.config(tmp_path, "urls.full")
    client.sync()
    assert list(client.in_force()) == ["hotline/urls.full"]
    for hours, there in ((23, True), (25, False)):
        assert client.sync(repository.now + timedelta(hours=hours)).ok
        assert any("lists/more.full/" in name for name in client.files()) == there
    assert "more.full" in json.loads((client.state / "hotline/floor.json").read_text())["streams"]


def test_two_sources_fail_apart(repository: Repository, tmp_path: Path) -> None:
    """One source is down, the other one's new version comes into force all the same."""
    other = Repository()
    other.create("urls")
    other.release("urls", listed("own.example/a"))
    client = Client(repository, tmp_path)
    [second] = other.config(tmp_path, name="own").sources
    client.config = replace(client.config, sources=(*client.config.sources, second))
    client.connect = lambda source: (other if source.name == "own" else repository).connect(source)
    assert client.sync().ok

    repository.objects.clear()
    other.release("urls", listed("own.example/b"))
    report = client.sync()
    assert [source.outcome for source in report.sources] == ["failed", "synced"]
    assert {name: versions[1] for name, versions in client.in_force().items()} == {
        "hotline/urls.full": 1,
        "own/urls.full": 2,
    }


def test_a_list_that_fails_holds_back_no_other(repository: Repository, tmp_path: Path) -> None:
    """One list's role is damaged: the source's other list moves on, and the next sync is a full one."""
    repository.create("more")
    repository.release("more", listed("bad.example/more"))
    client = Client(repository, tmp_path)
    client.sync()
    repository.release("more", listed("bad.example/more", "bad.example/most"))
    repository.release("urls", listed("bad.example/c"))
    repository.flip(repository.name_of("urls.full"))
    report = client.sync()
    assert report.sources[0].outcome == "partial"
    assert {name: versions[1] for name, versions in client.in_force().items()} == {
        "hotline/more.full": 2,
        "hotline/urls.full": 1,
    }
    assert read_current(client.state).sources["hotline"].timestamp_sha256 == ""


def test_a_folder_is_a_store_too(repository: Repository, tmp_path: Path) -> None:
    """The same over ``file:``, as a directory store lies there."""
    repository.write_to(tmp_path / "store")
    client = Client(repository, tmp_path / "client")
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, url=(tmp_path / "store").as_uri()),))
    client.connect = open_transport
    assert client.synced().after == 1


async def test_from_asyncio(repository: Repository, tmp_path: Path) -> None:
    repository.write_to(tmp_path / "store")
    config = repository.config(tmp_path)
    [source] = config.sources
    config = replace(config, sources=(replace(source, url=(tmp_path / "store").as_uri()),))
    assert (await aio.sync(config)).ok


def test_the_report_is_plain_json(repository: Repository, tmp_path: Path) -> None:
    """``--json`` prints it as it is, errors with their hints, and never an entry."""
    client = Client(repository, tmp_path, "urls.full", "urlz.full")
    text = json.dumps(client.sync().to_dict())
    assert json.loads(text)["sources"][0]["streams"][1]["error"]["kind"] == "ConfigError"
    assert "bad.example" not in text


def test_root_keys_rotate(repository: Repository, client: Client) -> None:
    """Every top-level key is replaced, root's too; a client follows the chain from its old root file."""
    for role in ("timestamp", "snapshot", "targets", "root"):
        repository.rotate(role)
    repository.publish()
    repository.release("urls", listed("bad.example/c"))
    report = client.sync()
    assert report.ok, report.errors()
    assert report.sources[0].root_version == 5


def test_damaged_tables_heal(client: Client) -> None:
    """A bit of a table in force flips on this disk: verify tells, the next full sync fetches it again."""
    [table] = verify_state(client.state)
    data = bytearray(table.path.read_bytes())
    data[100] ^= 1
    table.path.write_bytes(data)
    with pytest.raises(StateError, match="damaged"):
        verify_state(client.state)
    assert client.synced().path == ((0, 1),)
    verify_state(client.state)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 1}'])
def test_a_torn_current_json_heals(client: Client, damage: bytes) -> None:
    """``current.json`` is torn or foreign: the version that is kept whole here is in force again."""
    before = client.in_force()
    (client.state / "current.json").write_bytes(damage)
    report = client.synced()
    assert (report.outcome, report.path) == ("unchanged", ())
    assert client.in_force() == before


def test_a_damaged_floor_is_not_an_absent_one(repository: Repository, client: Client) -> None:
    """Whoever can damage the floor must not reopen roll-back: the source stops, what is in force stays."""
    floor = client.state / "hotline/floor.json"
    floor.write_bytes(floor.read_bytes()[:-20])
    client.config = replace(client.config, sources=(replace(client.config.sources[0], timeout=29.0),))
    client.refused(FormatError)


def test_a_lost_cache_is_no_loss(repository: Repository, client: Client) -> None:
    """TUF's cache is deleted: the next sync fills it again; the lists in force are not fetched anew."""
    shutil.rmtree(client.state / "hotline/trust")
    repository.lists["urls"].as_of = repository.now + timedelta(hours=1)
    repository.renew("urls")
    assert client.synced().path == ()


def test_only_a_source_of_this_name_is_trusted(repository: Repository, client: Client) -> None:
    """Another repository under an old name is refused by the floor, not silently taken over."""
    for _ in range(2):
        repository.rotate("timestamp")
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    other = Repository()
    other.create("urls")
    other.release("urls", listed("own.example/a"))
    client.connect = other.connect
    folder = client.state.parent
    client.config = other.config(folder)
    assert "rename" in client.refused(TrustError).hint
