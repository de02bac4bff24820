"""Epochs and wraps in the catalog: random comings and goings, crashes before the store, collection."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.faulty_store import Fault, FaultyStore
from tests.release.scenes import NOW, Founded, publisher
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import ConfigError, NotEntitledError, UnavailableError
from vallum.format.epoch import Epoch
from vallum.format.keypair import PrivateKey, Suite, generate
from vallum.format.wrap import open_wrap, wrap_name
from vallum_publisher.recipients.custody import Custody, Member
from vallum_publisher.recipients.wraps import upload_wraps
from vallum_publisher.vault import Vault

FORMS = [f"site{at}.example/page" for at in range(10)]
KEYS = [generate(suite) for suite in (Suite.X25519, Suite.HYBRID) for _ in range(4)]
STREAM = "urls.match"


def _readable(hotline: Hotline, key: PrivateKey) -> bool:
    """Whether the newest epoch's wrap for this key is in the store, and right."""
    catalog = hotline.publisher.catalog
    info, newest = catalog.get_list("urls"), catalog.epochs(STREAM)[-1]
    stored = hotline.store.get(wrap_name(newest.commitment, key.public()))
    if stored is None:
        return False
    charter = hotline.publisher.repository.tip().required_targets().targets["charters/urls"]
    pepper = (charter.custom or {})["vallum"]["pepper"]
    epoch = Epoch(info.uid, STREAM, info.generation, newest.number)
    open_wrap(stored.data, key, epoch, newest.commitment, pepper)
    return True


@given(
    steps=st.lists(st.tuples(st.sampled_from(["admit", "revoke", "rotate"]), st.integers(0, 7)), max_size=8)
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_was_let_in_can_read_and_nobody_else(
    founded_hotline: Founded, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    workspace, store = founded_hotline.copy(tmp_path_factory.mktemp("custody") / "publisher")
    inside: set[int] = set()
    with publisher(workspace, store) as opened:
        hotline = Hotline(opened)
        hotline.create()
        info = opened.catalog.get_list("urls")
        opened.custody.prepare(info, [STREAM, "urls.full"], actor="test", now=NOW)
        for step, at in steps:
            if step == "admit" and at not in inside:
                hotline.roster.admit(STREAM, f"member {at}", KEYS[at].public(), now=NOW)
                inside.add(at)
            elif step == "revoke" and at in inside:
                hotline.roster.revoke(STREAM, f"member {at}", now=NOW)
                inside.remove(at)
            elif step == "rotate":
                hotline.roster.rotate("urls", now=NOW)
            upload_wraps(opened.catalog, hotline.store)
            assert {at for at, key in enumerate(KEYS) if _readable(hotline, key)} == inside
            for suite in Suite:
                newest = hotline.publisher.catalog.epochs(STREAM)[-1].number
                wraps = hotline.publisher.catalog.wraps(STREAM)
                number = sum(wrap.epoch == newest and wrap.suite == suite for wrap in wraps)
                assert number.bit_count() <= 1, "a power of two, or none"


def test_a_crash_between_catalog_and_store_is_mended_by_publishing(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    custody, info = hotline.publisher.custody, hotline.publisher.catalog.get_list("urls")
    custody.prepare(info, [STREAM, "urls.full"], actor="test", now=NOW)
    custody.admit(info, STREAM, [Member("member", machine.key.public())], actor="test", now=NOW)
    hotline.publish(FORMS)
    assert machine.synced() == 1
    custody.open_epoch(info, STREAM, actor="test", now=NOW)
    assert hotline.publisher.publish("urls", now=NOW).versions == ()
    assert machine.synced() == 1
    assert [name for name in machine.files() if name.endswith(".epoch")] == [
        "hotline/keys/urls.match.1.2.epoch"
    ]


@pytest.mark.parametrize("command", ["publish", "refresh"])
def test_an_admission_that_was_cut_short(hotline: Hotline, tmp_path: Path, command: str) -> None:
    """The store did not answer when the newcomer's wrap was to be uploaded; nothing else is new since."""
    hotline.roster.admit(STREAM, "first", KEYS[0].public(), now=NOW)
    hotline.roster.admit(STREAM, "second", KEYS[1].public(), now=NOW)
    hotline.roster.admit(STREAM, "third", KEYS[2].public(), now=NOW)  # and a cover
    hotline.publish(FORMS)
    machine = Machine(hotline, tmp_path / "a")
    workspace, store = hotline.publisher.workspace, hotline.store
    with (
        publisher(workspace, FaultyStore(store, 0, Fault.NOT_STORED)) as cut,
        pytest.raises(UnavailableError),
    ):
        Hotline(cut).roster.admit(STREAM, "newcomer", machine.key.public(), now=NOW)
    machine.refused(NotEntitledError)
    if command == "publish":
        hotline.publisher.publish("urls", now=NOW)
    else:
        assert hotline.publisher.refresh(now=NOW).wraps == 1
    assert machine.synced() == 1


def test_the_same_key_or_name_twice(hotline: Hotline) -> None:
    hotline.roster.admit(STREAM, "member", KEYS[0].public(), now=NOW)
    for name, key in (("member", KEYS[1]), ("other", KEYS[0])):
        with pytest.raises(ConfigError):
            hotline.roster.admit(STREAM, name, key.public(), now=NOW)
    hotline.roster.admit("urls.full", "member", KEYS[0].public(), now=NOW)
    for stream in ("urls", "urls.other", "nothing.match"):
        with pytest.raises(ConfigError):
            hotline.roster.admit(stream, "other", KEYS[1].public(), now=NOW)
    with pytest.raises(ConfigError) as caught:
        hotline.roster.revoke(STREAM, "nobody", now=NOW)
    assert "member" in caught.value.hint


def test_wraps_go_with_the_runs_that_needed_them(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    hotline.roster.admit(STREAM, "member", machine.key.public(), now=NOW)
    for at in range(2):
        hotline.publish(FORMS[at:])
        hotline.roster.rotate("urls", now=NOW)
    before = {key for key in hotline.objects() if key.startswith("wraps/")}
    assert len(before) == 3
    assert hotline.publisher.gc(now=hotline.store.now).wraps == 0, "runs of these epochs are listed"
    for at in range(14):
        hotline.publish(FORMS[at % 2 :])
    hotline.store.now += timedelta(days=3)
    assert hotline.publisher.gc(now=hotline.store.now).wraps == 2
    left = {key for key in hotline.objects() if key.startswith("wraps/")}
    assert left < before
    assert machine.synced() == 16


def test_many_recipients(hotline: Hotline) -> None:
    """The number in the store is a power of two, and each object one client's 2 KB."""
    info, custody = hotline.publisher.catalog.get_list("urls"), hotline.publisher.custody
    custody.prepare(info, [STREAM, "urls.full"], actor="test", now=NOW)
    members = [Member(f"member {at}", generate(Suite.X25519).public()) for at in range(40)]
    custody.admit(info, STREAM, members, actor="test", now=NOW)
    hotline.roster.rotate("urls", now=NOW)
    upload_wraps(hotline.publisher.catalog, hotline.store)
    wraps = [data for key, data in hotline.objects().items() if key.startswith("wraps/")]
    assert len(wraps) == 64
    assert sum(map(len, wraps)) == 64 * 2048


@pytest.mark.parametrize("readers", [0, 1])
def test_nothing_is_sealed_under_another_catalogs_vault_key(hotline: Hotline, readers: int) -> None:
    """An operator's shell has another publisher's vault key: what it seals would open here no more."""
    for at in range(readers):
        hotline.roster.admit(STREAM, f"member {at}", KEYS[at].public(), now=NOW)
    hotline.publish(FORMS)
    catalog, custody = hotline.publisher.catalog, hotline.publisher.custody
    info, before = catalog.get_list("urls"), (catalog.epochs(STREAM), catalog.wraps())
    other = Custody(catalog, lambda: Vault(b"another catalog's vault key 1234"))
    for act in (
        lambda: other.open_epoch(info, STREAM, actor="test", now=NOW),
        lambda: other.make_pepper("more"),
        lambda: other.pepper(info),
    ):
        with pytest.raises(ConfigError, match="does not open with this vault key") as caught:
            act()
        assert caught.value.hint
    assert (catalog.epochs(STREAM), catalog.wraps()) == before
    assert catalog.get_secrets(["pepper/more"]) == {}
    custody.open_epoch(info, STREAM, actor="test", now=NOW)
    assert hotline.publisher.publish("urls", now=NOW).uploaded
