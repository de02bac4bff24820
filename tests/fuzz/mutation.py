"""Changing valid bytes so that they hurt: flips, splices, cuts, lengths; and JSON by its values.

Bytes drawn at random die at the first magic number. What is mutated here was valid, and stays so in most of
its parts: that is how deep code is reached. Which inputs are valid, and what must hold, is targets.py's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any

SPOTS = (0x00, 0x01, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC3, 0xC4, 0xC6, 0xDC, 0xDD, 0xFF)
"""Bytes that mean something: ends of ranges, and msgpack's types."""

LENGTHS = (0, 1, 255, 256, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 53) - 1, (1 << 64) - 1)

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53, 2**64, 10**30, 0.5, 1e308, "", "a", "0", "\x00", "\ud800",
    "é" * 300, "../x", "urls.full", "x" * 5000, "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "f" * 64, [], {}, [[]], [None], {"": {}}, [0] * 600,
)  # fmt: skip


def mutate(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return ``data`` with one to six changes; ``others`` are valid inputs to splice with."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _change(changed, rng, others)
    return bytes(changed)


def mutate_json(data: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a document with a value replaced, moved, doubled or removed; or its bytes changed."""
    if rng.random() < 0.2:
        return mutate(data, rng, others)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate(data, rng, others)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        document = _change_value(document, rng)
    text = json.dumps(document, indent=rng.choice((None, 1)))
    if rng.random() < 0.05:
        text = text.replace("{", '{"format": 2, ', 1)  # one key twice
    return text.encode("utf-8", "surrogatepass")


def _change(data: bytearray, rng: Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    size = rng.choice((1, 1, 2, 4, 8, 32))
    match rng.randrange(9):
        case 0 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + 1] = bytes((rng.choice(SPOTS),))
        case 2:
            del data[at : at + size]
        case 3:
            data[at:at] = data[at : at + size]
        case 4:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(LENGTHS) % (1 << 8 * width)
            data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        case 5:
            del data[at:]
        case 6 if others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            data[at:] = other[start:]
        case 7:
            start = rng.randrange(len(data) + 1)
            data[at : at + size] = data[start : start + size]
        case _:
            data[at : at + size] = rng.randbytes(size)


def _change_value(node: Any, rng: Random) -> Any:
    """Walk down a document by chance, and change what is met there."""
    if isinstance(node, dict) and node and rng.random() < 0.85:
        key = rng.choice(list(node))
        match rng.randrange(10):
            case 0:
                del node[key]
            case 1:
                node[rng.choice(("", "x", "../x", key + "x", "\x00", "0"))] = deepcopy(node[key])
            case 2:
                node[key] = deepcopy(node[rng.choice(list(node))])
            case _:
                node[key] = _change_value(node[key], rng)
        return node
    if isinstance(node, list) and node and rng.random() < 0.85:
        at = rng.randrange(len(node))
        match rng.randrange(10):
            case 0:
                del node[at]
            case 1:
                node.append(deepcopy(node[at]))
            case 2:
                node.reverse()
            case _:
                node[at] = _change_value(node[at], rng)
        return node
    if isinstance(node, str) and rng.random() < 0.5:
        return mutate(node.encode("utf-8", "surrogatepass"), rng).decode("utf-8", "replace")
    if type(node) is int and rng.random() < 0.5:
        return node + rng.choice((-1, 1, -node, 2**32, -(2**32)))
    return deepcopy(rng.choice(VALUES))  # what is put in twice must not be one object: it would hold itself
