"""A reader through ten thousand versions: what is old is let go of, memory and files stay as they were."""

from __future__ import annotations

import os
from pathlib import Path

from tests.crowds.readings import Readings, read_process
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.match.lists import open_lists

SWAPS = 10_000
WARM = 500
SLACK = 256 << 10
"""Bytes of private memory; a leaked table of one page and its index would be 100 MiB after all swaps."""


def test_memory_and_files_are_flat_over_ten_thousand_swaps(tmp_path: Path) -> None:
    """A leak per version would end a process that runs for months."""
    repository = Repository()
    repository.create("urls")
    client = Client(repository, tmp_path)
    states: list[bytes] = []
    for version in range(3):
        repository.release("urls", listed("bad.example/a", f"bad{version}.example/b"))
        client.synced()
        states.append((client.state / "current.json").read_bytes())
    warm: Readings | None = None
    with open_lists(client.state) as lists:
        for swap in range(WARM + SWAPS):
            beside = client.state / ".next"
            beside.write_bytes(states[swap % 3])
            beside.rename(client.state / "current.json")
            assert lists.ready()
            assert lists.match_url(f"http://bad{swap % 3}.example/b")
            assert not lists.match_url(f"http://bad{(swap + 1) % 3}.example/b")
            if swap == WARM:
                warm = read_process(os.getpid(), client.state)
        after = read_process(os.getpid(), client.state)
    assert warm is not None
    assert after.mapped == warm.mapped == 1, "only the table in force is mapped"
    assert after.handles == warm.handles
    assert after.private - warm.private < SLACK, f"{warm} -> {after}"
    print(f"{SWAPS:,} swaps: {warm} -> {after}")
