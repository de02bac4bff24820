"""Copies of private keys that a killed command, or a hand, leaves: whoever takes a key away leaves them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, URLS, Founded, publisher
from vallum_publisher.keys import copies
from vallum_publisher.release.absence import stray_keys
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.workspace import Settings, Workspace, open_workspace

KILLED_AFTER_LINK = """
import os, sys
from pathlib import Path
from vallum_publisher.keys import make_key

link = os.link

def killed(source, target, **named):
    link(source, target, **named)
    os.kill(os.getpid(), 9)

os.link = killed
make_key(Path(sys.argv[1]))
"""


def _kill_in_making(path: Path) -> Path:
    """Let a process be killed between the two names of a new key file; the first one is returned."""
    done = subprocess.run([sys.executable, "-c", KILLED_AFTER_LINK, path], check=False)
    assert done.returncode == -9
    (left,) = path.parent.glob(f".{path.name}.*")
    assert left.samefile(path)
    return left


def test_init_again_leaves_no_second_name_of_a_root_key(tmp_path: Path) -> None:
    """`kill -9` in `init`; then root keys go to a stick, as init tells, and the dot file stays."""
    left = _kill_in_making(tmp_path / "publisher/keys/root-1.pem")
    settings = Settings("Example Hotline")
    init_workspace(
        tmp_path / "publisher", settings, now=NOW, store=MemoryStore(), root_keys=1, root_threshold=1
    )
    assert not left.exists()
    assert sorted(path.name for path in (tmp_path / "publisher/keys").iterdir()) == [
        *("online.pem", "root-1.pem", "signers.toml"),
    ]


def test_any_command_that_writes_sweeps_the_folder(founded: Founded, tmp_path: Path) -> None:
    workspace, store = founded.copy(tmp_path / "publisher")
    with publisher(workspace, store) as scene:
        scene.create_list(URLS, now=NOW)
    left = [_kill_in_making(workspace.folder / "keys/urls.full-9.pem")]
    for name in (".signed.json", "keys/.signers.toml", "roots/.1.json"):
        path = workspace.folder / f"{name}.0123456789abcdef"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
        left.append(path)
    mine = workspace.folder / "keys/.mine.pem"
    mine.write_bytes(b"somebody's own")
    with publisher(workspace, store) as scene:
        scene.refresh(now=NOW)
    assert not any(path.exists() for path in left)
    assert mine.exists()


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_copy_of_a_key_that_was_taken_away_is_named(founded: Founded, tmp_path: Path, mode: int) -> None:
    workspace, store = founded.copy(tmp_path / "publisher")
    keys = workspace.folder / "keys"
    copy = keys / ".root-1.pem.old"
    shutil.copy(keys / "root-1.pem", copy)
    copy.chmod(mode)
    (keys / "root-1.pem").rename(tmp_path / "root-1.pem")
    with publisher(workspace, store) as scene:
        (warning,) = scene.status(now=NOW).warnings
    assert str(copy) in warning
    assert "root" in warning
    copy.unlink()
    assert list(stray_keys(workspace)) == []


def test_what_is_no_copy_is_not_named(founded: Founded, tmp_path: Path) -> None:
    workspace: Workspace
    workspace, _ = founded.copy(tmp_path / "publisher")
    keys = workspace.folder / "keys"
    (keys / "notes.txt").write_text("-----BEGIN")
    (keys / "link.pem").symlink_to("root-1.pem")
    (keys / "folder").mkdir()
    entries = [(entry.uri, entry.key) for entry in open_workspace(workspace.folder).signers()]
    assert list(copies(workspace.folder, entries)) == []
