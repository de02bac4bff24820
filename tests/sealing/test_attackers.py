"""Wraps that are not what the publisher made, by strangers, stores and the publisher himself; who has none.

The stranger and the revoked recipient, who only read, have files of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import vallum
from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import FormatError, NotEntitledError, TrustError, VallumError
from vallum.format.epoch import Epoch, commit_epoch
from vallum.format.keypair import PublicKey, Suite, generate
from vallum.format.wrap import Secrets, seal_wrap, wrap_name
from vallum.recipient import write_key
from vallum.state import StreamState, read_current

FORMS = [f"site{at}.example/page" for at in range(40)]


@pytest.fixture
def machine(hotline: Hotline, tmp_path: Path) -> Machine:
    """A recipient of ``urls.match``, synced to version 1."""
    made = Machine(hotline, tmp_path / "member")
    hotline.roster.admit("urls.match", "member", made.key.public(), now=NOW)
    hotline.publish(FORMS)
    made.synced()
    return made


# Wraps -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_wraps_count_and_name_nobody(hotline: Hotline, tmp_path: Path, number: int) -> None:
    machines = [Machine(hotline, tmp_path / str(at), suite=Suite.X25519) for at in range(number)]
    for at, machine in enumerate(machines):
        hotline.roster.admit("urls.match", f"member {at}", machine.key.public(), now=NOW)
        wraps = {key for key in hotline.objects() if key.startswith("wraps/")}
        assert len(wraps).bit_count() == 1
        assert len(wraps) <= 2 * (at + 1)
    hotline.publish(FORMS)
    assert all(machine.synced() == 1 for machine in machines)
    before = {key for key in hotline.objects() if key.startswith("wraps/")}
    hotline.roster.rotate("urls", now=NOW)
    after = {key for key in hotline.objects() if key.startswith("wraps/")} - before
    assert len(after).bit_count() == 1
    assert all(len(hotline.objects()[key]) == 2048 for key in after)


def _name(hotline: Hotline, machine: Machine) -> str:
    commitment = hotline.publisher.catalog.epochs("urls.match")[-1].commitment
    return wrap_name(commitment, machine.key.public())


def _secrets(hotline: Hotline, stream: str = "urls.match") -> tuple[Epoch, Secrets]:
    info = hotline.publisher.catalog.get_list("urls")
    keyed = hotline.publisher.custody.current(info, stream)
    assert keyed is not None
    return keyed.epoch, Secrets(keyed.key, hotline.publisher.custody.pepper(info), b"s" * 32)


def _stranger(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, _ = _secrets(hotline)
    return seal_wrap(epoch, Secrets(b"K" * 32, b"P" * 32, b"S" * 32), to)


def _other_edition(hotline: Hotline, to: PublicKey) -> bytes:
    return seal_wrap(*_secrets(hotline, "urls.full"), to)


def _other_epoch(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, contents = _secrets(hotline)
    return seal_wrap(Epoch(epoch.uid, epoch.stream, epoch.generation, epoch.number + 1), contents, to)


def _other_list(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, contents = _secrets(hotline)
    return seal_wrap(Epoch(epoch.uid, "other.match", epoch.generation, epoch.number), contents, to)


def _other_key(hotline: Hotline, to: PublicKey) -> bytes:
    return seal_wrap(*_secrets(hotline), generate().public())


def _wrong_pepper(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, contents = _secrets(hotline)
    return seal_wrap(epoch, Secrets(contents.key, b"P" * 32, contents.seed), to)


def _wrong_epoch_key(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, contents = _secrets(hotline)
    return seal_wrap(epoch, Secrets(b"K" * 32, contents.pepper, contents.seed), to)


def _other_generation(hotline: Hotline, to: PublicKey) -> bytes:
    epoch, contents = _secrets(hotline)
    return seal_wrap(Epoch(epoch.uid, epoch.stream, epoch.generation + 1, epoch.number), contents, to)


def _flipped(at: int) -> Callable[[Hotline, PublicKey], bytes]:
    def forge(hotline: Hotline, to: PublicKey) -> bytes:
        data = bytearray(seal_wrap(*_secrets(hotline), to))
        data[at] ^= 1
        return bytes(data)

    return forge


def _cut(hotline: Hotline, to: PublicKey) -> bytes:
    return seal_wrap(*_secrets(hotline), to)[:-1]


def _padded(hotline: Hotline, to: PublicKey) -> bytes:
    """All that was committed, and something hidden in the padding."""
    epoch, contents = _secrets(hotline)
    secret = (contents.key + contents.pepper + contents.seed).ljust(2048 - to.suite.overhead - 1, b"\0")
    return to.seal(secret + b"\1", epoch.context("wrap") + to.suite.ids)


@pytest.mark.parametrize(
    ("forge", "kind", "says"),
    [
        (_stranger, TrustError, "epoch key is not the one that the head commits to"),
        (_wrong_epoch_key, TrustError, "epoch key is not the one that the head commits to"),
        (_wrong_pepper, TrustError, "pepper is not the one that the charter commits to"),
        (_other_edition, TrustError, "another list, edition or epoch"),
        (_other_epoch, TrustError, "another list, edition or epoch"),
        (_other_generation, TrustError, "another list, edition or epoch"),
        (_other_list, TrustError, "another list, edition or epoch"),
        (_other_key, TrustError, "sealed to another key"),
        (_flipped(0), TrustError, "damaged"),
        (_flipped(1200), TrustError, "damaged"),
        (_flipped(-1), TrustError, "damaged"),
        (_cut, FormatError, "a wrap has 2048 bytes, this one 2047"),
        (_padded, FormatError, "the padding is not zero"),
    ],
)
def test_a_wrap_that_is_not_the_publishers(
    hotline: Hotline,
    machine: Machine,
    forge: Callable[[Hotline, PublicKey], bytes],
    kind: type[VallumError],
    says: str,
) -> None:
    """Refused with what is wrong and whom to call; nothing of it is stored; the last good list stays."""
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[1:])
    machine.swapped[_name(hotline, machine)] = forge(hotline, machine.key.public())
    before = {path for path in machine.files() if "/keys/" in path}
    error = machine.refused(kind)
    assert says in str(error)
    assert "call " in error.hint
    assert "Example Hotline" in error.hint
    with vallum.open(machine.config.state) as lists:
        assert lists.match_url(FORMS[0]), "the last good list stays in force"
    assert {path for path in machine.files() if "/keys/" in path} == before
    machine.swapped.clear()
    assert machine.synced() == 2


def test_a_publisher_that_gives_two_recipients_different_secrets(hotline: Hotline, tmp_path: Path) -> None:
    """One shall be blinded by a pepper that matches nothing, another be read apart by a key of his own."""
    honest, blinded, apart = (Machine(hotline, tmp_path / name) for name in ("honest", "blinded", "apart"))
    for machine in (honest, blinded, apart):
        name = machine.config.state.parent.name
        hotline.roster.admit("urls.match", name, machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    for machine in (honest, blinded, apart):
        machine.synced()
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[1:])
    blinded.swapped[_name(hotline, blinded)] = _wrong_pepper(hotline, blinded.key.public())
    apart.swapped[_name(hotline, apart)] = _wrong_epoch_key(hotline, apart.key.public())
    assert honest.synced() == 2
    for machine in (blinded, apart):
        error = machine.refused(TrustError)
        assert "what he sealed for this key is not what other recipients have" in error.hint
        assert "Example Hotline" in error.hint
        with vallum.open(machine.config.state) as lists:
            assert lists.match_url(FORMS[0])


def test_another_recipients_key_gets_nothing(hotline: Hotline, machine: Machine) -> None:
    """The wrong key file in the configuration: told which line to send to whom; the last good list stays."""
    other = generate()
    [source] = machine.config.sources
    assert source.recipient is not None
    source.recipient.unlink()
    write_key(source.recipient, other)
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[1:])
    error = machine.refused(NotEntitledError)
    assert f"({other.public().fingerprint()[:19]} …)" in str(error)
    assert "--show` prints" in error.hint
    assert "Example Hotline" in error.hint
    with vallum.open(machine.config.state) as lists:
        assert lists.match_url(FORMS[0])


def test_a_key_of_the_other_edition_gets_nothing(hotline: Hotline, machine: Machine, tmp_path: Path) -> None:
    """Who may read ``match`` follows ``full`` with the same key."""
    greedy = Machine(hotline, tmp_path / "greedy", "urls.full", key=machine.key)
    error = greedy.refused(NotEntitledError)
    assert f"({machine.key.public().fingerprint()[:19]} …)" in str(error)
    assert "--show` prints" in error.hint


def test_commitments_in_the_head_are_those_of_the_keys(hotline: Hotline, machine: Machine) -> None:
    epoch, contents = _secrets(hotline)
    assert _held(machine).head.epochs == {1: commit_epoch(epoch, contents.key)}


def _held(machine: Machine) -> StreamState:
    return read_current(machine.config.state).sources["hotline"].streams["urls.match"]
