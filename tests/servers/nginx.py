"""nginx with a configuration of `deploy/nginx`, on free ports."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.process import accepts, find, free_ports, running

MIRROR = Path(__file__).parents[2] / "deploy/nginx/mirror.conf"

_FRAME = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""

StartNginx = Callable[[Path, Mapping[str, str]], None]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """Starts nginx with a site's configuration, in which each given text is replaced by another.

    The text that is replaced must occur, so that a change of the configuration cannot silently go untested.
    ``listen 127.0.0.1:PORT`` lines that result are waited for.
    """
    with ExitStack() as stack:

        def start(site: Path, replacements: Mapping[str, str]) -> None:
            program = find("nginx", "Debian's nginx-light")
            folder = tmp_path / f"nginx-{site.stem}"
            folder.mkdir()
            text = site.read_text()
            for old, new in replacements.items():
                assert old in text, f"{site} does not say {old!r}"
                text = text.replace(old, new)
            (folder / "site.conf").write_text(text)
            user = "user root;\n" if os.geteuid() == 0 else ""  # the tests' folders are closed to others
            (folder / "nginx.conf").write_text(user + _FRAME.format(folder=folder))
            ports = [int(part.split(";")[0].split()[0]) for part in text.split("listen 127.0.0.1:")[1:]]
            command: list[str | Path] = [program, "-p", folder, "-c", folder / "nginx.conf"]
            stack.enter_context(running(command, folder / "out", lambda: all(map(accepts, ports))))

        yield start


def start_origin_and_mirror(start: StartNginx, folder: Path, mirrored: int | None = None) -> tuple[int, int]:
    """Starts both servers of the mirror's file over ``folder/store``; returns their ports.

    The mirror is one of the origin, or of what listens at the port ``mirrored``.
    """
    origin, mirror = free_ports(2)
    replacements = {
        "listen 127.0.0.1:8080": f"listen 127.0.0.1:{origin}",
        "listen 127.0.0.1:8081": f"listen 127.0.0.1:{mirror}",
        "proxy_pass http://127.0.0.1:8080": f"proxy_pass http://127.0.0.1:{mirrored or origin}",
        "/srv/vallum/store": str(folder / "store"),
        "/var/cache/nginx/vallum": str(folder / "cache"),
    }
    start(MIRROR, replacements)
    return origin, mirror
