"""Run one target for a while: ``python -m tests.fuzz.run TARGET --seconds 600``.

Prints executions, how many inputs were refused and how many taken, and the most memory asked for. Exit code
1 and a file for each find in ``--finds`` if anything but a ``VallumError`` came out.

Inputs are drawn from the seeds by mutation.py; guided.py lets coverage choose them.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from vallum.errors import VallumError


@dataclass
class Outcome:
    """What became of the inputs of one run; ``finds`` are inputs by the error that came out."""

    executions: int = 0
    refused: int = 0
    peak: int = 0
    finds: dict[str, bytes] = field(default_factory=dict)


def execute(target: Target, data: bytes, outcome: Outcome, measure: bool = True) -> bool:
    """Read one input, check what came of it, and say whether it was taken."""
    if measure:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
    outcome.executions += 1
    taken = False
    try:
        target.read(data)
        taken = True
    except VallumError:
        outcome.refused += 1
    except Exception as error:  # whatever it is, it is a find
        at = traceback.extract_tb(error.__traceback__)[-1]
        name = f"{type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {str(error)[:100]}"
        outcome.finds.setdefault(name, data)
    if measure:
        peak = tracemalloc.get_traced_memory()[1] - before
        outcome.peak = max(outcome.peak, peak)
        if peak > target.memory(data):
            outcome.finds.setdefault("it asked for more memory than it may", data)
    return taken


def fuzz(target: Target, rng: Random, more: Callable[[Outcome], bool]) -> Outcome:
    """Mutate seeds while ``more`` says so. What was taken is a seed too, up to a few hundred."""
    outcome = Outcome()
    pool = list(target.seeds)
    tracemalloc.start()
    try:
        for seed in target.seeds:
            execute(target, seed, outcome)
        assert not outcome.refused, "a seed is refused"
        while more(outcome):
            data = target.mutate(rng.choice(target.seeds), rng, pool)
            if execute(target, data, outcome) and len(pool) < 300:
                pool.append(data)
    finally:
        tracemalloc.stop()
    return outcome


def main() -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.monotonic_ns()), help="to draw the same again")
    parser.add_argument("--finds", type=Path, help="folder for inputs that found something")
    said = parser.parse_args()
    until = time.monotonic() + said.seconds
    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[said.target](Path(folder))
        outcome = fuzz(target, Random(said.seed), lambda _: time.monotonic() < until)  # noqa: S311 - to be repeated
    print(
        f"{said.target}: {outcome.executions:,} executions in {said.seconds:.0f} s (seed {said.seed}), "
        f"{outcome.refused:,} refused, {outcome.executions - outcome.refused:,} taken, "
        f"at most {outcome.peak / (1 << 20):.1f} MiB asked for, {len(outcome.finds)} finds"
    )
    for error, data in outcome.finds.items():
        print(f"  {error}")
        if said.finds is not None:
            said.finds.mkdir(parents=True, exist_ok=True)
            (said.finds / f"{said.target}-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
    return 1 if outcome.finds else 0


if __name__ == "__main__":
    sys.exit(main())
