"""Targets that read what is signed: heads, charters, and metadata by way of a whole sync."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import MetaFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.fuzz.mutation import mutate, mutate_json
from tests.fuzz.target import MIB, Target, json_memory
from vallum.errors import FormatError
from vallum.format.charter import format_charter, parse_charter
from vallum.format.columns import compress, decompress
from vallum.format.head import format_head, parse_head
from vallum.sync.fetch import limit_of


class _Swift(Repository):
    def packed(self, name: str) -> bytes:
        """Level 19 would take 64 MiB for itself."""
        return compress(self.objects[name], 1)


def published() -> Repository:
    made = _Swift()
    made.create("urls")
    made.release("urls", listed("bad.example/a"))
    made.release("urls", listed("bad.example/a", "bad.example/b"))
    return made


def head(_folder: Path) -> Target:
    """``custom.vallum`` of a head."""

    def read(data: bytes) -> None:
        found = parse_head(_document(data))
        assert parse_head(json.loads(json.dumps(format_head(found)))) == found

    seed = json.dumps(format_head(published().head("urls"))).encode()
    sealed = json.loads(seed) | {"epochs": {"1": "0" * 64}, "critical": []}
    return Target((seed, json.dumps(sealed).encode()), read, mutate_json, json_memory)


def charter(_folder: Path) -> Target:
    """``custom.vallum`` of a charter."""

    def read(data: bytes) -> None:
        found = parse_charter(_document(data))
        assert parse_charter(json.loads(json.dumps(format_charter(found)))) == found

    known = published().lists["urls"].charter
    seeds = (known, replace(known, pepper="0" * 64, editions=("full", "match")))
    return Target(
        tuple(json.dumps(format_charter(one)).encode() for one in seeds), read, mutate_json, json_memory
    )


def _document(data: bytes) -> object:
    # As python-tuf reads it, before any of this is ours.
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError("fuzz", "not JSON") from None


def twin(_folder: Path) -> Target:
    """A packed twin of metadata: one zstd frame of at most a megabyte."""
    limit = limit_of("metadata/3.urls.full.json")
    repository = published()
    plain = [repository.objects[repository.name_of(role)] for role in ("snapshot", "targets", "urls.full")]

    def read(data: bytes) -> None:
        assert len(decompress("metadata", data, limit)) <= limit

    def change(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.1:
            return compress(bytes(rng.choice((limit, limit + 1, 8 * limit, 1))), 1)
        return mutate(data, rng, others)

    seeds = tuple(compress(data, level) for data in plain for level in (1, 19))
    # A decompressor's window, and the frame's own size.
    return Target(seeds, read, change, lambda data: MIB + 2 * limit + 2 * len(data))


def metadata(folder: Path) -> Target:
    """A role's metadata, changed and then signed rightly: a hostile publisher; through a whole sync.

    The first byte says which role; the rest is its JSON.
    """
    repository = published()
    roles = ("timestamp", "snapshot", "targets", "urls.full")
    client = Client(repository, folder / "client")
    client.synced()
    honest = dict(repository.objects)

    def read(data: bytes) -> None:
        role, document = roles[data[0] % len(roles)] if data else "timestamp", _document(data[1:])
        signed = document.get("signed") if isinstance(document, dict) else None
        repository.objects.clear()
        repository.objects.update(honest)
        with suppress(Exception):  # no such thing can be signed, so that none can be sent signed
            document = _signed(repository, role, signed)
        _send(repository, role, json.dumps(document).encode("utf-8", "surrogatepass"))
        before = client.in_force()
        report = client.sync()
        for _, error in report.errors():
            assert "unforeseen" not in str(error), error
        assert report.ok or client.in_force() == before
        for _, error in report.errors():
            raise error

    def change(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        return data[:1] + mutate_json(data[1:], rng, others)

    seeds = tuple(
        bytes((at,)) + repository.objects[repository.name_of(role)] for at, role in enumerate(roles)
    )
    return Target(seeds, read, change, lambda _data: 8 * MIB)


def _signed(repository: Repository, role: str, signed: Any) -> object:
    encoded = encode_canonical(signed)
    assert isinstance(encoded, str)
    signatures = [signer.sign(encoded.encode()).to_dict() for signer in repository.keys[role]]
    return {"signed": signed, "signatures": signatures}


def _send(repository: Repository, role: str, data: bytes) -> None:
    """Put a role in the place of the honest one, and name it in the next snapshot and timestamp."""
    name = repository.name_of(role)
    repository.objects[name] = data
    if role == "timestamp":
        return
    if role != "snapshot":
        version = (
            repository.roles[role].signed.version
            if role in repository.roles
            else repository.targets.signed.version
        )
        repository.snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
        repository.snapshot.signed.version += 1
        repository.sign("snapshot")
        repository.put("snapshot")
    repository.publish_timestamp()
