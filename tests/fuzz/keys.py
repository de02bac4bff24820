"""Targets that read keys: wraps, key files, the lines that recipients send."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.fuzz.mutation import mutate
from tests.fuzz.target import MIB, Target
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.keypair import Suite, generate, parse_line
from vallum.format.wrap import WRAP_BYTES, Secrets, open_wrap, seal_wrap
from vallum.recipient import read_key, write_key


def wrap(_folder: Path) -> Target:
    """A key object: 2,048 bytes that anybody may have sealed to a recipient's public key."""
    recipients = [generate(Suite.X25519), generate(Suite.HYBRID)]
    epoch = Epoch(b"u" * 16, "urls.full", 1, 1)
    contents = Secrets(b"k" * 32, b"p" * 32, b"s" * 32)
    signed = commit_epoch(epoch, contents.key), commit_pepper(epoch, contents.pepper)

    def read(data: bytes) -> None:
        # The first byte says whose it is.
        if data:
            opened = open_wrap(data[1:], recipients[data[0] % 2], epoch, *signed)
            # The seed is the recipient's own: nothing commits to it.
            assert (opened.key, opened.pepper) == (contents.key, contents.pepper), "a foreign key"

    def change(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.5:
            return mutate(data, rng, others)
        suite = recipients[data[0] % 2].suite
        inner = contents.key + contents.pepper + contents.seed
        sealed = mutate(inner.ljust(WRAP_BYTES - suite.overhead, b"\0"), rng)
        info = epoch.context("wrap") + suite.ids
        return data[:1] + recipients[data[0] % 2].public().seal(sealed, info)

    seeds = tuple(
        bytes((at,)) + seal_wrap(epoch, contents, one.public()) for at, one in enumerate(recipients)
    )
    return Target(seeds, read, change, lambda data: MIB + 8 * len(data))


def keyfile(folder: Path) -> Target:
    """A recipient's key file, in clear and under a passphrase."""
    path, seeds = folder / "key", []
    for number, (suite, passphrase) in enumerate(
        ((Suite.X25519, ""), (Suite.HYBRID, ""), (Suite.X25519, "x"))
    ):
        made = folder / f"seed{number}"
        write_key(made, generate(suite), passphrase, cost=10)
        seeds.append(made.read_bytes())
    path.touch(0o600)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        key = read_key(path, "x")
        assert len(key.data) == key.suite.private_bytes

    # A locked file may ask for scrypt's N up to 2^20: a gigabyte, as its owner chose.
    return Target(tuple(seeds), read, mutate, lambda data: 2 * MIB + 8 * len(data))


def line(_folder: Path) -> Target:
    """The line that a recipient sends, as mail programs leave it."""

    def read(data: bytes) -> None:
        key = parse_line(data.decode("utf-8", "replace"))
        assert parse_line(key.line()) == key

    seeds = tuple(generate(suite).public().line().encode() for suite in Suite)
    return Target(seeds, read, mutate, lambda data: MIB + 20 * len(data))
