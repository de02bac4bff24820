"""AWS KMS as moto implements it: it speaks the protocol, encrypts for real, and knows no access rights.

What it checks is what the product relies on: the key, the ciphertext, the context. Whether an identity may
decrypt at all is AWS's own business and not tested here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3  # noqa: TID251 - keys are made by an administrator's hand, not by the product
import pytest

from tests.servers.process import accepts, find, free_ports, running
from tests.servers.s3 import Identity, environment

_REGION = "us-east-1"
_SOMEBODY = Identity("somebody", "somebody-secret")


@dataclass(frozen=True)
class KmsServer:
    """A KMS at ``endpoint``."""

    endpoint: str

    def client(self) -> Any:
        """A raw boto3 client, to make keys and to look at them."""
        return boto3.session.Session().client("kms", endpoint_url=self.endpoint, region_name=_REGION)

    def address(self, key: str, path: str = "keys/vault.kms") -> str:
        """The address of a vault key under this server's ``key``."""
        endpoint = quote(self.endpoint, safe="")
        return f"awskms:{path}?key={quote(key, safe='')}&region={_REGION}&endpoint={endpoint}"


@pytest.fixture(scope="session")
def kms_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KmsServer]:
    """moto's server."""
    program = find("moto_server", "moto of the dev group", Path(sys.executable).parent)
    folder = tmp_path_factory.mktemp("kms")
    (port,) = free_ports(1)
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    with running(command, folder / "log", lambda: accepts(port), cwd=folder):
        yield KmsServer(f"http://127.0.0.1:{port}")


@pytest.fixture
def kms(kms_server: KmsServer) -> Iterator[KmsServer]:
    """The same, with an identity in the environment."""
    with environment(_SOMEBODY):
        yield kms_server
