"""Whom a leaked export names: recipients of a catalog, let in, revoked, mixed, or fed to the list itself."""

from __future__ import annotations

import io
import random
from collections import Counter
from datetime import timedelta
from itertools import islice, product
from pathlib import Path

import pytest

from tests.release.scenes import NOW, url
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import ConfigError
from vallum.export.selection import Selection
from vallum.export.write import open_export
from vallum.expression import Scope
from vallum.format.decoys import DECOYS, markers
from vallum.format.keypair import Suite
from vallum_publisher.catalog import ListSpec, Mode
from vallum_publisher.recipients.custody import Member
from vallum_publisher.recipients.leak import Leak
from vallum_publisher.recipients.tracing import ENOUGH, Traced, sought, trace

FORMS = [f"site{at}.example/page" for at in range(300)]


@pytest.fixture
def machines(hotline: Hotline, tmp_path: Path) -> list[Machine]:
    """Three recipients of ``urls.full``, in sync."""
    made = [
        Machine(hotline, tmp_path / name, "urls.full", suite=Suite.X25519) for name in ("ada", "ben", "cleo")
    ]
    for machine in made:
        name = machine.config.state.parent.name
        hotline.roster.admit("urls.full", name, machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    for machine in made:
        machine.synced()
    return made


def _exported(machine: Machine, format_name: str = "csv") -> bytes:
    return b"".join(open_export(machine.config.state, format_name).blocks())


def _traced(hotline: Hotline, data: bytes, lists: tuple[str, ...] = ()) -> Traced:
    catalog = hotline.publisher.catalog
    return trace(catalog, hotline.publisher.custody, lists, Leak(io.BytesIO(data)))


def _named(traced: Traced) -> list[str]:
    return [one.recipient.name for one in traced.accused]


def test_an_export_names_its_recipient(hotline: Hotline, machines: list[Machine]) -> None:
    for machine, format_name in product(machines, ("text", "csv", "jsonl")):
        traced = _traced(hotline, _exported(machine, format_name))
        [only] = traced.suspicions
        assert only.recipient.fingerprint == machine.key.public().fingerprint().replace(" ", "")
        assert (only.found, only.accused, traced.recipients) == (DECOYS, True, 3)


def test_a_random_tenth_of_an_export_names_its_recipient(hotline: Hotline, machines: list[Machine]) -> None:
    """No two exports share a decoy: whatever part leaks, nobody else has a single one in it."""
    chance = random.Random(13)  # noqa: S311 - the same each time
    lines = _exported(machines[1]).splitlines()
    names: Counter[str] = Counter()
    for _ in range(10):
        tenth = b"\n".join(chance.sample(lines, len(lines) // 10))
        traced = _traced(hotline, tenth)
        names.update(_named(traced))
        assert {one.recipient.name for one in traced.suspicions} <= {"ben"}
    assert names["ben"] == 10


def test_two_who_mix_their_exports_are_both_named(hotline: Hotline, machines: list[Machine]) -> None:
    mixed = _exported(machines[0]).splitlines()[::2] + _exported(machines[2]).splitlines()[1::2]
    assert sorted(_named(_traced(hotline, b"\n".join(mixed)))) == ["ada", "cleo"]


def test_two_who_compare_their_exports_name_nobody(hotline: Hotline, machines: list[Machine]) -> None:
    """What is not defended (threat-model.md §7): only what both have is passed on, and no decoy is."""
    both = set(_exported(machines[0], "text").split()) & set(_exported(machines[1], "text").split())
    assert len(both) == len(FORMS) + 1
    assert not _traced(hotline, b"\n".join(both)).suspicions


def test_a_recipient_that_was_revoked_is_still_named(hotline: Hotline, machines: list[Machine]) -> None:
    data = _exported(machines[0])
    hotline.roster.revoke("urls.full", "ada", now=NOW)
    hotline.publish(FORMS[:100])
    [only] = _traced(hotline, data).accused
    assert only.recipient.name == "ada"
    assert only.recipient.revoked_at


def test_an_export_of_long_ago_names_after_rotations(hotline: Hotline, machines: list[Machine]) -> None:
    before = _exported(machines[0])
    hotline.roster.rotate("urls", now=NOW)
    hotline.publish([*FORMS, "new.example/page"])
    machines[0].synced()
    after = _exported(machines[0])
    for data in (before, after):
        assert _named(_traced(hotline, data)) == ["ada"]
    decoys = [set(data.decode().split()) - set(FORMS) for data in (before, after)]
    assert len(decoys[0] ^ decoys[1]) <= 3, "decoys do not come and go with epochs"


def test_decoys_that_somebody_gets_listed_name_nobody(hotline: Hotline, machines: list[Machine]) -> None:
    """Somebody who has a recipient's export reports some of its decoys: now everybody's exports hold them."""
    seed = hotline.publisher.custody.seed(hotline.publisher.catalog.recipients("urls.full")[0])
    uid = hotline.publisher.catalog.get_list("urls").uid
    planted = list(markers(seed, uid, "url"))[:5]
    # Under another top-level domain, or somewhere in a path, it is the same.
    forms = [f"{planted[0]}/page", f"img.{planted[1]}/", f"x.example/{planted[2]}", f"{planted[3]}.example/"]
    hotline.publish([*FORMS, *forms, f"x.example/?u={planted[4]}"])
    machines[1].synced()
    traced = _traced(hotline, _exported(machines[1]))
    assert _named(traced) == ["ben"]
    [ada] = traced.listed
    assert (ada.recipient.name, ada.count, ada.since, ada.after) == ("ada", 5, NOW, 5)
    assert ada.suspicious


def test_a_decoy_in_two_entries_counts_from_the_first(hotline: Hotline, machines: list[Machine]) -> None:
    """Whichever row the catalog gives last: what was listed before ada was let in is not from her export."""
    catalog, custody = hotline.publisher.catalog, hotline.publisher.custody
    info, [ada] = catalog.get_list("urls"), [one for one in catalog.recipients() if one.name == "ada"]
    hosts = list(islice(markers(custody.seed(ada), info.uid, "url"), 20))
    for day in (timedelta(-1), timedelta(1)):
        records = [url(f"{host}/{day.days}") for host in hosts]
        pepper = custody.pepper(info)
        catalog.apply("urls", records, mode=Mode.ADD, actor="test", now=NOW + day, pepper=pepper)
    hotline.publisher.publish("urls", now=NOW)
    machines[1].synced()
    [listed] = _traced(hotline, _exported(machines[1])).listed
    assert (listed.recipient, listed.count, listed.since) == (ada, 20, NOW - timedelta(1))
    assert listed.after == 0


def test_who_gets_all_of_his_decoys_listed_is_told_of(hotline: Hotline, machines: list[Machine]) -> None:
    """He feeds them to the hotline, so that no copy can be traced to him: that is what tells of him."""
    [mine] = [one for one in hotline.publisher.catalog.recipients("urls.full") if one.name == "ada"]
    uid = hotline.publisher.catalog.get_list("urls").uid
    labels = sought(hotline.publisher.custody.seed(mine), uid, "url")
    before = _exported(machines[0])
    hotline.publish([*FORMS, *(f"{label}.com/" for label in labels)])
    traced = _traced(hotline, before)
    assert not traced.suspicions
    [ada] = traced.had_listed
    assert (ada.recipient.name, ada.count, ada.after) == ("ada", DECOYS, DECOYS)


def test_two_decoys_on_the_list_may_be_chance(hotline: Hotline, machines: list[Machine]) -> None:
    uid = hotline.publisher.catalog.get_list("urls").uid
    seed = hotline.publisher.custody.seed(hotline.publisher.catalog.recipients("urls.full")[0])
    hotline.publish([*FORMS, *(f"{host}/" for host in islice(markers(seed, uid, "url"), ENOUGH - 1))])
    machines[1].synced()
    traced = _traced(hotline, _exported(machines[1]))
    assert [one.count for one in traced.listed] == [ENOUGH - 1]
    assert not traced.had_listed


def test_to_look_draws_no_seed(hotline: Hotline, machines: list[Machine]) -> None:
    """Somebody's admission stopped before anything was sealed to him: no decoys are his yet."""
    publisher, key = hotline.publisher, Machine(hotline, machines[0].config.state.parent / "dan").key
    info = publisher.catalog.get_list("urls")
    publisher.custody.admit(info, "urls.full", [Member("dan", key.public())], actor="test", now=NOW)
    before = list(publisher.catalog.dump())
    traced = _traced(hotline, _exported(machines[0]))
    assert (_named(traced), traced.recipients) == (["ada"], 4)
    assert list(publisher.catalog.dump()) == before


def test_readers_of_the_other_edition_and_public_lists_are_not_looked_for(
    hotline: Hotline, machines: list[Machine]
) -> None:
    hotline.create(ListSpec("open", "url", public=True))
    hotline.create(ListSpec("other", "url"))
    hotline.roster.admit("urls.match", "dan", machines[0].key.public(), now=NOW)
    data = _exported(machines[0])
    assert _traced(hotline, data).recipients == 3
    assert _named(_traced(hotline, data, ("urls",))) == ["ada"]
    assert not _traced(hotline, data, ("other",)).suspicions
    with pytest.raises(ConfigError, match="open is public"):
        _traced(hotline, data, ("open",))
    with pytest.raises(ConfigError):
        _traced(hotline, data, ("nolist",))


def test_hosts_of_a_domain_export(hotline: Hotline, machines: list[Machine]) -> None:
    """For a resolver: bare names, passed on as a zone file."""
    info = hotline.publisher.catalog.get_list("urls")
    hotline.publisher.catalog.apply(
        "urls",
        [url(f"d{at}.example", scope=Scope.DOMAIN) for at in range(20)],
        mode=Mode.ADD,
        actor="test",
        now=NOW,
        pepper=hotline.publisher.custody.pepper(info),
    )
    hotline.publisher.publish("urls", now=NOW)
    machines[2].synced()
    export = open_export(machines[2].config.state, "text", Selection.of(scopes=("domain",)))
    names = b"".join(export.blocks()).decode().split()
    assert len(names) == 20 + DECOYS
    zone = "\n".join(f"{name} CNAME .\n*.{name} CNAME ." for name in names)
    assert _named(_traced(hotline, zone.encode())) == ["cleo"]
