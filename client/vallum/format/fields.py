"""Fields of the JSON that keys sign and folders keep: moments, integers, texts (format.md §1.2, §1.3).

Each is read with its check and refused by ``FormatError`` under the name of its layer. The fields of an
operator's TOML are :mod:`vallum.fields`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vallum.errors import FormatError
from vallum.format import limits

FORMAT = 1
"""The format of heads and charters."""

_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends and changes of direction: named one by one, since what Python calls printable
changes with each edition of Unicode, and a head must not be good here and bad there."""
_YEARS = range(1970, 9000)
"""Years of a moment: sums with ``max_age`` and the like stay within every calendar."""


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_time(layer: str, text: object) -> datetime:
    """Read what :func:`format_time` writes, nothing else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        if moment and moment.tzinfo and moment.year in _YEARS and format_time(moment) == text:
            return moment
    except (ValueError, OverflowError):
        pass  # foreign errors end here; the one below says it all
    raise FormatError(layer, "a time is not RFC 3339 in UTC with whole seconds")


def check_format(layer: str, raw: Mapping[str, Any]) -> None:
    """Require the format of this release; ``True == 1`` in Python and is none."""
    if type(raw.get("format")) is not int or raw["format"] != FORMAT:
        raise FormatError(layer, "an unknown format", hint="upgrade vallum on this machine")


def integer(layer: str, raw: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """Read one integer field within bounds; JSON's booleans are none."""
    value = raw.get(name)
    if type(value) is not int or not low <= value <= high:
        raise FormatError(layer, f"{name} is not an integer from {low} to {high}")
    return value


def text(layer: str, raw: Mapping[str, Any], name: str) -> str:
    """Read one string field: at most 256 bytes of UTF-8, no control characters (format.md §1.3)."""
    value = raw.get(name)
    if not isinstance(value, str) or _NO_TEXT.search(value) or len(value.encode()) > limits.HEAD_STRING:
        raise FormatError(
            layer, f"{name} is not a string of at most {limits.HEAD_STRING} bytes without control characters"
        )
    return value
