"""Targets that read rows: runs, sealed runs, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.vectorsmith.streams import DIGESTS, NEAR, URLS, Row, Stream, file_of
from tests.fuzz.mutation import mutate
from tests.fuzz.target import MIB, Target
from vallum.errors import VallumError
from vallum.format import limits
from vallum.format.columns import compress, decompress, padme
from vallum.format.epoch import Epoch
from vallum.format.run import Run, apply_run, format_body, parse_header, parse_run
from vallum.format.seal import TAG_BYTES, open_run, run_key, seal_run
from vallum.format.table import Table, check_table, format_table, parse_table


def _run_memory(data: bytes) -> int:
    """Of a run's header: about three times ``raw_max``, and 64 bytes for each of the values allowed."""
    try:
        declared = parse_header(data)[0].raw_max
    except VallumError:
        declared = 0
    return 2 * MIB + 3 * (declared + len(data)) + 80 * min(declared, limits.VALUES)


_STREAMS = (
    Stream("url", "full", host_bits=20),
    Stream("url", "match", host_bits=20),
    Stream("hash", "full", ("exact", "pdq")),
    Stream("hash", "match", ("exact", "pdq")),
)
_BY_FACTS = {(stream.kind, stream.edition): stream for stream in _STREAMS}


def _runs(stream: Stream) -> list[Run]:
    if stream.kind == "hash":
        return [stream.base({"exact": DIGESTS, "pdq": NEAR})]
    return [stream.base({"exact": URLS}), stream.step(URLS[:3], URLS[1:], [URLS[0], *URLS[3:]])]


def _held() -> dict[tuple[str, str], dict[str, Table]]:
    """The tables that a step of each stream leads on from, at version 5."""
    held: dict[tuple[str, str], dict[str, Table]] = {}
    for stream in _STREAMS:
        rows = {"exact": URLS[:3]} if stream.kind == "url" else {"exact": DIGESTS, "pdq": NEAR}
        held[stream.kind, stream.edition] = _tables(stream, rows, 5)
    return held


def _tables(stream: Stream, rows: dict[str, list[Row]], version: int) -> dict[str, Table]:
    base = parse_run(stream.codec, file_of(stream, stream.base(rows, version)))
    return apply_run(base, {}, stream.host_bits)


def _mutate_run(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change the file, or what is in its frame: the checksum-like parts are then right again."""
    if rng.random() < 0.3:
        return mutate(data, rng, others)
    header, at = parse_header(data)
    body = mutate(decompress("seed", data[at:], header.raw_max), rng) or b"\0"
    return replace(header, raw_max=padme(len(body))).format() + compress(body, 1)


def run(_folder: Path) -> Target:
    """The run file of a public list, and what it does to tables."""
    held = _held()

    def read(data: bytes) -> None:
        header, _ = parse_header(data)
        stream = _BY_FACTS[header.kind, header.edition]
        read = parse_run(stream.codec, data)
        _check_run(stream, read, held[header.kind, header.edition])

    seeds = tuple(file_of(stream, made) for stream in _STREAMS for made in _runs(stream))
    return Target(seeds, read, _mutate_run, _run_memory)


def _check_run(stream: Stream, read: Run, held: dict[str, Table]) -> None:
    body = format_body(stream.codec, read.table_salt, read.sections)
    assert padme(len(body)) == read.header.raw_max, "a body has two spellings"
    for table in apply_run(read, held, stream.host_bits).values():
        again = parse_table(format_table(table))
        check_table(again)
        assert format_table(again) == format_table(table)


def sealed_run(_folder: Path) -> Target:
    """The run file of an encrypted list, sealed rightly around what is wrong."""
    stream = Stream("url", "full", pepper=b"\x07" * 32, host_bits=20)
    epoch, key = Epoch(b"u" * 16, "urls.full", 1, 1), b"k" * 32
    salted = [replace(made, table_salt=b"s" * 16) for made in _runs(stream)]
    seeds = tuple(seal_run(stream.codec, made, epoch, key) for made in salted)
    base = apply_run(
        parse_run(stream.codec, file_of(stream, stream.base({"exact": URLS[:3]}, end=5))), {}, 20
    )

    def read(data: bytes) -> None:
        _check_run(stream, open_run(stream.codec, data, epoch, key), base)

    def reseal(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.2:
            return mutate(data, rng, others)
        header, at = parse_header(data)
        opened = AESGCM(run_key(epoch, key, header)).decrypt(bytes(12), data[at:], data[:at])
        if rng.random() < 0.3:
            opened = mutate(opened, rng)
        else:
            frame = opened[4 : 4 + int.from_bytes(opened[:4])]
            body = mutate(decompress("seed", frame, header.raw_max), rng) or b"\0"
            frame, header = compress(body, 1), replace(header, raw_max=padme(len(body)))
            opened = len(frame).to_bytes(4) + frame
            opened = opened.ljust(padme(len(opened) + TAG_BYTES) - TAG_BYTES, b"\0")
        clear = header.format()
        return clear + AESGCM(run_key(epoch, key, header)).encrypt(bytes(12), opened, clear)

    return Target(seeds, read, reseal, _run_memory)


def table(_folder: Path) -> Target:
    """The table file, of unknown origin."""

    def read(data: bytes) -> None:
        opened = parse_table(data)
        check_table(opened)
        assert format_table(opened) == data, "a table has two spellings"

    seeds = []
    for stream in _STREAMS:
        for made in _runs(stream)[:1]:
            read_run = parse_run(stream.codec, file_of(stream, made))
            seeds += [format_table(one) for one in apply_run(read_run, {}, stream.host_bits).values()]
    return Target(tuple(seeds), read, mutate, lambda data: MIB + 160 * len(data))
