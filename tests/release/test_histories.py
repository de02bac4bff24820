"""From the catalog to the client: random histories, and clients that sync at any rhythm."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import HASHES, NOW, URLS, Founded, digest, fill, publisher, url
from vallum.config import Config, Source
from vallum.labels import LabelSet
from vallum.state import read_current
from vallum.sync.updater import Updater
from vallum_publisher.catalog import Record
from vallum_publisher.release.readback import StoreTransport

_LABELS: tuple[LabelSet, ...] = ((), ("uk-sap:1:A",), ("subject:1:image",))

# What a list holds at each version: some of 14 entries, each under one of three label sets.
_Contents = st.dictionaries(st.integers(0, 13), st.integers(0, 2), max_size=14)


class _Client:
    def __init__(self, folder: Path, store: MemoryStore, root: bytes) -> None:
        folder.mkdir()
        root_file = folder / "root.json"
        root_file.write_bytes(root)
        source = Source("hotline", "file:///nowhere", root_file, ("hashes.full", "urls.full"))
        self._config = Config(folder / "state", (source,))
        self._store = store

    def sync(self) -> dict[str, str]:
        """SHA-256 of each table file in force, by stream and table."""
        report = Updater(self._config, lambda _source: StoreTransport(self._store)).sync(now=NOW)
        assert report.ok, report.errors()
        found: dict[str, str] = {}
        for source, stream, state in read_current(self._config.state).streams():
            for name, path in state.files(source, stream).items():
                file = self._config.state / path
                found[f"{stream}.{name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
                assert found[f"{stream}.{name}"] == state.head.tables[name]
        return found


def _entries(contents: dict[int, int], kind: str) -> list[Record]:
    return [
        url(f"h{number % 3}.example/{number}", _LABELS[labels])
        if kind == "url"
        else digest(number, _LABELS[labels])
        for number, labels in contents.items()
    ]


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    history=st.lists(st.tuples(_Contents, _Contents), min_size=4, max_size=7),
    rhythm=st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=2, max_size=2),
)
def test_whoever_syncs_whenever_holds_the_same_bytes(
    founded: Founded, history: list[tuple[dict[int, int], dict[int, int]]], rhythm: list[set[int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace, store = founded.copy(Path(folder, "publisher"))
        root = workspace.root_bytes()
        always = _Client(Path(folder, "always"), store, root)
        sometimes = [_Client(Path(folder, f"sometimes-{at}"), store, root) for at in range(len(rhythm))]
        with publisher(workspace, store) as scene:
            for spec in (URLS, HASHES):
                scene.create_list(spec, now=NOW)
            for at, (urls, hashes) in enumerate(history):
                fill(scene.catalog, "urls", _entries(urls, "url"))
                fill(scene.catalog, "hashes", _entries(hashes, "hash"))
                for name in ("urls", "hashes"):
                    scene.publish(name, now=NOW)
                held = always.sync()
                for client, moments in zip(sometimes, rhythm, strict=True):
                    if at in moments:
                        assert client.sync() == held
            everyone = [client.sync() for client in (*sometimes, _Client(Path(folder, "new"), store, root))]
            assert all(one == held for one in everyone)
            scene.verify()
