"""The publisher's stages of benchmarks/scale.py: ``python -m benchmarks.scale_publisher STAGE FOLDER ...``.

A stage does what one command does, by the calls that the command makes, in a process of its own, and prints
its figures as JSON: seconds by the clock (``s``) and of the processor (``cpu``), and the most memory held.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from benchmarks.drawn import Drawn
from benchmarks.stopwatch import Stopwatch, memory, size_of
from vallum.invitation import Invitation, write_config
from vallum_publisher.catalog import Catalog, ListSpec, Mode
from vallum_publisher.intake import read_records
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings, open_workspace

LIST = "scale"
Figures = dict[str, float]


def found(folder: Path, drawn: Drawn) -> Figures:
    """Make the publisher with an empty list, and one client's configuration."""
    now = datetime.now(UTC)
    settings = Settings(name="Scale", store="store")
    workspace = init_workspace(folder / "hotline", settings, now=now, root_keys=1, root_threshold=1)
    with workspace.open_catalog() as catalog:
        publisher = Publisher(workspace, catalog=catalog, store=workspace.open_store())
        publisher.create_list(ListSpec(LIST, drawn.kind, public=True, publisher="Scale"), now=now)
    store = str(folder / "hotline" / "store")
    invitation = Invitation("Scale", "", store, (f"{LIST}.full",), workspace.root_bytes())
    write_config(folder / "client" / "vallum.toml", invitation, "scale")
    with (folder / "list.txt").open("w") as file:
        file.writelines(f"{line}\n" for line in drawn.first())
    return {}


def ingest(folder: Path, drawn: Drawn) -> Figures:
    """The whole list from a text file, as ``vallum-publisher ingest`` does."""
    with opened(folder) as (catalog, _), (folder / "list.txt").open("rb") as file:
        watch = Stopwatch()
        records = read_records(file, kind=drawn.kind, format="text")
        reading, reading_cpu = watch.read()
        catalog.apply(LIST, records, mode=Mode.REPLACE, actor="scale", now=datetime.now(UTC))
        applying, applying_cpu = watch.read()
    return {
        "s": reading + applying,
        "cpu": reading_cpu + applying_cpu,
        "read s": reading,
        "apply s": applying,
        "disk": size_of(folder / "hotline") - size_of(folder / "hotline" / "store"),
    }


def publish(folder: Path, _drawn: Drawn) -> Figures:
    """What waits, as ``vallum-publisher publish`` does."""
    before = files_in(folder)
    with opened(folder) as (_, publisher):
        watch = Stopwatch()
        done = publisher.publish(LIST, now=datetime.now(UTC))
        seconds, cpu = watch.read()
    new = {name: size for name, size in files_in(folder).items() if before.get(name) != size}
    # The timestamp is replaced; its size may stay the same.
    new["metadata/timestamp.json"] = files_in(folder)["metadata/timestamp.json"]
    bases = sum(size for name, size in new.items() if name.endswith(".run") and name.split("-")[-2] == "0")
    return {
        "s": seconds,
        "cpu": cpu,
        "version": done.version,
        "written": sum(new.values()) - bases,
        "base": bases,
    }


def change(folder: Path, drawn: Drawn) -> Figures:
    """The next version's changes into the catalog: removals, then additions."""
    with opened(folder) as (catalog, _):
        version = catalog.get_list(LIST).version + 1
        batches = [(Mode.REMOVE, drawn.removed(version)), (Mode.ADD, drawn.added(version))]
        watch = Stopwatch()
        for mode, lines in batches:
            text = BytesIO("".join(f"{line}\n" for line in lines).encode())
            records = read_records(text, kind=drawn.kind, format="text")
            catalog.apply(LIST, records, mode=mode, actor="scale", now=datetime.now(UTC))
        seconds, cpu = watch.read()
    return {"s": seconds, "cpu": cpu}


def files_in(folder: Path) -> dict[str, int]:
    """Sizes of the store's objects by key."""
    store = folder / "hotline" / "store"
    return {
        path.relative_to(store).as_posix(): path.stat().st_size for path in store.rglob("*") if path.is_file()
    }


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Catalog, Publisher]]:
    """The publisher of ``found``."""
    workspace = open_workspace(folder / "hotline")
    with workspace.open_catalog() as catalog:
        yield catalog, Publisher(workspace, catalog=catalog, store=workspace.open_store())


def long_life(folder: Path, drawn: Drawn, versions: int) -> Iterator[Figures]:
    """Publish many versions more in one process; the figures of each."""
    for _ in range(versions):
        change(folder, drawn)
        yield publish(folder, drawn)


STAGES: dict[str, Callable[[Path, Drawn], Figures]] = {
    "found": found,
    "ingest": ingest,
    "publish": publish,
    "change": change,
}


def main(stage: str, folder: str, kind: str, rows: str, changes: str, versions: str = "0") -> None:
    """Do one stage and print its figures, as JSON on a line."""
    idle = memory()
    drawn = Drawn(kind, int(rows), int(changes))
    found = (
        [STAGES[stage](Path(folder), drawn)]
        if stage in STAGES
        else long_life(Path(folder), drawn, int(versions))
    )
    for figures in found:
        print(json.dumps({**figures, "memory": memory(), "idle": idle}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
