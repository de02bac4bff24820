"""What a hostile store, a broken cache or a bad line may send; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import DataError, FetchError, TrustError
from vallum.format.columns import compress
from vallum.sync.apply import apply_listed
from vallum.sync.fetch import AbsentError, TooLargeError
from vallum.sync.transport import Answer


def test_the_store_is_gone(repository: Repository, client: Client) -> None:
    """Nothing answers: retried within bounds, then the old list stays."""
    repository.answers = dict.fromkeys(repository.objects, _broken)
    repository.answers["metadata/2.root.json"] = _broken
    client.refused(FetchError)
    assert repository.requests == ["metadata/timestamp.json"] * 4


def test_an_empty_store(repository: Repository, client: Client) -> None:
    """The bucket was emptied, or the address is not that of a repository."""
    repository.objects.clear()
    assert "url" in client.refused(AbsentError).hint


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "urls.full"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "garbage", "empty"])
def test_damaged_metadata(repository: Repository, client: Client, role: str, damage: str) -> None:
    """A store or a cache hands out metadata cut short, with a bit turned, or something else."""
    repository.targets.signed.unrecognized_fields["x"] = 1
    repository.release("urls", listed("bad.example/c"))
    name = repository.name_of(role)
    data = repository.objects[name]
    match damage:
        case "truncated":
            repository.objects[name] = data[: len(data) // 2]
        case "flipped":
            repository.flip(name, data.index(b'"expires"') + 14)
        case "garbage":
            repository.objects[name] = b"\xff" * 100
        case "empty":
            repository.objects[name] = b""
    error = client.refused(DataError if role != "timestamp" else TrustError)
    assert error.hint


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "urls.full"])
def test_metadata_without_end(repository: Repository, client: Client, role: str) -> None:
    """A hostile store never stops sending; with a stolen online key it even signs a length of 10¹²."""
    repository.targets.signed.unrecognized_fields["x"] = 1
    repository.release("urls", listed("bad.example/c"))
    match role:
        case "snapshot":
            repository.timestamp.signed.snapshot_meta.length = 10**12
            repository.sign("timestamp")
            repository.put("timestamp")
        case "targets" | "urls.full":
            repository.snapshot.signed.meta[f"{role}.json"].length = 10**12
            repository.sign("snapshot")
            repository.put("snapshot")
            repository.publish_timestamp()
    repository.answers[repository.name_of(role)] = lambda: Answer(200, _endless())
    client.refused(TooLargeError)


def test_a_run_without_end(repository: Repository, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a run: what was signed is a bound, too."""
    repository.release("urls", listed("bad.example/c"))
    for start, end in ((1, 2), (0, 1)):
        repository.answers[repository.run_name("urls", start, end)] = lambda: Answer(200, _endless())
    client.refused(TrustError)


@pytest.mark.parametrize("content", ["another role", "a bomb"])
def test_a_bad_twin_of_good_metadata_keeps_nobody_from_the_list(
    repository: Repository, tmp_path: Path, content: str
) -> None:
    """A cache serves a wrong `.zst` beside the good file: for a list role, and for the snapshot."""
    client = Client(repository, tmp_path)
    for name in (repository.name_of("snapshot"), repository.name_of("urls.full")):
        wrong = b"\0" * 900_000 if content == "a bomb" else repository.objects[repository.name_of("targets")]
        repository.twins[name] = compress(wrong, 3)
        assert client.synced().after == repository.head("urls").version
        repository.twins.clear()
        repository.release("urls", listed(f"{len(name)}.example/new"))
        repository.publish()


def test_a_new_timestamp_is_seen_but_its_list_is_not_there_yet(
    repository: Repository, client: Client
) -> None:
    """python-tuf stores a timestamp before it has the list: the next poll must not think all is done."""
    repository.release("urls", listed("bad.example/c"))
    name = repository.name_of("urls.full")
    data = repository.objects.pop(name)
    client.refused(AbsentError)
    repository.objects[name] = data
    assert client.synced().after == 2


def test_a_fast_path_is_no_way_back(repository: Repository, client: Client) -> None:
    """A newer timestamp was seen and led nowhere; then the old one, whose digest was on record, is served."""
    old = repository.objects["metadata/timestamp.json"]
    repository.release("urls", listed("bad.example/c"))
    del repository.objects[repository.name_of("snapshot")]
    client.refused(AbsentError)
    repository.objects["metadata/timestamp.json"] = old
    client.refused(TrustError)


def test_a_cache_that_lost_a_run_is_asked_past(repository: Repository, client: Client) -> None:
    """A cache remembers that a pinned name was not there yet: it is asked once more, past the cache."""
    repository.release("urls", listed("bad.example/c"))
    name = repository.run_name("urls", 1, 2)
    answers = iter([Answer(404), Answer(200, iter([repository.objects[name]]))])
    repository.answers[name] = lambda: next(answers)
    assert client.synced().path == ((1, 2),)
    assert repository.requests.count(name) == 2


def test_what_nobody_foresaw(repository: Repository, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run finds a hole in the decoder: its list fails with class and place, and without its text."""
    repository.create("more")
    repository.release("more", listed("bad.example/more"))
    repository.release("urls", listed("bad.example/c"))
    client.config = repository.config(client.state.parent)

    def broken(*arguments: Any) -> Any:
        tables = apply_listed(*arguments)
        if tables["exact"].version == 2:
            raise ZeroDivisionError("bad.example/c")
        return tables

    monkeypatch.setattr("vallum.sync.lead.apply_listed", broken)
    report = client.sync()
    [(where, error)] = report.errors()
    assert (where, type(error)) == ("hotline/urls.full", DataError)
    assert "ZeroDivisionError in test_wire_attacks.py" in str(error)
    assert "bad.example" not in str(error)
    assert {name: versions[1] for name, versions in client.in_force().items()} == {
        "hotline/more.full": 1,
        "hotline/urls.full": 1,
    }


def _broken() -> Answer:
    raise FetchError("hotline.example: no connection")


def _drips() -> Iterator[bytes]:
    while True:
        time.sleep(0.02)
        yield b" "


def _endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


@pytest.mark.parametrize("role", ["timestamp", "urls.full", "run"])
def test_a_store_that_drips(repository: Repository, client: Client, role: str) -> None:
    """A byte now and then keeps time-outs quiet and would hold the lock for ever: the deadline ends it."""
    repository.release("urls", listed("bad.example/c"))
    name = repository.run_name("urls", 1, 2) if role == "run" else repository.name_of(role)
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, deadline=0.4),))
    repository.answers[name] = lambda: Answer(200, _drips())
    began = time.monotonic()
    assert "deadline" in str(client.refused(FetchError))
    assert time.monotonic() - began < 20
    assert not any("staging" in file for file in client.files())
