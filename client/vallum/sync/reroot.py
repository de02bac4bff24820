"""Taking another root of trust for a source whose publisher has lost the old one's keys (client.md §3.8).

What ties the new root to the publisher is a fingerprint over the telephone, as on the first day; nothing that
the old root's keys signed says anything about it. So this is an operator's act, and in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from vallum.access import prepare_state
from vallum.address import check_url
from vallum.config import Config
from vallum.durable import write_durable
from vallum.errors import ConfigError, InputError
from vallum.invitation import Invitation, root_fingerprint
from vallum.journal import record
from vallum.lock import WAIT, exclusive
from vallum.sync.activate import read_held
from vallum.sync.floor import read_floor


@dataclass(frozen=True, slots=True)
class Replaced:
    """Versions and fingerprints of the roots: ``before`` is the newest that was verified, 0 if none was."""

    source: str
    before: int
    version: int
    old_fingerprint: str
    fingerprint: str


def replace_root(
    config: Config, name: str, invited: Invitation, fingerprint: str, now: datetime, wait: float = WAIT
) -> Replaced:
    """Trust an invitation's root for a source that is followed; what is in force stays, and the floor.

    Args:
        config, name: which source.
        invited: the new invitation.
        fingerprint: of its root, as heard over a second channel; any grouping and case.
        now: this machine's clock.
        wait: seconds to wait for a sync that is under way.

    Raises:
        ConfigError: no such source, another address, or a root with a number below the floor.
        InputError: it is not the root that the fingerprint names.
        FormatError: the floor is damaged.
        BusyError, StorageError: it did not happen.
    """
    source = next((each for each in config.sources if each.name == name), None)
    if source is None:
        known = ", ".join(each.name for each in config.sources)
        raise ConfigError(f"no source is named {name!r}", hint=f"name it with --name; there are: {known}")
    new = root_fingerprint(invited.root)
    if "".join(fingerprint.split()).lower() != new.replace(" ", ""):
        raise InputError(
            "the fingerprint is not that of the invitation's root",
            hint="call the publisher on a number that you know; what came by mail may be another's",
        )
    if config.path is not None and check_url(invited.url, config.path.parent) != source.url:
        raise ConfigError(
            f"the invitation is to another address than that of source {name}",
            hint=f"change `url` in {config.path} first",
        )
    prepare_state(config.state, group_readable=config.group_readable)
    with exclusive(config.state, wait):
        held = read_held(config.state).sources.get(name)
        floor = read_floor(config.state / name).shipped(source.floor)
        before = max(floor.least_root, held.root_version if held else 0)
        version = _version(invited.root)
        if version < before:
            raise ConfigError(
                f"the invitation's root has version {version}, and {before} was verified here before",
                hint="the floor does not sink: ask the publisher for a root with a higher number",
            )
        old = _fingerprint(source.root_bytes())
        details = {"source": name, "before": before, "version": version, "old": old, "new": new}
        record(config.state, now, "root replaced", details)
        write_durable(source.root, [invited.root], mode=0o644)
    return Replaced(name, before, version, old, new)


def _version(root: bytes) -> int:
    version: int = Metadata[Root].from_bytes(root).signed.version
    return version


def _fingerprint(root: bytes) -> str:
    try:
        return root_fingerprint(root)
    except (InputError, RepositoryError):
        return ""  # the old file is damaged, which is no reason to keep it
