"""The TUF workflow, through the public calls of ``tuf.ngclient.Updater`` only (client.md §3).

:class:`Workflow` is TUF and nothing else, so that the public conformance suite can judge it
(tests/conformance); :class:`Repository` adds what Vallum asks beyond TUF. Here foreign exceptions end: what
leaves is a verified value or one of our errors. What charters and heads mean is left to
:mod:`vallum.sync.follow`; nothing here knows of versions of lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, TargetFile
from tuf.api.serialization import DeserializationError
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from vallum.durable import make_folder
from vallum.errors import ConfigError, DataError, FetchError, StorageError, TrustError, VallumError
from vallum.format import limits
from vallum.format.charter import Charter, parse_charter
from vallum.format.head import Head, RunRef, parse_head
from vallum.sync.fetch import METADATA, TARGETS, AbsentError, Fetcher, TooLargeError, is_root
from vallum.sync.roles import CHARTERS, TopLevel, read_list_role, read_top_level

_CONFIG = UpdaterConfig(
    root_max_length=limits.ROOT,
    timestamp_max_length=limits.TIMESTAMP,
    snapshot_max_length=limits.SNAPSHOT,
    targets_max_length=limits.LIST_ROLE,
)


class Workflow:
    """One run of the TUF client workflow over one repository.

    Args:
        folder: python-tuf's cache, touched by nobody else while this object lives.
        root: the root metadata that was handed over.
        fetcher: the way to the store.
        way_to_root: how another root is put in its place if it is wrong, for hints.

    Raises:
        ConfigError: ``root`` is not root metadata.
        StorageError: the cache cannot be written.
    """

    def __init__(
        self, folder: Path, root: bytes, fetcher: Fetcher, way_to_root: str = "take the invitation's root"
    ) -> None:
        self._folder = folder
        self.fetcher = fetcher
        self._way_to_root = way_to_root
        make_folder(folder, 0o700)
        try:
            # 3.1: the shipped root is the only thing trusted from outside; the cache never replaces it.
            self._tuf = Updater(
                str(folder), METADATA, None, TARGETS, _TufFetcher(fetcher), _CONFIG, bootstrap=root
            )
        except RepositoryError:
            raise ConfigError(
                "the root file is not valid root metadata",
                hint=f"it is damaged, or another file: {way_to_root}; then compare its fingerprint",
            ) from None
        except OSError as error:
            raise _storage(folder, error) from None

    def update(self) -> None:
        """Load root, timestamp, snapshot and targets.

        Raises:
            TrustError: a signature, threshold, version, hash or expiry is wrong.
            FetchError: the store did not give what was needed.
            StorageError: the cache cannot be written.
        """
        with self._errors("metadata"):
            self._tuf.refresh()

    def target(self, name: str) -> TargetFile | None:
        """Return what the roles say of a target, if they hold it; errors as of :meth:`update`."""
        with self._errors(name):
            return self._tuf.get_targetinfo(name)

    def download(self, target: TargetFile, path: Path) -> None:
        """Fetch a target and check its length and hash. May be called from several threads.

        Raises:
            DataError: it is not the signed one.
            AbsentError: the store does not have it.
            FetchError: the store does not answer.
            StorageError: ``path`` cannot be written.
        """
        with self._errors(target.path):
            self._tuf.download_target(target, str(path))

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except DownloadLengthMismatchError as error:
            raise _ours(error) or TrustError(
                f"{what}: more bytes than were signed", hint="tell the publisher if it stays so"
            ) from None
        except DownloadError as error:
            raise _ours(error) or FetchError(f"{what}: {error}") from None
        except ExpiredMetadataError as error:
            raise TrustError(
                f"{what}: {error}",
                hint="check this machine's clock; if it is right, the publisher has not signed in time",
            ) from None
        except LengthOrHashMismatchError:
            raise DataError(
                f"{what}: length or hash is not the signed one",
                hint="a cache or the store holds other bytes; tell the publisher if it stays so",
            ) from None
        except DeserializationError:
            raise TrustError(
                f"{what}: what came is not TUF metadata",
                hint="has a proxy answered in the store's place? If it stays so, call the publisher",
            ) from None
        except UnsignedMetadataError as error:
            # Of another publisher's root nothing here is signed by its keys.
            raise TrustError(
                f"{what}: {_reason(error)}",
                hint="is the root file that of this publisher? Compare its fingerprint with them by "
                f"telephone; `vallum doctor` shows its beginning. If it never was, {self._way_to_root}",
                unsigned=True,
            ) from None
        except RepositoryError as error:
            raise TrustError(f"{what}: {_reason(error)}", hint="call the publisher") from None
        except OSError as error:
            raise _storage(self._folder, error) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # Metadata of a shape that python-tuf does not foresee.
            raise TrustError(f"{what}: malformed metadata", hint="call the publisher") from None


class Repository(Workflow):
    """One run over one source's repository, by TUF's rules and by those that TUF leaves out."""

    def refresh(self) -> TopLevel:
        """Load root, timestamp, snapshot and targets, and check what TUF leaves out.

        Raises:
            TrustError: as of :meth:`update`, or a key is misused, or a delegation is not that of a stream.
            FetchError, StorageError: as of :meth:`update`.
        """
        self.update()
        return read_top_level(self._folder)

    def charter(self, name: str) -> Charter | None:
        """Return the charter of a list, if it has one; errors as of :meth:`refresh`, and ``FormatError``."""
        target = self._empty(CHARTERS + name)
        return None if target is None else parse_charter(_said(target))

    def head(self, stream: str) -> Head | None:
        """Return the head of a stream, if it has one; errors as of :meth:`charter`."""
        target = self._empty(f"{stream}/head")
        return None if target is None else parse_head(_said(target))

    def role(self, stream: str) -> tuple[bytes, datetime]:
        """Return bytes and expiry of the role in which :meth:`head` found a head; errors as of roles.py."""
        return read_list_role(self._folder, stream)

    def run(self, stream: str, generation: int, ref: RunRef) -> TargetFile | None:
        """Return length and hash of a listed run, or ``None`` if the role does not hold it."""
        return self.target(ref.target(stream, generation))

    def _empty(self, name: str) -> TargetFile | None:
        target = self.target(name)
        if target is not None and target.length:
            # 4.3: nobody downloads it; its bytes would be a second, unread meaning.
            raise TrustError(f"{name}: a target that should be empty is not", hint="call the publisher")
        return target


class _TufFetcher(FetcherInterface):
    """What ``tuf.ngclient`` sees of a :class:`Fetcher`; its "URLs" are the names of objects."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def _fetch(self, url: str) -> Iterator[bytes]:
        with_errors = self._fetcher.stream if url.startswith(TARGETS) else self._read
        return _convert(with_errors, url)

    def _read(self, name: str) -> Iterator[bytes]:
        data = self._fetcher.read(name)
        if is_root(name) and not _is_metadata(data):
            # 2.4: a stranger may have made a cache keep another answer under this name, for ever.
            data = self._fetcher.read_past_caches(name)
        return iter((data,))


def _is_metadata(data: bytes) -> bool:
    try:
        Metadata.from_bytes(data)
    except RepositoryError:
        return False
    return True


def _convert(fetch: Callable[[str], Iterator[bytes]], name: str) -> Iterator[bytes]:
    try:
        yield from fetch(name)
    except AbsentError as error:
        raise DownloadHTTPError(str(error), 404) from error
    except TooLargeError as error:
        raise DownloadLengthMismatchError(str(error)) from error
    except FetchError as error:
        raise DownloadError(str(error)) from error


def _said(target: TargetFile) -> object:
    return (target.custom or {}).get("vallum")


def _ours(error: DownloadError) -> VallumError | None:
    """What our fetcher said before python-tuf's classes were put around it."""
    return error.__cause__ if isinstance(error.__cause__, VallumError) else None


def _reason(error: RepositoryError) -> str:
    return str(error).replace("\n", " ")[:200] or "refused by the rules of TUF"


def _storage(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write in {folder}: {error.strerror}",
        hint="free some space, or give this user access; the lists in force stay in force",
    )
