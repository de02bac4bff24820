"""From the address in a configuration to the store that it means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from vallum.errors import ConfigError, StorageError
from vallum_publisher.store.directory import DirectoryStore
from vallum_publisher.store.protocol import ObjectStore, check_key

_FORMS = "a folder, file:///folder, or s3://bucket/prefix?endpoint=https://host&region=name"


def open_store(uri: str, *, create: bool = True) -> ObjectStore:
    """Open the store at ``uri``: a path, ``file:///path`` or ``s3://bucket/prefix?endpoint=...&region=...``.

    S3 credentials come from the usual AWS environment, never from the address. With ``create`` a folder is
    made if absent; an S3 server is not asked anything yet. Raises ``ConfigError`` for an address that cannot
    be meant, ``StorageError`` for a folder that cannot be used, or is absent and not to be made.
    """
    try:
        parts = urlsplit(uri)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigError(f"not the address of a store: {error}", hint=_FORMS) from error
    if "://" not in uri and uri:
        return _open_folder(Path(uri), create)
    if parts.scheme == "file":
        if parts.netloc or parts.query or not parts.path.startswith("/"):
            raise ConfigError(f"a file address names one absolute path: {uri!r}", hint="file:///folder")
        return _open_folder(Path(unquote(parts.path)), create)
    if parts.scheme == "s3":
        return _open_s3(parts.netloc, parts.path, query)
    raise ConfigError(f"no store can be opened at {parts.scheme or 'an empty address'!r}", hint=_FORMS)


def _open_folder(path: Path, create: bool) -> ObjectStore:
    if not create and not path.is_dir():
        # A disk that is not mounted must not become an empty repository.
        raise StorageError(f"{path}: the store's folder is not there", hint="mount it, or move it back")
    return DirectoryStore(path)


def _open_s3(bucket: str, path: str, query: dict[str, str]) -> ObjectStore:
    if not bucket or "@" in bucket:
        raise ConfigError(
            "an s3 address names one bucket and no credentials",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
        )
    unknown = sorted(query.keys() - {"endpoint", "region"})
    if unknown:
        raise ConfigError(f"an s3 address has no parameter {unknown[0]!r}", hint=_FORMS)
    endpoint = query.get("endpoint")
    if endpoint is not None and not (
        endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).hostname
    ):
        raise ConfigError(f"not an endpoint: {endpoint!r}", hint="endpoint=https://host or http://host:port")
    prefix = path.strip("/")
    if prefix:
        check_key(prefix)
        prefix += "/"

    # Only here: boto3 takes 0.3 s to load, and most publishers have a folder.
    from vallum_publisher.store.s3 import S3Store

    return S3Store(bucket, prefix, endpoint=endpoint, region=query.get("region"))
