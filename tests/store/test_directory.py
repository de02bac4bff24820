"""The folder store: the same as the fake over any history, and what only a folder can suffer."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.memory_store import MemoryStore
from vallum.errors import StorageError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import RUN, TIMESTAMP, ObjectStore
from vallum_publisher.store.directory import DirectoryStore

RUN_KEYS = st.sampled_from(["targets/a/1.run", "targets/a/2.run", "targets/a.match/1.run"])
HEADS = st.sampled_from(["metadata/timestamp.json", "metadata/other/timestamp.json"])
DATA = st.binary(min_size=1, max_size=3)


class Histories(RuleBasedStateMachine):
    """Every call is made on a fresh store on the folder and on the fake; both must say the same."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.fake = MemoryStore()
        self.tags: list[tuple[str | None, str | None]] = [(None, None)]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def directory(self) -> DirectoryStore:
        return DirectoryStore(self.folder)

    @property
    def both(self) -> tuple[ObjectStore, ObjectStore]:
        return self.directory, self.fake

    @rule(key=RUN_KEYS, data=DATA)
    def create(self, key: str, data: bytes) -> None:
        outcomes = []
        for store in self.both:
            try:
                store.create(key, data, RUN)
                outcomes.append("created")
            except ConflictError:
                outcomes.append("conflict")
        assert outcomes[0] == outcomes[1]

    @rule(key=HEADS, data=DATA, pick=st.randoms(use_true_random=False))
    def replace(self, key: str, data: bytes, pick: random.Random) -> None:
        # Expect what is there now, or anything that ever was.
        now = (_tag(self.directory, key), _tag(self.fake, key))
        # In a folder, as in S3, equal contents have equal tags; the fake's are of one write and one key.
        past = [tags for tags in self.tags if (tags[0] == now[0]) == (tags[1] == now[1])]
        expected = pick.choice([now, now, *past])
        outcomes: list[str | None] = []
        for store, tag in zip(self.both, expected, strict=True):
            try:
                outcomes.append(store.replace(key, data, TIMESTAMP, tag))
            except ConflictError:
                outcomes.append(None)
        assert (outcomes[0] is None) == (outcomes[1] is None)
        if outcomes[0] is not None:
            self.tags.append((outcomes[0], outcomes[1]))

    @rule(key=RUN_KEYS)
    def delete(self, key: str) -> None:
        self.directory.delete(key)
        self.fake.delete(key)

    @invariant()
    def both_hold_the_same(self) -> None:
        if not hasattr(self, "fake"):
            return
        listed = {found.key: found.size for found in self.directory.list()}
        assert listed == {found.key: found.size for found in self.fake.list()}
        for key in listed:
            assert _data(self.directory, key) == _data(self.fake, key)


def _tag(store: ObjectStore, key: str) -> str | None:
    stored = store.get(key)
    return None if stored is None else stored.tag


def _data(store: ObjectStore, key: str) -> bytes | None:
    stored = store.get(key)
    return None if stored is None else stored.data


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


def test_what_a_killed_writer_left_is_swept_by_the_first_write(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    store = DirectoryStore(tmp_path)
    assert list(store.list()) == []
    store.create("targets/a/1.run", b"run", RUN)
    assert not left.exists()


def test_the_file_of_a_writer_at_work_is_not_swept(tmp_path: Path) -> None:
    at_work = left_behind(tmp_path)
    lock = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        DirectoryStore(tmp_path).create("targets/a/1.run", b"run", RUN)
        assert at_work.exists()
    finally:
        os.close(lock)
    DirectoryStore(tmp_path).create("targets/a/2.run", b"run", RUN)
    assert not at_work.exists()


def test_who_only_reads_leaves_no_trace(tmp_path: Path) -> None:
    """A mirror's announcer has no right to write."""
    DirectoryStore(tmp_path / "store").create("targets/a/1.run", b"run", RUN)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    reader = DirectoryStore(tmp_path / "store")
    assert reader.get("targets/a/1.run") is not None
    assert len(list(reader.list())) == 1
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def left_behind(folder: Path) -> Path:
    left = folder / ".incoming" / ".1.run.0123456789abcdef"
    left.parent.mkdir()
    left.write_bytes(b"half a run")
    return left


def test_a_web_server_of_another_user_can_read_everything(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = DirectoryStore(tmp_path / "store")
        store.create("targets/a/1.run", b"run", RUN)
    finally:
        os.umask(before)
    for path in (tmp_path / "store").rglob("*"):
        if not any(part.startswith(".") for part in path.relative_to(tmp_path).parts):
            assert path.stat().st_mode & 0o444 == 0o444
            assert path.is_file() or path.stat().st_mode & 0o111 == 0o111


def test_a_folder_that_cannot_be_is_an_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"{tmp_path}/file"):
        DirectoryStore(tmp_path / "file")


def test_an_object_where_a_folder_is_needed_is_an_error(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("targets/a", b"x", RUN)
    with pytest.raises(StorageError, match="targets/a"):
        store.create("targets/a/1.run", b"x", RUN)
