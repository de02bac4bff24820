"""The one TOML file: where the state lies and which sources are followed (docs/reference/configuration.md).

Reading and writing it, and nothing else: it is plain values afterwards. One source is :mod:`vallum.source`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import ConfigError
from vallum.fields import REFERENCE, file_of, number_of, refuse_unknown, text_of
from vallum.namedfile import digest_named, read_named
from vallum.source import Source, parse_source

__all__ = [
    "HARD_EXPIRY_DAYS", "Config", "HardExpiry", "Source", "add_source", "load_config", "parse_config",
]  # fmt: skip

HARD_EXPIRY_DAYS = 30

_TOP = ("state", "group_readable", "never_block", "allow", "hard_expiry", "source")
_HARD_EXPIRY = ("after", "policy")


@dataclass(frozen=True, slots=True)
class HardExpiry:
    """What becomes of a list after so many stale days: it is enforced on, or with ``opens`` no longer."""

    days: int = HARD_EXPIRY_DAYS
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """All that the operator says.

    Attributes:
        state: folder of everything that was verified.
        sources: at least one.
        path: the file it came from, if any.
        never_block: file of names that no list may block as a whole.
        allow: file of what no list may block at all.
        hard_expiry: what becomes of a list that stays stale.
        group_readable: whether the state folder's group may look things up; else its owner alone.
    """

    state: Path
    sources: tuple[Source, ...]
    path: Path | None = None
    never_block: Path | None = None
    allow: Path | None = None
    hard_expiry: HardExpiry = HardExpiry()
    group_readable: bool = False

    def followed(self) -> list[str]:
        """All lists that are followed, as ``source/stream``."""
        return [f"{source.name}/{stream}" for source in self.sources for stream in source.streams]

    def digest(self) -> str:
        """SHA-256 over the values and the bytes of the files they name, as hex.

        A file that cannot be read counts as absent here; whoever needs it says so.
        """
        state = hashlib.sha256()
        own = [
            digest_named(self.never_block),
            digest_named(self.allow),
            self.hard_expiry.days,
            self.hard_expiry.opens,
        ]
        # Who may read is no part of it: nothing has to be verified anew for that.
        state.update(json.dumps(own).encode() + b"\n")
        for source in self.sources:
            values = [
                source.name, source.url, source.streams, source.proxy, sorted(source.headers.items()),
                source.query, source.timeout, source.deadline, source.quota, digest_named(source.root),
                digest_named(source.ca), sorted(source.floor.items()), digest_named(source.recipient),
            ]  # fmt: skip
            state.update(json.dumps(values).encode() + b"\n")
        return state.hexdigest()


def load_config(path: Path) -> Config:
    """Read a configuration; relative paths in it are relative to its folder.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key, or a value that cannot be meant.
    """
    return parse_config(_parse(read_named(path, "the configuration"), path), path)


def parse_config(raw: Mapping[str, Any], path: Path) -> Config:
    """Check the decoded TOML of ``path``. Raises ``ConfigError``."""
    refuse_unknown(path, "", raw, _TOP)
    tables = raw.get("source")
    if not isinstance(tables, list) or not tables or not all(isinstance(item, dict) for item in tables):
        raise ConfigError(f"{path}: no [[source]] table", hint="`vallum init --invitation FILE` makes one")
    sources = tuple(parse_source(path, table) for table in tables)
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two sources are named {name!r}", hint="give each its own name")
    readable = raw.get("group_readable", False)
    if not isinstance(readable, bool):
        raise ConfigError(f"{path}: group_readable is neither true nor false")
    return Config(
        state=path.parent.absolute() / text_of(path, "", raw, "state"),
        sources=sources,
        path=path,
        never_block=file_of(path, "", raw, "never_block"),
        allow=file_of(path, "", raw, "allow"),
        hard_expiry=_hard_expiry(path, raw.get("hard_expiry", {})),
        group_readable=readable,
    )


def add_source(path: Path, table: str, root_file: Path, root: bytes) -> Config:
    """Put a ``[[source]]`` table (TOML text) at the end of a configuration, and its root file beside it.

    A configuration that does not exist yet is begun with ``state = "state"``.

    Raises:
        ConfigError: the result would not be a valid configuration, or the root file exists with other bytes.
        StorageError: a file cannot be written.
    """
    before = b'# See docs/reference/configuration.md.\nstate = "state"\n'
    with os_errors(path, "read"):
        there = path.exists()
    if there:
        before = read_named(path, "the configuration")
    data = before.rstrip(b"\n") + b"\n\n" + table.encode()
    config = parse_config(_parse(data, path), path)
    make_folder(path.parent)
    if not write_durable(root_file, [root], exclusive=True):
        with os_errors(root_file, "read"):
            if root_file.read_bytes() != root:
                raise ConfigError(f"{root_file} exists and is another root", hint="choose another --name")
    write_durable(path, [data], mode=0o640)
    return config


def _hard_expiry(path: Path, raw: object) -> HardExpiry:
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: hard_expiry is not a table", hint=REFERENCE)
    where = "hard_expiry."
    refuse_unknown(path, where, raw, _HARD_EXPIRY)
    policy = text_of(path, where, raw, "policy", "keep")
    if policy not in ("keep", "open"):
        raise ConfigError(
            f"{path}: {where}policy is neither keep nor open",
            hint="keep goes on enforcing the last good list; open stops, for you alone can say that",
        )
    days = max(1, int(number_of(path, where, raw, "after", HARD_EXPIRY_DAYS, 3650)))
    return HardExpiry(days, policy == "open")


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    """Decode TOML; Python alone would stumble over a number of 5,000 digits, or brackets 20,000 deep."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint=REFERENCE) from None
