"""One of several publishers, a process of its own: ``python rival_publisher.py FOLDER NUMBER PUBLICATIONS``.

Adds a digest to its own list and publishes it, again and again; every third time also to the list that all
share. Prints the version of each publication.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.release.scenes import digest
from vallum.cli.terminal import clock
from vallum_publisher.catalog import Mode
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import open_workspace

SHARED = "shared"
SHARED_EVERY = 3


def own_list(number: int) -> str:
    """The list that only this publisher changes."""
    return f"own-{number}"


def serial(number: int, at: int) -> int:
    """What a publisher adds in one turn; no other adds the same."""
    return number * 100_000 + at


def main(folder: str, number: str, publications: str) -> None:
    """Publish."""
    workspace = open_workspace(Path(folder))
    with workspace.open_catalog() as catalog:
        publisher = Publisher(workspace, catalog=catalog, store=workspace.open_store(), actor=f"no {number}")
        for at in range(int(publications)):
            names = [own_list(int(number))] + ([SHARED] if at % SHARED_EVERY == 0 else [])
            for name in names:
                record = digest(serial(int(number), at))
                catalog.apply(name, [record], mode=Mode.ADD, actor=f"no {number}", now=clock())
                done = publisher.publish(name, now=clock())
                print(name, done.version, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
