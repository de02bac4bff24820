"""A poll without news: what it needs, what it costs, and what ends it (client.md §10)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository
from tests.network.bad_store import BadStore
from vallum.sync.fetch import TIMESTAMP
from vallum.sync.transport import open_transport

POLLS = 300
_PROGRAM = """\
import json, sys, time
from pathlib import Path
from vallum.config import load_config
from vallum.sync.updater import Updater
costs = []
with Updater(load_config(Path(sys.argv[1]))) as updater:
    for _ in range(int(sys.argv[2])):
        if costs and min(costs) <= 0.001:
            break
        began = time.process_time()
        report = updater.sync()
        costs.append(time.process_time() - began)
        assert report.ok and report.sources[0].outcome == "unchanged", report
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"costs": costs, "loaded": loaded}))
"""


@pytest.fixture
def store(repository: Repository) -> Iterator[BadStore]:
    with BadStore(repository).running() as made:
        yield made


@pytest.fixture
def configured(repository: Repository, store: BadStore, tmp_path: Path) -> Path:
    """The configuration file of a machine that has just made a whole sync."""
    client = Client(repository, tmp_path)
    path = tmp_path / "vallum.toml"
    path.write_text(
        f'state = "state"\n[[source]]\nname = "hotline"\nurl = "{store.url}"\nproxy = "none"\n'
        'root = "hotline.root.json"\nlists = ["urls"]\n'
    )
    [source] = client.config.sources
    client.config = replace(client.config, path=path, sources=(replace(source, url=store.url, proxy="none"),))
    client.connect = open_transport
    client.synced()
    store.asked.clear()
    return path


def poll(path: Path, times: int) -> tuple[list[float], set[str]]:
    """Poll in a process of its own; the seconds of each, and the packages that were loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path), str(times)], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    return told["costs"], set(told["loaded"])


def test_a_poll_needs_neither_tuf_nor_cryptography(configured: Path, store: BadStore) -> None:
    """One request, in a process that knows nothing of signatures: start-up is what a timer pays for."""
    _, loaded = poll(configured, 1)
    assert store.asked == [TIMESTAMP]
    assert not loaded & {"tuf", "securesystemslib", "cryptography", "boto3", "numpy"}


def test_a_poll_costs_a_millisecond(configured: Path, store: BadStore) -> None:
    """The best of many, since neighbours on a machine slow the processor down and never speed it up."""
    costs, _ = poll(configured, POLLS)
    assert store.asked == [TIMESTAMP] * len(costs)
    assert min(costs) <= 0.001, f"{min(costs) * 1000:.2f} ms"
