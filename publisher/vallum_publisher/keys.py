"""Signing keys: making them as files, finding the signer of a key id, asking for passphrases.

A key file is PKCS #8 in PEM, mode 0600, encrypted if a passphrase was given. Where a private key lies is said
by a *signer URI*: ``file:keys/online.pem`` here, ``hsm:…`` (PKCS #11), ``awskms:…``, ``hv:…`` and the like by
securesystemslib. Which keys a role has, and how many of them must sign, stands in the signed metadata only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import Error as SslibError
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    AWSSigner,
    AzureSigner,
    CryptoSigner,
    GCPSigner,
    HSMSigner,
    Key,
    SecretsHandler,
    Signer,
    SSlibKey,
    VaultSigner,
)
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import ConfigError, VallumError

FILE_SCHEME = "file"
_LARGEST_KEY = 64 * 1024
_EXTRAS = {"hsm": "hsm", "awskms": "awskms", "gcpkms": "gcpkms", "azurekms": "azurekms", "hv": "vault"}
"""What of securesystemslib must be installed for a scheme: ``pip install 'securesystemslib[hsm]'``."""
PASSPHRASE_VARIABLE = "VALLUM_PASSPHRASE"  # noqa: S105 - the variable's name, not a secret

_BRING = "bring it here for this command, and say where: --sign-with file:/media/stick/"
"""Every command that signs has that option, as often as keys are elsewhere; the file's name follows."""

AskPassphrase = Callable[[str], str]
"""Given a key's name, returns its passphrase; asks a person, or a vault."""


def passphrase_from_environment(name: str) -> str:
    """The passphrase of key ``name``: ``VALLUM_PASSPHRASE_<NAME>``, else ``VALLUM_PASSPHRASE``.

    Raises:
        ConfigError: neither variable is set.
    """
    own = f"{PASSPHRASE_VARIABLE}_{re.sub('[^A-Z0-9]', '_', name.upper())}"
    for variable in (own, PASSPHRASE_VARIABLE):
        if variable in os.environ:
            return os.environ[variable]
    raise ConfigError(f"the key {name} is encrypted", hint=f"set {own} or {PASSPHRASE_VARIABLE}")


def make_key(path: Path, passphrase: str | None = None) -> SSlibKey:
    """Make an Ed25519 key in a new file of mode 0600 and return its public half.

    A key that is there already is used, never overwritten: an earlier attempt made it, or the operator.

    Raises:
        ConfigError: what is there is no key, or one under another passphrase.
        StorageError: the file cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        if not passphrase:
            raise ConfigError("an empty passphrase protects nothing")
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    make_folder(path.parent, 0o700)
    if write_durable(path, [pem], mode=0o600, exclusive=True):
        return SSlibKey.from_crypto(private.public_key())
    return SSlibKey.from_crypto(_load(path, lambda _name: passphrase or "").public_key())


class FileSigner(CryptoSigner):
    """A signer whose private key lies in a PEM file, encrypted or not."""

    SCHEME = FILE_SCHEME

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> CryptoSigner:
        """See ``Signer``. The URI is ``file:<path>``; the handler is asked for the file's stem."""
        path = _path_of(Path(), priv_key_uri)
        if not isinstance(public_key, SSlibKey):
            raise ConfigError(f"{path}: a key file cannot hold a {public_key.keytype} key")
        try:
            return cls(_load(path, secrets_handler), public_key)
        except (ValueError, SslibError):
            raise ConfigError(f"{path}: another key than the one that the metadata names") from None


def _load(path: Path, ask: AskPassphrase | None) -> Any:
    with os_errors(path, "read the key"):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            raise ConfigError(f"there is no key file {path}", hint=_BRING + path.name) from None
        if mode & 0o077:
            raise ConfigError(f"{path}: others can read this key", hint=f"chmod 600 {path}")
        pem = path.read_bytes()
    passphrase = None
    if b"BEGIN ENCRYPTED PRIVATE KEY" in pem:
        if ask is None:
            raise ConfigError(f"{path}: the key is encrypted, and there is nobody to ask")
        passphrase = ask(path.stem).encode()
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a key, or a wrong passphrase") from None


SIGNER_FOR_URI_SCHEME[FILE_SCHEME] = FileSigner


def _path_of(folder: Path, uri: str) -> Path:
    return folder / uri.removeprefix(f"{FILE_SCHEME}:")


def read_public(folder: Path, uri: str, ask: AskPassphrase) -> tuple[str, SSlibKey]:
    """Read the public half of the key that a signer URI names, and the URI to keep for it.

    Args:
        folder: what paths of ``file:`` URIs are relative to; an absolute path may be on a stick.
        uri: ``file:PATH``; ``hsm:KEYID?label=TOKEN``; ``awskms:ID``, ``gcpkms:NAME``, ``azurekms:VAULT/KEY``,
            ``hv:NAME``.
        ask: what to ask for a passphrase or a token's PIN.

    Raises:
        ConfigError: not such a URI, nothing there, or the library for it is not installed.
        StorageError: a file cannot be read.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon:
        raise ConfigError(f"{uri!r} does not say what kind of place it is", hint=f"a file is file:{uri}")
    if scheme == FILE_SCHEME:
        return uri, SSlibKey.from_crypto(_load(_path_of(folder, uri), ask).public_key())
    path, _, query = rest.partition("?")
    try:
        match scheme:
            case HSMSigner.SCHEME:
                number = int(path) if path else None
                return HSMSigner.import_(number, dict(parse_qsl(query)).get("label"), _asking(uri, ask))
            case AWSSigner.SCHEME:
                # ECDSA, as every client can verify it; securesystemslib's own default is RSA.
                return AWSSigner.import_(rest, "ecdsa-sha2-nistp256")
            case GCPSigner.SCHEME:
                return GCPSigner.import_(rest)
            case AzureSigner.SCHEME:
                vault, _, name = path.strip("/").partition("/")
                return AzureSigner.import_(vault, name)
            case VaultSigner.SCHEME:
                return VaultSigner.import_(rest)
    except Exception as error:
        # Each vendor's library raises what it likes.
        raise _cannot(scheme, f"the key that {shown(uri)} names cannot be read", error) from None
    raise ConfigError(
        f"keys cannot be at {scheme}:",
        hint=f"file:PATH, or one of {', '.join(f'{each}:' for each in _EXTRAS)}",
    )


def shown(uri: str) -> str:
    """A signer URI for people: of its query only the token's label, which is no secret."""
    path, _, query = uri.partition("?")
    label = dict(parse_qsl(query)).get("label")
    return f"{path}?label={label}" if label else path


def reach(folder: Path, uri: str) -> str:
    """Say where a key is: ``here``, ``away`` (no such file), ``token`` or ``service``; ``-`` if unknown."""
    scheme, _, _ = uri.partition(":")
    if not uri:
        return "-"
    if scheme == FILE_SCHEME:
        return "here" if _path_of(folder, uri).exists() else "away"
    return "token" if scheme == HSMSigner.SCHEME else "service"


def belongs_here(folder: Path, uri: str) -> bool:
    """Whether a key is a file below the folder, so no medium that comes and goes."""
    path = file_of(folder, uri)
    return path is not None and path.resolve().is_relative_to(folder.resolve())


def copies(folder: Path, entries: Iterable[tuple[str, Key]]) -> Iterator[tuple[Path, str]]:
    """Find files in ``folder/keys`` that no signer names and that hold a key in use: file, and id.

    Who takes a key away by its name leaves them. Encrypted ones do not say which key they hold.

    Args:
        folder: the publisher's.
        entries: signer URI and key of each signer.
    """
    known = list(entries)
    named = {path.resolve() for uri, _ in known if (path := file_of(folder, uri))}
    ids = {str(key.keyval.get("public")): key.keyid for _, key in known}
    place = folder / "keys"
    with os_errors(place, "read"):
        found = sorted(place.iterdir()) if place.is_dir() else []
    for path in found:
        if path.is_symlink() or not path.is_file() or path.resolve() in named:
            continue
        with suppress(OSError, ValueError, TypeError, UnsupportedAlgorithm, SslibError):
            with path.open("rb") as file:
                private = serialization.load_pem_private_key(file.read(_LARGEST_KEY), None)
            public = SSlibKey.from_crypto(private.public_key())
            if keyid := ids.get(str(public.keyval["public"])):
                yield path, keyid


def file_of(folder: Path, uri: str) -> Path | None:
    """The file that a signer URI names, if it names one."""
    return _path_of(folder, uri) if uri.startswith(f"{FILE_SCHEME}:") else None


def _usual_file(role: str) -> str:
    """The name that a role's first key file gets from `init` and `list create`."""
    if role in ("timestamp", "snapshot"):
        return "online.pem"
    return "root-1.pem" if role in ("root", "targets") else f"{role}-1.pem"


def _asking(uri: str, ask: AskPassphrase) -> AskPassphrase:
    """Who asks for a token's PIN names the token, not just "pin": there may be several."""
    label = dict(parse_qsl(uri.partition("?")[2])).get("label", HSMSigner.SCHEME)
    return lambda _what: ask(label)


def _cannot(scheme: str, what: str, error: BaseException) -> ConfigError:
    """Turn what a signer's library raised into a ConfigError that says what to do."""
    if isinstance(error, VallumError):
        return ConfigError(str(error), hint=error.hint)
    if isinstance(error, UnsupportedLibraryError | ImportError) and scheme in _EXTRAS:
        return ConfigError(
            f"{what}: the library for {scheme}: is not installed",
            hint=f"pip install 'securesystemslib[{_EXTRAS[scheme]}]'",
        )
    if scheme == HSMSigner.SCHEME and "PYKCS11LIB" in str(error):
        return ConfigError(
            f"{what}: no PKCS #11 module is named",
            hint="set PYKCS11LIB to the token's module, such as /usr/lib/softhsm/libsofthsm2.so",
        )
    reason = f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")[:200]
    return ConfigError(f"{what} ({reason})", hint="check its URI, and that the token or service is there")


class Keyring:
    """The signers that this workspace can reach, opened when they are first needed."""

    def __init__(self, folder: Path, uris: Mapping[str, str], ask: AskPassphrase) -> None:
        """``uris`` maps key ids to signer URIs; paths of files are relative to ``folder``."""
        self._folder = folder
        self._uris = dict(uris)
        self._ask = ask
        self._open: dict[str, Signer] = {}

    def add(self, uris: Mapping[str, str]) -> None:
        """Make more signers known, or known at another place."""
        for keyid, uri in uris.items():
            if self._uris.get(keyid) != uri:
                self._open.pop(keyid, None)
        self._uris.update(uris)

    def use(self, uri: str) -> tuple[str, SSlibKey]:
        """Know the key that a signer URI names, wherever it is; returns and raises as :func:`read_public`.

        A key file stays open, so that nobody is asked for its passphrase again when it signs.
        """
        path = file_of(self._folder, uri)
        if path is None:
            kept, key = read_public(self._folder, uri, self._ask)
            self.add({key.keyid: kept})
            return kept, key
        private = _load(path, self._ask)
        public = SSlibKey.from_crypto(private.public_key())
        self.add({public.keyid: uri})
        self._open[public.keyid] = FileSigner(private, public)
        return uri, public

    def sign(
        self,
        metadata: Metadata[Any],
        role: str,
        keys: Iterable[Key],
        threshold: int,
        *,
        former: tuple[Sequence[Key], int] | None = None,
    ) -> bytes:
        """Sign with ``threshold`` of the role's keys and return the file's bytes.

        No more signatures than needed: each poll of each client carries them.

        Args:
            metadata, role: what is signed.
            keys, threshold: of the role.
            former: keys and threshold of the root before, which must sign its successor as well.

        Raises:
            ConfigError, StorageError: too few of the keys can be reached here; the first one's reason.
        """
        metadata.signatures.clear()
        for each, needed in ((keys, threshold), *([former] if former else [])):
            self._sign(metadata, role, list(each), needed)
        return metadata.to_bytes()

    def require(self, role: str, keys: Iterable[Key], threshold: int) -> None:
        """Require that ``threshold`` of the keys can be reached; errors as of :meth:`sign`.

        A token or a service may still refuse when it is asked to sign.
        """
        known = [key for key in keys if key.keyid in self._uris]
        failures: list[VallumError] = []
        able = 0
        for key in known:
            if able >= threshold:
                break  # nobody is asked for a passphrase that is not needed
            try:
                self._signer(key)
                able += 1
            except VallumError as error:
                failures.append(error)
        self._enough(role, threshold, len(known), able, failures)

    def _sign(self, metadata: Metadata[Any], role: str, keys: Sequence[Key], threshold: int) -> None:
        def signed() -> int:
            return sum(key.keyid in metadata.signatures for key in keys)

        known = [key for key in keys if key.keyid in self._uris]
        failures: list[VallumError] = []
        for key in known if len(known) >= threshold else ():
            if signed() >= threshold:
                break
            if key.keyid in metadata.signatures:
                continue
            try:
                metadata.sign(self._signer(key), append=True)
            except VallumError as error:
                failures.append(error)  # that one key of several is out of reach is no disaster
            except RepositoryError as error:
                scheme = self._uris[key.keyid].partition(":")[0]
                failures.append(_cannot(scheme, f"{role}: signing failed", error.__cause__ or error))
        self._enough(role, threshold, len(known), signed(), failures)

    def _enough(
        self, role: str, threshold: int, known: int, able: int, failures: Sequence[VallumError]
    ) -> None:
        if known < threshold:
            raise ConfigError(
                f"{role}: {threshold} keys must sign, {known} of them can be reached from here",
                hint=f"name them, once for each: --sign-with file:/media/stick/{_usual_file(role)}; or run "
                "this where they are",
            )
        if able < threshold:
            first = failures[0]
            if not first.hint or first.hint.startswith(_BRING):
                bring = first.hint or _BRING + _usual_file(role)
                first.hint = f"{threshold} keys must sign {role}, {able} can be reached from here; {bring}"
            raise first

    def _signer(self, key: Key) -> Signer:
        signer = self._open.get(key.keyid)
        if signer is None:
            uri = self._uris[key.keyid]
            scheme, _, _ = uri.partition(":")
            ask = self._ask if scheme != HSMSigner.SCHEME else _asking(uri, self._ask)
            if scheme == FILE_SCHEME:
                uri = f"{FILE_SCHEME}:{_path_of(self._folder, uri)}"
            try:
                signer = Signer.from_priv_key_uri(uri, key, ask)
            except VallumError:
                raise
            except Exception as error:
                # Each vendor's library raises what it likes.
                what = f"the {scheme} signer of key {key.keyid[:16]} cannot be opened"
                raise _cannot(scheme, what, error) from None
            self._open[key.keyid] = signer
        return signer
