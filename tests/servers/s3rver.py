"""s3rver: a small S3 server from npm that takes conditional writes and ignores the condition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import accepts, find, free_ports, running
from tests.servers.s3 import Identity, S3Server


@pytest.fixture(scope="session")
def s3rver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The store that must be refused."""
    program = find("s3rver", "npm's s3rver")
    folder = tmp_path_factory.mktemp("s3rver")
    (port,) = free_ports(1)
    command: list[str | Path] = [
        program,
        "--directory",
        folder,
        "--address",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with running(command, folder.with_suffix(".log"), lambda: accepts(port)):
        yield S3Server("s3rver", f"http://127.0.0.1:{port}", Identity("S3RVER", "S3RVER"))
