"""Attacks on the root of trust and its chain; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import ConfigError, TrustError
from vallum.sync.floor import read_floor


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


def test_a_chain_whose_middle_is_signed_by_strangers(repository: Repository, client: Client) -> None:
    """Root 2 is good, root 3 is signed by its own new keys only, root 4 by root 3's: nobody goes beyond 2."""
    repository.rotate("timestamp")
    repository.keys["root"] = [CryptoSigner.generate_ed25519()]
    repository.root.signed.roles["root"].keyids.clear()
    repository.root.signed.add_key(repository.keys["root"][0].public_key, "root")
    repository.publish_root()
    repository.rotate("snapshot")
    repository.release("urls", listed("evil.example/a"))
    client.refused(TrustError)
    assert read_floor(client.state / "hotline").root == 1


def test_a_chain_with_a_hole(repository: Repository, client: Client) -> None:
    """Root 2 is missing in the store: root 3 is not asked for, and what root 3's keys signed is refused."""
    repository.rotate("timestamp")
    repository.rotate("snapshot")
    repository.release("urls", listed("bad.example/c"))
    hidden = repository.objects.pop("metadata/2.root.json")
    client.refused(TrustError)
    assert "metadata/3.root.json" not in repository.requests
    repository.objects["metadata/2.root.json"] = hidden
    assert client.synced().after == 2


def test_a_root_under_another_number(repository: Repository, client: Client) -> None:
    """Root 3 lies where root 2 should: a step is skipped, such as the one that took a key away."""
    repository.rotate("timestamp")
    repository.rotate("timestamp")
    repository.release("urls", listed("bad.example/c"))
    repository.objects["metadata/2.root.json"] = repository.objects["metadata/3.root.json"]
    client.refused(TrustError)


def test_a_root_below_its_threshold(repository: Repository, client: Client) -> None:
    """Root needs two signatures; a thief of one of the keys signs the next root alone."""
    second = CryptoSigner.generate_ed25519()
    repository.root.signed.add_key(second.public_key, "root")
    repository.root.signed.roles["root"].threshold = 2
    repository.keys["root"].append(second)
    repository.publish_root()
    repository.release("urls", listed("bad.example/c"))
    assert client.sync().sources[0].root_version == 2
    repository.keys["root"] = [second]
    repository.rotate("timestamp")
    repository.release("urls", listed("evil.example/a"))
    client.refused(TrustError)
    assert read_floor(client.state / "hotline").root == 2


def test_a_long_chain(repository: Repository, client: Client) -> None:
    """A publisher of forty years, who replaced every key each year: followed from the first root file on."""
    for _ in range(40):
        repository.rotate("root")
    repository.release("urls", listed("bad.example/c"))
    report = client.sync()
    assert report.ok, report.errors()
    assert report.sources[0].root_version == 41


def test_an_expired_root(repository: Repository, client: Client) -> None:
    """The newest root's life is over: nothing new is taken, what is in force stays so."""
    repository.root.signed.expires = repository.now - timedelta(minutes=1)
    repository.publish_root()
    repository.release("urls", listed("bad.example/c"))
    assert "clock" in client.refused(TrustError).hint


def test_another_publishers_root_file(repository: Repository, tmp_path: Path) -> None:
    """The operator mixed two invitations up: told so in words, not in the names of classes."""
    client = Client(repository, tmp_path / "client")
    client.config.sources[0].root.write_bytes(Repository().first_root)
    error = client.refused(TrustError)
    assert str(error) == "metadata: timestamp was signed by 0/1 keys"
    assert "is the root file that of this publisher?" in error.hint
