"""How an export comes to its file: whole or not at all, for its owner, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.export.scenes import ENTRIES, A, exported
from tests.match.states import Entry, url_table, write_state
from vallum.errors import ConfigError, StorageError
from vallum.export.write import open_export, write_export
from vallum.expression import Scope


def test_a_file_is_for_its_owner(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.touch(0o666)
    write_export(path, open_export(sealed, "csv"))
    assert path.stat().st_mode & 0o777 == 0o600
    done = write_export(path, open_export(sealed, "csv"), group=True)
    assert path.stat().st_mode & 0o777 == 0o640
    assert done.lines == len(ENTRIES) + 128
    assert done.to_dict()["lists"] == [{"source": "hotline", "list": "urls", "generation": 1, "version": 1}]
    assert path.read_bytes() == exported(sealed, "csv")


def test_a_failure_leaves_the_old_file(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("old")
    export = open_export(sealed, "csv")
    seen = 0

    def stop(_entries: int, _of: int | None) -> None:
        nonlocal seen
        seen += 1
        raise OSError(28, "No space left on device")

    entries = [(Scope.HOST, f"h{at}.example", A) for at in range(9000)]
    large = tmp_path / "large"
    large.mkdir()
    write_state(large, {"urls": url_table(entries)})
    export = open_export(large, "csv")
    with pytest.raises(StorageError, match="No space left"):
        write_export(path, export, count=stop)
    assert seen == 1
    assert path.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["large", "list.csv"]


def test_what_a_killed_export_left_is_swept_by_the_next(sealed: Path, tmp_path: Path) -> None:
    """A part of the list lies beside the file, under a name that nobody looks at."""
    left, others = tmp_path / f".list.csv.{'0f' * 8}", tmp_path / f".other.csv.{'0f' * 8}"
    for path in (left, others):
        path.write_bytes(b"half a list")
    write_export(tmp_path / "list.csv", open_export(sealed, "csv"))
    assert sorted(tmp_path.iterdir()) == [others, tmp_path / "list.csv"]


def test_what_is_no_file_is_left_alone(sealed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        write_export(tmp_path, open_export(sealed, "csv"))
    with pytest.raises(StorageError, match="cannot write"):
        write_export(tmp_path / "no" / "list.csv", open_export(sealed, "csv"))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def entries(number: int) -> Iterator[Entry]:
        return ((Scope.URL, f"h{at}.example/{'x' * 60}", A) for at in range(number))

    peaks = []
    for number in (2_100, 6_300):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_state(folder, {"urls": url_table(entries(number))})
        export = open_export(folder, "jsonl")
        tracemalloc.start()
        size = sum(map(len, export.blocks()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > 150 * number
    assert peaks[1] < 1.3 * peaks[0]


def test_an_export_needs_no_network_code() -> None:
    script = (
        "import sys, vallum.export.write, vallum.cli.export; print([m for m in sys.modules if m in "
        "('tuf', 'urllib3', 'requests', 'securesystemslib')])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
