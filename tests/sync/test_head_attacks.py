"""Charters and heads that say what they must not; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, TargetFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.cli.terminal import exit_code
from vallum.errors import FormatError, StateError, TrustError
from vallum.format.head import format_head, state_of
from vallum.state import read_current


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


def test_a_list_that_is_no_longer_delegated(repository: Repository, client: Client) -> None:
    """The offline keys are made to drop a list that is held: an alarm, and no operator's mistake.

    Without one, whoever has those keys could switch a list off at every client, as if nobody had meant it.
    """
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles["urls.full"]
    repository.publish()
    error = client.refused(TrustError)
    assert "not delegated any more" in str(error)
    assert exit_code(error) == 3
    (client.state / "current.json").unlink()
    assert isinstance(client.sync().errors()[0][1], TrustError), "the floor remembers it"


@pytest.mark.parametrize(
    "name", ["urls.full/../../../evil", "..", "urls.full/%2e%2e/evil", "a\0b", "/etc/evil"]
)
def test_path_tricks_in_the_names_of_targets(repository: Repository, client: Client, name: str) -> None:
    """A list's keys sign targets whose names lead out of the folder: nobody asks for them."""
    role = repository.roles["urls.full"].signed
    role.targets[name] = TargetFile.from_data(name, b"x", ["sha256"])
    repository.release("urls", listed("bad.example/c"))
    role.targets[name] = TargetFile.from_data(name, b"x", ["sha256"])
    repository.publish()
    assert client.synced().after == 2
    assert _outside(client) == set()


@pytest.mark.parametrize(
    "name", ["../urls.full", "urls.full/../x.full", "..", "x/../../y.full", "URLS.full", "\0.full"]
)
def test_path_tricks_in_the_names_of_roles(repository: Repository, client: Client, name: str) -> None:
    """The offline keys delegate a role whose name is a path: python-tuf would make a file name of it."""
    signer = CryptoSigner.generate_ed25519()
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.keys[signer.public_key.keyid] = signer.public_key
    delegations.roles[name] = DelegatedRole(
        name, [signer.public_key.keyid], 1, terminating=True, paths=[f"{name}/*"]
    )
    repository.publish()
    assert "not named as a stream" in str(client.refused(TrustError))
    assert _outside(client) == set()


@pytest.mark.parametrize("name", ["../exact", "exact/../..", "", "EXACT", "a" * 300])
def test_path_tricks_in_the_names_of_tables(repository: Repository, client: Client, name: str) -> None:
    """A head names a table whose file would lie elsewhere."""
    head = format_head(repository.head("urls"))
    digest = head["tables"]["exact"]
    _put_head(repository, {**head, "tables": {name: digest}, "state": state_of({name: digest})})
    client.refused(FormatError)
    assert _outside(client) == set()


def _outside(client: Client) -> set[str]:
    """What lies in the client's folder beyond what belongs there."""
    known = {"state", "hotline.root.json"}
    return {path.name for path in client.state.parent.iterdir()} - known
