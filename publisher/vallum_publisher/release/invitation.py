"""Making invitations: what a subscriber needs to begin (the form is :mod:`vallum.invitation`'s)."""

from __future__ import annotations

from collections.abc import Sequence

from vallum.errors import ConfigError
from vallum.format.charter import split_stream
from vallum.invitation import Invitation, format_invitation
from vallum_publisher.release.metadata import charter_of
from vallum_publisher.release.repository import Repository
from vallum_publisher.workspace import Settings


def invite(settings: Settings, repository: Repository, wanted: Sequence[str]) -> bytes:
    """Write the invitation to streams.

    Args:
        settings: the publisher's.
        repository: what there is to be invited to.
        wanted: streams, or lists, which means all their editions; empty for everything.

    Raises:
        ConfigError: there is no such stream, or the settings do not say where clients fetch from.
    """
    if not settings.public_url:
        raise ConfigError(
            "the settings do not say where clients fetch from", hint="set public_url in publisher.toml"
        )
    tip = repository.tip()
    there = tip.streams()
    chosen: set[str] = set()
    for name in wanted or there:
        found = [stream for stream in there if name in (stream, stream.rpartition(".")[0])]
        if not found:
            raise ConfigError(f"there is no list {name!r}", hint=f"streams: {', '.join(there) or 'none yet'}")
        chosen.update(found)
    if not chosen:
        raise ConfigError("there are no lists to invite to", hint="create one first")
    charters = {name: charter_of(name, tip.required_targets()) for name, _ in map(split_stream, chosen)}
    return format_invitation(
        Invitation(
            publisher=settings.name,
            contact=settings.contact,
            url=settings.public_url,
            streams=tuple(sorted(chosen)),
            root=repository.root_bytes,
            encrypted=tuple(sorted(name for name, charter in charters.items() if charter and charter.pepper)),
        )
    )
