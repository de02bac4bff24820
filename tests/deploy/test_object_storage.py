"""The policies of `deploy/object-storage`, on the servers that can run here."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.servers.radosgw import CEPH_USERS
from tests.servers.s3 import Identity, S3Server
from vallum.errors import ConfigError
from vallum_publisher.store import METADATA, PACKED_METADATA, RUN, TIMESTAMP, WRAP, ObjectStore

POLICIES = Path(__file__).parents[2] / "deploy/object-storage"
BUCKET = "vallum"
HEAD = "metadata/timestamp.json"


def read(name: str) -> Any:
    return json.loads((POLICIES / name).read_text())


@pytest.fixture
def ceph(radosgw: S3Server) -> S3Server:
    radosgw.make_bucket(BUCKET)
    radosgw.make_bucket("other")
    client = radosgw.client()
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(read("ceph-bucket-policy.json")))
    client.close()
    return radosgw


@pytest.fixture
def weed(seaweedfs: S3Server) -> S3Server:
    seaweedfs.make_bucket(BUCKET)
    seaweedfs.make_bucket("other")
    return seaweedfs


def weed_publisher() -> Identity:
    (credentials,) = read("seaweedfs-identities.json")["identities"][0]["credentials"]
    return Identity(credentials["accessKey"], credentials["secretKey"])


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="AccessDenied") as raised:
        call()
    assert "deploy/object-storage" in raised.value.hint


def publish(store: ObjectStore, name: str) -> None:
    """What a publisher does with a store, once."""
    store.probe()
    assert store.get(f"metadata/{name}.absent.json") is None
    store.create(f"targets/a.full/{name}.run", b"run", RUN)
    store.create(f"wraps/{name}", b"wrap", WRAP)
    store.create(f"metadata/{name}.snapshot.json", b"{}", METADATA)
    store.create(f"metadata/{name}.snapshot.json.zst", b"packed", PACKED_METADATA)
    stored = store.get(HEAD)
    store.replace(HEAD, name.encode(), TIMESTAMP, None if stored is None else stored.tag)
    assert f"targets/a.full/{name}.run" in [found.key for found in store.list("targets/")]


def check_stranger(server: S3Server, name: str) -> None:
    """Whoever has no key reads a repository's objects and nothing else, and writes nothing."""
    base = f"{server.endpoint}/{BUCKET}"
    with urllib3.PoolManager(retries=False) as pool:

        def status(method: str, path: str) -> int:
            return pool.request(method, base + path, body=b"x" if method == "PUT" else None).status

        for key in (HEAD, f"targets/a.full/{name}.run", f"wraps/{name}", f"metadata/{name}.snapshot.json"):
            assert status("GET", f"/{key}") == 200
            assert status("PUT", f"/{key}") == 403
            assert status("DELETE", f"/{key}") == 403
        assert status("PUT", "/metadata/9999.root.json") == 403
        for listing in ("", "/", "?list-type=2", "?list-type=2&prefix=targets/", "?uploads", "?policy"):
            assert status("GET", listing) == 403
        # To a TUF client both mean: there is no newer root.
        assert status("GET", "/metadata/9999.root.json") in (403, 404)
        server.store(BUCKET).replace("elsewhere/timestamp.json", b"private", TIMESTAMP, None)
        assert status("GET", "/elsewhere/timestamp.json") == 403


def test_ceph_publisher_publishes_and_does_no_more(ceph: S3Server) -> None:
    store = ceph.store(BUCKET, as_=CEPH_USERS["vallum-publisher"])
    publish(store, "ceph-publisher")
    refused(lambda: store.delete("targets/a.full/ceph-publisher.run"))
    refused(lambda: store.delete(HEAD))
    refused(lambda: store.create("elsewhere/file", b"x", METADATA))
    refused(lambda: ceph.store("other", as_=CEPH_USERS["vallum-publisher"]).get(HEAD))


def test_ceph_collector_removes_what_readers_do_not_start_from(ceph: S3Server) -> None:
    publish(ceph.store(BUCKET, as_=CEPH_USERS["vallum-publisher"]), "ceph-collector")
    owner = ceph.store(BUCKET)
    owner.create("metadata/1.root.json", b"{}", METADATA)
    store = ceph.store(BUCKET, as_=CEPH_USERS["vallum-collector"])
    assert store.get(HEAD) is not None
    for key in (
        "targets/a.full/ceph-collector.run",
        "wraps/ceph-collector",
        "metadata/ceph-collector.snapshot.json",
    ):
        store.delete(key)
        assert store.get(key) is None
    refused(lambda: store.delete(HEAD))
    refused(lambda: store.delete("metadata/1.root.json"))
    client = ceph.client(CEPH_USERS["vallum-collector"])
    for key in ("metadata/2.root.json", "targets/a.full/2.run", "wraps/2", "probe/2"):
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    client.close()


def test_ceph_strangers_read(ceph: S3Server) -> None:
    publish(ceph.store(BUCKET, as_=CEPH_USERS["vallum-publisher"]), "ceph-stranger")
    check_stranger(ceph, "ceph-stranger")


def test_seaweedfs_publisher_publishes_and_stays_in_its_bucket(weed: S3Server) -> None:
    store = weed.store(BUCKET, as_=weed_publisher())
    publish(store, "weed-publisher")
    other = weed.store("other", as_=weed_publisher())
    refused(lambda: other.get(HEAD))
    refused(lambda: other.create("metadata/1.root.json", b"{}", METADATA))
    refused(lambda: list(other.list()))


def test_seaweedfs_strangers_read(weed: S3Server) -> None:
    publish(weed.store(BUCKET, as_=weed_publisher()), "weed-stranger")
    check_stranger(weed, "weed-stranger")


def test_aws_allows_what_was_proved_on_ceph_and_demands_conditions_on_top() -> None:
    """AWS cannot run here: its policy may differ from the proved one by what only AWS has."""
    ceph, aws = (read(f"{name}-bucket-policy.json")["Statement"] for name in ("ceph", "aws"))
    in_account = json.dumps(ceph).replace("arn:aws:iam:::user/", "arn:aws:iam::111122223333:user/")
    assert aws[: len(ceph)] == json.loads(in_account)
    assert [(extra["Effect"], extra["Action"]) for extra in aws[len(ceph) :]] == [
        ("Deny", ["s3:PutObject"])
    ] * 2


def test_on_aws_nothing_but_the_timestamp_may_be_overwritten() -> None:
    once, swapped = read("aws-bucket-policy.json")["Statement"][-2:]

    def covers(statement: Any, key: str) -> bool:
        return any(fnmatchcase(f"arn:aws:s3:::{BUCKET}/{key}", pattern) for pattern in statement["Resource"])

    for key in (
        *("metadata/1.root.json", "metadata/7.urls.full.json", "metadata/7.urls.full.json.zst"),
        *("metadata/8.snapshot.json", "metadata/8.snapshot.json.zst", "wraps/00ff"),
        f"targets/urls.full/{'0' * 64}.1-1-0-1.run",
    ):
        assert covers(once, key)
        assert not covers(swapped, key)
    assert covers(swapped, HEAD)
    assert not covers(once, HEAD)
