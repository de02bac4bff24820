"""One of several processes that poll on one state folder: ``python -m tests.crowds.poller CONFIG POLLS``.

Prints what became of the polls as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

from tests.crowds.readings import read_process
from vallum.config import load_config
from vallum.errors import VallumError
from vallum.sync.updater import Updater

WARM = 300


def main(path: Path, polls: int) -> None:
    """Poll, and go on whatever happens."""
    config = load_config(path)
    updater = Updater(config)
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    seconds: list[float] = []
    warm = read_process(os.getpid(), config.state)
    for number in range(polls):
        if number == min(WARM, polls // 2):
            warm = read_process(os.getpid(), config.state)
        began = time.process_time()
        try:
            report = updater.sync(wait_for_lock=60)
        except VallumError as error:
            failures.append(f"{type(error).__name__}: {error}")
            continue
        failures += (f"{type(error).__name__}: {error}" for _, error in report.errors())
        failures += [f"warning: {report.warning}"] if report.warning else []
        outcome = report.sources[0].outcome
        outcomes[outcome] += 1
        if outcome == "unchanged":
            seconds.append(time.process_time() - began)
    after = read_process(os.getpid(), config.state)
    said = {
        "outcomes": outcomes,
        "failures": failures,
        "poll": median(seconds),
        "grown": after.private - warm.private,
        "handles": after.handles - warm.handles,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
