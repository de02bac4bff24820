"""``vallum doctor`` where lists are encrypted: what is wrong with a key shows before a sync needs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.doctor import BAD, GOOD, WARN, Finding, examine
from vallum.errors import NotEntitledError
from vallum.format.keypair import Suite, generate
from vallum.recipient import PASSPHRASE_VARIABLE, write_key
from vallum_publisher.release.readback import StoreTransport

CHEAP = 10


@pytest.fixture
def machine(hotline: Hotline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A recipient in force, without a passphrase in the environment."""
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    made = Machine(hotline, tmp_path / "member", suite=Suite.X25519)
    hotline.roster.admit("urls.match", "member", made.key.public(), now=NOW)
    hotline.publish(["site.example/page"])
    made.synced()
    return made


def _key(machine: Machine) -> Path:
    [source] = machine.config.sources
    assert source.recipient is not None
    return source.recipient


def _found(machine: Machine) -> Finding:
    found = examine(machine.config, NOW, lambda _source: StoreTransport(machine.store))
    assert {"store", "lists"} <= {one.check for one in found}, "one broken thing hides nothing else"
    [about] = [one for one in found if one.check == "recipient"]
    return about


def test_a_key_that_opens_is_named(machine: Machine) -> None:
    found = _found(machine)
    assert found.level == GOOD
    assert machine.key.public().fingerprint()[:19] in found.says


def test_a_key_that_is_gone(machine: Machine) -> None:
    """All that is held is fresh, and the next change of keys would shut this machine out."""
    _key(machine).unlink()
    found = _found(machine)
    assert (found.level, found.says) == (BAD, f"there is no file {_key(machine)}")
    assert "vallum keygen" in found.hint


@pytest.mark.parametrize(
    ("text", "mode", "says", "hint"),
    [
        (None, 0o644, "others than its owner", "chmod 600"),
        (b"vallum-recipient-key-1 x25519 clear AAAA\n", 0o600, "is damaged", "take the copy"),
        (b"junk", 0o600, "or damaged", "take the copy"),
    ],
)
def test_a_key_that_does_not_read(
    machine: Machine, text: bytes | None, mode: int, says: str, hint: str
) -> None:
    path = _key(machine)
    path.write_bytes(path.read_bytes() if text is None else text)
    path.chmod(mode)
    found = _found(machine)
    assert found.level == BAD
    assert says in found.says
    assert hint in found.hint


def test_a_locked_key(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _key(machine)
    path.unlink()
    write_key(path, machine.key, "correct horse", CHEAP)
    found = _found(machine)
    assert found.level == WARN
    assert PASSPHRASE_VARIABLE in found.hint
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong horse")
    found = _found(machine)
    assert found.level == BAD
    assert PASSPHRASE_VARIABLE in found.hint
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "correct horse")
    assert _found(machine).level == GOOD


def test_a_key_that_was_revoked(hotline: Hotline, machine: Machine) -> None:
    """What is in force is fresh still, and nothing newer will come: `doctor` says so after the next sync."""
    hotline.roster.revoke("urls.match", "member", now=NOW)
    hotline.publish(["site.example/page", "site.example/other"])
    machine.refused(NotEntitledError)
    found = examine(machine.config, NOW, lambda _source: StoreTransport(machine.store))
    [failed] = [one for one in found if one.check == "sync"]
    assert (failed.level, failed.about) == (BAD, "hotline/urls.match")
    assert "revoked" in failed.says
    assert [one.level for one in found if one.check == "lists"] == [GOOD]


@pytest.mark.parametrize("synced", [True, False])
def test_no_key_where_one_is_needed(
    hotline: Hotline, machine: Machine, tmp_path: Path, *, synced: bool
) -> None:
    """A match edition is always an encrypted list's; of a full one the verified charter tells."""
    if synced:
        machine = Machine(hotline, tmp_path / "full", "urls.full", generate(Suite.X25519))
        hotline.roster.admit("urls.full", "full", machine.key.public(), now=NOW)
        machine.synced()
    else:
        machine = Machine(hotline, tmp_path / "new", "urls.match")
    [source] = machine.config.sources
    machine.config = replace(machine.config, sources=(replace(source, recipient=None),))
    found = _found(machine)
    assert found.level == BAD
    assert f"{machine.stream} is encrypted" in found.says
    assert "vallum keygen" in found.hint


def test_a_source_without_encrypted_lists_needs_no_key(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "other", "other.full")
    [source] = machine.config.sources
    machine.config = replace(machine.config, sources=(replace(source, recipient=None),))
    found = examine(machine.config, NOW, lambda _source: StoreTransport(machine.store))
    assert [one for one in found if one.check == "recipient"] == []
