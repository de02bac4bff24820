"""What does not belong into a state folder, or into a store that is one: pipes, devices, folders, links.

Each docstring is what lies there. No sync may wait for it with the lock held, and what can be put right is.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum import allow
from vallum.errors import FetchError, FormatError, StorageError, VallumError
from vallum.journal import read_journal, record
from vallum.lock import exclusive
from vallum.state import read_current
from vallum.sync.activate import read_held
from vallum.sync.kept import read_kept
from vallum.sync.quarantine import Quarantine
from vallum.sync.transport import open_transport
from vallum.sync.updater import Updater

DEEP = b"[" * 100_000


def within(seconds: float, act: Callable[[], object]) -> None:
    """Do something that once waited for ever; errors of ours are fine."""
    ended = threading.Event()

    def run() -> None:
        with suppress(VallumError):
            act()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    assert ended.wait(seconds), "it waits"


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def sync(client: Client) -> list[str]:
    with Updater(client.config, client.connect) as updater:
        report = updater.sync(wait_for_lock=0)
        assert report.warning is None, report.warning
        return [str(error) for _, error in report.errors()]


FILES = [
    "current.json", "hotline/floor.json", "allow.json", "hotline/trust/timestamp.json",
    "hotline/trust/root_history/1.root.json", "hotline/trust/urls.full.json",
    "*.exact", "*.state.json", "*.role.json", "hotline/quarantine/urls.full/record.json",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_place_of_a_file(repository: Repository, client: Client, name: str) -> None:
    """Nobody will ever write into it: no command waits there, and a sync holds no lock when it is over."""
    folder = client.state / "hotline/lists/urls.full" if name.startswith("*") else client.state
    path = next(iter(folder.glob(name)), folder / name)
    path.parent.mkdir(exist_ok=True, parents=True)
    pipe(path)
    repository.release("urls", listed("bad.example/c"))
    within(20, lambda: sync(client))
    within(20, lambda: read_current(client.state))
    within(20, lambda: allow.read_allowances(client.state))
    with exclusive(client.state, wait=0):
        pass
    if name != "hotline/floor.json":
        assert sync(client) == [] or name == allow.FILE
        assert client.in_force()["hotline/urls.full"][1] == 2


def test_a_pipe_in_place_of_the_journal(client: Client, repository: Repository) -> None:
    """What goes into it is gone: no act may follow."""
    pipe(client.state / "journal.jsonl")
    with pytest.raises(StorageError, match="regular"):
        record(client.state, repository.now, "pinned", {})
    with pytest.raises(StorageError, match="regular"):
        read_journal(client.state)


def test_a_pipe_in_a_folder_that_is_a_store(repository: Repository, client: Client, tmp_path: Path) -> None:
    """A mirror of the repository in a folder, in which one object is a pipe."""
    repository.write_to(tmp_path / "store")
    pipe(tmp_path / "store/metadata/timestamp.json")
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, url=(tmp_path / "store").as_uri()),))
    client.connect = open_transport
    within(20, lambda: client.sync())
    assert "regular" in str(client.refused(FetchError))


def a_folder(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    (path / "deep").mkdir(parents=True)


def a_file(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")


def a_dangling_link(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to("nowhere")


def a_link_out(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    theirs = next(folder.parent for folder in path.parents if folder.name == "state") / "theirs"
    theirs.mkdir(exist_ok=True)
    (theirs / "letter").touch()
    path.symlink_to(theirs)


LEFT = [
    ("current.json", a_folder), ("current.json", a_dangling_link),
    ("hotline/staging/old", a_folder), ("hotline/staging", a_file), ("hotline/staging", a_link_out),
    ("hotline/lists/urls.full/old", a_folder),
    ("hotline/lists/urls.full/1-9-0123456789abcdef.state.json", a_dangling_link),
    ("hotline/lists/urls.full/1-9-0123456789abcdef.state.json", a_folder),
    ("hotline/quarantine/urls.full/record.json", a_folder),
    ("hotline/quarantine/urls.full/role.json", a_folder),
    ("hotline/quarantine/urls.full", a_file), ("hotline/quarantine/urls.full", a_link_out),
    ("hotline/trust/snapshot.json", a_folder), ("hotline/trust", a_dangling_link), ("hotline/trust", a_file),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lay"), LEFT)
def test_what_lies_there_is_put_right(
    repository: Repository, client: Client, name: str, lay: Callable[[Path], None]
) -> None:
    """A folder, a file, a link where another thing should be: the next sync goes through, and tidies up."""
    path = client.state / name
    many = [f"bad{number}.example/" for number in range(400)]
    repository.release("urls", listed(*many))
    client.synced()
    lay(path)
    repository.release("urls", listed(*many, "new.example/"))
    assert sync(client) == []
    assert client.in_force()["hotline/urls.full"][1] == 3
    assert not path.is_symlink()
    assert not path.exists() or "trust" in name or path.name in ("staging", "current.json")
    lay(path)
    repository.release("urls", listed(*many[:40]))
    [error] = sync(client)
    assert "quarantine" in error
    assert Quarantine(client.state, "hotline").find("urls.full") is not None
    if lay is a_link_out:
        assert (client.state.parent / "theirs/letter").exists()


def test_deep_json_in_place_of_anything(repository: Repository, client: Client) -> None:
    """Brackets a hundred thousand deep: damaged like any other damage, and nothing but our errors."""
    state = client.state
    record_file = state / "hotline/quarantine/urls.full/record.json"
    record_file.parent.mkdir(parents=True)
    record_file.write_bytes(DEEP)
    assert Quarantine(state, "hotline").find("urls.full") is None
    (state / "hotline/lists/urls.full/1-1-x.state.json").write_bytes(DEEP)
    assert [kept.state.head.version for kept in read_kept(state, "hotline", "urls.full")] == [1]
    before = read_journal(state)
    with (state / "journal.jsonl").open("ab") as journal:
        journal.write(DEEP + b"\n")
    assert read_journal(state) == before
    (state / "current.json").write_bytes(DEEP)
    (state / "allow.json").write_bytes(DEEP)
    with pytest.raises(FormatError):
        allow.read_allowances(state)
    repository.release("urls", listed("bad.example/c"))
    assert client.synced().after == 2


def test_a_folder_that_is_no_source_of_ours(repository: Repository, client: Client) -> None:
    """Somebody keeps his own lists beside ours, in a folder of the same shape: nobody sweeps them."""
    theirs = client.state / "music/lists/urls.full/best.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    ours = client.state / "hotline/lists/notes/x"
    ours.parent.mkdir()
    ours.write_text("mine")
    repository.release("urls", listed("bad.example/c"))
    client.synced()
    assert theirs.read_text() == "mine"
    assert ours.read_text() == "mine"


@pytest.mark.parametrize("name", ["hotline.bak", "older"])
def test_a_copy_beside_ours_is_not_recovered(client: Client, name: str) -> None:
    """An operator copied a source's folder, or its lists: a torn `current.json` makes no source of it."""
    if name == "older":
        shutil.copytree(client.state / "hotline/lists", client.state / name / "lists")
    else:
        shutil.copytree(client.state / "hotline", client.state / name)
    (client.state / "current.json").write_bytes(b"torn")
    assert [*read_held(client.state).sources] == ["hotline"]


@pytest.mark.parametrize("lay", [a_folder, pipe, a_dangling_link])
@pytest.mark.parametrize("pattern", ["*.state.json", "*.role.json", "*.exact"])
def test_what_lies_in_place_of_a_file_of_the_version_in_force(
    repository: Repository, client: Client, pattern: str, lay: Callable[[Path], None]
) -> None:
    """Nothing newer comes that would make it old: the next full sync writes the file again."""
    [path] = (client.state / "hotline/lists/urls.full").glob(pattern)
    lay(path)
    repository.renew("urls")
    assert sync(client) == []
    assert path.is_file()
    assert client.in_force()["hotline/urls.full"][1] == 1
