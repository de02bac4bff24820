"""What is fuzzed: every decoder that meets bytes of strangers or of a disk that lies.

A target's ``read`` may raise :class:`VallumError` and nothing else; what it takes, it must write again as it
came (or as the same value). ``memory`` is the most that it may ask for, by what the input declares.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import MetaFile

from schemas.vectorsmith.streams import DIGESTS, NEAR, URLS, Row, Stream, file_of
from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.fuzz.mutation import mutate, mutate_json
from vallum.allow import Allowance, Kind, read_allowances
from vallum.allow import add as allow
from vallum.config import Config, load_config
from vallum.errors import FormatError, VallumError
from vallum.format import limits
from vallum.format.charter import format_charter, parse_charter
from vallum.format.columns import compress, decompress, padme
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.head import format_head, parse_head
from vallum.format.keypair import Suite, generate, parse_line
from vallum.format.run import Run, apply_run, format_body, parse_header, parse_run
from vallum.format.seal import TAG_BYTES, open_run, run_key, seal_run
from vallum.format.table import Table, check_table, format_table, parse_table
from vallum.format.wrap import WRAP_BYTES, Secrets, open_wrap, seal_wrap
from vallum.invitation import Invitation, format_invitation, parse_invitation, root_fingerprint
from vallum.recipient import read_key, write_key
from vallum.state import FILE as CURRENT
from vallum.state import format_current, parse_current
from vallum.sync.fetch import limit_of
from vallum.sync.floor import format_floor, parse_floor, read_floor

Mutator = Callable[[bytes, Random, Sequence[bytes]], bytes]
MIB = 1 << 20
NOW = datetime(2030, 1, 1, tzinfo=UTC)


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


def _json_memory(data: bytes) -> int:
    # "{}," is three bytes of JSON and 72 of Python; a frame or two are kept of errors.
    return MIB + 40 * len(data)


def _run_memory(data: bytes) -> int:
    """Of a run's header: about three times ``raw_max``, and 64 bytes for each of the values allowed."""
    try:
        declared = parse_header(data)[0].raw_max
    except VallumError:
        declared = 0
    return 2 * MIB + 3 * (declared + len(data)) + 80 * min(declared, limits.VALUES)


# Runs and tables

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


# What is signed, in JSON


class _Swift(Repository):
    def packed(self, name: str) -> bytes:
        """Level 19 would take 64 MiB for itself."""
        return compress(self.objects[name], 1)


def _published() -> Repository:
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

    seed = json.dumps(format_head(_published().head("urls"))).encode()
    sealed = json.loads(seed) | {"epochs": {"1": "0" * 64}, "critical": []}
    return Target((seed, json.dumps(sealed).encode()), read, mutate_json, _json_memory)


def charter(_folder: Path) -> Target:
    """``custom.vallum`` of a charter."""

    def read(data: bytes) -> None:
        found = parse_charter(_document(data))
        assert parse_charter(json.loads(json.dumps(format_charter(found)))) == found

    known = _published().lists["urls"].charter
    seeds = (known, replace(known, pepper="0" * 64, editions=("full", "match")))
    return Target(
        tuple(json.dumps(format_charter(one)).encode() for one in seeds), read, mutate_json, _json_memory
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
    repository = _published()
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
    repository = _published()
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


# Keys


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


# What this machine wrote, or its operator


def current(folder: Path) -> Target:
    """``current.json``."""
    repository = _published()
    client = Client(repository, folder / "client")
    client.synced()
    # Without its digest, which would refuse each mutation before anything is read.
    seed = json.dumps({**json.loads((client.state / CURRENT).read_bytes()), "sha256": ""}).encode()

    def read(data: bytes) -> None:
        found = parse_current(data)
        assert parse_current(format_current(found)) == found

    return Target((seed, b'{"format": 1, "sources": {}}'), read, mutate_json, _json_memory)


def floor(folder: Path) -> Target:
    """``floor.json``."""
    client = Client(_published(), folder / "client")
    client.synced()
    seed = (client.state / "hotline/floor.json").read_bytes()
    assert read_floor(client.state / "hotline").root

    def read(data: bytes) -> None:
        found = parse_floor(data)
        assert parse_floor(format_floor(found)) == found

    return Target((seed,), read, mutate_json, _json_memory)


def allowances(folder: Path) -> Target:
    """``allow.json``."""
    for kind, text in ((Kind.URL, "good.example/a"), (Kind.HOST, "good.example"), (Kind.ID, "0" * 16)):
        allow(folder, Allowance(kind, text, NOW, NOW + timedelta(days=1), "wrongly listed"), NOW)
    path = folder / "allow.json"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for entry in read_allowances(folder):
            entry.to_dict()

    return Target((path.read_bytes(),), read, mutate_json, _json_memory)


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
    root = _published().first_root
    made = Invitation("Hotline", "someone@hotline.example", "https://hotline.example", ("urls.full",), root)

    def read(data: bytes) -> None:
        found = parse_invitation(data)
        assert parse_invitation(format_invitation(found)) == found
        root_fingerprint(found.root)

    return Target((format_invitation(made),), read, mutate_json, _json_memory)


TARGETS: dict[str, Callable[[Path], Target]] = {
    "run": run,
    "sealed-run": sealed_run,
    "table": table,
    "head": head,
    "charter": charter,
    "twin": twin,
    "metadata": metadata,
    "wrap": wrap,
    "keyfile": keyfile,
    "line": line,
    "current": current,
    "floor": floor,
    "allowances": allowances,
    "configuration": configuration,
    "invitation": invitation,
}
