"""Ceph's RADOS gateway over a cluster of one monitor and one object server, which keeps all in memory."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.process import accepts, find, free_ports, running
from tests.servers.s3 import Identity, S3Server

_PACKAGES = "Debian's radosgw, ceph-mon, ceph-osd and ceph-common"
_ADMIN = Identity("admin", "admin-secret")
# The users whom the bucket policy of deploy/object-storage names.
CEPH_USERS = {
    "vallum-publisher": Identity("publisher", "publisher-secret"),
    "vallum-collector": Identity("collector", "collector-secret"),
}

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
run dir = {folder}
pid file =
admin socket =
log file = {folder}/$type.log
keyring = {folder}/keyring
[mon]
mon data = {folder}/mon
mon initial members = a
[mon.a]
host = localhost
mon addr = v1:127.0.0.1:{mon_port}
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd heartbeat grace = 60
# The place in the crush map is given by hand below; asked for by the server itself it sometimes comes too
# early, before the server knows the cluster's name, and ends it.
osd crush update on start = false
osd class update on start = false
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
"""


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A gateway that knows its administrator and the users of `deploy/object-storage`."""
    programs = {name: find(name, _PACKAGES) for name in ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin")}
    ceph, monmaptool = find("ceph", _PACKAGES), find("monmaptool", _PACKAGES)
    folder = tmp_path_factory.mktemp("radosgw")
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    (folder / "keyring").touch()
    mon_port, port = free_ports(2)
    fsid = str(uuid.uuid4())
    configuration = folder / "ceph.conf"
    configuration.write_text(_CONFIGURATION.format(fsid=fsid, folder=folder, mon_port=mon_port, port=port))

    def tell(*command: str | Path) -> str:
        answer = subprocess.run(
            command,
            env={**os.environ, "CEPH_CONF": str(configuration)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, f"{command}: {answer.stderr[-2000:]}"
        return answer.stdout.strip()

    def daemon(name: str, identity: str) -> list[str | Path]:
        return [programs[name], "-f", "-c", configuration, *(["-i", identity] if identity else [])]

    with ExitStack() as stack:
        monmap = folder / "monmap"
        tell(monmaptool, "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{mon_port}]", monmap)
        tell(programs["ceph-mon"], "-c", configuration, "--mkfs", "-i", "a", "--monmap", monmap)
        stack.enter_context(running(daemon("ceph-mon", "a"), folder / "mon.out", lambda: accepts(mon_port)))
        osd_uuid = str(uuid.uuid4())
        osd = tell(ceph, "osd", "new", osd_uuid)
        tell(ceph, "osd", "crush", "add", f"osd.{osd}", "1", "root=default", "host=localhost")
        tell(programs["ceph-osd"], "-c", configuration, "-i", osd, "--mkfs", "--osd-uuid", osd_uuid)

        def osd_is_up() -> bool:
            return "1 up" in tell(ceph, "osd", "stat")

        stack.enter_context(running(daemon("ceph-osd", osd), folder / "osd.out", osd_is_up))
        gateway = [*daemon("radosgw", ""), "-n", "client.rgw"]
        stack.enter_context(running(gateway, folder / "rgw.out", lambda: accepts(port)))
        for user, identity in {"admin": _ADMIN, **CEPH_USERS}.items():
            key, secret = f"--access-key={identity.access_key}", f"--secret-key={identity.secret_key}"
            create = ["user", "create", f"--uid={user}", f"--display-name={user}", key, secret]
            tell(programs["radosgw-admin"], *create)
        yield S3Server("Ceph radosgw", f"http://127.0.0.1:{port}", _ADMIN)
