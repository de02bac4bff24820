"""Which stream an operator means: ``urls``, ``urls.match``, ``hotline/urls``.

A stream is one edition of a list, ``<list>.<edition>``; the names are format.md §9's.
"""

from __future__ import annotations

from collections.abc import Sequence

from vallum.errors import ConfigError
from vallum.format.charter import is_list_name
from vallum.format.table import EDITIONS

DEFAULT_EDITION = "full"


def parse_stream(text: str) -> str:
    """Turn ``urls`` or ``urls.match`` into a stream's name; the edition is ``full`` unless it is said.

    Raises:
        ConfigError: not a list's name, or no such edition.
    """
    name, dot, edition = text.partition(".")
    edition = edition if dot else DEFAULT_EDITION
    if not is_list_name(name):
        raise ConfigError(f"not the name of a list: {text!r}", hint="lower-case letters, digits and hyphens")
    if edition not in EDITIONS:
        raise ConfigError(f"{text!r}: no such edition", hint=f"editions: {', '.join(EDITIONS)}")
    return f"{name}.{edition}"


def resolve_stream(name: str, there: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Find what ``urls``, ``urls.match`` or ``source/urls`` means among pairs of source and stream.

    Raises:
        ConfigError: nothing, or more than one list, is named so.
    """
    wanted, _, rest = name.rpartition("/")
    found = [
        (source, stream)
        for source, stream in there
        if wanted in ("", source) and rest in (stream, stream.rpartition(".")[0])
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{source}/{stream}" for source, stream in there)
    what = "more than one followed list is" if found else "no followed list is"
    raise ConfigError(f"{what} named {name!r}", hint=f"there are: {known or 'none'}")
