"""After a theft, a loss or a restored backup: how a list comes back, and what no client does meanwhile."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES
from vallum.errors import StateError, TrustError
from vallum.format.head import Head, format_head
from vallum.format.limits import MAX_VERSION
from vallum.sync.floor import EquivocationError, read_floor
from vallum.sync.updater import Updater

NEW = listed(*PAGES, "new.example/page")


def test_stolen_online_keys_that_jumped_ahead(repository: Repository, client: Client) -> None:
    """The thief signs timestamp and snapshot at version 10⁹: no true version is taken any more.

    Root replaces the keys, the true repository goes on at its low numbers, and every client follows.
    """
    numbers = repository.timestamp.signed.version, repository.snapshot.signed.version
    repository.timestamp.signed.version = repository.snapshot.signed.version = 10**9
    repository.publish_snapshot()
    client.synced()
    before = client.in_force()
    repository.timestamp.signed.version, repository.snapshot.signed.version = numbers
    repository.release("urls", NEW)
    client.refused(TrustError)
    assert client.in_force() == before
    repository.rotate("timestamp")
    repository.rotate("snapshot")
    repository.publish_snapshot()
    assert client.synced(repository.now + timedelta(hours=2)).after == 2


def test_a_stolen_list_key_that_jumped_ahead(repository: Repository, client: Client) -> None:
    """The thief releases the largest version there is.

    The offline keys take his key away and open a new generation: its version 1 is above all of the old one.
    """
    stream = "urls.full"
    thief = CryptoSigner.generate_ed25519()
    owner = repository.keys[stream]
    repository.delegate_key(stream, thief.public_key)
    repository.keys[stream] = [thief]
    head = repository.fill_role("urls")
    far = replace(head, version=MAX_VERSION)
    _say(repository, stream, far)
    repository.publish()
    assert "no listed run" in str(client.refused(StateError))
    repository.keys[stream] = owner
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles[stream].keyids.remove(thief.public_key.keyid)
    del delegations.keys[thief.public_key.keyid]
    repository.new_generation("urls")
    repository.release("urls", NEW)
    report = client.synced()
    assert (report.generation, report.after) == (2, 1)


def test_a_stolen_list_key_whose_jump_came_into_force(repository: Repository, client: Client) -> None:
    """The thief's far version is not absurd, and all clients take it: the floor is there.

    The owner's next version is refused as a roll-back; a new generation is above it.
    """
    history = repository.lists["urls"]
    jump = 1_000
    history.versions += [history.versions[-1]] * (jump - 2)
    history.spans = [(0, jump)]
    repository.release("urls", {**listed(*PAGES), **listed("rival.example/")})
    assert client.synced().after == jump
    history.spans = [(0, 2)]
    history.versions = history.versions[:2]
    repository.release("urls", NEW)
    client.refused(TrustError)
    history.spans = None
    repository.new_generation("urls")
    repository.release("urls", NEW)
    report = client.synced()
    assert (report.generation, report.before, report.after) == (2, jump, 1)


def test_a_restored_catalog(repository: Repository, client: Client) -> None:
    """The publisher goes on from yesterday's backup: its version 2 is another than the one published.

    Clients that saw the first one alarm and keep it; all take a new generation made of the backup.
    """
    repository.release("urls", NEW)
    client.synced()
    history = repository.lists["urls"]
    history.versions.pop()
    history.runs.clear()
    repository.release("urls", listed(*PAGES, "other.example/page"))
    client.refused(EquivocationError)
    newcomer = Client(repository, client.config.state.parent / "newcomer")
    newcomer.synced()
    repository.new_generation("urls")
    repository.release("urls", listed(*PAGES))
    for machine in (client, newcomer):
        assert machine.synced().generation == 2


def test_a_lost_cache_and_a_hidden_newer_root(repository: Repository, client: Client) -> None:
    """Root 2 took a stolen online key away; TUF's cache is lost, and the thief's store shows only root 1.

    What it shows is validly signed under that root: the floor remembers the newer one.
    """
    shown = dict(repository.objects)
    repository.rotate("timestamp")
    repository.publish_timestamp()
    client.synced(repository.now + timedelta(hours=2))
    assert read_floor(client.state / "hotline").root == 2
    shutil.rmtree(client.state / "hotline/trust")
    repository.objects = shown
    error = client.refused(TrustError)
    assert "root chain" in str(error)


def test_a_new_machine_with_a_shipped_floor(repository: Repository, tmp_path: Path) -> None:
    """The same trick against a machine that never synced: its configuration ships the floor."""
    old = dict(repository.objects)
    repository.rotate("timestamp")
    repository.release("urls", NEW)
    true = repository.objects
    for floor in ({"root": (0, 2)}, {"urls_full": (1, 2)}):
        machine = Client(repository, tmp_path / next(iter(floor)))
        ship(machine, **floor)
        repository.objects = old
        machine.refused(TrustError)
        repository.objects = true
        assert machine.synced().after == 2


def ship(client: Client, **floor: tuple[int, int]) -> None:
    """Put a floor into the configuration, in place of the one that is there."""
    [source] = client.config.sources
    shipped = {name.replace("_", "."): numbers for name, numbers in floor.items()}
    client.config = replace(client.config, sources=(replace(source, floor=shipped),))


def sign_twice(repository: Repository) -> None:
    """Sign another state under the number of the newest version."""
    history = repository.lists["urls"]
    history.versions[-1] = NEW
    history.runs.clear()
    repository.fill_role("urls")
    repository.publish()


def test_equivocation(repository: Repository, client: Client) -> None:
    """One version with two states: alarm, the first stays, both signed roles are kept."""
    sign_twice(repository)
    client.refused(EquivocationError)
    assert len(list((client.state / "hotline/evidence").iterdir())) == 2


def test_equivocation_of_the_very_version_that_the_shipped_floor_names(
    repository: Repository, tmp_path: Path
) -> None:
    """The floor that ships has no state; once the version is in force here, its state is known."""
    machine = Client(repository, tmp_path / "machine")
    ship(machine, urls_full=(1, 1))
    machine.synced()
    sign_twice(repository)
    machine.refused(EquivocationError)
    assert len(list((machine.state / "hotline/evidence").iterdir())) == 2


@pytest.mark.parametrize("shipped", [False, True])
def test_equivocation_beside_a_damaged_table(repository: Repository, tmp_path: Path, shipped: bool) -> None:
    """The thief takes the first state's runs away, and its table is damaged here: the second state does not
    come in its place, and the attack is said before the damage.
    """
    machine = Client(repository, tmp_path / "machine")
    if shipped:
        ship(machine, urls_full=(1, 1))
    machine.synced()
    sign_twice(repository)
    for name in [name for name in repository.objects if name.endswith("-0-1.run")]:
        del repository.objects[name]
    [table] = machine.state.glob("hotline/lists/*/*.exact")
    before = table.read_bytes()
    table.write_bytes(b"x")
    with Updater(machine.config, machine.connect) as updater:
        [(_, error)] = updater.sync(wait_for_lock=0).errors()
    assert isinstance(error, EquivocationError)
    assert "damaged and not to be had" in error.hint
    table.write_bytes(before)
    machine.refused(EquivocationError)


def test_equivocation_seen_by_a_restored_floor(repository: Repository, client: Client) -> None:
    """The floor of a twin, put back here: the twin saw the other state of the version that is in force."""
    sign_twice(repository)
    twin = Client(repository, client.state.parent / "twin")
    twin.synced()
    shutil.copy(twin.state / "hotline/floor.json", client.state / "hotline/floor.json")
    client.refused(EquivocationError)
    assert len(list((client.state / "hotline/evidence").iterdir())) == 2


def test_a_slip_in_the_shipped_floor(repository: Repository, client: Client) -> None:
    """A version that never was: it is said whose word it is, and goes with the slip."""
    before = (client.state / "hotline/floor.json").read_bytes()
    for floor in ({"urls_full": (1, 240)}, {"root": (0, 50)}):
        ship(client, **floor)
        error = client.refused(TrustError)
        assert "the configuration" in str(error)
        assert "[source.floor]" in error.hint
        assert (client.state / "hotline/floor.json").read_bytes() == before
    ship(client)
    repository.release("urls", NEW)
    assert client.synced().after == 2


def test_a_slip_that_an_older_release_wrote_down(repository: Repository, client: Client) -> None:
    """Its mark has no state, since it never came into force: it guards nothing."""
    path = client.state / "hotline/floor.json"
    raw = json.loads(path.read_bytes())
    del raw["sha256"], raw["source"]
    raw["streams"]["urls.full"] = {"generation": 1, "version": 240, "state": ""}
    path.write_text(json.dumps(raw))
    repository.release("urls", NEW)
    assert client.synced().after == 2
    assert read_floor(client.state / "hotline").streams["urls.full"].numbers == (1, 2)


def test_no_false_alarms_of_equivocation(repository: Repository, client: Client) -> None:
    """Renewed heads, other bytes, other signatures, other white space: still one version."""
    for step in range(4):
        match step:
            case 0:
                repository.lists["urls"].as_of = repository.now + timedelta(hours=1)
                repository.renew("urls")
            case 1:
                repository.roles["urls.full"].signed.unrecognized_fields["note"] = "other bytes"
                repository.publish()
            case 2:
                signer = CryptoSigner.generate_ecdsa()
                repository.delegate_key("urls.full", signer.public_key)
                repository.keys["urls.full"] = [signer]
                repository.renew("urls")
            case 3:
                name = repository.name_of("timestamp")
                repository.objects[name] = repository.objects[name].replace(b"\n", b"\n ")
        report = client.synced(repository.now + timedelta(hours=2 * step))
        assert (report.outcome, report.after) == ("unchanged", 1)
    assert not (client.state / "hotline/evidence").exists()


def _say(repository: Repository, stream: str, head: Head) -> None:
    targets = repository.roles[stream].signed.targets
    said = targets[f"{stream}/head"]
    said.unrecognized_fields["custom"] = {"vallum": format_head(head)}
    repository.roles[stream].signed.targets = {f"{stream}/head": said}
