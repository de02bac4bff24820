"""Signing keys: making them as files, finding the signer of a key id, asking for passphrases.

A key file is PKCS #8 in PEM, mode 0600, encrypted if a passphrase was given. Where a private key lies is said
by a *signer URI*: ``file:keys/online.pem`` here, ``hsm:…``, ``awskms:…``, ``hv:…`` and the like by
securesystemslib. Which keys a role has, and how many of them must sign, stands in the signed metadata only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.exceptions import Error as SslibError
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    SecretsHandler,
    Signer,
    SSlibKey,
)
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata

from vallum.durable import make_folder, os_errors, write_durable
from vallum.errors import ConfigError, VallumError

FILE_SCHEME = "file"
PASSPHRASE_VARIABLE = "VALLUM_PASSPHRASE"  # noqa: S105 - the variable's name, not a secret

AskPassphrase = Callable[[str], str]
"""Given a key's name, returns its passphrase; asks a person, or a vault."""


def passphrase_from_environment(name: str) -> str:
    """The passphrase of key ``name``: ``VALLUM_PASSPHRASE_<NAME>``, else ``VALLUM_PASSPHRASE``.

    Raises:
        ConfigError: neither variable is set.
    """
    own = f"{PASSPHRASE_VARIABLE}_{name.upper().replace('-', '_').replace('.', '_')}"
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
        path = Path(priv_key_uri.removeprefix(f"{FILE_SCHEME}:"))
        if not isinstance(public_key, SSlibKey):
            raise ConfigError(f"{path}: a key file cannot hold a {public_key.keytype} key")
        try:
            return cls(_load(path, secrets_handler), public_key)
        except (ValueError, SslibError):
            raise ConfigError(f"{path}: another key than the one that the metadata names") from None


def _load(path: Path, ask: AskPassphrase | None) -> Any:
    with os_errors(path, "read the key"):
        if path.stat().st_mode & 0o077:
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


class Keyring:
    """The signers that this workspace can reach, opened when they are first needed."""

    def __init__(self, folder: Path, uris: Mapping[str, str], ask: AskPassphrase) -> None:
        """``uris`` maps key ids to signer URIs; paths of files are relative to ``folder``."""
        self._folder = folder
        self._uris = dict(uris)
        self._ask = ask
        self._open: dict[str, Signer] = {}

    def add(self, uris: Mapping[str, str]) -> None:
        """Make more signers known."""
        self._uris.update(uris)

    def sign(self, metadata: Metadata[Any], role: str, keys: Iterable[Key], threshold: int) -> bytes:
        """Sign with ``threshold`` of the role's keys and return the file's bytes.

        No more signatures than needed: each poll of each client carries them.

        Raises:
            ConfigError, StorageError: too few of the keys can be reached here; the first one's reason.
        """
        known = [key for key in keys if key.keyid in self._uris]
        if len(known) < threshold:
            raise ConfigError(
                f"{role}: {threshold} keys must sign, {len(known)} of them can be reached from here",
                hint="name their signers in keys/signers.toml, or run this where the keys are",
            )
        metadata.signatures.clear()
        failures: list[VallumError] = []
        for key in known:
            if len(metadata.signatures) == threshold:
                break
            try:
                metadata.sign(self._signer(key), append=True)
            except VallumError as error:
                failures.append(error)  # that one key of several is out of reach is no disaster
            except RepositoryError as error:
                failures.append(ConfigError(f"{role}: signing failed: {error.__cause__ or error}"))
        if len(metadata.signatures) < threshold:
            first = failures[0]
            first.hint = (
                first.hint or f"{threshold} keys must sign {role}: bring them here for the time being"
            )
            raise first
        return metadata.to_bytes()

    def _signer(self, key: Key) -> Signer:
        signer = self._open.get(key.keyid)
        if signer is None:
            uri = self._uris[key.keyid]
            scheme, _, rest = uri.partition(":")
            if scheme == FILE_SCHEME:
                uri = f"{FILE_SCHEME}:{self._folder / rest}"
            try:
                signer = Signer.from_priv_key_uri(uri, key, self._ask)
            except (SslibError, ValueError, ImportError, OSError) as error:
                raise ConfigError(
                    f"the {scheme} signer of key {key.keyid[:16]} cannot be opened: {type(error).__name__}",
                    hint="check its URI in keys/signers.toml, and that the extra for it is installed",
                ) from error
            self._open[key.keyid] = signer
        return signer
