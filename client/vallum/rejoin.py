"""An invitation to a source that is followed already: it puts back what the configuration lacks, and no more.

A root file that is gone and a recipient's key that was forgotten are what a second ``vallum init`` is for.
Another root is another matter (:mod:`vallum.sync.reroot`).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from vallum.address import check_url
from vallum.config import Config, Source, parse_config
from vallum.durable import os_errors, write_durable
from vallum.errors import ConfigError
from vallum.invitation import Invitation, toml_text

_TABLE = re.compile(r"\s*\[")
_SOURCE = re.compile(r"\s*\[\[\s*source\s*\]\]")
_NAME = re.compile(r"\s*name\s*=")


def rejoin(path: Path, config: Config, source: Source, invited: Invitation, recipient: Path | None) -> Config:
    """Put back the root file, and add the recipient's key, where they are missing.

    Args:
        path, config: the configuration's file, and what it says.
        source: the one that the invitation is to.
        invited: to the same address.
        recipient: key file for encrypted lists, if the operator names one.

    Raises:
        ConfigError: it is another publisher's, nothing is missing, the source names another key, or the file
            cannot be added to.
        StorageError: a file cannot be written.
    """
    if check_url(invited.url, path.parent) != source.url:
        raise ConfigError(
            f"{path} follows a source named {source.name!r} already, at another address",
            hint="give this one another --name; or change `url` of the source, if the publisher has moved",
        )
    if recipient and source.recipient and recipient.resolve() != source.recipient.resolve():
        raise ConfigError(
            f"{path} names another key for the source {source.name!r} already: {source.recipient}",
            hint=f"if the new one is right, put it into `recipient` of that source in {path}",
        )
    with os_errors(source.root, "look at"):
        rootless = not source.root.exists()
    keyless = recipient is not None and source.recipient is None
    if not rootless and not keyless:
        hint = "another publisher goes under another --name; what this one follows stands in the file"
        if source.root_bytes() != invited.root:
            hint += f"; if the root file is damaged or another publisher's, {source.way_to_root}"
        raise ConfigError(
            f"{path} follows a source named {source.name!r} already, and nothing is missing", hint=hint
        )
    after = config
    if keyless and recipient is not None:
        added = replace(source, recipient=recipient.absolute())
        after = replace(config, sources=tuple(added if one is source else one for one in config.sources))
        line = f"recipient = {toml_text(str(recipient.absolute()))}"
        with os_errors(path, "read"):
            text = _with_line(path.read_bytes().decode("utf-8"), source.name, line)
        if parse_config(tomllib.loads(text), path) != after:
            raise ConfigError(
                f"{path}: the key cannot be put into it without changing more",
                hint=f"put {line} below the name of the source",
            )
        write_durable(path, [text.encode()], mode=0o640)
    if rootless:
        write_durable(source.root, [invited.root], mode=0o644)
    return after


def _with_line(text: str, name: str, added: str) -> str:
    """Put a line below the one that names a source; none where no line alone does."""
    lines, inside = text.split("\n"), False
    for at, line in enumerate(lines):
        if _TABLE.match(line):
            inside = _SOURCE.match(line) is not None
        elif inside and _NAME.match(line) and _names(line) == name:
            lines.insert(at + 1, added + "\r" * line.endswith("\r"))
            break
    return "\n".join(lines)


def _names(line: str) -> object:
    try:
        return tomllib.loads(line.rstrip("\r")).get("name")
    except tomllib.TOMLDecodeError:
        return None  # its text goes on in the next line
