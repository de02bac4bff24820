"""Targets that read what this machine wrote, or its operator, or what came by mail."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.fakes.client import Client
from tests.fuzz.mutation import mutate, mutate_json
from tests.fuzz.signed import published
from tests.fuzz.target import MIB, Target, json_memory
from vallum.allow import Allowance, Kind, read_allowances
from vallum.allow import add as allow
from vallum.config import Config, load_config
from vallum.invitation import Invitation, format_invitation, parse_invitation, root_fingerprint
from vallum.state import FILE as CURRENT
from vallum.state import format_current, parse_current
from vallum.sync.floor import format_floor, parse_floor, read_floor

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def current(folder: Path) -> Target:
    """``current.json``."""
    repository = published()
    client = Client(repository, folder / "client")
    client.synced()
    seed = _undigested(client.state / CURRENT)

    def read(data: bytes) -> None:
        found = parse_current(data)
        assert parse_current(format_current(found)) == found

    return Target((seed, b'{"format": 1, "sources": {}}'), read, mutate_json, json_memory)


def _undigested(path: Path) -> bytes:
    """A file without its digest, which would refuse each mutation before anything is read."""
    return json.dumps({**json.loads(path.read_bytes()), "sha256": ""}).encode()


def floor(folder: Path) -> Target:
    """``floor.json``."""
    client = Client(published(), folder / "client")
    client.synced()
    seed = _undigested(client.state / "hotline/floor.json")
    assert read_floor(client.state / "hotline").root

    def read(data: bytes) -> None:
        found = parse_floor("hotline", data)
        assert parse_floor("hotline", format_floor("hotline", found)) == found

    return Target((seed,), read, mutate_json, json_memory)


def allowances(folder: Path) -> Target:
    """``allow.json``."""
    for kind, text in ((Kind.URL, "good.example/a"), (Kind.HOST, "good.example"), (Kind.ID, "0" * 16)):
        allow(folder, Allowance(kind, text, NOW, NOW + timedelta(days=1), "wrongly listed"), NOW)
    path = folder / "allow.json"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for entry in read_allowances(folder):
            entry.to_dict()

    return Target((path.read_bytes(),), read, mutate_json, json_memory)


_CONFIG = b"""state = "state"
never_block = "never.txt"
allow = "allow.txt"

[hard_expiry]
policy = "open"
after = 30

[[source]]
name = "hotline"
url = "https://hotline.example/lists"
root = "hotline.root.json"
lists = ["urls", "files.match"]
proxy = "http://proxy.example:3128"
ca = "ca.pem"
timeout = 20
deadline = 300.5
quota = 1000000000
recipient = "key"

[source.headers]
Authorization = "Bearer token"

[source.floor]
root = 3
"urls.full" = "1.240"
"""


def configuration(folder: Path) -> Target:
    """The operator's TOML file."""
    path = folder / "vallum.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        config = load_config(path)
        assert isinstance(config, Config)
        config.digest()
        assert config.sources

    def change(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
        """Change bytes, or swap what stands behind two equal signs: mostly TOML still."""
        if rng.random() < 0.4:
            return mutate(data, rng, others)
        lines = data.split(b"\n")
        keys = [at for at, line in enumerate(lines) if b" = " in line]
        if not keys:
            return mutate(data, rng, others)
        at, other = rng.choice(keys), rng.choice(keys)
        value = rng.choice(
            (lines[other].partition(b" = ")[2], b"-1", b"1e400", b"nan", b"inf", b"[]", b"{}", b'"\\u0000"',
             b"true", b"2030-01-01", b'"' + b"x" * 3000 + b'"', b"9" * 400, b"[[[]]]",
             b'"http://[::1"', b'"\\u00e9"')
        )  # fmt: skip
        lines[at] = lines[at].partition(b" = ")[0] + b" = " + value
        return b"\n".join(lines)

    assert tomllib.loads(_CONFIG.decode())
    return Target((_CONFIG,), read, change, lambda data: 2 * MIB + 60 * len(data))


def invitation(_folder: Path) -> Target:
    """The file that a publisher sends, with the root that is to be trusted."""
    root = published().first_root
    made = Invitation("Hotline", "someone@hotline.example", "https://hotline.example", ("urls.full",), root)

    def read(data: bytes) -> None:
        found = parse_invitation(data)
        assert parse_invitation(format_invitation(found)) == found
        root_fingerprint(found.root)

    return Target((format_invitation(made),), read, mutate_json, json_memory)
