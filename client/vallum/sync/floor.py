"""The floor: what must never be undercut, kept apart from TUF's cache (client.md §4.5).

Losing the cache would reopen roll-back. There is no floor for timestamp and snapshot: TUF recovers from a
fast-forward when root replaces their keys, and a floor of ours would make that impossible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vallum.digested import format_digested, parse_digested
from vallum.durable import os_errors, write_durable
from vallum.errors import FormatError, TrustError
from vallum.format import limits
from vallum.format.charter import split_stream
from vallum.format.fields import integer
from vallum.format.head import Head
from vallum.regular import read_regular

FILE = "floor.json"
FORMAT = 1
ROOT = "root"
_LAYER = "floor.json"
_RESTORE = (
    "restore it from your backup: it guards roll-back; without one, note what `vallum status` shows, remove "
    "the file, sync, and compare version and state with the publisher"
)

_SHIPPED = "is `[source.floor]` right? If it is, this is an old store or an attack: call the publisher"


@dataclass(frozen=True, slots=True)
class Mark:
    """What makes a version the same version: its numbers, and the state that they stand for."""

    generation: int
    version: int
    state: str

    @staticmethod
    def of(head: Head) -> Mark:
        """That of a head's version."""
        return Mark(head.generation, head.version, head.state)

    @property
    def numbers(self) -> tuple[int, int]:
        """Generation and version, which compare lexicographically."""
        return self.generation, self.version


@dataclass(frozen=True, slots=True)
class Floor:
    """One source's floor.

    Attributes:
        root: version of the root that was verified here, 0 before the first sync.
        streams: the newest version of each list that was ever in force here.
        least: what ships with the configuration (``Source.floor``). It guards for as long as it stands there,
            and is never written (client.md §7.3): a slip in it would stay for ever.
    """

    root: int = 0
    streams: Mapping[str, Mark] = field(default_factory=dict)
    least: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False)

    @property
    def least_root(self) -> int:
        """The version below which no root chain may end."""
        return max(self.root, self.least.get(ROOT, (0, 0))[1])

    def knows(self, stream: str) -> bool:
        """Whether a list had a version: here, or where the shipped floor was made."""
        return stream in self.streams or stream in self.least

    def check_root(self, version: int) -> None:
        """Refuse a root chain that ends below the floor (client.md §3.3).

        Raises:
            TrustError: with what the operator can do.
        """
        if version < self.root:
            raise TrustError(
                f"the root chain ends at version {version}, and {self.root} was verified here before",
                hint="an old store or an attack; if this source is another repository now, rename it",
            )
        if version < self.least_root:
            raise TrustError(
                f"the root chain ends at version {version}, and the configuration asks for {self.least_root}",
                hint=_SHIPPED,
            )

    def check_head(self, stream: str, head: Head) -> None:
        """Refuse a roll-back and an equivocation (client.md §4.5).

        Raises:
            EquivocationError: one version with two states.
            TrustError: an older version.
        """
        held, offered = self.streams.get(stream), Mark.of(head)
        if stream in self.least and offered.numbers < self.least[stream]:
            generation, version = self.least[stream]
            raise TrustError(
                f"{stream}: version {head.number} is older than {generation}.{version}, for which the "
                "configuration asks",
                hint=_SHIPPED,
            )
        if held is None:
            return
        if offered.numbers < held.numbers:
            raise TrustError(
                f"{stream}: version {head.number} is older than {held.generation}.{held.version}, which was "
                "in force here",
                hint="an old store or an attack; call the publisher",
            )
        if offered.numbers == held.numbers and offered.state != held.state:
            raise equivocation(stream, head)

    def raised(self, root: int, heads: Mapping[str, Head]) -> Floor:
        """The floor after ``heads`` were activated under a root of this version; it never sinks."""
        marks = dict(self.streams)
        for stream, head in heads.items():
            mark, activated = marks.get(stream), Mark.of(head)
            if mark is None or mark.numbers < activated.numbers:
                marks[stream] = activated
        return replace(self, root=max(self.root, root), streams=marks)

    def shipped(self, least: Mapping[str, tuple[int, int]]) -> Floor:
        """The floor, guarded also by what ships with the configuration."""
        return replace(self, least=least)


class EquivocationError(TrustError):
    """One version of a list was signed with two states."""


def equivocation(stream: str, head: Head) -> EquivocationError:
    """The refusal of a second state."""
    return EquivocationError(
        f"{stream}: version {head.number} has two signed states",
        hint="both are kept as evidence; call the publisher",
    )


def format_floor(source: str, floor: Floor) -> bytes:
    """Encode as JSON that carries its own digest (client.md §8.3), and whose it is; without what ships."""
    streams = {
        stream: {"generation": mark.generation, "version": mark.version, "state": mark.state}
        for stream, mark in floor.streams.items()
    }
    return format_digested({"format": FORMAT, "root": floor.root, "source": source, "streams": streams})


def parse_floor(source: str, data: bytes) -> Floor:
    """Read what :func:`format_floor` wrote; the first releases wrote neither source nor digest.

    Raises:
        FormatError: anything else, or the floor of another source.
    """
    raw = parse_digested(_LAYER, data)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("streams"), dict):
        raise FormatError(_LAYER, "damaged, or of another release")
    if raw.get("source", source) != source:
        raise FormatError(_LAYER, "it is that of another source")
    marks = {stream: _parse_mark(stream, mark) for stream, mark in raw["streams"].items()}
    # The first releases wrote down what shipped, too, with no state: that never came into force.
    marks = {stream: mark for stream, mark in marks.items() if mark.state}
    return Floor(integer(_LAYER, raw, "root", 0, limits.MAX_VERSION), marks)


def read_floor(folder: Path) -> Floor:
    """Read the floor of a source's folder; the first sync finds none.

    Raises:
        FormatError: as of :func:`parse_floor`. A damaged floor is not an absent one: whoever can damage it
            must not reopen roll-back.
        StorageError: it cannot be read.
    """
    path = folder / FILE
    with os_errors(path, "read"):
        try:
            data = read_regular(path)
        except FileNotFoundError:
            return Floor()
    try:
        return parse_floor(folder.name, data)
    except FormatError as error:
        # Whoever reads this has to find the file, which lies in its source's folder.
        raise FormatError(str(path), str(error).removeprefix(f"{_LAYER}: "), hint=_RESTORE) from None


def write_floor(folder: Path, floor: Floor) -> None:
    """Write the floor durably. Raises ``StorageError``."""
    write_durable(folder / FILE, [format_floor(folder.name, floor)], mode=0o640)


def _parse_mark(stream: str, raw: object) -> Mark:
    split_stream(stream)
    if not isinstance(raw, dict) or not isinstance(raw.get("state"), str):
        raise FormatError(_LAYER, "a mark is malformed")
    return Mark(
        integer(_LAYER, raw, "generation", 1, limits.MAX_GENERATION),
        integer(_LAYER, raw, "version", 1, limits.MAX_VERSION),
        raw["state"],
    )
