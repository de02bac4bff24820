"""Many recipients at once, several keys of a member, keys that change by themselves, wraps that verify."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import ConfigError, InputError, NotEntitledError, StateError, StorageError, TrustError
from vallum.format.keypair import Suite, generate
from vallum_publisher.catalog.engine import writing
from vallum_publisher.catalog.entitlement import replace_secrets
from vallum_publisher.recipients.custody import Member
from vallum_publisher.recipients.members import parse_members
from vallum_publisher.recipients.wraps import upload_wraps
from vallum_publisher.store import ObjectKind
from vallum_publisher.store.kinds import WRAP

FORMS = [f"site{at}.example/page" for at in range(10)]
STREAM = "urls.match"
KEYS = [generate(Suite.X25519).public() for _ in range(3)]


def _file(rows: list[tuple[str, str, str]]) -> list[str]:
    return ["name,fingerprint,line\n", *(f'"{name}",{said},{line}\n' for name, said, line in rows)]


def _members(count: int) -> list[Member]:
    return [Member(f"member {at}", generate(Suite.X25519).public()) for at in range(count)]


def test_a_file_of_recipients() -> None:
    rows = [(f"Example ISP, site {at}", key.fingerprint(), key.line()) for at, key in enumerate(KEYS)]
    read = parse_members(_file(rows), "members.csv")
    assert [(one.name, one.key) for one in read] == [
        (row[0], key) for row, key in zip(rows, KEYS, strict=True)
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "not a file of recipients"),
        (["name,line\n"], "not a file of recipients"),
        (_file([]), "nobody"),
        (
            _file([("a", KEYS[0].fingerprint(), KEYS[0].line()), ("b", "00", KEYS[1].line())]),
            "line 3, b: the fing",
        ),
        (_file([("a", KEYS[1].fingerprint(), KEYS[0].line())]), "line 2, a: the fingerprint is not"),
        (_file([("a", KEYS[0].fingerprint(), "vallum-recipient-1 x25519 AAAA")]), "line 2, a"),
        (_file([("", KEYS[0].fingerprint(), KEYS[0].line())]), "line 2: not name"),
        (["name,fingerprint,line\n", '"a,b\n'], "line 2"),
    ],
)
def test_what_is_no_file_of_recipients(lines: list[str], told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_members(lines, "members.csv")
    assert told in str(caught.value)
    assert caught.value.hint


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_file_of_recipients_raises_anything_else(lines: list[str]) -> None:
    with pytest.raises(InputError):
        parse_members(["name,fingerprint,line\n", *lines], "members.csv")


def test_all_of_them_or_none(hotline: Hotline) -> None:
    hotline.roster.admit(STREAM, "member 3", KEYS[0], now=NOW)
    before = hotline.objects()
    for members in (_members(5), [Member("a", KEYS[1]), Member("b", KEYS[1])], [Member("a", KEYS[0])]):
        with pytest.raises(ConfigError):
            hotline.roster.admit_all(STREAM, members, now=NOW)
    assert [one.name for one in hotline.publisher.catalog.recipients(STREAM)] == ["member 3"]
    assert hotline.objects() == before
    with pytest.raises(ConfigError):
        hotline.roster.admit_all("urls.other", _members(1), now=NOW)


def test_each_key_of_a_member_is_revoked_alone(hotline: Hotline, tmp_path: Path) -> None:
    """Two sites and a spare: the site whose disk was stolen is closed, the other one goes on."""
    berlin, paris = Machine(hotline, tmp_path / "berlin"), Machine(hotline, tmp_path / "paris")
    for name, machine in (("Example ISP (Berlin)", berlin), ("Example ISP (Paris)", paris)):
        hotline.roster.admit(STREAM, name, machine.key.public(), now=NOW)
    hotline.roster.admit(STREAM, "Example ISP (spare)", KEYS[0], now=NOW)
    hotline.publish(FORMS)
    assert berlin.synced() == paris.synced() == 1
    hotline.roster.revoke(STREAM, "Example ISP (Berlin)", now=NOW + timedelta(hours=1))
    hotline.publish(FORMS[1:])
    berlin.refused(NotEntitledError)
    assert paris.synced() == 2
    again = Machine(hotline, tmp_path / "again")
    hotline.roster.admit(STREAM, "Example ISP (Berlin)", again.key.public(), now=NOW + timedelta(hours=2))
    assert again.synced() == 2
    found = hotline.publisher.catalog.recipients(STREAM)
    assert [(one.name, one.since, one.revoked_at is None) for one in found] == [
        ("Example ISP (Berlin)", 1, False),
        ("Example ISP (Paris)", 1, True),
        ("Example ISP (spare)", 1, True),
        ("Example ISP (Berlin)", 2, True),
    ]
    # One of one suite and two of the other, each a power of two; what the first epoch opened has gone.
    assert [one.wraps for one in hotline.publisher.verify() if one.stream == STREAM] == [1 + 2]


def test_keys_change_by_themselves(hotline: Hotline, tmp_path: Path) -> None:
    machine = Machine(hotline, tmp_path / "a")
    hotline.roster.admit(STREAM, "member", machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    roster, workspace = hotline.roster, hotline.publisher.workspace
    later = NOW + timedelta(days=90)
    assert roster.rotate_due(now=later) == ([], {}), "not unless the settings say so"
    workspace.settings = replace(workspace.settings, rotate_days=90)
    assert roster.rotate_due(now=NOW + timedelta(days=89)) == ([], {})
    done, failed = roster.rotate_due(now=later)
    assert ([each.list for each in done], failed) == (["urls"], {})
    assert roster.rotate_due(now=later + timedelta(days=89)) == ([], {})
    assert {
        stream: len(hotline.publisher.catalog.epochs(stream)) for stream in ("urls.match", "urls.full")
    } == {
        "urls.match": 2,
        "urls.full": 2,
    }
    assert machine.synced() == 1


class _Flaky(MemoryStore):
    """Loses every third wrap once."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[str] = set()

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        if kind is WRAP and int(key[-8:], 16) % 3 == 0 and key not in self.failed:
            self.failed.add(key)
            raise StorageError("as told")
        super().create(key, data, kind)


def test_an_upload_that_fails_in_part_goes_on_from_there(hotline: Hotline) -> None:
    catalog, custody = hotline.publisher.catalog, hotline.publisher.custody
    info = catalog.get_list("urls")
    custody.prepare(info, [STREAM], actor="test", now=NOW)
    custody.admit(info, STREAM, _members(30), actor="test", now=NOW)
    custody.complete(info, STREAM)
    store = _Flaky()
    with pytest.raises(StorageError):
        upload_wraps(catalog, store)
    stored = {item.key for item in store.list("wraps/")}
    assert 0 < len(stored) < 32
    waiting = catalog.wraps(waiting=True)
    assert {wrap.name for wrap in waiting} == store.failed
    assert upload_wraps(catalog, store) == len(store.failed)
    assert len({item.key for item in store.list("wraps/")}) == 32
    assert upload_wraps(catalog, store) == 0


@pytest.fixture
def sealed(hotline: Hotline) -> Hotline:
    hotline.roster.admit_all(STREAM, _members(3), now=NOW)
    hotline.publish(FORMS)
    assert [one.wraps for one in hotline.publisher.verify()] == [0, 4]
    return hotline


def _wraps(hotline: Hotline) -> list[str]:
    return sorted(key for key in hotline.objects() if key.startswith("wraps/"))


def _told(hotline: Hotline) -> str:
    with pytest.raises(StateError) as caught:
        hotline.publisher.verify()
    return f"{caught.value} {caught.value.hint}"


def test_verify_misses_a_wrap(sealed: Hotline) -> None:
    name = _wraps(sealed)[0]
    sealed.store._objects.pop(name)
    told = _told(sealed)
    assert f"{name} in the store is gone" in told
    assert "vallum-publisher refresh" in told


def test_wraps_that_the_store_lost_come_back(hotline: Hotline, tmp_path: Path) -> None:
    """Somebody deletes all wraps, and whoever has no key yet is locked out: said, and mended by a timer."""
    machine = Machine(hotline, tmp_path / "newcomer", suite=Suite.X25519)
    hotline.roster.admit(STREAM, "newcomer", machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    publisher, before = hotline.publisher, hotline.objects()
    [named] = [about.problem for about in publisher.status(now=NOW).lists if about.name == "urls"]
    assert named == ""
    gone = _wraps(hotline)
    for name in gone:
        hotline.store._objects.pop(name)
    machine.refused(NotEntitledError)
    [named] = [about.problem for about in publisher.status(now=NOW).lists if about.name == "urls"]
    assert f"gone from the store ({len(gone)})" in named
    assert "run refresh" in named
    assert publisher.refresh(now=NOW).wraps == len(gone)
    assert hotline.objects() == before, "the very same ones, and nothing else was signed"
    assert machine.synced() == 1
    assert publisher.refresh(now=NOW).wraps == 0


def test_verify_finds_a_wrap_that_somebody_changed(sealed: Hotline) -> None:
    """The way out that it names works: delete the object, and let ``refresh`` put the right one back."""
    name = _wraps(sealed)[1]
    held = sealed.store._objects[name]
    sealed.store._objects[name] = replace(held, data=b"x" * 2048)
    told = _told(sealed)
    assert f"{name} in the store is another one" in told
    assert "recipients rotate urls" in told
    assert "deleted the object" in told
    sealed.store._objects.pop(name)
    sealed.publisher.refresh(now=NOW)
    sealed.publisher.verify()


def test_verify_tells_the_publisher_not_what_a_recipient_is_told(sealed: Hotline) -> None:
    """The catalog's pepper is not the one that was signed: nobody is to call "the publisher" for it."""
    catalog, custody = sealed.publisher.catalog, sealed.publisher.custody
    info = catalog.get_list("urls")
    with writing(catalog._engine) as connection:
        replace_secrets(connection, custody.new_pepper(info, ())[1])
    with pytest.raises(TrustError, match="the pepper is not the one") as caught:
        sealed.publisher.verify()
    assert "call the publisher" not in caught.value.hint
    assert "restored-catalog.md" in caught.value.hint


def test_verify_finds_a_wrap_that_nobody_ordered(sealed: Hotline) -> None:
    """Somebody with the store's credentials lets a key of his own in, under a name that it asks for."""
    sealed.store.create("wraps/" + "ab" * 20, b"x" * 2048, WRAP)
    told = "nobody's (1), such as wraps/abab"
    assert told in sealed.publisher.strays()
    assert any(told in warning for warning in sealed.publisher.status(now=NOW).warnings)
    sealed.publisher.verify()


def test_verify_finds_what_the_catalog_lost(sealed: Hotline) -> None:
    catalog = sealed.publisher.catalog
    wraps = catalog.wraps(STREAM)
    mine = next(wrap for wrap in wraps if wrap.recipient is not None)
    catalog.change_wraps(gone=[mine.name])
    assert "there is no wrap for 'member" in _told(sealed)
    catalog.change_wraps(add=[replace(mine, recipient=None)])
    assert "there is no wrap for 'member" in _told(sealed)
    catalog.change_wraps(gone=[mine.name])
    catalog.change_wraps(add=[replace(mine, name="wraps/" + "cd" * 20)])
    assert "is not what 'member" in _told(sealed)
    catalog.change_wraps(gone=["wraps/" + "cd" * 20])
    catalog.change_wraps(add=[mine])
    sealed.publisher.verify()
    cover = next(wrap for wrap in wraps if wrap.recipient is None)
    catalog.change_wraps(gone=[cover.name])
    assert "tells how many recipients" in _told(sealed)


def test_verify_finds_a_wrap_of_one_who_may_not_read(sealed: Hotline) -> None:
    """A catalog that was tampered with: the revoked one has a wrap of the epoch that was to shut him out."""
    catalog = sealed.publisher.catalog
    sealed.roster.revoke(STREAM, "member 1", now=NOW)
    revoked = next(one for one in catalog.recipients(STREAM) if one.revoked_at is not None)
    sealed.publisher.verify()
    cover = next(wrap for wrap in catalog.wraps(STREAM) if wrap.epoch == 2 and wrap.recipient is not None)
    catalog.change_wraps(gone=[cover.name])
    catalog.change_wraps(add=[replace(cover, recipient=revoked.id)])
    told = _told(sealed)
    assert "who may not read" in told or "there is no wrap for" in told
