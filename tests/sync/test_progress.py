"""What a sync tells of itself while it goes on."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.repository import Repository, listed
from vallum.sync.updater import Updater


def test_a_cold_start_tells_bytes_of_bytes_runs_and_rows(repository: Repository, tmp_path: Path) -> None:
    repository.release("urls", listed(*(f"bad.example/{n}" for n in range(500))))
    config = repository.config(tmp_path)
    told: list[str] = []
    with Updater(config, repository.connect, told.append) as updater:
        assert updater.sync(wait_for_lock=0).ok
    sizes = [repository.wire_size(name) for name in repository.requests if name.endswith(".run")]
    whole = f"{sum(sizes):,}"
    assert f"hotline/urls.full: bytes fetched, {whole} of {whole}" in told
    assert sum("applying run" in line and f" of {len(sizes)}, " in line for line in told) == len(sizes)
    assert told[-2:] == [
        "hotline/urls.full: checking that its 500 rows are the signed ones",
        "hotline/urls.full: writing the table",
    ]
    told.clear()
    with Updater(config, repository.connect, told.append) as updater:
        assert updater.sync(wait_for_lock=0).ok
    assert told == []  # a poll without news is nothing to watch
