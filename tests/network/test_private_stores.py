"""Ways to a store that is not for everybody: real servers that let in those alone who show what they should.

nginx with TLS by an authority of its own, squid as the company's proxy, SeaweedFS as a private bucket.
"""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.servers.certificates import make_certificates
from tests.servers.nginx import StartNginx
from tests.servers.process import accepts, find, free_ports, running
from tests.servers.s3 import S3Server
from tests.servers.squid import PASSWORD, USER, squid
from vallum.config import Source
from vallum.errors import FetchError
from vallum.sync.fetch import AbsentError
from vallum.sync.transport import open_transport

TOKEN = "0123456789abcdef"  # noqa: S105 - of this test's own server
SAS = "sv=2026-01-01&sr=c&sp=r&sig=abc%2Bdef%3D"
_SITE = """\
server {
    listen 127.0.0.1:PORT ssl;
    ssl_certificate FOLDER/server.pem;
    ssl_certificate_key FOLDER/server.key;
    root FOLDER;
    location /basic/ { auth_basic "lists"; auth_basic_user_file FOLDER/passwords; alias FOLDER/store/; }
    location /bearer/ { if ($http_authorization != "Bearer TOKEN") { return 401; } alias FOLDER/store/; }
    location /sas/ { if ($args != "SAS") { return 403; } alias FOLDER/store/; }
    location /open/ { alias FOLDER/store/; }
}
"""


class Site:
    """nginx with the repository below several paths, and a client for each."""

    def __init__(self, repository: Repository, folder: Path, port: int, ca: Path) -> None:
        self._repository, self._folder = repository, folder
        self.url, self.ca = f"https://127.0.0.1:{port}", ca

    def publish(self) -> None:
        self._repository.write_to(self._folder / "store")

    def client(self, name: str, **changes: Any) -> Client:
        made = Client(self._repository, self._folder / f"client-{name}")
        [source] = made.config.sources
        changed: Source = replace(source, **{"url": f"{self.url}/{name}", "ca": self.ca, **changes})
        made.config = replace(made.config, sources=(changed,))
        made.connect = open_transport
        return made


@pytest.fixture
def site(repository: Repository, start_nginx: StartNginx, tmp_path: Path) -> Site:
    ca, _, _ = make_certificates(tmp_path)
    [port] = free_ports(1)
    (tmp_path / "passwords").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    text = _SITE.replace("PORT", str(port)).replace("FOLDER", str(tmp_path))
    (tmp_path / "private.conf").write_text(text.replace("TOKEN", TOKEN).replace("SAS", SAS))
    made = Site(repository, tmp_path, port, ca)
    made.publish()
    start_nginx(tmp_path / "private.conf", {})
    return made


def _basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], type[FetchError]]] = {
    "basic": ({"headers": _basic(PASSWORD)}, {"headers": _basic("guessed")}, FetchError),
    "bearer": ({"headers": _bearer(TOKEN)}, {"headers": _bearer("guessed")}, FetchError),
    "sas": ({"query": SAS}, {"query": SAS.replace("abc", "abd")}, AbsentError),
}
"""How to get in, how not, and what is said then."""


@pytest.mark.parametrize("way", WAYS)
def test_who_shows_what_he_should(repository: Repository, site: Site, way: str) -> None:
    """Basic auth, a bearer's token, the signature of a container: a sync goes through, and a change."""
    good, _, _ = WAYS[way]
    client = site.client(way, **good)
    assert client.synced().after == 1
    repository.release("urls", listed("new.example/page"))
    site.publish()
    assert client.synced().after == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shown", ["nothing", "wrong"])
def test_who_does_not(site: Site, way: str, shown: str) -> None:
    """Refused, with nothing in force, and without a word of the secret that was tried."""
    _, wrong, kind = WAYS[way]
    client = site.client(way, **(wrong if shown == "wrong" else {}))
    error = client.refused(kind)
    assert client.in_force() == {}
    for secret in ("guessed", "Bearer", "sig=", _basic("guessed")["Authorization"]):
        assert secret not in str(error) + error.hint + repr(client.config)


def test_credentials_that_end(repository: Repository, site: Site) -> None:
    """The token is taken away: the last good list stays, and a new token goes on from there."""
    good, wrong, kind = WAYS["bearer"]
    client = site.client("bearer", **good)
    client.synced()
    repository.release("urls", listed("new.example/page"))
    site.publish()
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, headers=wrong["headers"]),))
    client.refused(kind)
    client.config = replace(client.config, sources=(source,))
    assert client.synced().after == 2


def test_an_authority_of_its_own(site: Site) -> None:
    """Its file in `ca` is what makes the connection; without it nobody is talked to."""
    assert site.client("open").synced().after == 1
    client = site.client("open", ca=None)
    client.config = replace(client.config, state=client.state.with_name("other"))
    error = client.refused(FetchError)
    assert "TLS failed" in str(error)
    assert "`ca`" in error.hint


@pytest.mark.parametrize("where", ["configuration", "environment"])
def test_through_the_companys_proxy(site: Site, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """squid tunnels to the store, once it has been shown user and password; TLS is ours to the end."""
    with squid() as proxy:
        address = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}"
        if where == "environment":
            monkeypatch.setenv("HTTPS_PROXY", address)
            monkeypatch.setenv("NO_PROXY", "localhost")
            client = site.client("open")
        else:
            client = site.client("open", proxy=address)
        assert client.synced().after == 1
        assert set(proxy.tunnels()) == {site.url.removeprefix("https://")}
        stranger = site.client("open", proxy=address.replace(quote(PASSWORD, safe=""), "guessed"))
        stranger.config = replace(stranger.config, state=stranger.state.with_name("other"))
        error = stranger.refused(FetchError)
        assert "guessed" not in str(error) + error.hint


@pytest.fixture
def bucket(seaweedfs: S3Server, repository: Repository, tmp_path: Path) -> str:
    """A private bucket with the repository in it."""
    seaweedfs.make_bucket("private")
    repository.write_to(tmp_path / "store")
    with closing(seaweedfs.client()) as s3:
        for path in (tmp_path / "store").rglob("*"):
            if path.is_file():
                s3.upload_file(str(path), "private", path.relative_to(tmp_path / "store").as_posix())
    return "private"


def test_a_private_bucket(
    seaweedfs: S3Server, repository: Repository, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who signs as an identity may read. rclone signs on this machine, the client talks to it."""
    direct = Client(repository, tmp_path / "direct")
    [source] = direct.config.sources
    at = replace(source, url=f"{seaweedfs.endpoint}/{bucket}", proxy="none")
    direct.config = replace(direct.config, sources=(at,))
    direct.connect = open_transport
    direct.refused(AbsentError)
    [port] = free_ports(1)
    remote = (
        f":s3,provider=SeaweedFS,endpoint='{seaweedfs.endpoint}',env_auth=true,force_path_style=true:{bucket}"
    )
    command: list[str | Path] = [
        find("rclone", "Debian's rclone"), "serve", "http", "--read-only", "--dir-cache-time", "1s",
        "--vfs-cache-mode", "off", "--addr", f"127.0.0.1:{port}", remote,
    ]  # fmt: skip
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)  # rclone has authorities of its own
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.admin.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.admin.secret_key)
    with running(command, tmp_path / "rclone.log", lambda: accepts(port), cwd=tmp_path):
        direct.config = replace(direct.config, sources=(replace(at, url=f"http://127.0.0.1:{port}"),))
        assert direct.synced().after == 1
