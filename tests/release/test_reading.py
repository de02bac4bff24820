"""The folder in which a repository is read back like a client."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.release.scenes import Founded
from vallum.durable import held_folder, sweep
from vallum_publisher.release.readback import reading

KILLED_IN_READING = """
import os
from pathlib import Path
from vallum.durable import held_folder

with held_folder(Path(os.environ["TMPDIR"]) / "vallum-reading") as folder:
    (folder / "trust").mkdir()
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_reading_left_is_swept_by_the_next(
    founded: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    done = subprocess.run([sys.executable, "-c", KILLED_IN_READING], capture_output=True, check=False)
    left = Path(done.stdout.decode().strip())
    assert done.returncode == -9
    assert left.is_dir()
    workspace, store = founded.copy(tmp_path / "publisher")
    with reading(store, workspace.root_bytes()):
        assert not left.exists()
        # One that is under way elsewhere stays.
        with reading(store, workspace.root_bytes()):
            assert len(list(tmp_path.glob(".vallum-reading.*"))) == 2
    assert not list(tmp_path.glob(".vallum-reading.*"))


def test_readings_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    """Each sweeps what was left before it makes its own: publishers on one machine do so all the time."""
    place = tmp_path / "vallum-reading"
    failures: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(40):
                sweep(place)
                with held_folder(place) as folder:
                    (folder / "run").write_bytes(b"x")
                    assert [path.name for path in folder.iterdir()] == ["run"]
        except BaseException as failure:  # a thread's own end would go unnoticed
            failures.append(failure)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert not list(tmp_path.iterdir())
