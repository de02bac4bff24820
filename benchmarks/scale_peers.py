"""What others write for one change of a list, as models small enough to be read.

Both hold the list in memory and pay nothing for intake or a catalog, which flatters them.

* python-tuf: the whole list, compressed, is one target; targets, snapshot and timestamp are signed anew.
* RRDP (RFC 8182): a delta file, a snapshot file of everything, a notification that names both by hash; no
  signatures, and the objects themselves stand in base64.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from benchmarks.drawn import Drawn
from benchmarks.stopwatch import Stopwatch, memory


class Tuf:
    """The list as one target of a TUF repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._signer = CryptoSigner.generate_ed25519()
        self._expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)

    def publish(self, version: int, lines: dict[str, None], _added: list[str], _removed: list[str]) -> int:
        """Write a version; return the bytes written."""
        text = "\n".join(lines).encode()
        data = zstandard.ZstdCompressor(level=3).compress(text)
        name = f"{hashlib.sha256(data).hexdigest()}.list.zst"
        written = write(self._folder / name, data)
        targets = Targets(version, expires=self._expires)
        targets.targets["list.zst"] = TargetFile.from_data("list.zst", data, ["sha256"])
        written += self._sign(f"{version}.targets.json", Metadata(targets))
        snapshot = Snapshot(version, expires=self._expires, meta={"targets.json": MetaFile(version)})
        written += self._sign(f"{version}.snapshot.json", Metadata(snapshot))
        timestamp = Timestamp(version, expires=self._expires, snapshot_meta=MetaFile(version))
        return written + self._sign("timestamp.json", Metadata(timestamp))

    def _sign(self, name: str, metadata: Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]) -> int:
        metadata.sign(self._signer)
        return write(self._folder / name, metadata.to_bytes())


class Rrdp:
    """The list as the objects of an RRDP repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, version: int, lines: dict[str, None], added: list[str], removed: list[str]) -> int:
        """Write a version; return the bytes written."""
        delta = self._write("delta", version, _elements(added, removed))
        snapshot = self._write("snapshot", version, _elements(lines, ()))
        said = f'<notification serial="{version}"><snapshot hash="{snapshot[1]}"/><delta hash="{delta[1]}"/>'
        return delta[0] + snapshot[0] + write(self._folder / "notification.xml", said.encode())

    def _write(self, what: str, version: int, elements: Iterator[str]) -> tuple[int, str]:
        data = f'<{what} serial="{version}">\n{"".join(elements)}</{what}>\n'.encode()
        return write(self._folder / f"{what}-{version}.xml", data), hashlib.sha256(data).hexdigest()


def _elements(published: dict[str, None] | list[str], withdrawn: list[str] | tuple[()]) -> Iterator[str]:
    for line in published:
        yield f"<publish>{b64encode(line.encode()).decode()}</publish>\n"
    for line in withdrawn:
        yield f'<withdraw hash="{hashlib.sha256(line.encode()).hexdigest()}"/>\n'


def write(path: Path, data: bytes) -> int:
    """Write a file durably; return its size."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return len(data)


PEERS: dict[str, type[Tuf] | type[Rrdp]] = {"tuf": Tuf, "rrdp": Rrdp}


def publish_versions(peer: str, drawn: Drawn, versions: int) -> list[tuple[float, float, int, int]]:
    """Publish version 1 and ``versions`` more; seconds by clock and processor, bytes written, memory of each.

    The former version's files are dropped, as such repositories do.
    """
    lines = dict.fromkeys(drawn.first())
    figures = []
    with tempfile.TemporaryDirectory() as name:
        model = PEERS[peer](Path(name))
        for version in range(1, versions + 2):
            added, removed = (drawn.added(version), drawn.removed(version)) if version > 1 else ([], [])
            for path in Path(name).iterdir():
                path.unlink()
            watch = Stopwatch()
            for line in removed:
                del lines[line]
            lines |= dict.fromkeys(added)
            written = model.publish(version, lines, added, removed)
            figures.append((*watch.read(), written, memory()))
    return figures[1:]


def main(peer: str, kind: str, rows: str, changes: str, versions: str) -> None:
    """Publish some versions and print the figures of each as a line."""
    for figures in publish_versions(peer, Drawn(kind, int(rows), int(changes)), int(versions)):
        print(*figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
