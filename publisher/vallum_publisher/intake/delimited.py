"""CSV: a header line, then one record a row; comma, semicolon or tab, whichever the header has.

Columns are found by the mapping, or by the name of the field they hold. A row with more or fewer cells than
the header is rejected: a URL with an unquoted comma would otherwise be listed cut short.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vallum.errors import ConfigError
from vallum_publisher.intake.fields import FACT_FIELDS, FIELDS, VALUE_FIELDS, Facts, RawFacts, RecordMaker
from vallum_publisher.intake.lines import Lines
from vallum_publisher.intake.rejects import BadField, Found, Reject, shorten

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_SEPARATORS = re.compile(r"[\s,;|]+")
_SETS = frozenset({"labels", "flags", "jurisdictions"})
_COLUMN_NAME = re.compile(r"(?![0-9A-Fa-f]{32})[\w ()-]{1,40}")
_CACHED = 100_000


def read_delimited(lines: Lines, maker: RecordMaker, kind: str, mapping: Mapping[str, str]) -> Found:
    """Read all rows.

    Raises:
        ConfigError: a mapped column is not there, or none that holds a value.
    """
    header_line = next((line for line in lines if line.strip()), "")
    if lines.rejects:
        return  # what cannot be read has no columns
    delimiter = _delimiter(header_line)
    try:
        # By itself, so that what it is not can be said of it alone.
        names = [name.strip() for name in next(csv.reader([header_line], delimiter=delimiter), [])]
    except csv.Error:
        raise _no_header() from None
    columns = _columns(names, kind, mapping)
    values = [(name, at) for name, at in columns.items() if name in VALUE_FIELDS[kind]]
    facts_of = _FactCells(maker, columns)
    ref_at, content_at = columns.get("ref"), columns.get("content_id")

    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = lines.number + 1
        try:
            cells = next(rows)
            if not cells or cells == [""]:
                continue
            if len(cells) != len(names):
                raise BadField(
                    "",
                    f"{len(cells)} cells where the header has {len(names)}",
                    hint="put cells that hold the separator in double quotes",
                )
            found = maker.records(
                [(name, cells[at].strip()) for name, at in values],
                "" if ref_at is None else cells[ref_at].strip(),
                "" if content_at is None else cells[content_at].strip(),
                facts_of.row(cells),
            )
        except StopIteration:
            return
        except csv.Error as error:
            yield first, Reject(first, "", f"not CSV: {error}", "check the row's quotes and line ends")
        except BadField as error:
            at = columns.get(error.field)
            column = error.field if at is None else names[at]
            yield first, Reject(first, column, str(error), error.hint, shorten(error.text))
        else:
            yield first, found


class _FactCells:
    """Reads what a row says besides its value; most rows of a file say the same."""

    def __init__(self, maker: RecordMaker, columns: Mapping[str, int]) -> None:
        self._maker = maker
        self._names = [name for name in FACT_FIELDS if name in columns]
        self._at = [columns[name] for name in self._names]
        self._known: dict[tuple[str, ...], RawFacts] = {}

    def row(self, cells: Sequence[str]) -> Facts:
        texts = tuple([cells[at] for at in self._at])
        raw = self._known.get(texts)
        if raw is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            said: dict[str, Any] = {
                name: tuple(filter(None, _SEPARATORS.split(text))) if name in _SETS else text.strip()
                for name, text in zip(self._names, texts, strict=True)
            }
            raw = self._known[texts] = RawFacts(**said)
        return self._maker.facts(raw)


def _delimiter(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(_DELIMITERS, key=bare.count)


def _columns(names: Sequence[str], kind: str, mapping: Mapping[str, str]) -> dict[str, int]:
    """Say in which column each field stands."""
    if not all(_COLUMN_NAME.fullmatch(name) for name in names if name):
        raise _no_header()
    by_name: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        by_name.setdefault(_plain(name), []).append(at)
    columns = {}
    # One word alone may be a list's first line as well: then it is what no message may quote.
    there = ", ".join(names) if len(names) > 1 else "one, if that line is a header"
    for field in FIELDS:
        wanted = mapping.get(field, field)
        found = by_name.get(_plain(wanted), [])
        if len(found) > 1:
            raise ConfigError(f"column {wanted!r} stands there more than once", hint=f"columns: {there}")
        if found:
            columns[field] = found[0]
        elif field in mapping:
            raise ConfigError(f"no column {wanted!r} for {field}", hint=f"columns: {there}")
    if not columns.keys() & set(VALUE_FIELDS[kind]):
        needed = " or ".join(VALUE_FIELDS[kind])
        raise ConfigError(
            f"no column holds {needed}",
            hint=f"map one, such as {VALUE_FIELDS[kind][0]}=NAME; columns: {there}",
        )
    return columns


def _no_header() -> ConfigError:
    return ConfigError(
        "the first line holds no column names",
        hint="give the file a header line, or use the text format for bare lists",
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
