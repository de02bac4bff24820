"""Nothing listed and no key is found in anything that was said, logged or written, but where it belongs.

All loggers of all libraries are at debug level. What the commands were asked with `--explain` and `allow add`
they may repeat to whoever asked; everything else is searched, file by file, names included.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leaks import life as lives
from tests.leaks.life import Life
from tests.leaks.secrets import Secrets, scan

BELONGS = re.compile(
    r"inputs/.*"
    r"|hotline/catalog\.sqlite(-wal|-shm)?|hotline/cache/.*|hotline/keys/vault\.key"
    r"|(match|full|stranger)\.key"
    r"|(match|full)/state/hotline/(lists|quarantine|kept)/.*"
    r"|(match|full)/state/hotline/keys/.*"
    r"|(match|full)/state/allow\.json"
)


class _Everything(logging.Handler):
    """Formats each record of each logger, as a log file would."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def everything() -> Iterator[_Everything]:
    """All loggers at debug level, also those that set a level of their own."""
    handler, root = _Everything(), logging.getLogger()
    before = {root: root.level}
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.engine.Engine", "sqlalchemy.pool", "alembic"):
        logger = logging.getLogger(name)
        before[logger] = logger.level
        logger.setLevel(logging.DEBUG)
    for name in ("urllib3", "tuf", "securesystemslib", "botocore", "asyncio", "vallum", "vallum_publisher"):
        logger = logging.getLogger(name)
        before[logger] = logger.level
        logger.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    for logger, level in before.items():
        logger.setLevel(level)


@pytest.fixture(scope="module")
def opened() -> Iterator[set[str]]:
    """Every file that this process opened for writing meanwhile."""
    paths: set[str] = set()
    watching = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & 3
            if isinstance(path, str) and (writes or (isinstance(mode, str) and set(mode) & set("wax+"))):
                paths.add(path)

    sys.addaudithook(hook)  # cannot be taken back; it falls asleep
    yield paths
    watching.clear()


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory, everything: _Everything, opened: set[str]
) -> Iterator[tuple[Life, Secrets]]:
    folder = tmp_path_factory.mktemp("life")
    (folder / "tmp").mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder / "tmp")
    try:
        life = Life(folder)
        for step in (lives.found, lives.admit, lives.use, lives.change, lives.fail):
            step(life)
        yield life, life.secrets()
    finally:
        tempfile.tempdir = before


def test_what_was_said(lived: tuple[Life, Secrets]) -> None:
    life, secrets = lived
    assert len(life.said) > 60
    assert {code for _, code, _ in life.said} >= {0, 1, 2, 3, 5}
    leaked = {(words, code, text): secrets.found_in(text.encode()) for words, code, text in life.said}
    assert {key: found for key, found in leaked.items() if found} == {}


def test_what_was_logged(lived: tuple[Life, Secrets], everything: _Everything) -> None:
    _, secrets = lived
    names = {line.split(" ")[0] for line in everything.lines}
    assert any(name.startswith("tuf") for name in names), "the log was on"
    assert [line for line in everything.lines if secrets.found_in(line.encode())] == []


def test_what_was_written(lived: tuple[Life, Secrets], opened: set[str]) -> None:
    """Journal, settings, metadata, the store, temporary files: all but tables, keys, catalog and inputs."""
    life, secrets = lived
    assert scan(secrets, life.folder, BELONGS) == {}
    mine = life.folder.parent.resolve()  # pytest keeps a lock of its own beside it
    elsewhere = {path for path in opened if Path(path).is_absolute() and not path.startswith("/dev/")}
    assert {path for path in elsewhere if not Path(path).resolve().is_relative_to(mine)} == set()


def test_the_search_finds_what_is_there(lived: tuple[Life, Secrets]) -> None:
    """In the places where it belongs everything is found: the search is not blind."""
    life, secrets = lived
    nowhere = re.compile(r"$^")
    found = scan(secrets, life.folder, nowhere)
    kinds = {what for leaked in found.values() for what in leaked}
    for what in (
        "pepper of urls",
        "a row's key of urls",
        "a row's key of hashes",
        "a digest",
        "zqhost",
        "zqpath-",
    ):
        assert what in kinds, what
    assert any(what.startswith("epoch/urls.match") for what in kinds)
    assert any(what.startswith("seed of") for what in kinds)
    assert any(what.startswith("private key") for what in kinds)
    assert "hotline/catalog.sqlite" in found
    assert any("/state/hotline/lists/" in name for name in found)
