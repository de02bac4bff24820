"""State folders of other kinds: read-only, of a newer or an older release; and a status that sees damage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.scenes import PAGES, Scene, change
from vallum.doctor import BAD, examine
from vallum.errors import FormatError, StateError
from vallum.match.lists import open_lists
from vallum.state import NewerStateError
from vallum.sync import levers
from vallum.sync.standing import read_standing

RELEASE = Path(__file__).with_name("state-0.1")
"""A state folder as release 0.1 wrote it, without python-tuf's cache; its one list has two pages."""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = change(tmp_path / "client")
    made.client.synced()
    return made


_READ_ONLY = """
import sys
from pathlib import Path
from vallum.config import load_config
from vallum.doctor import examine
from vallum.errors import StorageError
from vallum.match.lists import open_lists
from vallum.sync.updater import Updater
from datetime import datetime, UTC
config = load_config(Path(sys.argv[1]))
with open_lists(config.state) as lists:
    print(len(lists.match_url("http://bad5.example/page")))
try:
    report = Updater(config).sync()
    [error] = [error for _, error in report.errors()]
except StorageError as raised:
    error = raised
print(type(error).__name__, error.hint)
print({finding.check for finding in examine(config, datetime.now(UTC)) if finding.level != "good"})
"""


def test_a_read_only_folder(scene: Scene, tmp_path: Path) -> None:
    """Mounted read-only: it is enough to match; a sync says so, and what is in force stays."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed: nothing can be mounted read-only")
    scene.client.repository.write_to(tmp_path / "store")
    config = tmp_path / "vallum.toml"
    config.write_text(
        'state = "client/state"\n[[source]]\nname = "hotline"\nurl = "store"\n'
        'root = "client/hotline.root.json"\nlists = ["urls"]\n'
    )
    files = scene.client.files()
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$1" -c "$2" "$3"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount,
         scene.client.state, sys.executable, _READ_ONLY, config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 and ("not permitted" in done.stderr or "permission denied" in done.stderr):
        pytest.skip("this machine allows no user namespaces: nothing can be mounted read-only")
    matched, error, found = done.stdout.splitlines()
    assert matched == "1", done.stderr
    assert error == "StorageError the file system is mounted read-only"
    assert "permissions" in found
    assert scene.client.files() == files


def test_a_folder_of_a_newer_release(scene: Scene) -> None:
    """After a step back to an older release: refused clearly, by every command, and nothing is touched."""
    path = scene.client.state / "current.json"
    path.write_text(json.dumps({"format": 2, "sources": {"of": "another shape"}}))
    before = {name: (scene.client.state / name).read_bytes() for name in scene.client.files()}
    until = scene.now.replace(year=scene.now.year + 1)
    for use in (
        scene.view,
        scene.next_sync,
        lambda: levers.pin(scene.client.config, "urls", "1", until, "back", scene.now),
    ):
        with pytest.raises(NewerStateError, match="newer one wrote") as raised:
            use()
        assert "upgrade" in raised.value.hint
    levels = {one.check: one.level for one in examine(scene.client.config, scene.now, scene.client.connect)}
    assert levels["lists"] == BAD
    assert {name: (scene.client.state / name).read_bytes() for name in scene.client.files()} == before


def test_a_folder_of_an_older_release(tmp_path: Path) -> None:
    """Whatever later releases write: what 0.1 wrote opens, with its look-ups right."""
    folder = tmp_path / "state"
    shutil.copytree(RELEASE, folder)
    with open_lists(folder) as lists:
        [match] = lists.match_url("http://bad.example/page")
        assert (match.source, match.list, match.version) == ("hotline", "urls", 2)
        assert not lists.match_url("http://good.example/page")


def test_a_folder_without_what_later_releases_added(scene: Scene) -> None:
    """Fields that came after the first release may be missing."""
    path = scene.client.state / "current.json"
    current = json.loads(path.read_text())
    del current["sha256"]
    for source in current["sources"].values():
        for name in ("failed_days", "failed_on", "failed_up", "lifted"):
            del source[name]
        for stream in source["streams"].values():
            del stream["window"]
    path.write_text(json.dumps(current))
    with open_lists(scene.client.state) as lists:
        assert lists.match_url(f"http://{PAGES[5]}")
    assert scene.next_sync() == []


def test_the_status_sees_a_bit_that_turned(scene: Scene) -> None:
    """A damaged table is never called fresh: `status`, `doctor` and readers hash it."""
    files = scene.client.held().files("hotline", "urls.full")
    path = scene.client.state / files["exact"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StateError, match="not the table that was signed"):
        read_standing(scene.client.config, scene.now)
    found = examine(scene.client.config, scene.now, scene.client.connect)
    assert any(one.check == "lists" and one.level == BAD for one in found)
    with pytest.raises((StateError, FormatError)):
        scene.view()
