"""A durable write: whole or not at all, whatever happens in between."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vallum.durable import held_folder, make_folder, write_durable
from vallum.errors import StorageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "current.json"
    assert write_durable(path, [b"one", bytearray(b" and "), memoryview(b"two")], mode=0o600)
    assert path.read_bytes() == b"one and two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write_durable(path, [b"three"])
    assert path.read_bytes() == b"three"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(tmp_path) == ["current.json"]


def test_exclusive_leaves_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "1.run"
    assert write_durable(path, [b"first"], exclusive=True)
    assert not write_durable(path, [b"second"], exclusive=True)
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["1.run"]


def test_the_scratch_folder_is_used_and_left_empty(tmp_path: Path) -> None:
    scratch, target = tmp_path / "scratch", tmp_path / "target"
    scratch.mkdir()
    target.mkdir()
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        seen.append([*names(scratch), *names(target)])
        yield b"x"

    write_durable(target / "file", chunks(), scratch=scratch)
    assert len(seen[0]) == 1
    assert seen[0][0].startswith(".file.")
    assert (names(scratch), names(target)) == ([], ["file"])


def test_a_failing_source_leaves_nothing_and_its_error_passes(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_durable(tmp_path / "file", chunks())
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_missing_folder_is_an_error_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/no/file: No such file"):
        write_durable(tmp_path / "no" / "file", [b"x"])


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", mode=0o700)
    make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot create the folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC])
@pytest.mark.parametrize("which", ["the folder above", "the folder itself"])
def test_a_folder_that_cannot_be_held_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, number: int
) -> None:
    """No descriptor is to be had: that is said at once, since another try would make another folder."""
    system, refused = os.open, list[Path]()

    def open_few(path: Path, *rest: Any, **more: Any) -> int:
        if path == tmp_path if which == "the folder above" else Path(path).parent == tmp_path:
            refused.append(path)
            raise OSError(number, os.strerror(number))
        return system(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_few)
        with pytest.raises(StorageError, match=os.strerror(number)), held_folder(tmp_path / "scratch"):
            pass
    assert len(refused) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("which", ["the folder above", "the folder itself"])
def test_a_folder_that_was_swept_before_it_was_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    system, swept = os.open, list[Path]()

    def open_late(path: Path, *rest: Any, **more: Any) -> int:
        made = list(tmp_path.iterdir())
        if made and not swept and (path == tmp_path) is (which == "the folder above"):
            swept.extend(made)
            made[0].rmdir()
        return system(path, *rest, **more)

    monkeypatch.setattr(os, "open", open_late)
    with held_folder(tmp_path / "scratch") as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert len(swept) == 1
    assert swept != [folder]
    assert names(tmp_path) == []


def test_a_folder_in_no_folder_is_said_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Not a directory"), held_folder(tmp_path / "file" / "scratch"):
        pass


FULL_DISK = """
import os, sys
from pathlib import Path
from vallum.durable import write_durable
from vallum.errors import StorageError
folder = Path(sys.argv[1])
write_durable(folder / "file", [b"old"])
try:
    write_durable(folder / "file", [b"x" * 10_000] * 50)
except StorageError as error:
    print(error, "|", error.hint, "|", (folder / "file").read_text(), "|", os.listdir(folder))
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed: no small file system to fill")
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$1" -c "$2" "$0"'
    answer = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, tmp_path, sys.executable, FULL_DISK],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0 and "Operation not permitted" in answer.stderr:
        pytest.skip("this machine allows no user namespaces: no small file system to fill")
    message, hint, content, listing = answer.stdout.split(" | ")
    assert message == f"cannot write {tmp_path}/file: No space left on device"
    assert "free some space" in hint
    assert content == "old"
    assert listing.strip() == "['file']"


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from vallum.durable import write_durable
path, scratch = Path(sys.argv[1]), Path(sys.argv[2])
turn = 0
while True:
    turn += 1
    write_durable(path, [b"%08d" % turn] * 1000, scratch=scratch)
    if turn == 3:
        print("ready", flush=True)
"""


def test_kill_9_leaves_one_whole_version(tmp_path: Path) -> None:
    path, scratch = tmp_path / "file", tmp_path / "scratch"
    scratch.mkdir()
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, path, scratch], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        data = path.read_bytes()
        assert data == data[:8] * 1000
    assert names(tmp_path) == ["file", "scratch"]
