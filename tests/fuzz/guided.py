"""The same targets, led by coverage: ``python -m tests.fuzz.guided TARGET --seconds 600``.

Needs atheris (``pip install --group fuzz``). The mutations are ours, what to mutate next is libFuzzer's
choice. It stops at the first find, and writes the input into the working folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["vallum", "tuf", "securesystemslib"]):
    from tests.fuzz.run import Outcome, execute
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz as the command line says; atheris ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    said = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    target = TARGETS[said.target](folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed)

    def test(data: bytes) -> None:
        outcome = Outcome()
        execute(target, data, outcome, measure=False)
        for error in outcome.finds:
            raise AssertionError(error)

    def mutator(data: bytes, size: int, seed: int) -> bytes:
        rng = Random(seed)  # noqa: S311 - libFuzzer wants the same again
        try:
            return target.mutate(data, rng, target.seeds)[:size]
        except Exception:  # what is broken already has no inner part to change
            return target.mutate(rng.choice(target.seeds), rng, target.seeds)[:size]

    options = [
        f"-max_total_time={said.seconds}",
        "-max_len=65536",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
