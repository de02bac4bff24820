"""squid, the proxy of many a company, which tunnels TLS by CONNECT."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import accepts, find, free_ports, running

_CONFIG = """\
http_port 127.0.0.1:{port}
pid_filename none
cache deny all
shutdown_lifetime 1 second
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
logfile_rotate 0
auth_param basic program {helper} {folder}/passwords
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""

USER, PASSWORD = "operator", "pass/word"
_HASH = "$apr1$saltsalt$7UA7jAXcNN246RhyxIcNM/"  # openssl passwd -apr1 -salt saltsalt pass/word


@dataclass(frozen=True)
class Squid:
    """A proxy that lets in :data:`USER` with :data:`PASSWORD` only."""

    port: int
    log: Path

    def tunnels(self) -> list[str]:
        """Hosts that were tunnelled to, in order; waits for the first: squid logs a tunnel at its end."""
        until = time.monotonic() + 10
        while True:
            lines = [line.split() for line in self.log.read_text().splitlines()]
            found = [fields[6] for fields in lines if fields[5] == "CONNECT" and fields[3].endswith("/200")]
            if found or time.monotonic() > until:
                return found
            time.sleep(0.1)


@contextmanager
def squid() -> Iterator[Squid]:
    """Run squid until the block ends."""
    program = find("squid", "Debian's squid")
    helper = find("basic_ncsa_auth", "Debian's squid", Path("/usr/lib/squid"))
    [port] = free_ports(1)
    # Not below pytest's folder: squid gives up root's rights and could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="vallum-squid-"))
    try:
        folder.chmod(0o777)
        (folder / "passwords").write_text(f"{USER}:{_HASH}\n")
        (folder / "squid.conf").write_text(_CONFIG.format(port=port, folder=folder, helper=helper))
        command: list[str | Path] = [program, "-N", "-f", folder / "squid.conf"]
        with running(command, folder / "out", lambda: accepts(port)):
            yield Squid(port, folder / "access.log")
    finally:
        shutil.rmtree(folder)
