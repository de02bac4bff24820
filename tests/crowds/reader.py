"""One of several processes that match while versions go live: ``python -m tests.crowds.reader STATE SIGNAL``.

It looks up until the file SIGNAL appears, and prints what it saw as JSON. Every version lists the page of all
versions and a page of its own, in both of two lists; more than one own page at once, or none, would be a mix.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tests.crowds.readings import read_process
from vallum.errors import VallumError
from vallum.match.lists import open_lists

ALWAYS = "http://bad.example/always"
NEVER = "http://good.example/never"
PAUSE = 0.03
"""Seconds between fifty look-ups: eight processes that never rest would leave no processor to the sync."""


def main(state: Path, signal: Path) -> None:
    """Match without a pause, as a proxy would."""
    failures: list[str] = []
    versions: set[int] = set()
    looked, slowest, slowest_cpu = 0, 0.0, 0.0
    with open_lists(state) as lists:
        print("ready", flush=True)
        warm = read_process(os.getpid(), state)
        while not signal.exists():
            for _ in range(50):
                wall, cpu = time.perf_counter(), time.thread_time()
                try:
                    hit, miss = lists.match_url(ALWAYS), lists.match_url(NEVER)
                except VallumError as error:
                    failures.append(f"{type(error).__name__}: {error}")
                    continue
                slowest = max(slowest, time.perf_counter() - wall)
                slowest_cpu = max(slowest_cpu, time.thread_time() - cpu)
                looked += 2
                if len(hit) != 2 or miss or len({match.version for match in hit}) != 1:
                    failures.append(f"{[match.version for match in hit]} and {len(miss)}")
                versions.update(match.version for match in hit)
            if lists.problem:
                failures.append(lists.problem)
            lists.ready()  # each version as soon as it is there, not after a second
            time.sleep(PAUSE)
        lists.ready()
        after = read_process(os.getpid(), state)
        final = lists.status()[0].version
    said = {
        "looked": looked,
        "versions": len(versions),
        "final": final,
        "failures": failures,
        "slowest": slowest,
        "slowest_cpu": slowest_cpu,
        "grown": after.private - warm.private,
        "handles": after.handles - warm.handles,
        "mapped": after.mapped,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
