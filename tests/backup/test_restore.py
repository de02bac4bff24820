"""Backups that are restored: what comes back, what goes on from there, and what is refused."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgpack
import pytest
import zstandard

from tests.release.scenes import NOW, publisher
from tests.sealing.conftest import founded_hotline, hotline
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import ConfigError, DataError, NotEntitledError, StateError, VallumError
from vallum.format.keypair import Suite, generate
from vallum.invitation import root_fingerprint
from vallum_publisher.backup import Locks, restore_backup, write_backup
from vallum_publisher.backup.envelope import open_stream, seal_stream
from vallum_publisher.catalog import load_catalog, open_catalog
from vallum_publisher.release.rotation import Rotation
from vallum_publisher.release.succession import NewKeys
from vallum_publisher.workspace import open_workspace

__all__ = ["founded_hotline", "hotline"]

FORMS = [f"site{at}.example/page" for at in range(30)]
KEY = generate(Suite.X25519)
LOCKS = Locks((KEY.public(),))


@dataclass
class Desk:
    """A hotline with one encrypted list and a recipient of it."""

    hotline: Hotline
    machine: Machine

    def back_up(self, path: Path, *, keys: bool = True) -> Path:
        publisher = self.hotline.publisher
        write_backup(publisher.workspace, publisher.catalog, path, LOCKS, keys=keys, now=NOW)
        return path


@pytest.fixture
def desk(hotline: Hotline, tmp_path: Path) -> Desk:
    machine = Machine(hotline, tmp_path / "member")
    hotline.roster.admit(machine.stream, "member", machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    assert machine.synced() == 1
    return Desk(hotline, machine)


def _restore(path: Path, folder: Path, catalog: str | None = None) -> list[str]:
    with path.open("rb") as file:
        restored = restore_backup(file, folder, KEY, catalog=catalog)
    assert restored.created == NOW
    assert restored.root_fingerprint == root_fingerprint((folder / "root.json").read_bytes())
    return list(restored.files)


def _records(path: Path) -> list[object]:
    packed = (
        zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress(b"".join(open_stream(io.BytesIO(path.read_bytes()), KEY)))
    )
    unpacker = msgpack.Unpacker()
    unpacker.feed(packed)
    return list(unpacker)


def _rewrite(path: Path, records: list[object], tail: bytes = b"") -> None:
    plain = zstandard.ZstdCompressor().compress(b"".join(map(msgpack.packb, records))) + tail
    path.write_bytes(b"".join(seal_stream([plain], LOCKS)))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_restored_publisher_goes_on(
    desk: Desk, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """The machine burns down; the next one publishes the next version, and a recipient takes the delta."""
    roots = desk.hotline.publisher.workspace.folder / "roots"
    roots.mkdir(exist_ok=True)
    (roots / "1.json").write_bytes(b"a former root")
    path = desk.back_up(tmp_path / "a.backup")
    (roots / "1.json").unlink()
    assert path.stat().st_mode & 0o777 == 0o600
    before = [record for record in desk.hotline.publisher.catalog.dump() if record[0] != "rows"]
    where = request.getfixturevalue("postgresql_url") if database == "postgresql" else None
    files = _restore(path, tmp_path / "new", where)
    assert {
        "publisher.toml",
        "root.json",
        "signed.json",
        "keys/vault.key",
        "keys/signers.toml",
        "roots/1.json",
    } < set(files)
    assert not [name for name in files if "catalog" in name or "cache" in name]
    assert (tmp_path / "new" / "roots" / "1.json").read_bytes() == b"a former root"
    (tmp_path / "new" / "roots" / "1.json").unlink()
    modes = {item.stat().st_mode & 0o777 for item in (tmp_path / "new").rglob("*") if item.is_file()}
    assert modes == {0o600}
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        after = Hotline(opened)
        assert [record for record in opened.catalog.dump() if record[0] != "rows"] == before
        assert after.publish(FORMS[3:]) == 2
        assert desk.machine.path() == [(1, 2)]
        newcomer = Machine(after, tmp_path / "newcomer", "urls.full")
        after.roster.admit("urls.full", "newcomer", newcomer.key.public(), now=NOW)
        assert newcomer.synced() == 2
        assert {one.version for one in opened.verify()} == {2}
        opened.catalog.audit()


def test_a_backup_that_is_older_than_the_store_signs_no_second_history(desk: Desk, tmp_path: Path) -> None:
    """Version 2 went out after the backup; version 2 must not be signed again with other rows."""
    path = desk.back_up(tmp_path / "a.backup")
    assert desk.hotline.publish(FORMS[1:]) == 2
    assert desk.machine.synced() == 2
    _restore(path, tmp_path / "new")
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        after = Hotline(opened)
        objects = after.objects()
        with pytest.raises(StateError) as caught:
            after.publish(FORMS[2:])
        assert "open a new generation" in caught.value.hint
        assert after.objects().keys() - objects.keys() == set(), "nothing was written"
        later = NOW + timedelta(hours=30)
        refused = opened.refresh(now=later).refused
        assert set(refused) == {"urls.full", "urls.match"}, "nor is the old head called the newest"
        [found] = opened.status(now=NOW).lists
        assert found.problem.endswith("open a new generation first")
        assert desk.machine.synced() == 2

        done = opened.new_generation("urls", reason="restored from a backup", now=NOW)
        assert (done.generation, done.version) == (2, 1)
        assert desk.machine.synced() == 1
        assert after.publish(FORMS[4:]) == 2
        assert desk.machine.synced() == 2
        assert {(one.generation, one.version) for one in opened.verify()} == {(2, 2)}


def test_a_backup_from_before_a_revocation_lets_nobody_in_again(desk: Desk, tmp_path: Path) -> None:
    """Revoked after the backup: no version changed, so only the epoch in the store tells that it is older."""
    path = desk.back_up(tmp_path / "a.backup")
    desk.hotline.roster.revoke(desk.machine.stream, "member", now=NOW)
    objects = desk.hotline.objects()
    _restore(path, tmp_path / "new")
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        after = Hotline(opened)
        with pytest.raises(StateError, match="an epoch 2 that is not this catalog's") as caught:
            after.publish(FORMS[2:])
        assert "revoke anew" in caught.value.hint
        assert after.objects() == objects
        assert "epoch 2" in opened.status(now=NOW).lists[0].problem
        assert set(opened.refresh(now=NOW + timedelta(hours=30)).refused) == {"urls.full", "urls.match"}
        # As the hint says: what is revoked anew is recorded, though it cannot be public in this generation.
        for _ in range(2):
            with pytest.raises(StateError, match="not this catalog's") as caught:
                after.roster.revoke(desk.machine.stream, "member", now=NOW)
            assert "reads on" in caught.value.__notes__[0]
        assert opened.new_generation("urls", reason="restored", now=NOW).generation == 2
        desk.machine.refused(NotEntitledError)
        assert after.publish(FORMS[4:]) == 2
        desk.machine.refused(NotEntitledError)
        opened.verify()


def test_status_tells_that_somebody_was_let_in_since_the_backup(desk: Desk, tmp_path: Path) -> None:
    """No version, no epoch tells of it: catalog and store agree, and the newcomer would read nothing new."""
    path = desk.back_up(tmp_path / "a.backup")
    late = Machine(desk.hotline, tmp_path / "late")
    desk.hotline.roster.admit(late.stream, "late", late.key.public(), now=NOW)
    assert late.synced() == 1
    assert not desk.hotline.publisher.status(now=NOW).warnings
    _restore(path, tmp_path / "new")
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        [warning] = opened.status(now=NOW).warnings
        assert "wraps in the store are nobody's (1)" in warning
        assert "must be let in again" in warning
        after = Hotline(opened)
        after.roster.rotate("urls", now=NOW)
        late.refused(NotEntitledError)
        after.roster.admit(late.stream, "late", late.key.public(), now=NOW)
        assert late.synced() == 1


@pytest.mark.parametrize("role", ["online", "urls"])
def test_status_tells_that_keys_were_changed_since_the_backup(desk: Desk, tmp_path: Path, role: str) -> None:
    """The folder's keys are those of then: all looks well until something is due to be signed."""
    path = desk.back_up(tmp_path / "a.backup")
    workspace = desk.hotline.publisher.workspace
    Rotation(desk.hotline.publisher).rotate([role], NewKeys(), now=NOW)
    assert not desk.hotline.publisher.status(now=NOW).warnings
    _restore(path, tmp_path / "new")
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        warnings = opened.status(now=NOW).warnings
        roles = ("timestamp", "snapshot") if role == "online" else ("urls.full", "urls.match")
        assert [warning.partition(" ")[0] for warning in warnings] == list(roles)
        assert all("the keys and signers.toml of today" in warning for warning in warnings)
    # As the warning says.
    shutil.copytree(workspace.folder / "keys", tmp_path / "new" / "keys", dirs_exist_ok=True)
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        assert not opened.status(now=NOW).warnings
        assert Hotline(opened).publish(FORMS[1:]) == 2


def test_keys_that_are_kept_elsewhere_are_left_out(desk: Desk, tmp_path: Path) -> None:
    path = desk.back_up(tmp_path / "a.backup", keys=False)
    files = _restore(path, tmp_path / "new")
    assert [name for name in files if name.startswith("keys/")] == ["keys/signers.toml"]
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        with pytest.raises(ConfigError, match="vault key"):
            Hotline(opened).publish(FORMS[1:])
        old = desk.hotline.publisher.workspace.folder / "keys"
        for item in old.iterdir():
            if item.suffix != ".toml":
                (tmp_path / "new" / "keys" / item.name).write_bytes(item.read_bytes())
                (tmp_path / "new" / "keys" / item.name).chmod(0o600)
    with publisher(open_workspace(tmp_path / "new"), desk.hotline.store) as opened:
        assert Hotline(opened).publish(FORMS[1:]) == 2


def test_keys_are_left_out_wherever_they_lie(desk: Desk, tmp_path: Path) -> None:
    """The vault's key and a signer's beside publisher.toml, and keys that nothing names any more."""
    workspace = desk.hotline.publisher.workspace
    folder = workspace.folder
    (folder / "vault.key").write_bytes(b"by another name")
    vault = (folder / "keys" / "vault.key").read_bytes()
    pem = next((folder / "keys").glob("*.pem")).read_bytes()
    (folder / "old-vault").write_bytes(vault)
    (folder / "old.txt").write_bytes(pem)
    (folder / "roots").mkdir(exist_ok=True)
    (folder / "roots" / "key").write_bytes(pem)
    text = (folder / "publisher.toml").read_text().replace("file:keys/vault.key", "file:./vault.key")
    (folder / "publisher.toml").write_text(text)
    signers = (folder / "keys" / "signers.toml").read_text()
    (folder / "signer").write_bytes(b"a token's, perhaps")
    (folder / "keys" / "signers.toml").write_text(re.sub(r"file:keys/urls[^\"]*", "file:signer", signers))
    catalog = desk.hotline.publisher.catalog
    for keys in (False, True):
        path = tmp_path / f"{keys}.backup"
        write_backup(open_workspace(folder), catalog, path, LOCKS, keys=keys, now=NOW)
        files = set(_restore(path, tmp_path / f"new{keys}"))
        assert {"publisher.toml", "root.json", "keys/signers.toml"} <= files
        assert ({"vault.key", "signer", "old-vault", "old.txt", "roots/key"} <= files) is keys
        assert keys or not files & {"vault.key", "signer", "old-vault", "old.txt", "roots/key"}


def test_a_backup_tells_a_thief_nothing(desk: Desk, tmp_path: Path) -> None:
    data = desk.back_up(tmp_path / "a.backup").read_bytes()
    for word in (b"site1.example", b"Example Hotline", b"signers", b"PRIVATE KEY", b"member"):
        assert word not in data
    with pytest.raises(ConfigError, match="another key than this one"):
        restore_backup(io.BytesIO(data), tmp_path / "new", generate(Suite.X25519))
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(desk: Desk, tmp_path: Path) -> None:
    path = desk.back_up(tmp_path / "a.backup")
    first = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        desk.back_up(path)
    assert path.read_bytes() == first
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        _restore(path, tmp_path / "new")
    assert (tmp_path / "new" / "mine").read_text() == "mine"
    there = tmp_path / "there.sqlite"
    open_catalog(there).close()
    with pytest.raises(ConfigError, match="a catalog already"):
        _restore(path, tmp_path / "other", str(there))
    assert not (tmp_path / "other").exists()
    (tmp_path / "empty").mkdir()
    _restore(path, tmp_path / "empty")


def test_a_backup_that_is_cut_short_restores_nothing(desk: Desk, tmp_path: Path, postgresql_url: str) -> None:
    """Not even in a database that is elsewhere: what was loaded is taken back."""
    path = desk.back_up(tmp_path / "a.backup")
    data = path.read_bytes()
    for end in (len(data) - 1, len(data) // 2, 300, 0):
        path.write_bytes(data[:end])
        for where in (None, postgresql_url):
            with pytest.raises(VallumError):
                _restore(path, tmp_path / "new", where)
            assert not (tmp_path / "new").exists()
            assert not [item for item in tmp_path.iterdir() if item.name.startswith(".")]
    path.write_bytes(data)
    _restore(path, tmp_path / "new", postgresql_url)


def test_a_backup_that_somebody_forged_writes_nowhere_else(desk: Desk, tmp_path: Path) -> None:
    """The attacker knows the public key, which is no secret, and seals what he likes to it."""
    path = desk.back_up(tmp_path / "a.backup")
    good = _records(path)
    settings = next(at for at, record in enumerate(good) if record[1] == "publisher.toml")  # type: ignore[index]  # lists
    for name in ("../evil", "/etc/evil", "keys/../../evil", "keys/a/b", ".ssh", "", "keys/", "root.json"):
        records = [*good[:1], ["file", name, b"x"], *good[1:]]
        if name == "root.json":
            records = [*good[:1], *good[1:2], *good[1:]]  # the same twice
        _rewrite(path, records)
        with pytest.raises(DataError):
            _restore(path, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        assert not (tmp_path / "evil").exists()
    outside = tmp_path / "outside.sqlite"
    text = f'name = "x"\ncatalog = "{outside}"\n'.encode()
    _rewrite(path, [*good[:settings], ["file", "publisher.toml", text], *good[settings + 1 :]])
    with pytest.raises(ConfigError, match="outside its folder"):
        _restore(path, tmp_path / "new")
    assert not outside.exists()
    for forged, tail in (
        (good[:-1], b""),
        ([*good, ["end"]], b""),
        (good, b"more"),
        (good[1:], b""),
        (["backup", *good[1:]], b""),
        ([["backup", 1, "yesterday"], *good[1:]], b""),
        ([*good[:-1], ["table", "alembic_version", ["version_num"]], ["rows", [["9999"]]], ["end"]], b""),
        ([*good[:-1], ["table", "nothing", ["x"]], ["end"]], b""),
        ([*good[:-1], ["table", "lists", ["x"]], ["rows", [[1]]], ["end"]], b""),
        ([*good[:-1], ["rows", [[1]]], ["end"]], b""),
        ([*good[:-1], ["rows", [{"a": 1}]], ["end"]], b""),
        ([*good[:-1], ["what"], ["end"]], b""),
        ([7, None], b""),
    ):
        _rewrite(path, list(forged), tail)
        with pytest.raises((DataError, ConfigError)):
            _restore(path, tmp_path / "new")
        assert not (tmp_path / "new").exists()
    _rewrite(path, [["backup", 2, "x", {}]])
    with pytest.raises(ConfigError, match="newer"):
        _restore(path, tmp_path / "new")
    _rewrite(path, good)
    _restore(path, tmp_path / "new")


def test_a_catalog_of_an_older_form_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    load_catalog(path, [["catalog", "0001"], ["table", "label_sets", ["id"]]])
    with open_catalog(path, create=False) as catalog:
        assert catalog.lists() == []
        assert catalog.recipients() == []
    for first, kind in ((["catalog", "9999"], ConfigError), (["what"], DataError), (7, DataError)):
        with pytest.raises(kind):
            load_catalog(tmp_path / "other.sqlite", [first])
