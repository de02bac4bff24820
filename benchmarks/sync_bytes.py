"""Bytes of runs and number of requests by how far a client lags, beside what others would send.

    python -m benchmarks.sync_bytes FEED            (the form of benchmarks/feed.py)
    python -m benchmarks.sync_bytes --rows 1000000 --kind url|hash [--frontier]

Metadata is what a client fetches beside runs when one list changed: timestamp, snapshot and list role, signed
with Ed25519, the latter two packed (client.md §2.6); one more request, for the next root, is answered 404.

Peers, in the same run: the minimal net change in the same codec; one text delta per version by zstd -19 (as
RRDP, NRTMv4 and ClamAV send); Safe Browsing v5's exact delta with 16-byte prefixes (a model: Rice-coded
additions, Rice-coded removal indices, a checksum); the full list as text by zstd -19.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from benchmarks.sync_feed import replay
from benchmarks.sync_steady import measure


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("feed", nargs="?", type=Path)
    parser.add_argument("--versions", type=int, default=2097, help="of the feed")
    parser.add_argument("--rows", type=int, default=0, help="a synthetic list instead")
    parser.add_argument("--kind", choices=("url", "hash"), default="url")
    parser.add_argument("--changes", type=int, default=1000, help="per version of the synthetic list")
    parser.add_argument("--heads", type=int, default=150)
    parser.add_argument("--frontier", action="store_true", help="other rules of renewing bases as well")
    options = parser.parse_args()
    if (options.feed is None) == (options.rows == 0):
        parser.error("either a recorded feed or --rows")
    random.seed(2026)
    began = time.process_time()
    if options.rows:
        figures = measure(options.kind, options.rows, options.changes, options.heads, options.frontier)
    else:
        figures = replay(options.feed, options.versions, options.heads, options.frontier)
    figures.tell("done")
    figures.report()
    print(f"{time.process_time() - began:.0f} s of the processor")


if __name__ == "__main__":
    main()
