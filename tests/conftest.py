"""Fixtures that tests of every folder may ask for."""

from __future__ import annotations

from tests.servers.radosgw import radosgw
from tests.servers.seaweedfs import seaweedfs

__all__ = ["radosgw", "seaweedfs"]
