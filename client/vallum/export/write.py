"""Writing an export: whole or not at all, for its owner only, into a file or a pipe (client.md §12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vallum.allow import AllowFile
from vallum.durable import check_output, sweep, write_durable
from vallum.errors import InputError
from vallum.export.entries import Listing
from vallum.export.formats import FORMATS, blocks
from vallum.export.selection import Entry, Selection
from vallum.expression import Tag
from vallum.progress import Count, silent
from vallum.state import read_current

MODE, GROUP_MODE = 0o600, 0o640
_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        lines: entries written, decoys included.
        left_out: entries that touch what the operator allows.
        lists: ``(source, list, generation, version)`` of each.
    """

    lines: int
    left_out: int
    lists: tuple[tuple[str, str, int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "lines": self.lines,
            "left_out": self.left_out,
            "lists": [
                {"source": source, "list": name, "generation": generation, "version": version}
                for source, name, generation, version in self.lists
            ],
        }


@dataclass
class Export:
    """One export, opened and checked, not yet written.

    Attributes:
        listings: the lists that are written, one after another.
        format: ``text``, ``csv`` or ``jsonl``.
    """

    listings: tuple[Listing, ...]
    format: str
    _lines: int = field(default=0, init=False)

    @property
    def rows(self) -> int:
        """How many rows are meant, decoys and allowances aside."""
        return sum(sum(listing.chosen.values()) for listing in self.listings)

    def blocks(self, count: Count = silent) -> Iterator[bytes]:
        """The bytes to write. ``count`` is told now and then how many entries are done."""
        return blocks(FORMATS[self.format](self._counted(count)))

    def done(self) -> Exported:
        """What :meth:`blocks` gave."""
        return Exported(
            self._lines,
            sum(listing.left_out for listing in self.listings),
            tuple((one.source, one.list, one.generation, one.version) for one in self.listings),
        )

    def _counted(self, count: Count) -> Iterator[Entry]:
        self._lines = 0
        for listing in self.listings:
            listing.left_out = 0
            for entry in listing.entries(ids=self.format != "text"):
                self._lines += 1
                if not self._lines & 0xFFF:
                    count(self._lines, self.rows)
                yield entry


def open_export(
    state_dir: Path, format_name: str, selection: Selection = _EVERYTHING, *, allow_empty: bool = False
) -> Export:
    """Open what is to be exported, and check that it can be, before anything is written.

    Args:
        state_dir: the lists in force here.
        format_name: ``text``, ``csv`` or ``jsonl``.
        selection: of what.
        allow_empty: whether nothing may be meant. An empty file might switch something off unseen.

    Raises:
        ConfigError: a list of the ``match`` edition, an unknown list or format, nothing meant, or ``text`` of
            several scopes.
        UnavailableError: nothing is in force, or a file cannot be read.
        DataError: a table, key or file of allowances is damaged.
    """
    if format_name not in FORMATS:
        raise InputError(f"there is no format {format_name!r}", hint=f"formats: {', '.join(FORMATS)}")
    current = read_current(state_dir)
    if current.missing() and not selection.lists:
        raise current.lack()
    file = AllowFile(state_dir)
    file.look()
    allowed = file.current()
    export = Export(
        tuple(Listing(current, state_dir, found, selection, allowed) for found in selection.streams(current)),
        format_name,
    )
    if not export.rows and not allow_empty:
        raise InputError(
            "nothing is meant: no row has such a signal, scope and label; nothing was written",
            hint="leave out a filter, or add --allow-empty if an empty export is what you want",
        )
    if format_name == "text":
        _require_one_reach(export.listings)
    return export


def write_export(
    path: Path,
    export: Export,
    *,
    group: bool = False,
    count: Count = silent,
) -> Exported:
    """Write an export to a file, in place of what is there: the old one or the new one, whole, at any moment.

    Args:
        path: the file.
        export: what to write.
        group: whether the file's group may read it, too.
        count: as of :meth:`Export.blocks`.

    Raises:
        ConfigError: something else than a file stands there.
        StorageError: it cannot be written.
    """
    check_output(path, "name a file, or - for a pipe")
    sweep(path)
    write_durable(path, export.blocks(count), mode=GROUP_MODE if group else MODE)
    return export.done()


def _require_one_reach(listings: Iterable[Listing]) -> None:
    """``text`` says nothing of scopes: whoever reads a file of several would widen some (client.md §12.3)."""
    tally: dict[Tag, int] = {}
    for listing in listings:
        for tag, count in listing.chosen.items():
            tally[tag] = tally.get(tag, 0) + count
    if len(tally) > 1:
        there = ", ".join(f"{tag.scope or tag.signal} ({tally[tag]:,})" for tag in sorted(tally, key=_code))
        option = "--scope" if all(tag.scope for tag in tally) else "--signal"
        raise InputError(
            f"text cannot say what they are or how far they reach, and several kinds are meant: {there}",
            hint=f"choose one with {option} and --list, or export csv or jsonl, which say it",
        )


def _code(tag: Tag) -> int:
    return tag.code
