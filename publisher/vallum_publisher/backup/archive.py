"""What is in a backup: the publisher's folder and its catalog, written in one pass and restored whole.

Inside the envelope is one zstd frame of msgpack values (docs/reference/backup.md §2)::

    ["backup", 1, "2026-01-01T00:00:00Z"]
    ["file", "publisher.toml", bytes] …
    the records of the catalog (:mod:`vallum_publisher.catalog.dump`)
    ["end"]

The store is not in it, nor what can be made anew (the cache).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import zstandard

from vallum.durable import (
    held_folder,
    make_folder,
    os_errors,
    require_folder,
    sweep,
    sync_folder,
    write_durable,
)
from vallum.errors import ConfigError, DataError, FormatError
from vallum.format.fields import format_time, parse_time
from vallum.format.keypair import PrivateKey
from vallum.invitation import root_fingerprint
from vallum.progress import Count, silent
from vallum_publisher import keys as signing_keys
from vallum_publisher import vault
from vallum_publisher.backup.envelope import Locks, open_stream, seal_stream
from vallum_publisher.catalog import Catalog, load_catalog
from vallum_publisher.workspace import (
    ROOT_FILE,
    SETTINGS,
    Workspace,
    format_settings,
    open_workspace,
)

FORMAT = 1
_LAYER = "backup"
_FOLDERS = ("keys", "roots")
"""What has files that belong into a backup, beside the publisher's folder itself."""
_NAME = re.compile(rf"(({'|'.join(_FOLDERS)})/)?[A-Za-z0-9_-][A-Za-z0-9._-]{{0,120}}", re.ASCII)
_MOST_FILE = 16 << 20
_MOST_RECORD = 64 << 20
_WINDOW = 8 << 20
_KEY_MARKS = b"PRIVATE KEY-----", b"vallum-vault-key-", b"vallum-recipient-key-"
_MOST_KEY = 64 << 10


@dataclass(frozen=True, slots=True)
class Backed:
    """What is in a backup: files of the folder, rows of the catalog; ``left_out`` were too large."""

    files: tuple[str, ...]
    rows: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back.

    Attributes:
        created: when the backup was made.
        files: of the folder.
        root_fingerprint: to be compared; anybody can seal a file to a public key.
    """

    created: datetime
    files: tuple[str, ...]
    root_fingerprint: str


def write_backup(
    workspace: Workspace,
    catalog: Catalog,
    path: Path,
    locks: Locks,
    *,
    keys: bool,
    now: datetime,
    count: Count = silent,
) -> Backed:
    """Write an encrypted backup, whole or not at all, mode 0600; nobody publishes from here meanwhile.

    Args:
        workspace, catalog: the publisher's.
        path: a file that does not exist.
        locks: who can open it.
        keys: whether key files that lie in the folder (signers', vault key) are in it.
        now: the time.
        count: told how many rows of the catalog are done.

    Raises:
        ConfigError: the file exists, its folder does not, or nobody could open it.
        StorageError, BusyError: as named.
    """
    require_folder(path)
    sweep(path)
    with workspace.lock():
        files, left_out = _files(workspace, keys)
        counted = _Counted(catalog.dump(), count)
        chunks = seal_stream(_compressed(_records(workspace, files, counted, now)), locks)
        if not write_durable(path, chunks, mode=0o600, exclusive=True):
            raise ConfigError(f"{path} exists already", hint="choose another name for each backup")
    return Backed(tuple(files), counted.rows, tuple(left_out))


def restore_backup(
    file: BinaryIO,
    folder: Path,
    private: PrivateKey | None = None,
    passphrase: str = "",
    *,
    catalog: str | None = None,
    count: Count = silent,
) -> Restored:
    """Make a publisher's folder and catalog of a backup, whole or not at all.

    Args:
        file: the backup.
        folder: where; must not exist, or be empty.
        private, passphrase: opens it; one of the two.
        catalog: where the catalog is to be, if not where it was.
        count: told how many rows of the catalog are done.

    Raises:
        ConfigError: the folder or the database is not empty, or the backup does not open.
        DataError: the backup is damaged.
        StorageError, BusyError: as named.
    """
    folder = folder.absolute()
    with os_errors(folder, "look at"):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} is not empty", hint="restore into a new folder")
    make_folder(folder.parent)
    sweep(folder)
    with held_folder(folder) as scratch:
        restored = _unpack(_unpacked(open_stream(file, private, passphrase)), scratch, catalog, count)
        sync_folder(scratch)
        with os_errors(folder, "put the restored folder to"):
            scratch.rename(folder)
        sync_folder(folder.parent)
    return restored


class _Counted:
    """The catalog's records, and how many rows went by."""

    def __init__(self, records: Iterable[Any], count: Count) -> None:
        self._records, self._count = records, count
        self.rows = 0

    def __iter__(self) -> Iterator[Any]:
        for record in self._records:
            match record:
                case ["rows", list(rows)]:
                    self.rows += len(rows)
                    self._count(self.rows, None)
            yield record


def _files(workspace: Workspace, keys: bool) -> tuple[dict[str, Path], list[str]]:
    """What of the folder belongs into a backup, and what was too large for one."""
    folder = workspace.folder
    address = workspace.settings.catalog
    database = (folder / address).name if "://" not in address else None
    named = set() if keys else _key_files(workspace)
    found, left_out = {}, []
    with os_errors(folder, "read"):
        inner = [folder / name for name in _FOLDERS if (folder / name).is_dir()]
        for path in (path for one in (folder, *inner) for path in sorted(one.iterdir()) if path.is_file()):
            name = path.relative_to(folder).as_posix()
            if database is not None and path.parent == folder and path.name.startswith(database):
                continue  # and its -wal and -shm: the catalog goes another way
            if not _NAME.fullmatch(name) or (
                name.startswith("keys/") and not keys and path.suffix != ".toml"
            ):
                continue
            if not keys and (path.resolve() in named or _holds_key(path)):
                continue
            if path.stat().st_size > _MOST_FILE:
                left_out.append(name)
                continue
            found[name] = path
    return found, left_out


def _key_files(workspace: Workspace) -> set[Path]:
    """Files that the vault's address and the signers' name, wherever they are."""
    folder = workspace.folder
    signers = [signing_keys.file_of(folder, entry.uri) for entry in workspace.signers()]
    files = (vault.file_of(folder, workspace.settings.vault), *signers)
    return {path.resolve() for path in files if path is not None}


def _holds_key(path: Path) -> bool:
    """Whether a file is a key that nothing names any more."""
    with path.open("rb") as file:
        data = file.read(_MOST_KEY)
    return any(mark in data for mark in _KEY_MARKS)


def _records(
    workspace: Workspace, files: dict[str, Path], catalog: Iterable[list[Any]], now: datetime
) -> Iterator[list[Any]]:
    yield ["backup", FORMAT, format_time(now)]
    for name, path in files.items():
        with os_errors(path, "read"):
            yield ["file", name, path.read_bytes()]
    yield from catalog
    yield ["end"]


def _compressed(records: Iterable[list[Any]]) -> Iterator[bytes]:
    packer = msgpack.Packer(use_bin_type=True)
    stream = zstandard.ZstdCompressor(level=9).compressobj()
    for record in records:
        yield stream.compress(packer.pack(record))
    yield stream.flush()


def _unpacked(chunks: Iterator[bytes]) -> Iterator[Any]:
    """The records of a decrypted stream."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=_MOST_RECORD)
    try:
        source = io.BufferedReader(_Reader(chunks))
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(source) as reader:
            while piece := reader.read(1 << 20):
                unpacker.feed(piece)
                yield from unpacker
            for _ in chunks:  # all of it must open, or it was cut short or joined
                raise FormatError(_LAYER, "something follows the end")
    except (zstandard.ZstdError, msgpack.UnpackException, ValueError) as error:
        raise FormatError(_LAYER, f"it does not read: {type(error).__name__}") from None


class _Reader(io.RawIOBase):
    """A file of an iterator's chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(into), len(self._rest))
        into[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _unpack(records: Iterator[Any], scratch: Path, catalog: str | None, count: Count) -> Restored:
    match next(records, None):
        case ["backup", int(number), str(created)] if number == FORMAT:
            when = parse_time(_LAYER, created)
        case ["backup", int(_), *_]:
            raise ConfigError("a newer program wrote this backup", hint="upgrade vallum-publisher")
        case _:
            raise FormatError(_LAYER, "it does not begin as one")
    files: list[str] = []
    record: Any = None
    for record in records:
        match record:
            case ["file", str(name), bytes(data)] if _NAME.fullmatch(name) and name not in files:
                path = scratch / name
                make_folder(path.parent, 0o700)
                # What was public stays so by its content; on disk all of it is the publisher's own.
                write_durable(path, [data], mode=0o600, exclusive=True)
                files.append(name)
            case ["catalog", *_]:
                break
            case _:
                raise FormatError(_LAYER, "a record that has no place there")
    if SETTINGS not in files or ROOT_FILE not in files:
        raise FormatError(_LAYER, f"{SETTINGS} or {ROOT_FILE} is not in it")
    workspace = open_workspace(scratch)
    if catalog is not None:
        settings = replace(workspace.settings, catalog=catalog)
        write_durable(scratch / SETTINGS, [format_settings(settings)], mode=0o600)
    load_catalog(_database(workspace, catalog), _Counted(_catalog_records(record, records), count))
    return Restored(when, tuple(files), root_fingerprint(workspace.root_bytes()))


def _database(workspace: Workspace, catalog: str | None) -> str | Path:
    """Where the catalog is to be."""
    address = catalog if catalog is not None else workspace.settings.catalog
    if "://" in address:
        return address
    path = workspace.folder / address
    if catalog is None and not path.resolve().is_relative_to(workspace.folder.resolve()):
        # Anybody can seal a file to a public key: it must not say where we write.
        raise ConfigError(
            f"the backup's catalog was at {address}, outside its folder",
            hint="say where it is to be: --catalog",
        )
    make_folder(path.parent, 0o700)
    return path


def _catalog_records(first: Any, records: Iterator[Any]) -> Iterator[Any]:
    """The catalog's records, up to the end, which must be there: else nothing of it is kept."""
    yield first
    for record in records:
        if record == ["end"]:
            for _ in records:
                raise FormatError(_LAYER, "something follows the end")
            return
        yield record
    raise DataError("the backup ends before its end", hint="take another copy of it, or an older backup")
