"""The one TOML file: where the state lies and which sources are followed (docs/reference/configuration.md).

Reading and writing it, and nothing else: it is plain values afterwards. Root files are read when they are
used, so that one source's broken file does not hold back another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from vallum.address import check_url
from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import ConfigError
from vallum.fields import file_of, headers_of, number_of, refuse_unknown, text_of, texts_of
from vallum.format import limits
from vallum.format.charter import is_list_name
from vallum.regular import identity
from vallum.streams import parse_stream

TIMEOUT = 30.0
DEADLINE = 3600.0
QUOTA = 4 << 30

HARD_EXPIRY_DAYS = 30

_TOP = ("state", "group_readable", "never_block", "allow", "hard_expiry", "source")
_HARD_EXPIRY = ("after", "policy")
_SOURCE = (
    "name",
    "url",
    "root",
    "lists",
    "proxy",
    "ca",
    "headers",
    "query",
    "timeout",
    "deadline",
    "quota",
    "floor",
    "recipient",
    "hints",
)
_QUERY = re.compile(r"[!-\"$-~]*")  # printable ASCII without blanks and `#`
_REFERENCE = "docs/reference/configuration.md has every key"
_MAX_NAMES_BYTES = 64 << 20
_MAX_BYTES = 1 << 20
_RESERVED = ("lock",)  # a file of the state folder has this name


@dataclass(frozen=True, slots=True)
class Source:
    """One publisher's repository.

    Attributes:
        name: folder in the state, and what matches carry; unique in the configuration.
        url: ``http:``, ``https:`` or ``file:``, without a slash at its end.
        root: file with the root metadata that was handed over; the only thing that is trusted.
        streams: ``<list>.<edition>``, sorted.
        proxy: URL; empty means what the environment says, ``"none"`` no proxy.
        ca: file of certificates to trust in place of the system's.
        headers: sent with each request, such as an authorization.
        query: put behind each address, such as a signature that lets the whole container be read.
        timeout: seconds to wait for a connection, and for each next byte.
        deadline: seconds that one sync of this source may take.
        quota: bytes that this source may fill, and make us fetch in one sync.
        recipient: file of the private key that encrypted lists are sealed to.
        floor: what ships with the configuration: the least version of ``root``, and the least generation
            and version by stream.
        hints: ``http:`` or ``https:`` URL of server-sent events that give reason to poll; empty for none.
    """

    name: str
    url: str
    root: Path
    streams: tuple[str, ...]
    proxy: str = ""
    ca: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    timeout: float = TIMEOUT
    deadline: float = DEADLINE
    quota: int = QUOTA
    recipient: Path | None = None
    floor: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    hints: str = ""

    def root_bytes(self) -> bytes:
        """Read the root file.

        Raises:
            ConfigError: it cannot be read.
        """
        return _read(
            self.root,
            f"source {self.name}: the root file",
            hint=f"`vallum init --invitation FILE --name {self.name}` puts it back",
        )


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

    def digest(self) -> str:
        """SHA-256 over the values and the bytes of the files they name, as hex.

        A file that cannot be read counts as absent here; whoever needs it says so.
        """
        state = hashlib.sha256()
        own = [_digest(self.never_block), _digest(self.allow), self.hard_expiry.days, self.hard_expiry.opens]
        # Who may read is no part of it: nothing has to be verified anew for that.
        state.update(json.dumps(own).encode() + b"\n")
        for source in self.sources:
            values = [
                source.name, source.url, source.streams, source.proxy, sorted(source.headers.items()),
                source.query, source.timeout, source.deadline, source.quota, _digest(source.root),
                _digest(source.ca), sorted(source.floor.items()), _digest(source.recipient),
            ]  # fmt: skip
            state.update(json.dumps(values).encode() + b"\n")
        return state.hexdigest()


def load_config(path: Path) -> Config:
    """Read a configuration; relative paths in it are relative to its folder.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key, or a value that cannot be meant.
    """
    return parse_config(_parse(_read(path, "the configuration"), path), path)


def parse_config(raw: Mapping[str, Any], path: Path) -> Config:
    """Check the decoded TOML of ``path``. Raises ``ConfigError``."""
    refuse_unknown(path, "", raw, _TOP)
    tables = raw.get("source")
    if not isinstance(tables, list) or not tables or not all(isinstance(item, dict) for item in tables):
        raise ConfigError(f"{path}: no [[source]] table", hint="`vallum init --invitation FILE` makes one")
    sources = tuple(_source(path, table) for table in tables)
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


def read_names(path: Path) -> list[tuple[int, str]]:
    """Read a file of one name a line with their line numbers; ``#`` begins a comment.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    data = _read(path, "the file", _MAX_NAMES_BYTES, "make it, or take it out of the configuration")
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8", hint="save it as UTF-8, one name a line") from None
    stripped = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [(number, name) for number, name in stripped if name]


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
        before = _read(path, "the configuration")
    data = before.rstrip(b"\n") + b"\n\n" + table.encode()
    config = parse_config(_parse(data, path), path)
    make_folder(path.parent)
    if not write_durable(root_file, [root], exclusive=True):
        with os_errors(root_file, "read"):
            if root_file.read_bytes() != root:
                raise ConfigError(f"{root_file} exists and is another root", hint="choose another --name")
    write_durable(path, [data], mode=0o640)
    return config


def _source(path: Path, raw: Mapping[str, Any]) -> Source:
    name = text_of(path, "source.", raw, "name")
    if not is_list_name(name) or name in _RESERVED:
        raise ConfigError(
            f"{path}: source.name {name!r} cannot name a folder",
            hint="lower-case letters, digits and hyphens",
        )
    where = f"source {name}: "
    refuse_unknown(path, where, raw, _SOURCE)
    base = path.parent
    try:
        url = check_url(text_of(path, where, raw, "url"), base)
        streams = tuple(sorted(map(parse_stream, texts_of(path, where, raw, "lists"))))
    except ConfigError as error:
        said = str(error)
        raise (
            error if said.startswith(str(path)) else ConfigError(f"{path}: {where}{said}", hint=error.hint)
        ) from None
    if len(set(streams)) != len(streams):
        raise ConfigError(f"{path}: {where}lists names one list twice", hint="take one of them out")
    if len({stream.partition(".")[0] for stream in streams}) != len(streams):
        raise ConfigError(
            f"{path}: {where}lists names two editions of one list", hint="full holds all that match holds"
        )
    return Source(
        name=name,
        url=url,
        root=base.absolute() / text_of(path, where, raw, "root"),
        streams=streams,
        proxy=text_of(path, where, raw, "proxy", ""),
        ca=file_of(path, where, raw, "ca"),
        headers=_headers(path, where, raw),
        query=_query(path, where, raw),
        timeout=number_of(path, where, raw, "timeout", TIMEOUT, 600),
        deadline=number_of(path, where, raw, "deadline", DEADLINE, 86_400),
        quota=int(number_of(path, where, raw, "quota", QUOTA, 1 << 50)),
        recipient=file_of(path, where, raw, "recipient"),
        floor=_floor(path, where, raw.get("floor", {}), streams),
        hints=_hints(path, where, raw, base),
    )


def _query(path: Path, where: str, raw: Mapping[str, Any]) -> str:
    text = text_of(path, where, raw, "query", "").removeprefix("?")
    if not _QUERY.fullmatch(text):
        # Never shown: it is as good as a password.
        raise ConfigError(
            f"{path}: {where}query is not what may stand behind a `?`", hint="such as sv=…&sig=…"
        )
    return text


def _headers(path: Path, where: str, raw: Mapping[str, Any]) -> dict[str, str]:
    """Below ``[source.headers]`` all is a header, also what was meant to be a key of the source."""
    found = headers_of(path, where, raw.get("headers", {}))
    for name in found:
        if name in _SOURCE:
            line = _line_of(path, name)
            at = f"line {line}: " if line else ""
            raise ConfigError(
                f"{path}: {at}{where}{name!r} stands among the headers, and is a key of the source",
                hint=f"move it above [source.headers]; a header of that name is written {name.title()!r}",
            )
    return found


def _line_of(path: Path, name: str) -> int:
    """The first line below ``[source.headers]`` that sets ``name``; 0 if it is written otherwise."""
    inside = False
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("["):
            inside = "headers" in line
        elif inside and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return number
    return 0


def _hints(path: Path, where: str, raw: Mapping[str, Any], base: Path) -> str:
    if "hints" not in raw:
        return ""
    text = text_of(path, where, raw, "hints")
    if not text.startswith(("http://", "https://")):
        raise ConfigError(
            f"{path}: {where}hints is not an address of events",
            hint="such as https://lists.example/events; leave it out if the publisher offers none",
        )
    try:
        return check_url(text, base)
    except ConfigError as error:
        raise ConfigError(f"{path}: {where}hints: {error}", hint=error.hint) from None


def _floor(path: Path, where: str, raw: object, streams: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    floor: dict[str, tuple[int, int]] = {}
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: {where}floor is not a table", hint=_REFERENCE)
    refuse_unknown(path, f"{where}floor.", raw, ("root", *streams))
    for name, said in raw.items():
        numbers = (
            re.fullmatch(r"([1-9][0-9]{0,9})\.([1-9][0-9]{0,15})", said) if isinstance(said, str) else None
        )
        if name == "root" and type(said) is int and 0 < said <= limits.MAX_VERSION:
            floor[name] = (0, said)
        elif name != "root" and numbers:
            floor[name] = (int(numbers[1]), int(numbers[2]))
        else:
            raise ConfigError(
                f"{path}: {where}floor.{name} is not a version",
                hint='such as root = 3, and "urls.full" = "1.240" (generation and version)',
            )
    return floor


def _hard_expiry(path: Path, raw: object) -> HardExpiry:
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: hard_expiry is not a table", hint=_REFERENCE)
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


def _read(
    path: Path,
    what: str,
    limit: int = _MAX_BYTES,
    hint: str = "`vallum init --invitation FILE` makes what it needs",
) -> bytes:
    try:
        with path.open("rb") as file:
            # Python sets aside as many bytes as it is asked for: ask for no more than there are (0: a pipe).
            data = file.read(min(os.fstat(file.fileno()).st_size or limit, limit) + 1)
    except FileNotFoundError:
        raise ConfigError(f"{what} {path} does not exist", hint=hint) from None
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be read: {error.strerror}", hint="give this user access to it"
        ) from None
    if len(data) > limit:
        raise ConfigError(f"{what} {path} is larger than {limit} bytes", hint="is it the right file?")
    return data


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    """Decode TOML; Python alone would stumble over a number of 5,000 digits, or brackets 20,000 deep."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint=_REFERENCE) from None


def _digest(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return _digest_of(path, identity(path))
    except (ConfigError, OSError):
        return "absent"


@lru_cache(maxsize=64)
def _digest_of(path: Path, _identity: tuple[int, int, int]) -> str:
    """Hash a file once as long as it looks the same: a poll must not read a long list of names each time."""
    return hashlib.sha256(_read(path, "file", _MAX_NAMES_BYTES)).hexdigest()
