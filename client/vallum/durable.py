"""The one durable write: a file appears whole and stays, or does not appear at all.

Everything that must survive a crash (a client's tables and state, a directory store's objects, key files) is
written here. Locks, names and what the bytes mean are left to the callers.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vallum.errors import ConfigError, StorageError

_HINTS = {
    "ENOSPC": "free some space on that file system; nothing was left half written",
    "EDQUOT": "raise the quota or free some space; nothing was left half written",
    "EFBIG": "raise the limit on the size of files (ulimit -f); nothing was left half written",
    "EACCES": "run as the user who owns the folder, or give this user access to it",
    "EPERM": "run as the user who owns the folder, or give this user access to it",
    "EROFS": "the file system is mounted read-only",
}

_NAME_LENGTH = 64
_TRIES = 16
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}", re.DOTALL)


@contextmanager
def os_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn an ``OSError`` into a ``StorageError``: what was being done to which path, and why it failed."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = _HINTS.get(errno.errorcode.get(error.errno or 0, ""), "")
        raise StorageError(f"cannot {doing} {path}: {reason}", hint=hint) from error


def check_output(path: Path, hint: str) -> None:
    """Refuse to write a file where something else stands: a folder, a pipe, a device such as ``/dev/null``.

    Raises:
        ConfigError: with ``hint``.
        StorageError: it cannot be looked at.
    """
    with os_errors(path, "write"):
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file", hint=hint)


def write_durable(
    path: Path,
    chunks: Iterable[bytes | bytearray | memoryview],
    mode: int = 0o644,
    exclusive: bool = False,
    scratch: Path | None = None,
    sync: bool = True,
) -> bool:
    """Write ``chunks`` to ``path`` so that a crash at any moment leaves the old file or the new one, whole.

    The temporary file lies in ``scratch`` (a folder of the same file system), else beside ``path``, under a
    name that begins with a dot. With ``exclusive`` an existing file is left alone and the answer is False;
    else it is replaced. True means: written, and on disk; without ``sync`` the caller owes
    :func:`sync_folder` before anything may rely on the name, once for several files. Raises ``StorageError``
    (disk full, permissions, ...; an ``OSError`` of ``chunks`` counts as one), or whatever else ``chunks``
    raises; either way no temporary file stays.

    System calls: open(temporary, O_EXCL), flock, write ..., fchmod, fsync,
    then rename(temporary, path), or link(temporary, path) and unlink(temporary) with ``exclusive``, close,
    then, with ``sync``, fsync(folder of path), without which the new name itself may be lost.
    The lock tells :func:`sweep` that the temporary file has a living writer.
    """
    with os_errors(path, "write"):
        temporary = (scratch or path.parent) / f".{path.name[:_NAME_LENGTH]}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        left = True
        try:
            with suppress(OSError):  # a file system without locks: what is swept there is the caller's care
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for chunk in chunks:
                _write_all(descriptor, chunk)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            if exclusive:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return False
            else:
                temporary.rename(path)
                left = False
        finally:
            os.close(descriptor)
            if left:
                with suppress(FileNotFoundError):
                    temporary.unlink()
        if sync:
            _fsync_folder(path.parent)
    return True


def temporaries(folder: Path, name: str = "") -> list[Path]:
    """Find what writers left in ``folder`` that were killed: of the file ``name``, or of every file.

    Who removes them must hold the lock that their writers hold, or take the file from a living one.
    Raises ``StorageError``.
    """
    with os_errors(folder, "read"):
        if not folder.is_dir():
            return []
        found = ((path, _TEMPORARY.fullmatch(path.name)) for path in folder.iterdir())
        return [path for path, match in found if match and (not name or match[1] == name[:_NAME_LENGTH])]


def sweep(path: Path) -> None:
    """Remove what writers of ``path`` left beside it that were killed: files, and folders with all in them.

    Whatever a living writer holds (:func:`write_durable`, :func:`held_folder`) stays, as does what is another
    user's. Raises ``StorageError``.
    """
    _sweep(temporaries(path.parent, path.name))


def sweep_folder(folder: Path) -> None:
    """Remove what writers of any file in a folder of ours left there; see :func:`sweep`."""
    _sweep(temporaries(folder))


def _sweep(found: Iterable[Path]) -> None:
    for left in found:
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), left.lstat()):
                continue
        except OSError:
            continue  # held; or its owner, or another sweep, has removed it just now
        else:
            remove_all([left])
        finally:
            os.close(descriptor)


@contextmanager
def held_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside ``path``, 0700, to be renamed to it, and say to :func:`sweep` that it is in use.

    What is left of it at the end is removed. Raises ``StorageError``.
    """
    temporary, descriptor = _make_held(path)
    try:
        yield temporary
    finally:
        # While it is held: a sweep elsewhere would else remove it at the same time, and fail.
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def _make_held(path: Path) -> tuple[Path, int]:
    for _ in range(_TRIES):
        temporary = path.with_name(f".{path.name[:_NAME_LENGTH]}.{secrets.token_hex(8)}")
        try:
            make_folder(temporary, 0o700)
            if (descriptor := _hold(temporary)) is not None:
                return temporary, descriptor
        except StorageError as error:
            # It vanished while it was made. Where there is nothing to make it in, the next one would, too.
            swept = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
            if not swept or not path.parent.is_dir():
                with suppress(OSError):  # where it was not made at all
                    temporary.rmdir()
                raise
        # Else somebody swept it before it was held.
    raise StorageError(f"cannot keep a folder beside {path}: somebody removes it each time")


def _hold(folder: Path) -> int | None:
    """Open and lock a folder; ``None`` if it was taken for one that a killed process left."""
    with os_errors(folder, "hold"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            return descriptor  # a file system without locks, as of write_durable
        if folder.is_dir():
            return descriptor
        os.close(descriptor)
        return None


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, of which some may be gone. Raises ``StorageError``."""
    for path in paths:
        with os_errors(path, "remove"):
            path.unlink(missing_ok=True)


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files, links, and folders with all in them; some may be gone. Raises ``StorageError``."""
    for path in paths:
        with os_errors(path, "remove"):
            if is_own_folder(path):
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def clear_way(path: Path) -> None:
    """Remove a folder that stands where a file is about to be written: no file is renamed over one.

    Raises ``StorageError``.
    """
    if is_folder(path):
        remove_all([path])


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Create ``path`` and its missing parents, durably, with ``mode`` whatever the umask says.

    What exists stays as it is, and its name as durable as it was. Raises ``StorageError``.
    """
    with os_errors(path, "create the folder"):
        if path.is_dir():
            return
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            with suppress(FileExistsError):  # another process made it meanwhile
                folder.mkdir(mode)
                folder.chmod(mode)
            _fsync_folder(folder.parent)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file stands in its place")


def require_folder(path: Path) -> None:
    """Require that the folder of a file to be written is there: a new one would hide a slip of the pen.

    Raises:
        ConfigError: it is not.
    """
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}", hint="make it first, or name another")


def is_own_folder(path: Path) -> bool:
    """Whether there is a folder at ``path`` itself, no link to one: what is swept must not lie elsewhere."""
    return path.is_dir() and not path.is_symlink()


def is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises ``StorageError`` where the disk does not say."""
    with os_errors(path, "look at"):
        return path.is_dir()


def sync_folder(path: Path) -> None:
    """Make names that came to or went from a folder durable. Raises ``StorageError``."""
    with os_errors(path, "sync the folder"):
        _fsync_folder(path)


def _write_all(descriptor: int, chunk: bytes | bytearray | memoryview) -> None:
    # A write may be short (a full disk's last blocks, 2 GiB at a time on Linux).
    rest = memoryview(chunk).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
