"""The publisher's folder: its settings, where its signers are, its lock and its caches.

::

    publisher.toml      settings; written once by ``init``, then the operator's
    root.json           the newest root of trust known here
    roots/<n>.json      those before it, and one that is signed and on its way (root.begun.json)
    keys/signers.toml   which key belongs to which role, its public half, and the URI of its signer
    keys/*.pem          private keys that lie in files, 0600
    keys/vault.key      what secrets in the catalog are sealed under, 0600; once a list is encrypted
    signed.json         the highest number ever signed for each role
    cache/              tables, and what gc saw in force; may be deleted at any time
    catalog.sqlite      unless the catalog is elsewhere

Whoever holds this folder and the catalog can publish; nothing else is needed. What is done with it is
:mod:`vallum_publisher.release`'s business.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey

from vallum.durable import make_folder, os_errors, sweep_folder, write_durable
from vallum.errors import BusyError, ConfigError
from vallum.guard import NeverBlock
from vallum.invitation import toml_string, toml_text
from vallum.lock import exclusive
from vallum.sync.judge import load_never_block
from vallum_publisher import vault
from vallum_publisher.catalog import Catalog, open_catalog
from vallum_publisher.keys import AskPassphrase, Keyring, passphrase_from_environment
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.store import ObjectStore, open_store

SETTINGS, ROOT_FILE, SIGNERS, LEDGER = "publisher.toml", "root.json", "keys/signers.toml", "signed.json"
BEGUN_ROOT, FORMER_ROOTS, KEYS = "root.begun.json", "roots", "keys"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Days until signed metadata expires, by role (DESIGN §4)."""

    timestamp: int = 1
    snapshot: int = 7
    list: int = 30
    targets: int = 365
    root: int = 365

    def of(self, role: str) -> timedelta:
        """The lifetime of a role; any name that is none of TUF's own is a list's stream."""
        days: int = getattr(self, role if role in ("timestamp", "snapshot", "targets", "root") else "list")
        return timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``publisher.toml`` says.

    Attributes:
        name: the publisher as people know it.
        contact: whom a subscriber calls.
        store: address of the object store; a relative path lies below the workspace.
        public_url: where clients fetch from.
        catalog: address of the catalog; likewise.
        never_block: file of names that no list may cover as a whole; likewise. Empty: none.
        vault: where the key is that secrets in the catalog are sealed under (:mod:`vallum_publisher.vault`).
        rotate_days: age at which ``refresh`` replaces the keys of encrypted lists; 0 means never.
        lifetimes: days until metadata expires.
    """

    name: str
    store: str = "store"
    public_url: str = ""
    contact: str = ""
    catalog: str = "catalog.sqlite"
    never_block: str = ""
    vault: str = vault.DEFAULT
    rotate_days: int = 0
    lifetimes: Lifetimes = field(default_factory=Lifetimes)


@dataclass(frozen=True, slots=True)
class SignerEntry:
    """One key of a role: its public half, and where the private one is."""

    role: str
    uri: str
    key: SSlibKey


class Ledger:
    """The highest number signed for each role, kept so that none is ever signed with two contents.

    A crash may leave ``57.<role>.json`` in the store, or on its way there, and no head that points to it.
    The next attempt takes 58, whether or not it can see 57.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def reserve(self, current: Mapping[str, int]) -> dict[str, int]:
        """Take a number for each role above ``current`` and above all that were taken; durable on return."""
        known = self._read()
        taken = {role: max(number, known.get(role, 0)) + 1 for role, number in current.items()}
        write_durable(self._path, [json.dumps({**known, **taken}, sort_keys=True).encode() + b"\n"])
        return taken

    def _read(self) -> dict[str, int]:
        with os_errors(self._path, "read"):
            if not self._path.exists():
                return {}
            data = self._path.read_bytes()
        try:
            raw = json.loads(data)
        except ValueError:
            raw = None
        if not isinstance(raw, dict) or not all(type(number) is int for number in raw.values()):
            raise ConfigError(
                f"{self._path}: damaged", hint="delete it; the store still holds what was signed"
            )
        return raw


class Workspace:
    """An open publisher's folder."""

    def __init__(self, folder: Path, settings: Settings, ask: AskPassphrase) -> None:
        self.folder = folder
        self.settings = settings
        self.ledger = Ledger(folder / LEDGER)
        self.keyring = Keyring(folder, {entry.key.keyid: entry.uri for entry in self.signers()}, ask)
        self._ask = ask

    @property
    def cache(self) -> Path:
        """Where tables are kept between publications."""
        return self.folder / "cache"

    def open_catalog(self, *, create: bool = False) -> Catalog:
        """Open the catalog that the settings name."""
        address = self.settings.catalog
        return open_catalog(address if "://" in address else self.folder / address, create=create)

    def open_store(self, *, create: bool = False) -> ObjectStore:
        """Open the store that the settings name; only its founder makes its folder."""
        address = self.settings.store
        return open_store(address if "://" in address else str(self.folder / address), create=create)

    def open_vault(self) -> vault.Vault:
        """Open what secrets in the catalog are sealed under."""
        return vault.open_vault(self.folder, self.settings.vault, self._ask)

    def make_vault(self, passphrase: str | None) -> None:
        """Make that key unless it is there."""
        vault.make_vault(self.folder, self.settings.vault, passphrase)

    def custody(self, catalog: Catalog) -> Custody:
        """The secrets of this workspace's catalog."""
        return Custody(catalog, self.open_vault)

    def never_block(self) -> NeverBlock:
        """Read the operator's names that no list may cover.

        Raises:
            ConfigError: the file cannot be read, or a line is no host name.
        """
        name = self.settings.never_block
        return load_never_block(self.folder / name if name else None)

    def root_bytes(self) -> bytes:
        """The newest root of trust known here."""
        path = self.folder / ROOT_FILE
        with os_errors(path, "read the root"):
            return path.read_bytes()

    def former_roots(self) -> list[bytes]:
        """The roots of trust before the newest one, oldest first."""
        folder = self.folder / FORMER_ROOTS
        with os_errors(folder, "read the roots"):
            paths = sorted(folder.glob("*.json"), key=lambda path: int(path.stem)) if folder.is_dir() else []
            return [path.read_bytes() for path in paths]

    def save_root(self, data: bytes, former: Mapping[int, bytes] | None = None) -> None:
        """Keep a newer root, and those that came before it, by number."""
        for number, root in (former or {}).items():
            make_folder(self.folder / FORMER_ROOTS, 0o700)
            write_durable(self.folder / FORMER_ROOTS / f"{number}.json", [root])
        write_durable(self.folder / ROOT_FILE, [data])

    def begun_root(self) -> bytes | None:
        """A root that was signed and perhaps not published: one number is never signed twice."""
        path = self.folder / BEGUN_ROOT
        with os_errors(path, "read"):
            return path.read_bytes() if path.exists() else None

    def begin_root(self, data: bytes) -> None:
        """Keep a signed root before it is published; :meth:`end_root` ends that."""
        write_durable(self.folder / BEGUN_ROOT, [data])

    def end_root(self) -> None:
        """Forget the root that was begun: it is the newest one, or another publisher's is."""
        path = self.folder / BEGUN_ROOT
        with os_errors(path, "remove"):
            path.unlink(missing_ok=True)

    def signers(self) -> list[SignerEntry]:
        """What ``keys/signers.toml`` says."""
        path = self.folder / SIGNERS
        if not path.exists():
            return []
        try:
            return [_parse_signer(raw) for raw in _read_toml(path).get("signer", [])]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError(f"{path}: a signer is malformed") from None

    def add_signers(self, entries: Sequence[SignerEntry]) -> None:
        """Make more signers known, on disk and in the keyring."""
        self._write_signers([*self.signers(), *entries])
        self.keyring.add({entry.key.keyid: entry.uri for entry in entries})

    def use_signers(self, uris: Iterable[str]) -> None:
        """Sign with the keys that these URIs name until this command ends, wherever else they may be."""
        for uri in uris:
            self.keyring.use(uri)

    def forget_signers(self, keyids: Collection[str]) -> None:
        """Name no signer any more for these keys; their files stay where they are."""
        if keyids:
            self._write_signers([entry for entry in self.signers() if entry.key.keyid not in keyids])

    def _write_signers(self, entries: Sequence[SignerEntry]) -> None:
        lines = ["# Which key belongs to which role, and where its private half is (uri).\n"]
        lines += [_format_signer(entry) for entry in entries]
        make_folder(self.folder / "keys", 0o700)
        write_durable(self.folder / SIGNERS, ["\n".join(lines).encode()], mode=0o600)

    @contextmanager
    def lock(self, patience: float = 10.0) -> Iterator[None]:
        """Keep other commands on this folder out.

        What killed ones left here goes: copies of private keys could be among it.

        Args:
            patience: seconds to wait for another command to end.

        Raises:
            BusyError: it did not.
        """
        with ExitStack() as held:
            try:
                held.enter_context(exclusive(self.folder, patience, ".lock"))
            except BusyError:
                raise BusyError(
                    f"another command is publishing from {self.folder}",
                    hint="wait for it to end, then run this again; nothing was changed",
                ) from None
            for folder in (self.folder, self.folder / KEYS, self.folder / FORMER_ROOTS):
                sweep_folder(folder)
            yield


def open_workspace(folder: Path, ask: AskPassphrase = passphrase_from_environment) -> Workspace:
    """Open a publisher's folder.

    Args:
        folder: where ``init`` made it.
        ask: what to ask for a key's passphrase.

    Raises:
        ConfigError: there is none, or its settings cannot be meant.
    """
    path = folder / SETTINGS
    if not path.exists():
        raise ConfigError(f"{folder} is no publisher's folder", hint="run vallum-publisher init first")
    return Workspace(folder.absolute(), parse_settings(path, _read_toml(path)), ask)


def parse_settings(path: Path, raw: Mapping[str, Any]) -> Settings:
    """Read the settings; ``path`` is for messages.

    Raises:
        ConfigError: a field is unknown, missing or malformed.
    """
    fields = dict(raw)
    days, rotate = fields.pop("expires_days", {}), fields.pop("rotate_days", 0)
    texts = ("name", "store", "public_url", "contact", "catalog", "never_block", "vault")
    if unknown := sorted(fields.keys() - set(texts)):
        raise ConfigError(
            f"{path}: there is no setting {unknown[0]!r}",
            hint=f"settings: {', '.join((*texts, 'rotate_days', 'expires_days'))}",
        )
    if not all(isinstance(value, str) and value.isprintable() for value in fields.values()):
        raise ConfigError(f"{path}: a setting is not a line of text")
    if type(rotate) is not int or not 0 <= rotate <= 3650:
        raise ConfigError(f"{path}: rotate_days is no number of days", hint="such as 90; 0 means never")
    if not fields.get("name"):
        raise ConfigError(f"{path}: the publisher has no name")
    known = Lifetimes.__dataclass_fields__
    if not isinstance(days, dict) or not all(
        name in known and type(value) is int and 1 <= value <= 3650 for name, value in days.items()
    ):
        raise ConfigError(
            f"{path}: expires_days is not whole days by role", hint=f"roles: {', '.join(known)}"
        )
    return Settings(**fields, rotate_days=rotate, lifetimes=Lifetimes(**days))


def format_settings(settings: Settings) -> bytes:
    """Write ``publisher.toml``."""
    lifetimes = settings.lifetimes
    lines = [
        "# The publisher's settings. Paths are relative to this folder.",
        f"name = {toml_text(settings.name)}",
        "# Whom a subscriber calls, and where clients fetch from: both stand in invitations.",
        f"contact = {toml_text(settings.contact)}",
        f"public_url = {toml_text(settings.public_url)}",
        "# A folder, or s3://bucket/prefix?endpoint=https://host&region=name",
        f"store = {toml_text(settings.store)}",
        "# A file, or postgresql://user@host/database",
        f"catalog = {toml_text(settings.catalog)}",
        "# A file of host names, one a line: no host or domain entry of a list may cover one of them.",
        f"never_block = {toml_text(settings.never_block)}",
        "# The key that secrets in the catalog are sealed under: file:PATH, env:NAME (64 hex digits),",
        "# awskms:PATH?key=KEY&region=NAME, or hv:MOUNT/data/PATH#FIELD",
        f"vault = {toml_text(settings.vault)}",
        "# Age in days at which `refresh` replaces the keys of encrypted lists; 0: never.",
        f"rotate_days = {settings.rotate_days}",
        "",
        "# Days until signed metadata expires.",
        "[expires_days]",
        *(f"{name} = {getattr(lifetimes, name)}" for name in Lifetimes.__dataclass_fields__),
        "",
    ]
    return "\n".join(lines).encode()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with os_errors(path, "read"):
            return tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _parse_signer(raw: Mapping[str, str]) -> SignerEntry:
    key = SSlibKey(raw["key"], raw["type"], raw["scheme"], {"public": raw["public"]})
    return SignerEntry(raw["role"], raw["uri"], key)


def _format_signer(entry: SignerEntry) -> str:
    key = entry.key
    fields = {
        "role": entry.role,
        "uri": entry.uri,
        "key": key.keyid,
        "type": key.keytype,
        "scheme": key.scheme,
        "public": key.keyval["public"],
    }
    return "[[signer]]\n" + "".join(f"{name} = {toml_string(value)}\n" for name, value in fields.items())
