"""Attacks on the root of trust and its chain; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import shutil

from securesystemslib.signer import CryptoSigner

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import ConfigError, TrustError


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


def test_roll_back_of_the_root_chain(repository: Repository, client: Client) -> None:
    """The cache is gone and a store hides the newer roots, whose old keys were stolen: the floor knows."""
    old = dict(repository.objects)
    repository.rotate("timestamp")
    repository.publish()
    client.synced()
    shutil.rmtree(client.state / "hotline/trust")
    repository.objects = old
    assert "root chain" in str(client.refused(TrustError))
