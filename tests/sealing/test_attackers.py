"""The attackers of schemas/threat-model.md who want to read, played against a whole repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import FormatError, NotEntitledError, TrustError, VallumError
from vallum.expression import Keyer, Scope
from vallum.format.columns import padme
from vallum.format.epoch import Epoch, commit_epoch
from vallum.format.keypair import PublicKey, Suite, generate
from vallum.format.rows import Rows
from vallum.format.run import parse_header
from vallum.format.table import Table, parse_table
from vallum.format.wrap import Secrets, seal_wrap, wrap_name
from vallum.pepper import read_pepper
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


# The stranger ----------------------------------------------------------------------------------------------


def test_a_stranger_with_the_whole_bucket_learns_nothing_of_the_list(
    hotline: Hotline, machine: Machine, tmp_path: Path
) -> None:
    """He has our code, every object, and all years: no form, host, key, count, salt or pepper is in there."""
    hotline.publish(FORMS[3:])
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[6:])
    info = hotline.publisher.catalog.get_list("urls")
    pepper = hotline.publisher.custody.pepper(info)
    secrets = {pepper, pepper.hex().encode()}
    for form in FORMS:
        host = form.partition("/")[0]
        secrets |= {form.encode(), host.encode(), host.partition(".")[0].encode()}
    for row in hotline.publisher.catalog.listed_rows("urls", "exact"):
        secrets |= {row.key, row.key.hex().encode(), row.key[:8][::-1]}
    for version in hotline.publisher.catalog.versions("urls"):
        secrets.add(version.salt)
    for keyed in hotline.publisher.catalog.epochs("urls.match"):
        epoch = Epoch(info.uid, "urls.match", 1, keyed.number)
        secrets.add(hotline.publisher.custody.key(epoch))
    objects = hotline.objects()
    assert len([key for key in objects if key.startswith("targets/")]) > 6
    for key, data in objects.items():
        for view in (data, _unpacked(data)):
            assert not [secret for secret in secrets if secret in view], key


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        return b""


def test_all_that_a_stranger_sees_of_runs_is_their_padded_size(hotline: Hotline, machine: Machine) -> None:
    hotline.publish(FORMS[1:])
    for key, data in hotline.objects().items():
        if key.startswith("targets/"):
            header, at = parse_header(data)
            assert len(header.salt) == 32
            assert padme(len(data) - at) == len(data) - at
            assert padme(header.raw_max) == header.raw_max


def test_no_count_and_no_state_of_the_text_is_signed_in_clear(hotline: Hotline, machine: Machine) -> None:
    for key, data in hotline.objects().items():
        if not key.startswith("metadata/") or not key.endswith(".json"):
            continue
        for target in json.loads(data)["signed"].get("targets", {}).values():
            said = (target.get("custom") or {}).get("vallum", {})
            assert not {"count", "counts", "rows", "size", "pepper_key"} & said.keys()


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


# The revoked recipient -------------------------------------------------------------------------------------


def test_a_revoked_recipient_cannot_confirm_a_guess(hotline: Hotline, tmp_path: Path) -> None:
    """He has pepper, keys and the last table, and guesses the next change exactly: nothing public says so."""
    stays, goes = Machine(hotline, tmp_path / "stays"), Machine(hotline, tmp_path / "goes")
    for machine, name in ((stays, "stays"), (goes, "goes")):
        hotline.roster.admit("urls.match", name, machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    stays.synced()
    goes.synced()
    hotline.roster.revoke("urls.match", "goes", now=NOW)
    added, removed = "new.example/guessed", FORMS[0]
    hotline.publish([*FORMS[1:], added])
    goes.refused(NotEntitledError)

    table = _table(goes)
    guessed = _changed(table, _keyer(goes), added, removed)
    public = b"".join(hotline.objects().values())
    for salt in (table.salt, bytes(16)):
        digest = table.at(1, 2, salt, table.counts, guessed).digest()
        assert digest.encode() not in public
    # With the salt, which recipients have, the same guess is right: it is the salt that keeps it from him.
    stays.synced()
    right = table.at(1, 2, _table(stays).salt, table.counts, guessed).digest()
    assert right == _held(stays).head.tables["exact"]
    assert right.encode() in public


def test_keys_of_the_past_open_nothing_new(hotline: Hotline, tmp_path: Path) -> None:
    goes = Machine(hotline, tmp_path / "goes")
    hotline.roster.admit("urls.match", "goes", goes.key.public(), now=NOW)
    hotline.publish(FORMS)
    goes.synced()
    before = set(hotline.objects())
    hotline.roster.revoke("urls.match", "goes", now=NOW)
    hotline.publish(FORMS[1:])
    new = {key: data for key, data in hotline.objects().items() if key not in before}
    assert not [key for key in new if key.startswith("wraps/")], "nobody is left to wrap for"
    for key, data in new.items():
        if key.startswith("targets/urls.match/"):
            assert parse_header(data)[0].epoch == 2


# Wraps -----------------------------------------------------------------------------------------------------


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


def _cut(hotline: Hotline, to: PublicKey) -> bytes:
    return seal_wrap(*_secrets(hotline), to)[:-1]


@pytest.mark.parametrize(
    ("forge", "kind"),
    [
        (_stranger, TrustError),
        (_other_edition, TrustError),
        (_other_epoch, TrustError),
        (_other_list, TrustError),
        (_other_key, TrustError),
        (_wrong_pepper, TrustError),
        (_cut, FormatError),
    ],
)
def test_a_wrap_that_is_not_the_publishers(
    hotline: Hotline,
    machine: Machine,
    forge: Callable[[Hotline, PublicKey], bytes],
    kind: type[VallumError],
) -> None:
    """Refused with what is wrong and whom to call; nothing of it is stored; the last good list stays."""
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish(FORMS[1:])
    machine.swapped[_name(hotline, machine)] = forge(hotline, machine.key.public())
    before = {path for path in machine.files() if "/keys/" in path}
    error = machine.refused(kind)
    if kind is TrustError:
        assert "call the publisher" in error.hint
    assert {path for path in machine.files() if "/keys/" in path} == before
    machine.swapped.clear()
    assert machine.synced() == 2


def test_commitments_in_the_head_are_those_of_the_keys(hotline: Hotline, machine: Machine) -> None:
    epoch, contents = _secrets(hotline)
    assert _held(machine).head.epochs == {1: commit_epoch(epoch, contents.key)}


def _held(machine: Machine) -> StreamState:
    return read_current(machine.config.state).sources["hotline"].streams["urls.match"]


def _keyer(machine: Machine) -> Keyer:
    charter = _held(machine).charter
    return Keyer(read_pepper(machine.config.state, "hotline", "urls.match", charter), charter.host_bits)


def _table(machine: Machine) -> Table:
    path = _held(machine).files("hotline", "urls.match")["exact"]
    return parse_table((machine.config.state / path).read_bytes())


def _changed(table: Table, keyer: Keyer, added: str, removed: str) -> Rows:
    """The rows after one has come and one has gone."""
    labels = {key: table.rows.labels(at) for at, key in enumerate(table.rows.keys())}
    labels[keyer.url_key(Scope.URL, added)] = labels.pop(keyer.url_key(Scope.URL, removed))
    return Rows.build(list(labels), list(labels.values()), None)
