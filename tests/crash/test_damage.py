"""A disk that lies: each file of the state folder torn, zeroed, flipped, replaced or gone.

What was signed is never taken for something else: a damaged table is an error and never another list.
The next sync mends all but the floor, which only a person may put back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.crash.scenes import LATER, PAGES, Scene, View, change, mend, quarantine
from tests.fakes.repository import listed
from vallum.allow import FILE as ALLOW
from vallum.allow import Allowance, Kind, add
from vallum.doctor import BAD, Finding, examine
from vallum.errors import DataError, FormatError, GuardError, StorageError, VallumError
from vallum.journal import read_journal
from vallum.sync.fetch import AbsentError
from vallum.sync.floor import Floor, Mark, read_floor, write_floor
from vallum.sync.place import QUARANTINE
from vallum.sync.tables import folder_bytes
from vallum.sync.transport import Answer
from vallum.sync.updater import Updater

DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "torn after a byte": lambda data: data[:1],
    "torn in the middle": lambda data: data[: len(data) // 2],
    "torn before its end": lambda data: data[:-1],
    "empty": lambda _data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "one bit turned": lambda data: (int.from_bytes(data) ^ 1 << 4 * len(data)).to_bytes(len(data) or 1),
    "zeroed from the middle on": lambda data: data[: len(data) // 2].ljust(len(data), b"\0"),
    "something else": lambda _data: b'{"format": 1, "sources": []}',
    "gone": lambda _data: None,
}  # fmt: skip


@dataclass
class State:
    """A state folder with something of everything, kept as it was."""

    scene: Scene
    template: Path

    @property
    def folder(self) -> Path:
        return self.scene.client.state

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.template).as_posix()
            for path in self.template.rglob("*")
            if path.is_file() and not path.is_symlink()
        )

    def lay(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.template, self.folder, symlinks=True)

    def spoil(self, name: str, damage: str) -> Path:
        """Lay the folder anew, with one file damaged."""
        self.lay()
        path = self.folder / name
        data = DAMAGES[damage](path.read_bytes())
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        return path

    def findings(self) -> list[Finding]:
        client = self.scene.client
        return examine(client.config, self.scene.now, client.connect)

    def sync(self, after: timedelta) -> list[VallumError]:
        client = self.scene.client
        report = Updater(client.config, client.connect).sync(now=self.scene.now + after, wait_for_lock=0)
        return [error for _, error in report.errors()]


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Version 2 in force, version 1 kept, a page allowed."""
    scene = change(tmp_path / "client")
    scene.client.synced()
    until = scene.now + timedelta(days=1)
    add(scene.client.state, Allowance(Kind.URL, "bad5.example/page", scene.now, until, "wrong"), scene.now)
    shutil.copytree(scene.client.state, tmp_path / "template", symlinks=True)
    return State(scene, tmp_path / "template")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(state: State, damage: str) -> None:
    """Whichever file it is."""
    good = state.scene.view()
    assert len(state.files()) >= 14
    for name in state.files():
        path = state.spoil(name, damage)
        said, seen = _opened(state)
        assert not said or path.name in said, said
        # Without allow.json, or with it damaged, the page that was allowed is listed again.
        assert said or seen in (good, frozenset()) or name == ALLOW, name
        assert all(one.says for one in state.findings())
        read_journal(state.folder)
        for after in (timedelta(0), LATER):
            errors = state.sync(after)
            if name == "hotline/floor.json" and damage != "gone":
                # Whoever can damage it must not reopen roll-back: each poll says so, and undoes nothing.
                # Without the line end behind its last bracket it is what was written.
                assert [type(error) for error in errors] == [FormatError] * (damage != "torn before its end")
                assert not errors or ("floor.json" in str(errors[0]) and errors[0].hint)
            else:
                assert not errors, f"{name}: {errors}"
            assert state.scene.view() == good or name == ALLOW, name
            state.scene.client.in_force()


def test_damage_lets_nothing_out_of_quarantine(tmp_path: Path) -> None:
    """A torn ``current.json`` is no cold start, which would take the absurd version that was put aside."""
    scene = quarantine(tmp_path / "client")
    scene.client.sync()
    good = scene.view()
    for damage in DAMAGES:
        path = scene.client.state / "current.json"
        data = DAMAGES[damage](path.read_bytes())
        path.unlink() if data is None else path.write_bytes(data)
        scene.client.repository.answers["metadata/timestamp.json"] = lambda: Answer(404)
        assert [type(error) for error in scene.next_sync()] == [AbsentError], damage
        assert scene.view() == good, "what was kept is in force again, whatever the store does"
        scene.client.repository.answers.clear()
        assert [type(error) for error in scene.next_sync()] == [GuardError], damage
        assert scene.view() == good, damage


def _opened(state: State) -> tuple[str, View]:
    """What a reader finds, or the error that it is told."""
    try:
        return "", state.scene.view()
    except (DataError, StorageError) as error:
        return str(error), frozenset()


def test_a_damaged_floor_is_said_by_the_next_poll(state: State) -> None:
    """Not an hour later, when the fast path ends."""
    (state.folder / "hotline/floor.json").write_bytes(b"{")
    [error] = state.sync(timedelta(minutes=1))
    assert isinstance(error, FormatError)
    assert str(state.folder / "hotline/floor.json") in str(error)
    assert "restore it from your backup" in error.hint
    assert "without one" in error.hint


@pytest.mark.parametrize("before", [b'"version": ', b'"state": "', b'"root": ', b'"source": "'])
def test_a_bit_of_the_floor_turns(state: State, before: bytes) -> None:
    """Said by the next poll and by ``doctor``, as damage: not after the next publication, as an old version,
    or as a second state that the publisher had signed.
    """
    path = state.folder / "hotline/floor.json"
    head, found, rest = path.read_bytes().partition(before)
    assert found
    path.write_bytes(head + found + bytes([rest[0] ^ 4]) + rest[1:])
    [error] = state.sync(timedelta(minutes=1))
    assert type(error) is FormatError
    assert "restore it from your backup" in error.hint
    assert any(one.check == "root" and one.level == BAD for one in state.findings())


def test_the_floor_of_another_source(state: State) -> None:
    """Put back from the backup into the wrong folder, whole: its numbers are another list's."""
    write_floor(state.folder / "hotline", Floor(1, {"urls.full": Mark(1, 5, "ab" * 32)}))
    path = state.folder / "hotline/floor.json"
    (state.folder / "second").mkdir()
    path.replace(state.folder / "second/floor.json")
    with pytest.raises(FormatError, match="of another source") as raised:
        read_floor(state.folder / "second")
    assert "restore it" in raised.value.hint


def test_a_floor_of_a_release_that_wrote_no_digest(state: State) -> None:
    """It guards as before, and says digest and source as soon as it rises."""
    path, repository = state.folder / "hotline/floor.json", state.scene.client.repository
    raw = json.loads(path.read_bytes())
    del raw["sha256"], raw["source"]
    path.write_text(json.dumps(raw, indent=1))
    assert state.sync(LATER) == []
    repository.release("urls", listed(*PAGES[2:]))
    assert state.sync(LATER) == []
    assert json.loads(path.read_bytes()).keys() == {*raw, "sha256", "source"}


@pytest.mark.parametrize("pattern", ["hotline/lists/*/1-2-*.exact", "hotline/floor.json"])
def test_damage_that_no_stat_shows(state: State, pattern: str) -> None:
    """A disk lets a bit turn under a process that lives: it looks again within the hour (client.md §10.2)."""
    client, now = state.scene.client, state.scene.now
    with Updater(client.config, client.connect) as updater:
        assert updater.sync(now=now, wait_for_lock=0).ok
        [path] = state.folder.glob(pattern)
        good, about = path.read_bytes(), path.stat()
        path.write_bytes(DAMAGES["zeroed"](good) or b"")
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        assert updater.sync(now=now + timedelta(minutes=1), wait_for_lock=0).ok
        errors = updater.sync(now=now + LATER, wait_for_lock=0).errors()
    if path.name == "floor.json":
        [(_, error)] = errors
        assert isinstance(error, FormatError)
    else:
        assert (errors, path.read_bytes()) == ([], good)


def test_a_floor_that_is_gone_is_written_again(state: State) -> None:
    """From what is in force, by the very next poll."""
    path = state.folder / "hotline/floor.json"
    before = path.read_bytes()
    path.unlink()
    state.sync(timedelta(minutes=1))
    assert path.read_bytes() == before


@pytest.mark.parametrize("room", [True, False])
def test_the_lists_fill_the_quota(tmp_path: Path, room: bool) -> None:
    """What is in quarantine has room of its own (client.md §8.9): it is put back. Where that is too small as
    well, the sync says so, and does not fail for what is decided upon (§6.10).
    """
    scene = mend(tmp_path)
    client = scene.client
    quota = folder_bytes(client.state / "hotline", apart=(QUARANTINE,)) if room else 1
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, quota=quota),))
    [stream] = client.sync(scene.now + LATER).sources[0].streams
    assert stream.error is None
    assert stream.warning is None if room else "quota" in str(stream.warning)
    assert len(list(client.state.glob("hotline/quarantine/*/*.exact"))) == room
