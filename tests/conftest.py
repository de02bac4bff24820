"""Fixtures that tests of every folder may ask for."""

from __future__ import annotations

from tests.servers.nginx import start_nginx
from tests.servers.postgresql import postgresql_server, postgresql_url
from tests.servers.radosgw import radosgw
from tests.servers.s3rver import s3rver
from tests.servers.seaweedfs import seaweedfs

__all__ = ["postgresql_server", "postgresql_url", "radosgw", "s3rver", "seaweedfs", "start_nginx"]
