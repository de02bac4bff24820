"""The invitation: one JSON file by which a publisher invites a subscriber (client.md §1.1).

It names the repository, its lists and a person, and carries the root metadata. It is not signed: what makes
it trustworthy is the root's fingerprint, compared over a second channel. Pure but for :func:`write_config`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from vallum.address import check_url
from vallum.config import Config, add_source
from vallum.errors import ConfigError, InputError
from vallum.format.charter import is_list_name, split_stream
from vallum.streams import DEFAULT_EDITION, parse_stream

FORMAT = 1
_MAX_BYTES = 1 << 20
_MAX_LINE = 2048  # characters


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invitation says.

    Attributes:
        publisher, contact: a name, and how to reach a person there to compare the fingerprint.
        url: of the repository; http, https, file, or a folder's path.
        streams: ``<list>.<edition>`` that the subscriber is invited to.
        root: root metadata as JSON bytes.
        encrypted: lists that need a recipient's key, as far as the invitation says so.
    """

    publisher: str
    contact: str
    url: str
    streams: tuple[str, ...]
    root: bytes
    encrypted: tuple[str, ...] = ()

    def editions(self) -> dict[str, tuple[str, ...]]:
        """The editions that are offered, by list."""
        found: dict[str, tuple[str, ...]] = {}
        for name, edition in map(split_stream, self.streams):
            found[name] = (*found.get(name, ()), edition)
        return found

    def followed(self, edition: str = DEFAULT_EDITION) -> tuple[str, ...]:
        """One edition of each list: the one that is wished where it is offered, else the one that is."""
        return tuple(
            f"{name}.{edition if edition in there else there[0]}" for name, there in self.editions().items()
        )


def format_invitation(invitation: Invitation) -> bytes:
    """Write the file: JSON, indented, UTF-8."""
    raw = {
        "format": FORMAT,
        "publisher": invitation.publisher,
        "contact": invitation.contact,
        "url": invitation.url,
        "lists": list(invitation.streams),
        "root": json.loads(invitation.root),
    }
    if invitation.encrypted:
        raw["encrypted"] = list(invitation.encrypted)
    return json.dumps(raw, indent=1, ensure_ascii=False).encode() + b"\n"


def parse_invitation(data: bytes) -> Invitation:
    """Read what :func:`format_invitation` writes.

    Raises:
        InputError: not an invitation, or its root is not root metadata.
    """
    try:
        raw = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("root"), dict):
        raise InputError("not an invitation", hint="ask the publisher for the file that `invite` wrote")
    lists = raw.get("lists")
    if not isinstance(lists, list) or not lists or not all(isinstance(item, str) for item in lists):
        raise InputError("the invitation names no lists", hint="ask the publisher for another one")
    encrypted = raw.get("encrypted", [])
    if not isinstance(encrypted, list) or not all(map(is_list_name, encrypted)):
        raise InputError("the invitation is malformed", hint="ask the publisher for another one")
    streams = tuple(map(parse_stream, lists))
    root = json.dumps(raw["root"], indent=1).encode() + b"\n"
    root_fingerprint(root)
    return Invitation(
        publisher=_line(raw, "publisher"),
        contact=_line(raw, "contact"),
        url=_line(raw, "url"),
        streams=streams,
        root=root,
        # Public lists have no `match` edition: an invitation to one says it, whoever wrote it.
        encrypted=tuple(
            sorted(
                {*encrypted, *(name for name, edition in map(split_stream, streams) if edition == "match")}
            )
        ),
    )


def root_fingerprint(root: bytes) -> str:
    """SHA-256 of what the root's signatures cover (canonical JSON), in 16 groups of 4 hex digits.

    Whitespace and further signatures do not change it; any other root, key or threshold does.

    Raises:
        InputError: not root metadata, or not validly signed by itself.
    """
    try:
        metadata = Metadata[Root].from_bytes(root)
        if metadata.signed.type != Root.type:
            raise InputError(f"not root metadata but {metadata.signed.type!r}")
        signed = metadata.signed_bytes
        metadata.signed.verify_delegate(Root.type, signed, metadata.signatures)
    except RepositoryError:
        raise InputError("not a valid root file", hint="ask the publisher for it again") from None
    digits = sha256(signed).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def write_config(
    path: Path,
    invitation: Invitation,
    name: str,
    recipient: Path | None = None,
    edition: str = DEFAULT_EDITION,
) -> Config:
    """Make a configuration of an invitation, or add a source to the one that exists.

    The root goes to ``<name>.root.json`` beside it. ``recipient`` is the key file for encrypted lists,
    ``edition`` the one to follow where there are two.

    Raises:
        ConfigError: ``name`` is taken or malformed, or the address cannot be meant.
        StorageError: a file cannot be written.
    """
    root_file = f"{name}.root.json"
    url = check_url(invitation.url, path.parent)
    rows = [
        f"# {invitation.publisher}, {invitation.contact}",
        "[[source]]",
        f"name = {toml_text(name)}",
        f"url = {toml_text(url)}",
        f"root = {toml_text(root_file)}",
        f"lists = [{', '.join(map(toml_text, invitation.followed(edition)))}]",
    ]
    if recipient is not None:
        rows.append(f"recipient = {toml_text(str(recipient.absolute()))}")
    return add_source(path, "\n".join(rows) + "\n", path.parent / root_file, invitation.root)


def toml_text(text: str) -> str:
    """Write a line as a TOML string.

    Raises:
        ConfigError: it is not one printable line of UTF-8, as some paths are not.
    """
    if not text.isprintable():
        raise ConfigError(f"{text} is no text that a configuration can hold", hint="give it another name")
    return toml_string(text)


def toml_string(text: str) -> str:
    """Write a text, of several lines perhaps, such as a key in PEM, as a TOML string."""
    # A JSON string is a TOML basic string, as long as nothing beyond ASCII is written as surrogates.
    return json.dumps(text, ensure_ascii=False)


def _line(raw: dict[str, Any], field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or len(value) > _MAX_LINE or not value.isprintable():
        raise InputError(f"the invitation's {field} is missing or not a line of text")
    return value
