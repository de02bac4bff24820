"""What the last sync failed with is remembered: for `status`, `doctor`, monitoring; a poll pays nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import FetchError, FormatError, TrustError, VallumError
from vallum.expression import Scope
from vallum.failure import Failure, failures, parse_failure
from vallum.metrics import format_metrics
from vallum.sync.standing import read_standing
from vallum.sync.transport import Answer

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def failing(client: Client, repository: Repository) -> dict[str, Failure]:
    return dict(read_standing(client.config, repository.now).failing())


def _unplug(repository: Repository) -> None:
    def no_answer() -> Answer:
        raise FetchError("no connection", hint="look at the cable")

    repository.answers["metadata/timestamp.json"] = no_answer


def test_a_store_that_is_down_is_written_down_once(repository: Repository, client: Client) -> None:
    """A hundred polls may fail: the file is written by the first of a day; the first success forgets it."""
    assert failing(client, repository) == {}
    _unplug(repository)
    begun = repository.now.replace(hour=1, minute=0) + timedelta(days=1)
    client.sync(begun)
    written = (client.state / "current.json").stat().st_mtime_ns
    for minute in range(1, 4):
        client.sync(begun + minute * MINUTE)
    assert (client.state / "current.json").stat().st_mtime_ns == written
    assert failing(client, repository) == {
        "hotline": Failure("", begun, "FetchError", "no connection", "look at the cable")
    }
    text = format_metrics(read_standing(client.config, repository.now), repository.now)
    assert f'vallum_source_failing_since_seconds{{source="hotline"}} {begun.timestamp():.0f}' in text
    repository.answers.clear()
    client.synced(begun + 5 * MINUTE)
    assert failing(client, repository) == {}


def test_another_failure_begins_anew(repository: Repository, client: Client) -> None:
    _unplug(repository)
    client.sync(repository.now)
    repository.answers["metadata/timestamp.json"] = lambda: Answer(200, [b"<html>"])
    client.sync(repository.now + MINUTE)
    failure = failing(client, repository)["hotline"]
    assert (failure.kind, failure.since) == ("TrustError", repository.now + MINUTE)


def test_one_list_fails_and_its_neighbour_does_not(repository: Repository, tmp_path: Path) -> None:
    client = Client(repository, tmp_path / "client", "films.full", "urls.full")
    client.sync()
    standing = read_standing(client.config, repository.now)
    assert standing.missing == ("hotline/films.full",)
    [(name, failure)] = standing.failing()
    assert (name, failure.kind) == ("hotline/films.full", "ConfigError")
    assert standing.to_dict()["failures"][0]["list"] == "films.full"


def test_a_version_in_quarantine_is_no_failure(repository: Repository, client: Client) -> None:
    repository.release("urls", listed("com", scope=Scope.DOMAIN))
    assert client.sync().sources[0].streams[0].outcome == "quarantined"
    assert failing(client, repository) == {}


def test_a_source_that_was_never_synced_is_missing(repository: Repository, client: Client) -> None:
    config = repository.config(client.state.parent, "urls.full", name="second")
    both = (*client.config.sources, *config.sources)
    client.config = type(client.config)(client.state, both)
    assert read_standing(client.config, repository.now).missing == ("second/urls.full",)


@given(st.text(max_size=30), st.text(max_size=2000))
def test_any_error_can_be_remembered(message: str, hint: str) -> None:
    """Some messages quote what came: nothing that is remembered spoils the file or the terminal."""
    errors: list[tuple[str, VallumError]] = [("urls.full", TrustError(message, hint=hint))]
    [failure] = failures((), errors, NOW)
    assert str(failure).isprintable()
    assert parse_failure(json.loads(json.dumps(failure.to_dict()))) == failure
    assert failures([failure], errors, NOW + MINUTE) == (failure,)


@pytest.mark.parametrize("raw", [
    None, [], {}, {"list": "", "since": 1, "kind": "", "message": "", "hint": ""},
    {"list": "", "since": "2026-01-01T00:00:00Z", "kind": "X", "message": "a\nb", "hint": ""},
])  # fmt: skip
def test_what_is_no_failure(raw: object) -> None:
    with pytest.raises(FormatError):
        parse_failure(raw)
