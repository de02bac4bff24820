"""format.md is held to what the code does: its example, its tables of tags and limits."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from schemas.build_vectors import VECTORS
from schemas.vectorsmith.example import STREAM, blocks, tables
from vallum.expression import TAGS
from vallum.format import limits
from vallum.format.run import apply_run, parse_run
from vallum.format.table import format_table

SPEC = (VECTORS.parent / "format.md").read_text(encoding="utf-8")
COMPRESSED = ("base", "step")
"""Blocks that hold what zstd made; they are read instead of compared."""


@pytest.mark.parametrize("name", [name for name in blocks() if name not in COMPRESSED])
def test_each_block_of_the_example_stands_in_the_specification(name: str) -> None:
    assert blocks()[name] in SPEC


def dumped(marker: str) -> bytes:
    """The first dump behind ``marker``."""
    block = SPEC[SPEC.index(marker) :].split("```")[1]
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)", block, re.MULTILINE)
    return bytes.fromhex("".join(lines))


def test_who_follows_the_example_holds_the_tables_that_it_shows() -> None:
    first = apply_run(parse_run(STREAM.codec, dumped("a *base*:")), {}, STREAM.host_bits)
    second = apply_run(parse_run(STREAM.codec, dumped("At version 2")), first, STREAM.host_bits)
    shown = dumped("The table file of its")
    assert format_table(first["exact"]) == shown
    assert sha256(shown).hexdigest() in SPEC
    assert second["exact"].digest() == tables()[1].digest()
    assert second["exact"].digest() in SPEC


def test_the_registry_of_tags_is_the_codes() -> None:
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| (?:`(\w+)` )?\| (?:(\d+) )?\| `(\w+)` \|$", SPEC, re.MULTILINE
    )
    assert [
        (int(code), signal, scope, int(size or 0), table) for code, signal, scope, size, table in rows
    ] == [(tag.code, tag.signal, str(tag.scope or ""), tag.size, tag.table) for tag in TAGS.values()]


def test_the_limits_are_the_codes() -> None:
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    section = SPEC[SPEC.index("### 1.3 Limits") : SPEC.index("## 2. Labels")]
    said = {2 ** int(power.translate(powers)) for power in re.findall(r"2([⁰¹²³⁴-⁹]+)", section)}
    assert said == {
        limits.MAX_VERSION + 1,
        limits.MAX_GENERATION + 1,
        limits.VALUES,
        limits.ROWS,
        limits.LABEL_SETS,
    }
    for count in (limits.TABLES, limits.EPOCHS, limits.HEAD_RUNS, limits.CRITICAL, limits.HEAD_STRING):
        assert re.search(rf"\b{count:,}\b", section), count
    assert (limits.RUN, limits.RAW) == (1 << 30, 2 << 30)
    assert (limits.MAX_AGE, limits.MIN_POLL) == (14 * 86_400, 3_600)


def test_sections_are_numbered_without_a_gap() -> None:
    numbers = [
        tuple(map(int, number.split(".")))
        for number in re.findall(r"^#{2,4} ([\d.]+)\.? ", SPEC.replace(". ", " "), re.MULTILINE)
    ]
    for before, after in zip([(0,), *numbers], numbers, strict=False):
        assert any(
            after == (*before[: depth - 1], (before[depth - 1] if depth <= len(before) else 0) + 1)
            for depth in range(1, len(before) + 2)
        ), (before, after)
