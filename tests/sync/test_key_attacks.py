"""What a thief of some keys may sign, and for whom; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import json

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, MetaFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import TrustError


def test_a_stranger_signs_a_list(repository: Repository, client: Client) -> None:
    """A key that nobody delegated signs the list's role."""
    repository.keys["urls.full"] = [CryptoSigner.generate_ed25519()]
    repository.release("urls", listed("evil.example/a"))
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


def _renamed(role: DelegatedRole, name: str) -> DelegatedRole:
    return DelegatedRole(name, role.keyids, role.threshold, role.terminating, role.paths)


def _threshold_of_two(repository: Repository, client: Client) -> CryptoSigner:
    """Let the list need two keys, which the client sees; return the second."""
    second = CryptoSigner.generate_ed25519()
    repository.delegate_key("urls.full", second.public_key)
    repository.keys["urls.full"].append(second)
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles["urls.full"].threshold = 2
    repository.release("urls", listed("bad.example/c"))
    assert client.synced().after == 2
    return second


def test_fewer_keys_than_the_threshold(repository: Repository, client: Client) -> None:
    """One of two keys that a list needs is stolen, and signs alone."""
    second = _threshold_of_two(repository, client)
    repository.keys["urls.full"] = [second]
    repository.release("urls", listed("evil.example/a"))
    client.refused(TrustError)


def test_one_key_signs_twice(repository: Repository, client: Client) -> None:
    """The thief of one key of two puts two signatures of it into the file, or a broken one beside it."""
    second = _threshold_of_two(repository, client)
    first = repository.keys["urls.full"][0].public_key.keyid
    repository.keys["urls.full"] = [second]
    repository.release("urls", listed("evil.example/a"))
    name = repository.name_of("urls.full")
    signed = json.loads(repository.objects[name])
    [only] = signed["signatures"]
    for other in (only["keyid"], only["keyid"].upper(), first):
        raw = {**signed, "signatures": [only, {**only, "keyid": other}]}
        repository.objects[name] = json.dumps(raw).encode()
        repository.snapshot.signed.meta["urls.full.json"] = MetaFile.from_data(
            repository.roles["urls.full"].signed.version, repository.objects[name], ["sha256"]
        )
        repository.snapshot.signed.version += 1
        repository.sign("snapshot")
        repository.put("snapshot")
        repository.publish_timestamp()
        client.refused(TrustError)


@pytest.mark.parametrize("role", ["urls.full", "timestamp", "root"])
def test_a_role_that_names_one_key_twice(repository: Repository, client: Client, role: str) -> None:
    """Whoever signs for the role says its one key id twice, so that a threshold of two looks like one."""
    if role == "urls.full":
        delegations = repository.targets.signed.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.roles[role].keyids *= 2
        repository.publish()
    else:
        repository.root.signed.roles[role].keyids *= 2
        repository.publish_root()
        repository.publish_timestamp()
    client.refused(TrustError)


def test_metadata_that_says_a_thing_twice(repository: Repository, client: Client) -> None:
    """JSON with a member twice: whichever a reader takes, the signature covers what was taken, and no more.

    With the online keys stolen the file is what the snapshot pins: only the list's own signature is left.
    """
    repository.release("urls", listed("bad.example/c"))
    name = repository.name_of("urls.full")
    data = repository.objects[name]
    twice = data.replace(b'"expires":', b'"expires": "2099-01-01T00:00:00Z", "expires":', 1)
    later = data.replace(b'"spec_version"', b'"expires": "2099-01-01T00:00:00Z", "spec_version"', 1)
    assert data not in (twice, later)
    for forged, good in ((later, False), (twice, True)):
        repository.objects[name] = forged
        repository.snapshot.signed.meta["urls.full.json"] = MetaFile.from_data(
            repository.roles["urls.full"].signed.version, forged, ["sha256"]
        )
        repository.snapshot.signed.version += 1
        repository.sign("snapshot")
        repository.put("snapshot")
        repository.publish_timestamp()
        if good:
            assert client.synced().after == 2
        else:
            client.refused(TrustError)
