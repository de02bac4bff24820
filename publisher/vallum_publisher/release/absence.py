"""What a publisher needs and has not: keys, runs in the store, recipients of wraps there, the end of a root.

Nothing of it shows while nothing is due and nobody is far behind. It is told, never mended; what else is
wrong is :mod:`.condition`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from vallum_publisher.catalog import Catalog
from vallum_publisher.errors import LostError
from vallum_publisher.keys import belongs_here, copies, reach
from vallum_publisher.recipients.inspection import stray_wraps
from vallum_publisher.release.agreement import readable_heads
from vallum_publisher.release.metadata import role_keys
from vallum_publisher.release.readback import lacking
from vallum_publisher.release.repository import Repository, Tip
from vallum_publisher.release.version import streams_of
from vallum_publisher.store import ObjectStore
from vallum_publisher.vault import file_of
from vallum_publisher.workspace import Workspace


def lost_runs(repository: Repository, tip: Tip) -> dict[str, str]:
    """Which streams list a run that the store has not whole, and what to do (:func:`.readback.lacking`)."""
    heads = readable_heads(repository, tip)
    return lacking(repository.store, {stream: held.listed.values() for stream, held in heads.items()})


def lost_metadata(repository: Repository, tip: Tip) -> Iterator[str]:
    """What the store has lost, or altered, of what the timestamp leads to, and what to do.

    A former role may still be there to sign it anew from (``Repository.last_role``).
    """
    if tip.lost:
        yield f"{tip.lost}, and nobody can read any list: run refresh, which makes it anew"
    for stream in tip.streams():
        try:
            repository.list_role(tip, stream)
        except LostError as error:
            yield f"{error}, and nobody can read {stream}: run refresh, which makes it anew"


def stray_warning(catalog: Catalog, store: ObjectStore) -> str:
    """Say that wraps in the store are nobody's, and what to do; empty if none are.

    Raises:
        UnavailableError: store or catalog do not answer.
    """
    strays = stray_wraps(catalog, store)
    if not strays:
        return ""
    return (
        f"wraps in the store are nobody's ({len(strays)}), such as {strays[0]}: a restored catalog or a "
        "stopped command leaves such. Whoever was let in since the backup must be let in again "
        "(`recipients add`). `gc` removes them after a day; if more come, somebody else writes to the store"
    )


def absent(workspace: Workspace, catalog: Catalog, repository: Repository) -> list[str]:
    """All of it, one sentence each, for ``status``.

    Raises:
        TrustError, DataError: the repository does not verify.
        UnavailableError: store or catalog do not answer.
    """
    tip = repository.tip()
    found = [*_missing_keys(workspace, catalog, tip), *lost_metadata(repository, tip)]
    if workspace.begun_root():
        found.append(
            "a change of the root was begun and stopped, and clients may wait for its rest: run the same "
            "`keys` command again, with --sign-with the new keys if they are not in the folder"
        )
    found += stray_keys(workspace)
    found += lost_runs(repository, tip).values()
    ours = {stream for info in catalog.lists() for stream in streams_of(info)}
    if set(tip.streams()) <= ours and (strays := stray_warning(catalog, repository.store)):
        found.append(strays)  # of a store with another catalog's lists, they may be that one's
    return found


def stray_keys(workspace: Workspace) -> Iterator[str]:
    """Files beside the signers' that hold their keys, and what to do.

    Raises:
        StorageError: the folder cannot be read.
    """
    entries = [(entry.uri, entry.key) for entry in workspace.signers()]
    roles = {entry.key.keyid: entry.role for entry in workspace.signers()}
    for path, keyid in copies(workspace.folder, entries):
        yield f"{path} is a copy of a private key of {roles[keyid]} that no signer names: delete it"


def _missing_keys(workspace: Workspace, catalog: Catalog, tip: Tip) -> Iterator[str]:
    """Keys of root and targets belong offline; a key on a medium outside the folder may come when it must."""
    folder = workspace.folder
    uris = {entry.key.keyid: entry.uri for entry in workspace.signers()}
    roles = {role: role_keys(tip.root, role) for role in ("timestamp", "snapshot")}
    public = tip.streams()
    for info in catalog.lists():
        for stream in streams_of(info):
            if stream in public:
                roles[stream] = role_keys(tip.required_targets(), stream)
    for role, (keys, threshold) in roles.items():
        known = [uris[key.keyid] for key in keys if key.keyid in uris]
        away = [uri for uri in known if belongs_here(folder, uri) and reach(folder, uri) == "away"]
        if len(known) - len(away) < threshold:
            why = f"{', '.join(away)} is not there" if away else "keys/signers.toml names no key of it"
            yield (
                f"{role} cannot be signed from here: {why}. Put the key file back, or after a restored "
                "backup the keys and signers.toml of today; `keys list` shows which"
            )
    vault = file_of(folder, workspace.settings.vault)
    if vault and any(not info.public for info in catalog.lists()) and not vault.exists():
        yield (
            f"no secret of an encrypted list can be opened from here: {vault} is not there. Put it back; "
            "deploy/runbooks/lost-or-leaked-pepper.md says what to do without a copy"
        )
