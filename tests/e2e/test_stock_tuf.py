"""Without our code: a stock python-tuf ``Updater`` refreshes the repository and fetches head and run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater

from vallum_publisher.catalog import ListSpec, Mode, Record
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address, and its folder."""
    now = datetime.now(UTC)  # noqa: TID251 - python-tuf judges expiry by the real clock
    folder = tmp_path_factory.mktemp("publisher")
    workspace = init_workspace(folder / "p", Settings("Example Hotline"), now=now)
    with workspace.open_catalog() as catalog:
        publisher = Publisher(workspace, catalog=catalog, store=workspace.open_store())
        publisher.create_list(ListSpec("urls", "url", public=True), now=now)
        for version in range(3):
            entry = Record(1, f"bad{version}.example/page")
            catalog.apply("urls", [entry], mode=Mode.ADD, actor="test", now=now)
            publisher.publish("urls", now=now)
    store = folder / "p" / "store"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(store)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", store
    server.shutdown()
    server.server_close()
    thread.join()


def _updater(repository: tuple[str, Path], tmp_path: Path) -> Updater:
    address, store = repository
    (tmp_path / "targets").mkdir()
    return Updater(
        str(tmp_path / "metadata"),
        f"{address}/metadata/",
        str(tmp_path / "targets"),
        f"{address}/targets/",
        bootstrap=(store / "metadata" / "1.root.json").read_bytes(),
    )


def test_refresh_head_and_run(repository: tuple[str, Path], tmp_path: Path) -> None:
    updater = _updater(repository, tmp_path)
    updater.refresh()
    charter = updater.get_targetinfo("charters/urls")
    head = updater.get_targetinfo("urls.full/head")
    assert charter is not None
    assert head is not None
    assert charter.custom["vallum"]["kind"] == "url"
    said = head.custom["vallum"]
    assert (said["generation"], said["version"]) == (1, 3)
    for start, end, epoch in said["runs"]:
        run = updater.get_targetinfo(f"urls.full/1-{epoch}-{start}-{end}.run")
        assert run is not None
        data = Path(updater.download_target(run)).read_bytes()
        assert data.startswith(b"V")
        assert hashlib.sha256(data).hexdigest() == run.hashes["sha256"]
    assert updater.get_targetinfo("urls.match/head") is None


def test_a_run_that_was_altered_on_the_way_is_refused(repository: tuple[str, Path], tmp_path: Path) -> None:
    _, store = repository
    updater = _updater(repository, tmp_path)
    updater.refresh()
    head = updater.get_targetinfo("urls.full/head")
    assert head is not None
    start, end, epoch = head.custom["vallum"]["runs"][0]
    run = updater.get_targetinfo(f"urls.full/1-{epoch}-{start}-{end}.run")
    assert run is not None
    path = store / "targets" / "urls.full" / f"{run.hashes['sha256']}.1-{epoch}-{start}-{end}.run"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    try:
        with pytest.raises((RepositoryError, DownloadError)):
            updater.download_target(run)
    finally:
        path.write_bytes(content)
