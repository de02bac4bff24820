"""What a thief of some keys, a hostile store or a broken cache may try; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import ConfigError, DataError, FetchError, FormatError, StateError, TrustError
from vallum.format import limits
from vallum.format.columns import compress
from vallum.format.head import format_head
from vallum.state import read_current
from vallum.sync.apply import apply_listed
from vallum.sync.fetch import AbsentError, TooLargeError
from vallum.sync.floor import EquivocationError
from vallum.sync.freshness import Freshness, freshness
from vallum.sync.transport import Answer


def test_not_a_root_file(repository: Repository, client: Client) -> None:
    """The file that should be the root of trust is something else."""
    client.config.sources[0].root.write_bytes(b"<html>sign in</html>")
    error = client.refused(ConfigError)
    assert "root file" in str(error)
    assert "invitation" in error.hint


def test_metadata_of_another_role_as_root(repository: Repository, client: Client) -> None:
    """Validly signed targets metadata stands where the root file should."""
    client.config.sources[0].root.write_bytes(repository.objects[repository.name_of("targets")])
    client.refused(ConfigError)


def test_no_root_file(client: Client) -> None:
    client.config.sources[0].root.unlink()
    client.refused(ConfigError)


def test_a_root_signed_by_nobody(repository: Repository, client: Client) -> None:
    """The next root is signed with its own new key, not with the old one: the chain is broken."""
    repository.keys["root"] = [CryptoSigner.generate_ed25519()]
    repository.root.signed.roles["root"].keyids.clear()
    repository.root.signed.add_key(repository.keys["root"][0].public_key, "root")
    repository.publish_root()
    repository.release("urls", listed("evil.example/a"))
    client.refused(TrustError)


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


def test_a_run_that_is_signed_as_huge(repository: Repository, client: Client) -> None:
    """A stolen list key lists a run larger than any: it is not used, another way is found."""
    repository.release("urls", listed("bad.example/c"))
    role = repository.roles["urls.full"].signed
    [path] = [name for name in role.targets if name.endswith("-1-2.run")]
    role.targets[path].length = limits.RUN + 1
    repository.lists["urls"].spans = None
    repository.publish()
    assert "no listed run" in str(client.refused(StateError))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_a_damaged_run_is_made_good_by_a_base(repository: Repository, client: Client, damage: str) -> None:
    """One run is damaged in the store: the base leads to the same state, and the report warns."""
    content = listed(*(f"bad.example/{number:03}" for number in range(50)))
    repository.release("urls", content)
    client.synced()
    repository.lists["urls"].spans = [(0, 3), (2, 3)]
    repository.release("urls", {**content, **listed("bad.example/c")})
    name = repository.run_name("urls", 2, 3)
    if damage == "absent":
        del repository.objects[name]
    elif damage == "flipped":
        repository.flip(name)
    else:
        repository.objects[name] = repository.objects[name][:-1]
    report = client.synced()
    assert (report.path, report.after) == (((0, 3),), 3)
    assert type(report.warning) is (AbsentError if damage == "absent" else DataError)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_damaged_runs(repository: Repository, client: Client, damage: str) -> None:
    """Step and base are damaged: both ways are tried once, then the old list stays."""
    repository.lists["urls"].spans = [(0, 2), (1, 2)]
    repository.release("urls", listed("bad.example/a", "bad.example/b", "bad.example/c"))
    for start in (0, 1):
        name = repository.run_name("urls", start, 2)
        if damage == "absent":
            del repository.objects[name]
        elif damage == "flipped":
            repository.flip(name)
        else:
            repository.objects[name] = repository.objects[name][:-1]
    client.refused(AbsentError if damage == "absent" else DataError)
    assert {name for name in repository.requests if name.endswith(".run")} == {
        repository.run_name("urls", start, 2) for start in (0, 1)
    }
    assert not any("staging" in name for name in client.files())


def test_a_signed_run_of_another_name(repository: Repository, client: Client) -> None:
    """A run is signed under the name of another one: what the name says and what it is must agree."""
    repository.lists["urls"].spans = [(1, 2)]
    repository.release("urls", listed("bad.example/c"))
    repository.lists["urls"].runs[1, 2, 3] = repository.lists["urls"].runs[1, 1, 2]
    repository.lists["urls"].spans = [(2, 3)]
    repository.release("urls", listed("bad.example/c", "bad.example/d"))
    repository.lists["urls"].spans = [(1, 2), (2, 3)]
    repository.renew("urls")
    assert "name" in str(client.refused(StateError))


def test_a_signed_run_that_leads_elsewhere(repository: Repository, client: Client) -> None:
    """Validly signed runs lead to another table than the head signs: nothing of it comes into force."""
    history = repository.lists["urls"]
    history.spans = [(1, 2)]
    history.versions.append(listed("bad.example/wrong"))
    repository.run("urls", 1, 2)
    history.versions.pop()
    repository.release("urls", listed("bad.example/right"))
    assert "not the signed one" in str(client.refused(StateError))


def test_a_wrong_run_is_made_good_by_a_base(repository: Repository, client: Client) -> None:
    """The publisher's step is wrong, his base is right: the base is taken, and the report warns."""
    history = repository.lists["urls"]
    history.spans = [(0, 2), (1, 2)]
    content = listed(*(f"bad.example/{n:03}" for n in range(50)))
    history.versions.append(listed("bad.example/wrong"))
    repository.run("urls", 1, 2)
    history.versions.pop()
    repository.release("urls", content)
    report = client.synced()
    assert report.path == ((0, 2),)
    assert isinstance(report.warning, StateError)


def test_a_signed_run_that_is_no_run(repository: Repository, client: Client) -> None:
    """A list's keys sign garbage as a run: the decoder refuses it."""
    history = repository.lists["urls"]
    history.spans = [(1, 2)]
    history.runs[1, 1, 2] = b"not a run"
    repository.release("urls", listed("bad.example/c"))
    client.refused(FormatError)


def test_a_cache_that_lost_a_run_is_asked_past(repository: Repository, client: Client) -> None:
    """A cache remembers that a pinned name was not there yet: it is asked once more, past the cache."""
    repository.release("urls", listed("bad.example/c"))
    name = repository.run_name("urls", 1, 2)
    answers = iter([Answer(404), Answer(200, iter([repository.objects[name]]))])
    repository.answers[name] = lambda: next(answers)
    assert client.synced().path == ((1, 2),)
    assert repository.requests.count(name) == 2


def test_rolled_back_metadata(repository: Repository, client: Client) -> None:
    """A store serves yesterday's timestamp again."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    repository.objects.update(old)
    client.refused(TrustError)


def test_roll_back_after_the_cache_was_lost(repository: Repository, client: Client) -> None:
    """TUF alone accepts an old repository once its cache is gone; the floor does not."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    repository.objects = old
    assert "older" in str(client.refused(TrustError))


def test_roll_back_after_everything_but_the_floor_was_lost(repository: Repository, client: Client) -> None:
    """``current.json`` and the cache are gone: the floor still refuses, and nothing is in force."""
    old = dict(repository.objects)
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    (client.state / "current.json").unlink()
    repository.objects = old
    client.refused(TrustError)


def test_roll_back_of_the_root_chain(repository: Repository, client: Client) -> None:
    """The cache is gone and a store hides the newer roots, whose old keys were stolen: the floor knows."""
    old = dict(repository.objects)
    repository.rotate("timestamp")
    repository.publish()
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    repository.objects = old
    assert "root chain" in str(client.refused(TrustError))


def test_a_list_key_rolls_its_list_back(repository: Repository, client: Client) -> None:
    """A stolen list key signs an older version with higher metadata numbers."""
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    repository.lists["urls"].versions.pop()
    repository.renew("urls")
    assert "older" in str(client.refused(TrustError))


def test_equivocation(repository: Repository, client: Client) -> None:
    """One version is signed with two contents, such as for one recipient alone: both are kept as proof."""
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    history = repository.lists["urls"]
    history.versions[-1] = listed("bad.example/for-you-only")
    history.runs.clear()
    head = repository.renew("urls")
    client.refused(EquivocationError)
    evidence = [path.read_bytes() for path in (client.state / "hotline/evidence").iterdir()]
    assert len(evidence) == 2
    states = [head.state, client.held().head.state]
    assert all(any(state.encode() in role and b'"sig"' in role for role in evidence) for state in states)


def test_a_re_signed_head_is_no_equivocation(repository: Repository, client: Client) -> None:
    """The same state in other bytes of metadata is the same state."""
    repository.roles["urls.full"].signed.unrecognized_fields["note"] = "re-signed"
    repository.renew("urls")
    client.synced()


def test_fixed_facts_change(repository: Repository, client: Client) -> None:
    """The offline keys are made to change the key layout within a generation."""
    repository.charter("urls", replace(repository.lists["urls"].charter, host_bits=8))
    repository.publish()
    client.refused(TrustError)


def test_another_list_under_an_old_name(repository: Repository, client: Client) -> None:
    repository.charter("urls", replace(repository.lists["urls"].charter, uid=bytes(16), generation=2))
    repository.publish()
    client.refused(TrustError)


def test_charter_and_head_of_different_generations(repository: Repository, client: Client) -> None:
    """The offline keys open a generation, the list's keys still sign the one before."""
    repository.charter("urls", replace(repository.lists["urls"].charter, generation=2))
    repository.publish()
    client.refused(StateError)


def test_a_head_disappears(repository: Repository, client: Client) -> None:
    """A list that was held has no head any more: it has not become an unpublished one."""
    repository.roles["urls.full"].signed.targets.clear()
    repository.publish()
    client.refused(TrustError)


def test_a_charter_disappears(repository: Repository, client: Client) -> None:
    repository.targets.signed.targets.clear()
    repository.publish()
    client.refused(TrustError)


def test_an_encrypted_list(repository: Repository, client: Client) -> None:
    """A charter that names a pepper over a head that names no epoch: no list is half encrypted."""
    repository.new_generation("urls")
    charter = replace(repository.lists["urls"].charter, pepper="ab" * 32)
    repository.charter("urls", charter)
    repository.release("urls", listed("bad.example/c"))
    assert "encrypted" in str(client.refused(StateError))


def test_a_head_without_a_known_feature(repository: Repository, client: Client) -> None:
    """A head names a critical feature of a later release."""
    head = replace(repository.head("urls"), critical=("ants",))
    _put_head(repository, format_head(head))
    assert "upgrade" in client.refused(FormatError).hint


@pytest.mark.parametrize("custom", [None, {}, {"vallum": []}, {"vallum": {"format": 1}}])
def test_a_malformed_head(repository: Repository, client: Client, custom: object) -> None:
    target = TargetFile.from_data("urls.full/head", b"", ["sha256"])
    if custom is not None:
        target.unrecognized_fields["custom"] = custom
    repository.roles["urls.full"].signed.targets["urls.full/head"] = target
    repository.publish()
    client.refused(FormatError)


def test_a_head_with_a_body(repository: Repository, client: Client) -> None:
    """A head target has a length: bytes that nobody reads could tell others something else."""
    role = repository.roles["urls.full"].signed
    custom = role.targets["urls.full/head"].unrecognized_fields
    target = role.targets["urls.full/head"] = TargetFile.from_data("urls.full/head", b"x", ["sha256"])
    target.unrecognized_fields.update(custom)
    repository.publish()
    client.refused(TrustError)


def test_a_stranger_signs_a_list(repository: Repository, client: Client) -> None:
    """A key that nobody delegated signs the list's role."""
    repository.keys["urls.full"] = [CryptoSigner.generate_ed25519()]
    repository.release("urls", listed("evil.example/a"))
    client.refused(TrustError)


def test_an_expired_timestamp(repository: Repository, client: Client) -> None:
    """A frozen store: the timestamp's life is over. The list stays in force; expiry never unblocks."""
    repository.timestamp.signed.expires = repository.now - timedelta(minutes=1)
    repository.publish_timestamp()
    assert "clock" in client.refused(TrustError).hint


def test_an_expired_list(repository: Repository, client: Client) -> None:
    repository.roles["urls.full"].signed.expires = repository.now - timedelta(minutes=1)
    repository.release("urls", listed("bad.example/c"))
    client.refused(TrustError)


def test_one_key_under_two_names(repository: Repository, client: Client) -> None:
    """TUF counts key *ids*: one key under two would fill a threshold of two alone."""
    public = repository.keys["urls.full"][0].public_key
    twin = SSlibKey("0" * 64, public.keytype, public.scheme, {"public": public.keyval["public"].upper()})
    repository.delegate_key("urls.full", twin)
    repository.publish()
    assert "two names" in str(client.refused(TrustError))


@pytest.mark.parametrize("online", ["timestamp", "snapshot"])
def test_an_online_key_may_sign_a_list(repository: Repository, client: Client, online: str) -> None:
    """Whoever breaks into the publisher's server could release lists."""
    repository.delegate_key("urls.full", repository.keys[online][0].public_key)
    repository.publish()
    assert "online" in str(client.refused(TrustError))


@pytest.mark.parametrize("role", ["root", "targets"])
def test_an_online_key_in_an_offline_role(repository: Repository, client: Client, role: str) -> None:
    repository.root.signed.add_key(repository.keys["timestamp"][0].public_key, role)
    repository.publish_root()
    repository.publish()
    assert "online" in str(client.refused(TrustError))


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("evil.full", ["*/*"]),
        ("evil.full", ["urls.full/*"]),
        ("../evil", ["../evil/*"]),
        ("evil", ["evil/*"]),
    ],
)
def test_a_role_that_reaches_further(
    repository: Repository, client: Client, name: str, paths: list[str]
) -> None:
    """A delegation that is not a stream's own folder could speak for another list."""
    signer = CryptoSigner.generate_ed25519()
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.keys[signer.public_key.keyid] = signer.public_key
    role = DelegatedRole(name, [signer.public_key.keyid], 1, terminating=True, paths=paths)
    delegations.roles = {name: role, **delegations.roles}
    repository.publish()
    client.refused(TrustError)


def test_a_list_that_delegates_further(repository: Repository, client: Client) -> None:
    """A list's role hands its list on to a key that the offline keys never named."""
    signer = CryptoSigner.generate_ed25519()
    child = DelegatedRole("urls.full", [signer.public_key.keyid], 1, terminating=True, paths=["urls.full/*"])
    repository.roles["urls.full"].signed.delegations = Delegations(
        {signer.public_key.keyid: signer.public_key}, {"child": _renamed(child, "child")}
    )
    repository.publish()
    client.refused(TrustError)


def test_targets_speaks_for_a_list(repository: Repository, client: Client) -> None:
    """The targets role holds a head itself: TUF would take it before it asked the list's role."""
    role = repository.roles["urls.full"].signed
    repository.targets.signed.targets["urls.full/head"] = role.targets["urls.full/head"]
    repository.publish()
    client.refused(TrustError)


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
    assert "ZeroDivisionError in test_attacks.py" in str(error)
    assert "bad.example" not in str(error)
    assert {name: versions[1] for name, versions in client.in_force().items()} == {
        "hotline/more.full": 1,
        "hotline/urls.full": 1,
    }


def test_a_clock_that_went_back(repository: Repository, client: Client) -> None:
    """This machine's clock is set back by days: syncs go on, and the alarm stays until the clock is right."""
    past = repository.now - timedelta(days=3)
    repository.release("urls", listed("bad.example/c"))
    for _ in range(2):
        client.synced(past)
        source = read_current(client.state).sources["hotline"]
        assert freshness(client.held(), source, past) == Freshness.CLOCK


def test_hostile_names_in_the_configuration_stay_in_their_folder(client: Client) -> None:
    assert {path.name for path in client.state.iterdir()} == {
        "lock",
        "current.json",
        "journal.jsonl",
        "hotline",
    }
    assert read_current(client.state).missing() == []


def _put_head(repository: Repository, custom: dict[str, object]) -> None:
    role = repository.roles["urls.full"].signed
    role.targets["urls.full/head"].unrecognized_fields["custom"] = {"vallum": custom}
    repository.publish()


def _broken() -> Answer:
    raise FetchError("hotline.example: no connection")


def _endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


def _renamed(role: DelegatedRole, name: str) -> DelegatedRole:
    return DelegatedRole(name, role.keyids, role.threshold, role.terminating, role.paths)


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
