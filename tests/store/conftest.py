"""The backends over which the contract is run, each with a place of its own for every test."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.servers.s3 import S3Server
from vallum_publisher.store import ObjectStore
from vallum_publisher.store.directory import DirectoryStore

_BUCKET = "contract"


@pytest.fixture(params=["memory", "directory", "seaweedfs", "radosgw"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ObjectStore]:
    """Opens the same place anew at each call, as another process or machine would."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    if request.param == "directory":
        return lambda: DirectoryStore(tmp_path / "store")
    server: S3Server = request.getfixturevalue(request.param)
    server.make_bucket(_BUCKET)
    prefix = uuid.uuid4().hex
    return lambda: server.store(_BUCKET, prefix)


@pytest.fixture
def store(connect: Callable[[], ObjectStore]) -> ObjectStore:
    """One store of each backend."""
    return connect()


@pytest.fixture(params=["seaweedfs", "radosgw"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each real S3 server, with the bucket ``contract`` in it."""
    server: S3Server = request.getfixturevalue(request.param)
    server.make_bucket(_BUCKET)
    return server
