"""Fields of decoded TOML, each read with its check; an error names the file, the table and the key.

What the fields mean is :mod:`vallum.config`'s and :mod:`vallum.source`'s. All raise ``ConfigError``;
``path`` is the file, ``where`` the table in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vallum.errors import ConfigError

REFERENCE = "docs/reference/configuration.md has every key"
"""The hint where no better one is known."""


def file_of(path: Path, where: str, raw: Mapping[str, Any], key: str) -> Path | None:
    """The file that ``key`` names, relative to the folder of ``path``; ``None`` if it is not there."""
    return path.parent.absolute() / text_of(path, where, raw, key) if key in raw else None


def refuse_unknown(path: Path, where: str, raw: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a key that nobody reads: it was meant to do something."""
    for key in raw:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(names)}"
            raise ConfigError(f"{path}: {where}unknown key {key!r}", hint=hint)


def text_of(path: Path, where: str, raw: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """One line of printable text; not empty unless there is a default."""
    value = raw.get(key, default)
    if not isinstance(value, str) or not value.isprintable() or (not value and default is None):
        raise ConfigError(f"{path}: {where}{key} is missing or not a line of text")
    return value


def texts_of(path: Path, where: str, raw: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts, not empty."""
    value = raw.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{path}: {where}{key} is not an array of names", hint=f'such as {key} = ["urls"]')
    return value


def headers_of(path: Path, where: str, raw: object) -> dict[str, str]:
    """A table of HTTP headers."""
    # A header's value is often a secret: never show it.
    if not isinstance(raw, dict) or not all(
        isinstance(value, str) and name.isascii() and value.isascii() and (name + value).isprintable()
        for name, value in raw.items()
    ):
        raise ConfigError(f"{path}: {where}headers is not a table of printable ASCII strings")
    return dict(raw)


def number_of(path: Path, where: str, raw: Mapping[str, Any], key: str, default: float, high: float) -> float:
    """A number above 0 and up to ``high``."""
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
        raise ConfigError(f"{path}: {where}{key} is not a number above 0 and up to {high:g}")
    return value
