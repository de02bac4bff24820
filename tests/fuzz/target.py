"""What a target is; they stand in the files beside this one, by what they read.

A target's ``read`` may raise :class:`VallumError` and nothing else; what it takes, it must write again as it
came (or as the same value). ``memory`` is the most that it may ask for, by what the input declares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Mutator = Callable[[bytes, Random, Sequence[bytes]], bytes]
MIB = 1 << 20


@dataclass(frozen=True)
class Target:
    """One decoder.

    Attributes:
        seeds: valid inputs.
        read: decodes, and asserts what holds of whatever is taken.
        mutate: makes an input of a seed.
        memory: bytes that decoding this input may ask for at most.
    """

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], None]
    mutate: Mutator
    memory: Callable[[bytes], int]


def json_memory(data: bytes) -> int:
    # "{}," is three bytes of JSON and 72 of Python; a frame or two are kept of errors.
    return MIB + 40 * len(data)
