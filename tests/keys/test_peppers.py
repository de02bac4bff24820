"""A pepper that was lost or has leaked, a vault key that was lost, an epoch key that is gone."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

import vallum
from tests.catalog.conftest import catalog
from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.release.scenes import NOW, digest, publisher, url
from tests.sealing.conftest import founded_hotline, hotline
from tests.sealing.scenes import Hotline, Machine
from tests.servers.postgresql import postgresql_server, postgresql_url
from vallum.errors import ConfigError, NotEntitledError, StateError, VallumError
from vallum.expression import DIGEST_TAGS, Keyer, Scope
from vallum_publisher.catalog import Catalog, Entry, ListSpec, Mode, Record
from vallum_publisher.workspace import open_workspace

__all__ = ["catalog", "founded_hotline", "hotline", "postgresql_server", "postgresql_url"]

FORMS = [f"site{at}.example/page" for at in range(30)]


@pytest.fixture
def followed(hotline: Hotline, tmp_path: Path) -> tuple[Hotline, Machine, Machine]:
    """Version 1.1 of both editions in force, each at its recipient."""
    machines = Machine(hotline, tmp_path / "a"), Machine(hotline, tmp_path / "b", "urls.full")
    for machine in machines:
        hotline.roster.admit(machine.stream, "member", machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    for machine in machines:
        assert machine.synced() == 1
    return hotline, *machines


def _id(machine: Machine) -> str:
    with vallum.open(machine.config.state) as lists:
        [found] = lists.match_url("https://site7.example/page")
        assert not lists.match_url("https://elsewhere.example/")
        return found.id


def _pepper(hotline: Hotline) -> bytes:
    return hotline.publisher.custody.pepper(hotline.publisher.catalog.get_list("urls"))


def _forget(hotline: Hotline, secret: str) -> None:
    with hotline.publisher.catalog._engine.begin() as connection:
        done = connection.execute(text("DELETE FROM secrets WHERE name LIKE :n"), {"n": secret})
        assert done.rowcount


def test_a_leaked_pepper_opens_nothing_new(followed: tuple[Hotline, Machine, Machine]) -> None:
    """Who has the old one can test no guess against what is published from now on; recipients do nothing."""
    hotline, match, full = followed
    leaked, ids = _pepper(hotline), {machine.stream: _id(machine) for machine in (match, full)}
    before = [_facts(entry) for entry in hotline.publisher.catalog.entries("urls")]
    done = hotline.publisher.new_generation("urls", reason="leaked", now=NOW, new_pepper=True)
    assert (done.generation, done.version) == (2, 1)
    assert _pepper(hotline) != leaked
    for machine in (match, full):
        machine.synced()
        assert _id(machine) != ids[machine.stream]
    rows = list(hotline.publisher.catalog.listed_rows("urls", "exact"))
    old = Keyer(leaked, 20)
    assert old.url_key(Scope.URL, FORMS[7]) not in {row.key for row in rows}
    assert sorted(before) == sorted(_facts(entry) for entry in hotline.publisher.catalog.entries("urls"))
    hotline.publisher.verify()
    hotline.publish(FORMS[5:])
    for machine in (match, full):
        assert machine.synced() == 2
        assert machine.path() == []


def _facts(entry: Entry) -> tuple[object, ...]:
    return (entry.tag, entry.ref, entry.labels, str(entry.status), entry.added_at, entry.updated_at)


def test_a_revoked_recipient_gets_no_new_pepper(followed: tuple[Hotline, Machine, Machine]) -> None:
    hotline, match, full = followed
    hotline.roster.revoke("urls.match", "member", now=NOW)
    hotline.publisher.new_generation("urls", reason="leaked", now=NOW, new_pepper=True)
    match.refused(NotEntitledError)
    full.synced()


def test_a_lost_pepper_is_drawn_anew(followed: tuple[Hotline, Machine, Machine]) -> None:
    """It is gone from the catalog: nothing can be published, and what is in force stays."""
    hotline, match, full = followed
    _forget(hotline, "pepper/urls")
    with pytest.raises(ConfigError, match="no secret pepper/urls"):
        hotline.publisher.new_generation("urls", reason="without", now=NOW)
    hotline.publisher.new_generation("urls", reason="lost", now=NOW, new_pepper=True)
    for machine in (match, full):
        machine.synced()
        _id(machine)
    hotline.publisher.verify()


def test_a_lost_vault_key_takes_seeds_along(followed: tuple[Hotline, Machine, Machine]) -> None:
    hotline, match, _ = followed
    custody, catalog = hotline.publisher.custody, hotline.publisher.catalog
    [member] = catalog.recipients("urls.match")
    seed = custody.seed(member)
    workspace = hotline.publisher.workspace
    (workspace.folder / "keys/vault.key").unlink()
    with publisher(open_workspace(workspace.folder), hotline.store) as opened:
        with pytest.raises(ConfigError, match="no vault key"):
            opened.new_generation("urls", reason="lost", now=NOW, new_pepper=True)
        assert opened.catalog.get_list("urls").generation == 1
        opened.workspace.make_vault(None)
        opened.new_generation("urls", reason="lost", now=NOW, new_pepper=True)
        assert opened.custody.seed(member) != seed
        opened.verify()
    match.synced()
    _id(match)


def test_a_new_pepper_that_was_stopped_anywhere(followed: tuple[Hotline, Machine, Machine]) -> None:
    """The same command again gives a new pepper, once or twice, and never silently none."""
    hotline, match, full = followed
    folder = hotline.publisher.workspace.folder
    for step in range(0, 60, 3):  # every write of a publication is tried by tests/release/test_faults.py
        before = _pepper(hotline)
        faulty = FaultyStore(hotline.store, step, Fault.KILLED_AFTER)
        with publisher(open_workspace(folder), faulty) as opened, suppress(VallumError, Killed):
            opened.new_generation("urls", reason="leaked", now=NOW, new_pepper=True)
        _syncs(match, full)
        with publisher(open_workspace(folder), hotline.store) as opened:
            opened.new_generation("urls", reason="leaked", now=NOW, new_pepper=True, again=not faulty.met)
        assert _pepper(hotline) != before
        for machine in (match, full):
            machine.synced()
            _id(machine)
        if not faulty.met:
            return
    raise AssertionError("the writes never came to an end")


def _syncs(*machines: Machine) -> None:
    for machine in machines:
        machine.sync()
        _id(machine)


def test_a_generation_begun_without_a_new_pepper_does_not_pass_for_one(
    followed: tuple[Hotline, Machine, Machine],
) -> None:
    """A stopped new generation is finished by the next command, which was asked for more than that."""
    hotline, match, _ = followed
    before = _pepper(hotline)
    folder = hotline.publisher.workspace.folder
    with publisher(open_workspace(folder), FaultyStore(hotline.store, 0)) as opened, suppress(VallumError):
        opened.new_generation("urls", reason="restored", now=NOW)
    done = hotline.publisher.new_generation("urls", reason="leaked", now=NOW, new_pepper=True)
    assert done.generation == 3
    assert _pepper(hotline) != before
    match.synced()


def test_a_public_list_has_no_pepper_to_change(hotline: Hotline) -> None:
    spec = ListSpec("feed", "url", public=True)
    hotline.publisher.create_list(spec, now=NOW)
    hotline.publisher.publish("feed", now=NOW)
    with pytest.raises(ConfigError, match="has no pepper"):
        hotline.publisher.new_generation("feed", reason="none", now=NOW, new_pepper=True)
    assert hotline.publisher.catalog.get_list("feed").generation == 1
    assert hotline.publisher.new_generation("feed", reason="plain", now=NOW).generation == 2


def test_digests_and_near_matches_are_keyed_anew(hotline: Hotline) -> None:
    hotline.publisher.create_list(ListSpec("pictures", "hash"), now=NOW)
    info = hotline.publisher.catalog.get_list("pictures")
    drawn = random.Random(0)  # noqa: S311 - fixed, so that it fails alike each time
    pdq = [Record(DIGEST_TAGS["pdq"].code, drawn.randbytes(32)) for _ in range(5)]
    pepper = hotline.publisher.custody.pepper(info)
    hotline.publisher.catalog.apply(
        "pictures", [*(digest(at) for at in range(5)), *pdq],
        mode=Mode.ADD, actor="test", now=NOW, pepper=pepper,
    )  # fmt: skip
    hotline.publisher.publish("pictures", now=NOW)
    hotline.publisher.new_generation("pictures", reason="leaked", now=NOW, new_pepper=True)
    streams = {each.stream: each.rows for each in hotline.publisher.verify()}
    assert streams["pictures.match"] == streams["pictures.full"] == {"exact": 6, "pdq": 5}


@pytest.mark.parametrize("which", ["epoch/urls.match/1/1", "epoch/urls.%/1/%"])
def test_a_lost_epoch_key_is_left_behind(
    followed: tuple[Hotline, Machine, Machine], tmp_path: Path, which: str
) -> None:
    """Nothing can be sealed under it; a new epoch needs neither it nor offline keys, and nobody is called."""
    hotline, match, full = followed
    hotline.publish(FORMS[1:])
    _forget(hotline, which)
    with pytest.raises(ConfigError, match="no secret epoch/"):
        hotline.publish(FORMS[2:])
    assert match.synced() == 2
    hotline.roster.rotate("urls", now=NOW)
    hotline.publisher.verify()
    for machine in (match, full):
        assert machine.synced() == 2
        _id(machine)
    assert hotline.publish(FORMS[2:]) == 3
    for machine in (match, full):
        assert machine.synced() == 3
    newcomer = Machine(hotline, tmp_path / "newcomer")
    hotline.roster.admit("urls.match", "newcomer", newcomer.key.public(), now=NOW)
    assert newcomer.synced() == 3


def test_rows_are_keyed_anew_in_either_database(catalog: Catalog) -> None:
    """All of a list's rows and entries or, where it fails half-way, none; other lists' rows stay."""
    catalog.create_list(ListSpec("other", "url", public=True), actor="ann", now=NOW)
    for name in ("urls", "other"):
        catalog.apply(name, [url(form) for form in FORMS], mode=Mode.ADD, actor="ann", now=NOW)
    before = {name: _keys(catalog, name) for name in ("urls", "other")}
    keyer = Keyer(bytes(range(32)), 20)
    with pytest.raises(StateError):
        catalog.open_generation("urls", actor="ann", now=NOW, keyer=_FailingKeyer(bytes(range(32)), 20))
    assert _keys(catalog, "urls") == before["urls"]
    assert catalog.get_list("urls").generation == 1
    info = catalog.open_generation(
        "urls", actor="ann", now=NOW, above=7, keyer=keyer, secrets={"pepper/urls": b"sealed"}
    )
    assert info.generation == 8
    assert catalog.get_secrets(["pepper/urls"]) == {"pepper/urls": b"sealed"}
    assert _keys(catalog, "other") == before["other"]
    after = _keys(catalog, "urls")
    assert len(after) == len(before["urls"])
    assert {keyer.url_key(Scope.URL, form) for form in FORMS} < after
    assert not after & before["urls"]
    done = catalog.apply(
        "urls",
        [url(form) for form in FORMS],
        mode=Mode.REPLACE,
        actor="ann",
        now=NOW,
        pepper=bytes(range(32)),
    )
    assert done.is_empty
    assert catalog.audit()[-1].action == "generation"


def _keys(catalog: Catalog, name: str) -> set[bytes]:
    keys = {row.key for row in catalog.pending_changes(name, now=NOW)} | {
        row.key for row in catalog.listed_rows(name, "exact")
    }
    assert keys == {entry.key for entry in catalog.entries(name)}
    return keys


class _FailingKeyer(Keyer):
    """Fails after some keys: a kill half-way through a transaction."""

    __slots__ = ("left",)

    def url_key(self, scope: Scope, form: str, host_part: int | None = None) -> bytes:
        self.left = getattr(self, "left", 10) - 1
        if not self.left:
            raise StateError("stopped half-way")
        return super().url_key(scope, form, host_part)
