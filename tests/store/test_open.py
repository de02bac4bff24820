"""From an address to a store, or to an error that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.process import free_ports
from tests.servers.s3 import Identity, S3Server, environment
from vallum.errors import ConfigError, FetchError
from vallum_publisher.store import RUN, open_store
from vallum_publisher.store.s3 import Patience, S3Store

HURRIED = Patience(attempts=2, first_pause=0.01, longest_pause=0.01, connect_timeout=1, read_timeout=2)


def test_a_path_and_a_file_address_name_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a store"
    open_store(str(folder)).create("targets/1.run", b"run", RUN)
    again = open_store(f"file://{tmp_path}/a%20store").get("targets/1.run")
    assert again is not None
    assert again.data == b"run"


def test_a_relative_path_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("store")
    monkeypatch.chdir("/")
    store.create("targets/1.run", b"run", RUN)
    assert (tmp_path / "store/targets/1.run").exists()


def test_an_s3_address_names_bucket_prefix_endpoint_and_region(seaweedfs: S3Server) -> None:
    seaweedfs.make_bucket("addressed")
    with environment(seaweedfs.admin):
        open_store(seaweedfs.uri("addressed", "some/where/")).create("targets/1.run", b"run", RUN)
    assert [found.key for found in seaweedfs.store("addressed").list()] == ["some/where/targets/1.run"]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "no store can be opened"),
        ("https://lists.example/", "no store can be opened at 'https'"),
        ("file://host/store", "a file address names one absolute path"),
        ("file:///store?region=x", "a file address names one absolute path"),
        ("s3:///prefix", "names one bucket and no credentials"),
        ("s3://key:secret@bucket/prefix", "names one bucket and no credentials"),
        ("s3://bucket/a/../b", "not a key"),
        ("s3://bucket/?zone=1", "no parameter 'zone'"),
        ("s3://bucket/?endpoint", "not the address of a store"),
        ("s3://bucket/?endpoint=localhost:8333", "not an endpoint"),
        ("s3://bucket/?endpoint=https:///", "not an endpoint"),
        ("s3://[/", "not the address of a store"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_with_a_hint(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as raised:
        open_store(uri)
    assert "secret" not in str(raised.value)
    assert raised.value.hint or message == "not a key"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_does_not_answer_is_an_error_with_a_hint() -> None:
    (port,) = free_ports(1)
    with environment(Identity("key", "value")):
        store = S3Store("bucket", endpoint=f"http://127.0.0.1:{port}", region="x", patience=HURRIED)
    with pytest.raises(
        FetchError, match=r"cannot read s3://bucket/metadata/1.root.json: .*2 attempts"
    ) as raised:
        store.get("metadata/1.root.json")
    assert "endpoint" in raised.value.hint
    with pytest.raises(FetchError, match=r"cannot (write|read)"):
        store.create("targets/1.run", b"run", RUN)


def test_missing_credentials_are_an_error_with_a_hint() -> None:
    with environment(Identity("", "")):
        store = S3Store("bucket", endpoint="http://127.0.0.1:1", region="x", patience=HURRIED)
        with pytest.raises(ConfigError) as raised:
            store.get("metadata/1.root.json")
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_wrong_credentials_are_an_error_with_a_hint(s3_server: S3Server) -> None:
    for identity in (Identity("nobody", "knows"), Identity(s3_server.admin.access_key, "wrong")):
        store = s3_server.store("contract", as_=identity, patience=HURRIED)
        with pytest.raises(ConfigError, match="cannot read s3://contract/") as raised:
            store.get("metadata/1.root.json")
        assert "AWS_" in raised.value.hint
        assert "wrong" not in str(raised.value)


def test_a_missing_bucket_is_an_error_with_a_hint(radosgw: S3Server) -> None:
    # SeaweedFS makes the bucket for whoever may; others are denied access.
    store = radosgw.store("no-such-bucket", patience=HURRIED)
    with pytest.raises(ConfigError, match="NoSuchBucket") as raised:
        store.create("targets/1.run", b"run", RUN)
    assert "create the bucket" in raised.value.hint
