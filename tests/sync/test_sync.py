"""The main job: a client that trusts a root file holds, after each sync, exactly what was signed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.fakes.repository import Repository, listed
from vallum.state import read_current
from vallum.sync.updater import Updater


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.create("urls")
    return made


def test_first_sync(repository: Repository, tmp_path: Path) -> None:
    head = repository.release("urls", listed("bad.example/a", "bad.example/b"))
    config = repository.config(tmp_path)
    report = Updater(config, repository.connect).sync()
    assert report.ok, report.errors()
    current = read_current(config.state)
    [(source, stream, state)] = current.streams()
    assert (source, stream) == ("hotline", "urls.full")
    assert state.head == head
    for name, path in state.files(source, stream).items():
        assert hashlib.sha256((config.state / path).read_bytes()).hexdigest() == head.tables[name]
