"""The pure rules beside the workflow: floor, freshness, when a poll may stand for a sync, key values."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, SSlibKey

from tests.fakes.client import Client
from tests.fakes.repository import Repository
from vallum.errors import FormatError, TrustError
from vallum.format.head import Head, RunRef
from vallum.state import SourceState, StreamState
from vallum.sync.floor import EquivocationError, Floor, Mark, format_floor, parse_floor
from vallum.sync.freshness import CLOCK_AHEAD, CLOCK_BEHIND, Freshness, freshness
from vallum.sync.poll import FULL_RUN_EVERY, may_poll
from vallum.sync.roles import key_value

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
STREAM = "urls.full"


def head(generation: int = 1, version: int = 1, table: str = "ab", as_of: datetime = NOW) -> Head:
    return Head(
        generation=generation, version=version, tables={"exact": table * 32}, created=NOW, as_of=as_of,
        max_age=72 * 3600, min_poll=0, epochs={}, runs=(RunRef(0, version, 1),),
    )  # fmt: skip


def held(**changes: object) -> SourceState:
    charter = Repository().create("urls").charter
    state = SourceState(
        followed=(STREAM,), streams={STREAM: StreamState(charter, head())}, verified_at=NOW, root_version=1,
        expires=NOW + timedelta(days=1), timestamp_sha256="ab" * 32, config="cd" * 32,
    )  # fmt: skip
    return replace(state, **changes)  # type: ignore[arg-type]  # tests name fields


marks = st.builds(
    Mark, st.integers(1, 2**32 - 1), st.integers(1, 2**53 - 1), st.sampled_from(("ab" * 32, "cd" * 32))
)
floors = st.builds(
    Floor, st.integers(0, 2**53 - 1), st.dictionaries(st.sampled_from((STREAM, "a.match", "b.full")), marks)
)


@given(floors)
def test_a_floor_reads_back(floor: Floor) -> None:
    assert parse_floor("hotline", format_floor("hotline", floor)) == floor


@given(st.binary(max_size=100))
def test_garbage_is_no_floor(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_floor("hotline", data)


@given(marks, marks)
def test_a_floor_only_rises(first: Mark, second: Mark) -> None:
    heads = [replace(head(), generation=mark.generation, version=mark.version) for mark in (first, second)]
    floor = Floor().raised(3, {STREAM: heads[0]}).raised(2, {STREAM: heads[1]})
    highest = max(heads, key=lambda head: (head.generation, head.version))
    assert floor.root == 3
    assert (floor.streams[STREAM].generation, floor.streams[STREAM].version) == (
        highest.generation, highest.version
    )  # fmt: skip


def test_what_the_floor_lets_through() -> None:
    floor = Floor().raised(1, {STREAM: head(2, 5)})
    for good in (head(2, 5), head(2, 6, "cd"), head(3, 1, "cd")):
        floor.check_head(STREAM, good)
    floor.check_head("other.full", head(1, 1))
    for old in (head(2, 4), head(1, 9)):
        with pytest.raises(TrustError, match="older"):
            floor.check_head(STREAM, old)
    with pytest.raises(EquivocationError):
        floor.check_head(STREAM, head(2, 5, "cd"))


def test_freshness() -> None:
    """Age is that of the list's own signature; with a wrong clock nothing can be said about it."""
    source = held()
    stream = source.streams[STREAM]
    assert freshness(stream, source, NOW) == Freshness.FRESH
    long_lived = replace(source, expires=NOW + timedelta(days=99))
    assert freshness(stream, long_lived, NOW + timedelta(hours=72)) == Freshness.STALE
    assert freshness(stream, long_lived, NOW + timedelta(hours=72, seconds=-1)) == Freshness.FRESH
    assert freshness(stream, source, source.expires) == Freshness.STALE
    assert freshness(stream, source, NOW - CLOCK_BEHIND) == Freshness.FRESH
    assert freshness(stream, source, NOW - CLOCK_BEHIND - timedelta(seconds=1)) == Freshness.CLOCK
    ahead = replace(stream, head=head(as_of=NOW + CLOCK_AHEAD + timedelta(seconds=1)))
    assert freshness(ahead, source, NOW) == Freshness.CLOCK


def test_status_loads_no_tuf() -> None:
    """What readers need of the sync is free of python-tuf."""
    modules = "vallum.sync.freshness, vallum.sync.verify, vallum.sync.poll, vallum.sync.report"
    code = f"import sys, {modules}; assert not [m for m in sys.modules if m.split('.')[0] == 'tuf']"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp_sha256": ""},
        {"config": "00" * 32},
        {"followed": (STREAM, "more.full")},
        {"verified_at": NOW - FULL_RUN_EVERY},
        {"verified_at": NOW + timedelta(seconds=1)},
        {"expires": NOW},
        {"verified_at": NOW - timedelta(minutes=50), "expires": NOW + timedelta(minutes=7)},
    ],
)
def test_when_a_poll_proves_nothing(changes: dict[str, object]) -> None:
    assert may_poll(held(), "cd" * 32, (STREAM,), NOW)
    assert not may_poll(held(**changes), "cd" * 32, (STREAM,), NOW)


def test_a_list_that_grows_old_ends_polling() -> None:
    """An eighth before its age limit a full run asks what the list's own keys say now."""
    source = held()
    old = {STREAM: replace(source.streams[STREAM], head=head(as_of=NOW - timedelta(hours=71, minutes=59)))}
    assert not may_poll(
        replace(source, streams=old, verified_at=NOW - timedelta(minutes=30)), "cd" * 32, (STREAM,), NOW
    )


def test_polling_ends_by_itself(client: Client, repository: Repository) -> None:
    """One conditional request an hour long, then the whole workflow again."""
    start = client.held().head.as_of + timedelta(minutes=1)
    client.sync(start + FULL_RUN_EVERY)
    for minutes, requests in ((1, 1), (59, 1), (60, 2), (61, 1)):
        client.sync(start + FULL_RUN_EVERY + timedelta(minutes=minutes))
        assert len(repository.requests) == requests, minutes


def test_polls_use_the_etag(client: Client, repository: Repository) -> None:
    """With an ETag not even the timestamp's body comes; a change is fetched once."""
    repository.etags = True
    repository.publish_timestamp()
    client.sync()
    report = client.sync()
    assert (report.requests, report.bytes) == (1, 0)
    repository.renew("urls")
    report = client.sync()
    assert repository.requests.count("metadata/timestamp.json") == 1


def test_one_key_in_many_spellings() -> None:
    """Hex has two cases, PEM many layouts, a point of the curve two forms: the value is one."""
    ed = CryptoSigner.generate_ed25519().public_key
    assert key_value(ed) == key_value(_spelt(ed, str(ed.keyval["public"]).upper()))
    private = generate_private_key(SECP256R1())
    key = SSlibKey.from_crypto(private.public_key())
    text = str(key.keyval["public"])
    lines = text.strip().splitlines()
    body = "".join(lines[1:-1])
    rewrapped = "\n".join([lines[0], *(body[at : at + 40] for at in range(0, len(body), 40)), lines[-1], ""])
    assert rewrapped != text
    assert key_value(key) == key_value(_spelt(key, rewrapped)) == key_value(_spelt(key, text + "\n"))
    other = SSlibKey.from_crypto(generate_private_key(SECP256R1()).public_key())
    assert key_value(key) != key_value(other)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key_value(key) == der


def test_no_clock_in_the_rules() -> None:
    """``now`` is handed in: a rule that reads the clock cannot be tested."""
    from vallum.sync import floor, poll
    from vallum.sync import freshness as rules

    for module in (floor, poll, rules):
        assert ".now(" not in inspect.getsource(module)


def test_code_and_client_md_name_the_same_steps() -> None:
    """A step that the code cites is in client.md, and each step that is a *must* is cited."""
    top = Path(__file__).parents[2]
    steps: dict[str, str] = {}
    number = ""
    for line in (top / "schemas/client.md").read_text().splitlines():
        if found := re.match(r"([0-9]+\.[0-9]+) ", line):
            number = found[1]
            steps[number] = ""
        elif line.startswith("#") or not line:
            number = ""
        if number:
            steps[number] += line
    cited = set()
    for path in (top / "client/vallum").rglob("*.py"):
        text = path.read_text()
        cited |= set(re.findall(r"client\.md §([0-9]+\.[0-9]+)", text))
        if path.parent.name == "sync":
            cited |= set(re.findall(r"# ([0-9]+\.[0-9]+)\b", text))
    assert cited <= set(steps)
    assert {number for number, text in steps.items() if "**must" in text} <= cited


def _spelt(key: SSlibKey, public: str) -> SSlibKey:
    return SSlibKey("0" * 64, key.keytype, key.scheme, {"public": public})
