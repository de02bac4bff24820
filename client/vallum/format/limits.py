"""Every bound that a decoder holds, in one place (format.md §1.3). Bytes unless a name says otherwise.

They are ours, not the sender's: a signed length can only lower them (DESIGN §4).
"""

from __future__ import annotations

MAX_VERSION = 2**53 - 1
"""Versions and generations' numbers stay exact in every JSON reader."""

MAX_GENERATION = 2**32 - 1
MAX_EPOCH = 2**32 - 1

TIMESTAMP = 16 * 1024
SNAPSHOT = 2_000_000
LIST_ROLE = 1_000_000
ROOT = 512_000
WRAP = 4 * 1024
RUN = 1 << 30

RAW = 1 << 31
"""A run's body, decompressed; a Padmé size, so that every body within it can be declared."""

ZSTD_WINDOW = 8 << 20

ROWS = 1 << 26
"""Rows in one table or section."""

VALUES = 1 << 20
"""Values in one msgpack structure, arrays counted: one costs up to 64 bytes of memory for one of the wire."""

LABEL_SETS = 1 << 18
"""Sets in one dictionary."""

HEAD_STRING = 256
"""A string in a head or charter."""

HEAD_RUNS = 512
"""Runs that one head may list."""

TABLES = 16
EPOCHS = 1024
CRITICAL = 32

MAX_AGE = 14 * 86_400
"""Seconds; the largest ``max_age`` that a head may ask for."""

MIN_POLL = 3_600
"""Seconds; a larger ``min_poll`` is clamped: a list key must not switch polling off."""
