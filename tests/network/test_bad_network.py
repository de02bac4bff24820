"""Bad lines, tired servers, stale caches, on real sockets: how often a client asks, and what it keeps.

Each docstring is what the network does. Requests are counted at the store, so that a storm would be seen; by
``Client.refused`` the last good list is still the one in force.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from email.utils import formatdate

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.network.bad_store import BadStore, Fault
from tests.network.conftest import PAGES
from vallum.errors import DataError, FetchError, TrustError
from vallum.sync import fetch
from vallum.sync.fetch import ATTEMPTS, PACKED, TIMESTAMP, AbsentError

TRANSIENT = (408, 429, 500, 502, 503, 504)


def name_of(repository: Repository, what: str) -> str:
    if what == "run":
        return repository.run_name("urls", 1, 2)
    return repository.name_of(what)


def release(repository: Repository) -> None:
    repository.release("urls", listed(*PAGES, "new.example/page"))


@pytest.mark.parametrize("status", TRANSIENT)
def test_a_server_that_never_recovers(
    repository: Repository, store: BadStore, client: Client, status: int
) -> None:
    """Every answer is an error of the passing sort: four requests a sync, however many syncs, no more."""
    release(repository)
    store.faults[""] = [Fault(status)]
    for _ in range(3):
        store.asked.clear()
        client.refused(FetchError)
        assert len(store.asked) == ATTEMPTS
    store.faults.clear()
    assert client.synced().after == 2


@pytest.mark.parametrize("what", ["timestamp", "snapshot", "urls.full"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_recovers(
    repository: Repository, store: BadStore, client: Client, what: str, status: int
) -> None:
    """Three errors, then the object: one sync is enough, and nothing else is asked for again."""
    release(repository)
    name = name_of(repository, what)
    store.faults[name] = [Fault(status)] * 3 + [Fault()]
    assert client.synced().after == 2
    asked = Counter(store.asked)
    assert asked[name] == ATTEMPTS
    assert {count for other, count in asked.items() if other != name} == {1}


@pytest.mark.parametrize(("status", "times"), [(400, 1), (401, 1), (410, 1), (416, 1), (403, 2), (404, 2)])
def test_a_refusal_is_not_argued_with(
    repository: Repository, store: BadStore, client: Client, status: int, times: int
) -> None:
    """What asking again would not change is asked once, and past the caches where one may be to blame."""
    release(repository)
    name = repository.name_of("urls.full")
    store.faults[name] = [Fault(status)]
    client.refused(AbsentError if times == 2 else FetchError)
    assert Counter(store.asked)[name] == times


@pytest.mark.parametrize("status", [403, 404, 416, 503])
def test_a_run_that_is_not_to_be_had(
    repository: Repository, store: BadStore, client: Client, status: int
) -> None:
    """One run of the way is missing: the base is taken. A store that is down is not asked for a base, too."""
    repository.lists["urls"].spans = [(0, 2), (1, 2)]
    repository.release("urls", listed(*PAGES, *(f"much{number}.example/page" for number in range(5))))
    step, base = (repository.run_name("urls", start, 2) for start in (1, 0))
    store.faults[step] = [Fault(status)]
    if status in (403, 404):
        report = client.synced()
        assert (report.path, type(report.warning)) == (((0, 2),), AbsentError)
        assert Counter(store.asked)[base] == 1
    else:
        client.refused(FetchError)
        assert base not in store.asked
    assert Counter(store.asked)[step] <= 2 * ATTEMPTS


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(repository: Repository, store: BadStore, client: Client, form: str, status: int) -> None:
    """The server asks for two seconds of patience, in either spelling: it gets them, then one request."""
    release(repository)
    now = time.time()  # noqa: TID251 - the server's clock, in the server's own words
    until = "2" if form == "seconds" else formatdate(now + 2, usegmt=True)
    store.faults[TIMESTAMP] = [
        Fault(status, {"Retry-After": until, "Date": formatdate(now, usegmt=True)}), Fault(),
    ]  # fmt: skip
    began = time.monotonic()
    assert client.synced().after == 2
    assert time.monotonic() - began >= 2
    assert Counter(store.asked)[TIMESTAMP] == 2


@pytest.mark.parametrize("until", ["3600", formatdate(4_000_000_000, usegmt=True)])
def test_retry_after_an_hour(repository: Repository, store: BadStore, client: Client, until: str) -> None:
    """The server asks for an hour: the sync gives up at once, without holding the lock so long."""
    release(repository)
    store.faults[""] = [Fault(503, {"Retry-After": until, "Date": formatdate(0, usegmt=True)})]
    began = time.monotonic()
    assert "poll less often" in client.refused(FetchError).hint
    assert time.monotonic() - began < 10
    assert len(store.asked) == 1


def test_pauses_between_attempts(
    repository: Repository, store: BadStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand clients meet one outage: the pauses of each grow, and no two clients' are alike."""
    monkeypatch.setattr(fetch, "BACKOFF", 0.1)
    release(repository)
    store.faults[""] = [Fault(503)]
    took = []
    for _ in range(3):
        began = time.monotonic()
        client.refused(FetchError)
        took.append(time.monotonic() - began)
    assert min(took) >= 0.1 * (1 + 2 + 4) / 2
    assert len({round(seconds, 4) for seconds in took}) == 3


@pytest.mark.parametrize("what", ["timestamp", "snapshot", "urls.full", "run"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_line_that_breaks_once(
    repository: Repository, store: BadStore, client: Client, what: str, reset: bool
) -> None:
    """The connection ends, or is reset, in the middle of a body: it is asked for once more."""
    repository.lists["urls"].spans = [(1, 2)]
    release(repository)
    name = name_of(repository, what)
    store.faults[name] = [Fault(cut=20, reset=reset), Fault()]
    assert client.synced().after == 2
    assert Counter(store.asked)[name] == 2


@pytest.mark.parametrize("what", ["timestamp", "urls.full", "run"])
def test_a_line_that_always_breaks(
    repository: Repository, store: BadStore, client: Client, what: str
) -> None:
    """It never gets through: bounded, and nothing half is left behind."""
    repository.lists["urls"].spans = [(1, 2)]
    release(repository)
    before = client.files()
    name = name_of(repository, what)
    store.faults[name] = [Fault(cut=20)]
    client.refused(FetchError)
    assert Counter(store.asked)[name] == (2 if what == "run" else ATTEMPTS)
    assert client.files() == before


def test_a_server_that_hangs(repository: Repository, store: BadStore, client: Client) -> None:
    """It takes the request and says nothing: the time-out ends each attempt."""
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, timeout=0.2),))
    release(repository)
    store.faults[TIMESTAMP] = [Fault(delay=1.0)]
    assert "no answer in time" in str(client.refused(FetchError))
    assert Counter(store.asked)[TIMESTAMP] == ATTEMPTS


@pytest.mark.parametrize("what", ["timestamp", "run"])
def test_a_server_that_drips(repository: Repository, store: BadStore, client: Client, what: str) -> None:
    """A byte now and then, of the head already: no time-out sees it. The deadline ends it in mid-air.

    Otherwise one store would hold the lock of the state folder, and so every other source, for days.
    """
    repository.lists["urls"].spans = [(1, 2)]
    release(repository)
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, deadline=1.5),))
    store.faults[name_of(repository, what)] = [Fault(drip=0.4)]
    began = time.monotonic()
    assert "deadline" in str(client.refused(FetchError))
    assert time.monotonic() - began < 15
    store.faults.clear()
    client.config = replace(client.config, sources=(source,))
    assert client.synced().after == 2


def test_a_month_old_timestamp(repository: Repository, store: BadStore, client: Client) -> None:
    """One edge of the CDN serves the timestamp of last month: refused, asked once a sync, no harm done."""
    old = repository.objects[TIMESTAMP]
    release(repository)
    client.synced()
    store.faults[TIMESTAMP] = [Fault(body=old)]
    for _ in range(3):
        store.asked.clear()
        client.refused(TrustError)
        assert len(store.asked) <= 3
    store.faults.clear()
    client.synced()


@pytest.mark.parametrize("what", ["snapshot", "targets", "urls.full", "run"])
def test_a_stale_copy_of_one_object(
    repository: Repository, store: BadStore, client: Client, what: str
) -> None:
    """A cache has other bytes under one name, such as those of a purge that never came.

    The recovery must end: ClamAV's clients once fetched their whole database again, for ever.
    """
    repository.lists["urls"].spans = [(1, 2)]
    repository.targets.signed.unrecognized_fields["x"] = 1
    release(repository)
    name = name_of(repository, what)
    wrong = bytearray(repository.objects[name])
    wrong[len(wrong) // 2] ^= 1
    store.faults[name] = [Fault(body=bytes(wrong))]
    counts = set()
    for _ in range(4):
        store.asked.clear()
        before = client.in_force()
        [(_, error)] = client.sync().errors()
        assert isinstance(error, DataError)
        assert client.in_force() == before
        counts.add(len(store.asked))
    assert max(counts) <= 12, "once more by the plain files, once more from a base, and no further"
    store.faults.clear()
    assert client.synced().after == 2


def test_a_stale_copy_of_every_run(repository: Repository, store: BadStore, client: Client) -> None:
    """Step and base are wrong in the cache, for days: each sync fetches each once, and gives up."""
    repository.lists["urls"].spans = [(0, 2), (1, 2)]
    repository.release("urls", listed(*PAGES, *(f"much{number}.example/page" for number in range(5))))
    names = [repository.run_name("urls", start, 2) for start in (0, 1)]
    for name in names:
        store.faults[name] = [Fault(body=bytes(len(repository.objects[name])))]
    for _ in range(5):
        store.asked.clear()
        client.refused(DataError)
        assert [Counter(store.asked)[name] for name in names] == [1, 1]


def test_a_captive_portal(repository: Repository, store: BadStore, client: Client) -> None:
    """The hotel's network answers everything with 200 and a page to sign in."""
    release(repository)
    store.faults[""] = [Fault(body=b"<html>sign in</html>")]
    assert "proxy" in client.refused(TrustError).hint
    assert len(store.asked) <= 4


def test_an_honest_poll_keeps_its_connection(repository: Repository, store: BadStore, client: Client) -> None:
    """Without a fault: one request a poll, answered by 304, and ten polls over one connection."""
    from vallum.sync.updater import Updater

    with Updater(client.config) as updater:
        updater.sync()
        connections, asked = store.connections, len(store.asked)
        for _ in range(10):
            assert updater.sync().sources[0].outcome == "unchanged"
        assert store.connections == connections
        assert store.asked[asked:] == [TIMESTAMP] * 10
        assert store.connections <= 3


def test_packed_metadata_that_is_forbidden(repository: Repository, store: BadStore, client: Client) -> None:
    """A firewall lets no `.zst` through: asked for once a sync, and the plain files serve."""
    store.packed = True
    release(repository)
    for name in list(repository.objects):
        store.faults[name + PACKED] = [Fault(403)]
    assert client.synced().after == 2
    assert sum(name.endswith(PACKED) for name in store.asked) == 1
