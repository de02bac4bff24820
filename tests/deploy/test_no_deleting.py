"""A publisher that may delete nothing: everyday work goes on, and what is left another identity takes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.test_object_storage import read
from tests.fakes.faulty_store import Fault, FaultyStore, Killed
from tests.release.scenes import NOW, publisher
from tests.sealing.scenes import URLS, Hotline
from tests.servers.radosgw import CEPH_USERS
from tests.servers.s3 import S3Server
from vallum.format.keypair import generate
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.store import ObjectStore
from vallum_publisher.workspace import Settings, Workspace

STREAM = "urls.full"


@dataclass
class Site:
    """A founded publisher of one encrypted list in a bucket of its own, with the shipped policy."""

    workspace: Workspace
    store: ObjectStore
    collector: ObjectStore

    def keys(self, prefix: str) -> set[str]:
        return {item.key for item in self.collector.list(prefix)}


@pytest.fixture
def site(radosgw: S3Server, tmp_path: Path) -> Site:
    bucket = f"vallum-{uuid.uuid4().hex[:12]}"
    radosgw.make_bucket(bucket)
    policy = json.dumps(read("ceph-bucket-policy.json")).replace(
        "arn:aws:s3:::vallum", f"arn:aws:s3:::{bucket}"
    )
    client = radosgw.client()
    client.put_bucket_policy(Bucket=bucket, Policy=policy)
    client.close()
    store, collector = (
        radosgw.store(bucket, as_=CEPH_USERS[f"vallum-{who}"]) for who in ("publisher", "collector")
    )
    workspace = init_workspace(
        tmp_path / "publisher",
        Settings("Example Hotline"),
        now=NOW,
        store=store,
        root_keys=1,
        root_threshold=1,
    )
    with publisher(workspace, store) as opened:
        hotline = Hotline(opened)
        hotline.create(URLS)
        hotline.publish(["a.example/x"])
    return Site(workspace, store, collector)


@pytest.fixture
def hotline(site: Site) -> Iterator[Hotline]:
    with publisher(site.workspace, site.store) as opened:
        yield Hotline(opened)


def test_recipients_are_let_in_in_the_places_of_covers(site: Site, hotline: Hotline) -> None:
    for number in range(4):
        hotline.roster.admit(STREAM, f"r{number}", generate().public(), now=NOW)
    # The third left one cover beside it, and the fourth took its place; it may not be deleted.
    (left,) = hotline.publisher.left
    assert len(site.keys("wraps/")) == 5
    hotline.publish(["b.example/y"])
    hotline.publisher.verify()
    assert not hotline.publisher.status(now=NOW).warnings
    assert not hotline.publisher.strays()
    hotline.roster.admit(STREAM, "r4", generate().public(), now=NOW)
    assert len(site.keys("wraps/")) == 9
    with publisher(site.workspace, site.collector) as collecting:
        assert collecting.gc(now=NOW).wraps == 1
        assert not collecting.left
    assert len(site.keys("wraps/")) == 8
    assert left not in site.keys("wraps/")
    hotline.publisher.verify()


def test_a_revocation_after_a_crash_is_public_and_its_list_goes_on(site: Site, hotline: Hotline) -> None:
    """Killed before the head moved: its runs are sealed to whoever is revoked next."""
    for name in ("stays", "goes"):
        hotline.roster.admit(STREAM, name, generate().public(), now=NOW)
    faulty = FaultyStore(site.store, 1, Fault.KILLED_AFTER)
    with publisher(site.workspace, faulty) as killed, suppress(Killed):
        Hotline(killed).publish(["b.example/y"])
    assert faulty.met
    assert hotline.roster.revoke(STREAM, "goes", now=NOW).version == 2
    twins = set(hotline.publisher.left)
    assert twins
    assert twins <= site.keys("targets/")
    # Whoever may delete need not wait a day.
    with publisher(site.workspace, site.collector) as collecting:
        assert collecting.gc(now=NOW).runs == 0
        assert not collecting.left
    assert not twins & site.keys("targets/")
    assert hotline.publish(["b.example/y", "c.example/z"]) == 3
    hotline.publisher.verify()
