"""Reading a file of many recipients: ``name,fingerprint,line``, one a row (RFC 4180).

Each fingerprint is what its recipient said over a second channel, not what came with the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable

from vallum.errors import InputError
from vallum.format.keypair import parse_line
from vallum_publisher.recipients.custody import Member

COLUMNS = ("name", "fingerprint", "line")
_HINT = f"first line: {','.join(COLUMNS)}"


def parse_members(lines: Iterable[str], where: str) -> list[Member]:
    """Read such a file, whole or not at all.

    Args:
        lines: its lines.
        where: its name, for messages.

    Raises:
        InputError: a row is malformed, a line is none, or a fingerprint is not that of its key.
    """
    reader = csv.reader(lines, strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise InputError(f"{where}: not a file of recipients", hint=_HINT)
        members = [_parse_member(row, f"{where}, line {reader.line_num}") for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{where}, line {reader.line_num}: {error}", hint=_HINT) from None
    if not members:
        raise InputError(f"{where}: there is nobody in it", hint=_HINT)
    return members


def _parse_member(row: list[str], where: str) -> Member:
    if len(row) != len(COLUMNS) or not row[0].strip() or not row[0].isprintable():
        raise InputError(f"{where}: not {', '.join(COLUMNS)}", hint=_HINT)
    name, fingerprint, line = row
    try:
        key = parse_line(line)
        key.check_fingerprint(fingerprint)
    except InputError as error:
        raise InputError(f"{where}, {name}: {error}", hint=error.hint) from None
    return Member(name.strip(), key)
