"""One publisher's repository, as a ``[[source]]`` table says it (docs/reference/configuration.md).

Plain values, each checked. The root file is read when it is used, so that one source's broken file does not
hold back another. The rest of the file is :mod:`vallum.config`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vallum.address import check_url
from vallum.errors import ConfigError
from vallum.fields import REFERENCE, file_of, headers_of, number_of, refuse_unknown, text_of, texts_of
from vallum.format import limits
from vallum.format.charter import is_list_name
from vallum.namedfile import read_named
from vallum.streams import parse_stream

TIMEOUT = 30.0
DEADLINE = 3600.0
QUOTA = 4 << 30

_KEYS = (
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

    @property
    def way_to_root(self) -> str:
        """How a root file that is damaged or another publisher's is put right, for hints."""
        return f"remove {self.root}, and `vallum init --invitation FILE --name {self.name}` puts it back"

    def root_bytes(self) -> bytes:
        """Read the root file.

        Raises:
            ConfigError: it cannot be read.
        """
        return read_named(
            self.root,
            f"source {self.name}: the root file",
            hint=f"`vallum init --invitation FILE --name {self.name}` puts it back",
        )


def parse_source(path: Path, raw: Mapping[str, Any]) -> Source:
    """Check one decoded ``[[source]]`` table of ``path``. Raises ``ConfigError``."""
    name = text_of(path, "source.", raw, "name")
    if not is_list_name(name) or name in _RESERVED:
        raise ConfigError(
            f"{path}: source.name {name!r} cannot name a folder",
            hint="lower-case letters, digits and hyphens",
        )
    where = f"source {name}: "
    refuse_unknown(path, where, raw, _KEYS)
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
        if name in _KEYS:
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
        raise ConfigError(f"{path}: {where}floor is not a table", hint=REFERENCE)
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
