"""What the tests know of a running S3 server: where it is, who may do what, and a bucket of one's own."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import boto3  # noqa: TID251 - buckets and policies are made by an administrator's hand, not by the store
import botocore.loaders  # noqa: TID251 - as above
from botocore.config import Config  # noqa: TID251 - as above

from vallum_publisher.store.s3 import Patience, S3Store

_REGION = "us-east-1"

# A client takes a quarter of a second to read boto3's description of S3 each time, and tests make hundreds.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)


@dataclass(frozen=True)
class Identity:
    """Somebody's access key."""

    access_key: str
    secret_key: str


@dataclass(frozen=True)
class S3Server:
    """A server at ``endpoint`` with an identity that may do everything."""

    name: str
    endpoint: str
    admin: Identity

    def client(self, as_: Identity | None = None) -> Any:
        """A raw boto3 client of the administrator, unless somebody else is named."""
        identity = as_ or self.admin
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=_REGION,
            aws_access_key_id=identity.access_key,
            aws_secret_access_key=identity.secret_key,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def make_bucket(self, bucket: str) -> None:
        """Create a bucket; one of that name already there is as good."""
        client = self.client()
        try:
            if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=bucket)
        finally:
            client.close()

    def uri(self, bucket: str, prefix: str = "") -> str:
        """The address for ``open_store``."""
        return f"s3://{bucket}/{prefix}?endpoint={quote(self.endpoint, safe='')}&region={_REGION}"

    def store(
        self, bucket: str, prefix: str = "", *, as_: Identity | None = None, patience: Patience | None = None
    ) -> S3Store:
        """A store of the product, opened as the administrator unless somebody else is named."""
        with environment(as_ or self.admin):
            slashed = f"{prefix}/" if prefix else ""
            return S3Store(bucket, slashed, endpoint=self.endpoint, region=_REGION, patience=patience)


@contextmanager
def environment(identity: Identity) -> Iterator[None]:
    """The usual AWS environment of ``identity``, and none of whoever runs the tests."""
    wanted = {
        "AWS_ACCESS_KEY_ID": identity.access_key,
        "AWS_SECRET_ACCESS_KEY": identity.secret_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in before:
        del os.environ[name]
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            os.environ.pop(name, None)
        os.environ.update(before)
