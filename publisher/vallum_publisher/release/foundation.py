"""Founding a repository: keys, the root of trust, and the first metadata in the store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Metadata

from vallum.durable import make_folder, write_durable
from vallum.errors import ConfigError
from vallum_publisher.keys import AskPassphrase, make_key, passphrase_from_environment
from vallum_publisher.release.commit import committer_of
from vallum_publisher.release.metadata import check_threshold, make_root, make_targets, open_role, role_keys
from vallum_publisher.release.repository import Repository, metadata_key
from vallum_publisher.store import ROOT, ObjectStore
from vallum_publisher.store.acceptance import create_kept
from vallum_publisher.workspace import ROOT_FILE, SETTINGS, Settings, SignerEntry, Workspace, format_settings

ONLINE = "online"


def init_workspace(
    folder: Path,
    settings: Settings,
    *,
    now: datetime,
    root_keys: int = 3,
    root_threshold: int = 2,
    passphrase: str | None = None,
    ask: AskPassphrase = passphrase_from_environment,
    store: ObjectStore | None = None,
) -> Workspace:
    """Make a publisher's folder and found its repository in the store.

    An attempt that was stopped is continued by the same call: what it made is used, not made anew.

    Args:
        folder: where; created if absent.
        settings: written to ``publisher.toml``.
        now: the time.
        root_keys, root_threshold: offline keys, and how many of them must sign root and targets.
        passphrase: encrypts the key files; ``None`` leaves them in clear.
        ask: what to ask for a passphrase, if not ``passphrase`` itself.
        store: in place of the one that the settings name.

    Raises:
        ConfigError: the folder is a publisher's already, or the store holds another repository.
    """
    if (folder / SETTINGS).exists():
        raise ConfigError(f"{folder} is a publisher's folder already", hint="choose another folder")
    check_threshold("root", root_keys, root_threshold)
    make_folder(folder, 0o700)
    workspace = Workspace(
        folder.absolute(), settings, ask if passphrase is None else lambda _name: passphrase
    )
    with workspace.lock():
        store = store or workspace.open_store(create=True)
        if not (folder / ROOT_FILE).exists():
            _make_root(workspace, root_keys, root_threshold, passphrase, now)
        root = workspace.root_bytes()
        first = store.get(metadata_key("root", 1))
        if first is not None and first.data != root:
            raise ConfigError(
                "the store holds another repository", hint="give each publisher a bucket or prefix of its own"
            )
        create_kept(store, metadata_key("root", 1), root, ROOT)
        repository = Repository(store, root)
        tip = repository.tip()
        if tip.timestamp is None:
            committer_of(workspace, repository).commit(tip, {"targets": make_targets(now)}, now)
        workspace.open_catalog(create=True).close()
        # Last: a folder with settings is a founded one.
        # It may hold a database's password, and the folder may have been there before, open to all.
        write_durable(folder / SETTINGS, [format_settings(settings)], mode=0o600)
    return workspace


def _make_root(
    workspace: Workspace, number: int, threshold: int, passphrase: str | None, now: datetime
) -> None:
    known = {entry.uri: entry.key for entry in workspace.signers()}
    roles = [(f"root-{at}", "root") for at in range(1, number + 1)] + [(ONLINE, ONLINE)]
    for name, role in roles:
        uri = f"file:keys/{name}.pem"
        if uri not in known:
            key = make_key(workspace.folder / "keys" / f"{name}.pem", passphrase)
            workspace.add_signers([SignerEntry(role, uri, key)])
            known[uri] = key
    offline = [known[f"file:keys/root-{at}.pem"] for at in range(1, number + 1)]
    online = known[f"file:keys/{ONLINE}.pem"]
    root = make_root(offline, threshold, online, now + workspace.settings.lifetimes.of("root"))
    data = workspace.keyring.sign(Metadata(root), "root", *role_keys(root, "root"))
    open_role(root, "root", data, type(root))
    workspace.save_root(data)
