"""Reading an input whole: lines of a format to records, or a list of what is wrong; never half of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from enum import StrEnum
from typing import BinaryIO

from vallum.errors import ConfigError
from vallum.expression import Scope
from vallum.progress import Count, silent
from vallum_publisher.catalog.entry import Record
from vallum_publisher.catalog.garbage import collector_resting
from vallum_publisher.intake.delimited import read_delimited
from vallum_publisher.intake.fields import FIELDS, VALUE_FIELDS, RecordMaker
from vallum_publisher.intake.jsonlines import read_json_lines
from vallum_publisher.intake.lines import Lines
from vallum_publisher.intake.plain import read_plain
from vallum_publisher.intake.rejects import Reject, RejectedInput

_PROGRESS_EVERY = 20_000


class Format(StrEnum):
    """How an input is written."""

    TEXT = "text"
    CSV = "csv"
    JSONL = "jsonl"


def read_records(
    stream: BinaryIO,
    *,
    kind: str,
    format: Format | str,
    mapping: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    bare_host: Scope | str | None = None,
    label_scheme: str = "",
    unterminated: bool = False,
    progress: Count = silent,
) -> list[Record]:
    """Read an input to its end.

    Args:
        stream: bytes; a file or standard input.
        kind: of the list that it is for, ``url`` or ``hash``.
        format: see :class:`Format`.
        mapping: field to the name that the input gives it (CSV column, JSON member).
        encoding: one of :data:`vallum_publisher.intake.lines.ENCODINGS`; a byte-order mark is fine.
        bare_host: the scope of a host without path and scope: ``url``, ``host`` or ``domain``. Without it
            such lines are rejected, since guessing would widen.
        label_scheme: ``scheme:version`` of labels that are bare codes, such as ``uk-sap:1``.
        unterminated: whether to take a last line of text or CSV that has no line end. What is left of a URL
            when an exporter dies is another page. (A JSON object ends by itself.)
        progress: called now and then with the lines read, and ``None``.

    Returns:
        One record for each URL or digest, each identity once, in the order of the input.

    Raises:
        RejectedInput: with every rejected line; nothing is returned then.
        ConfigError: the arguments cannot be meant, or do not fit the input as a whole.
    """
    mapping = _check_mapping(mapping or {})
    if kind not in VALUE_FIELDS:
        raise ConfigError(f"no kind of list {kind!r}")
    maker = RecordMaker(kind, bare_host=_check_bare_host(bare_host), label_scheme=_check_scheme(label_scheme))
    lines = Lines(stream, encoding)
    form = _check_format(format)
    match form:
        case Format.TEXT:
            if mapping:
                raise ConfigError("plain text has no columns to map", hint="use the csv or jsonl format")
            found = read_plain(lines, maker, kind)
        case Format.CSV:
            found = read_delimited(lines, maker, kind, mapping)
        case Format.JSONL:
            found = read_json_lines(lines, maker, kind, mapping)
    batch = _Batch()
    told = 0
    with collector_resting():
        for line, result in found:
            if isinstance(result, Reject):
                batch.rejects.append(result)
            else:
                for record in result:
                    batch.add(line, record)
            if line - told >= _PROGRESS_EVERY:
                told = line
                progress(line, None)
    progress(lines.number, None)
    if lines.cut and not unterminated and form is not Format.JSONL:
        batch.reject_cut(lines.number)
    rejects = lines.rejects + batch.rejects
    if rejects:
        raise RejectedInput(rejects)
    return batch.records


class _Batch:
    """Unites what an input says twice, and finds where it contradicts itself."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.rejects: list[Reject] = []
        self._lines = array("Q")
        self._index: dict[tuple[object, ...], int] = {}

    def add(self, line: int, record: Record) -> None:
        known = self._index.setdefault(record[:3], len(self.records))  # tag, value, ref
        if known == len(self.records):
            self.records.append(record)
            self._lines.append(line)
        elif self.records[known] != record:
            self.rejects.append(
                Reject(
                    line,
                    "",
                    f"contradicts line {self._lines[known]}: same value and report, other facts",
                    "keep one of them, or give the reports different numbers",
                )
            )

    def reject_cut(self, line: int) -> None:
        """Refuse the last line, which has no line end, unless something else is wrong with it."""
        if not self.rejects or self.rejects[-1].line != line:
            hint = "is the file whole? then end that line, or say --unterminated"
            self.rejects.append(Reject(line, "", "the last line has no line end", hint))


def _check_format(format: Format | str) -> Format:
    try:
        return Format(format)
    except ValueError:
        raise ConfigError(f"no input format {format!r}", hint=f"formats: {', '.join(Format)}") from None


def _check_mapping(mapping: Mapping[str, str]) -> Mapping[str, str]:
    unknown = sorted(mapping.keys() - set(FIELDS))
    if unknown:
        raise ConfigError(f"no field {unknown[0]!r} to map to", hint=f"fields: {', '.join(FIELDS)}")
    return mapping


def _check_bare_host(bare_host: Scope | str | None) -> Scope | None:
    if bare_host is None or bare_host in (Scope.URL, Scope.HOST, Scope.DOMAIN):
        return None if bare_host is None else Scope(bare_host)
    raise ConfigError("a bare host means url, host or domain")


def _check_scheme(scheme: str) -> str:
    if scheme and scheme.count(":") != 1:
        raise ConfigError("a label scheme is scheme:version, such as uk-sap:1")
    return scheme
