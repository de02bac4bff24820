"""An object store in an S3 bucket: AWS, Ceph, SeaweedFS and whatever else honours conditional writes.

The only file that knows boto3. What it may rely on was measured on real servers: ``If-None-Match: *`` and
``If-Match`` on PUT, strong reads after writes. Multi-part uploads and conditional deletes differ too much
and are not used.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, TypeVar

import boto3  # noqa: TID251 - this is the one file that may
from botocore.config import Config  # noqa: TID251 - as above
from botocore.exceptions import (  # noqa: TID251 - as above
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as EndpointError  # noqa: TID251 - as above

from vallum.errors import ConfigError, FetchError
from vallum_publisher.errors import ConflictError
from vallum_publisher.store import probe
from vallum_publisher.store.kinds import PROBE, ObjectKind
from vallum_publisher.store.protocol import MAX_OBJECT_BYTES, Listed, Stored, check_key, check_write

_PRECONDITION_FAILED = 412
_REDIRECTED = 307
# 307: names of a new bucket have not spread yet (AWS); 404: If-Match on a key that has gone; 409: two
# conditional writes met and neither is decided (AWS).
_PASSING = (_REDIRECTED, 404, 409, _PRECONDITION_FAILED, 429)
_WILL_NOT = (400, _PRECONDITION_FAILED)  # some servers call an ETag without quotes malformed
_PASSING_CODES = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException")


class _NotS3(BotoCoreError):  # type: ignore[misc]  # botocore has no types
    """An answer that is none of an object store's: as good as none."""

    fmt = "not the answer of an object store: {problem}"


# botocore has no common base for them.
_WIRE_ERRORS = (_NotS3, EndpointError, HTTPClientError, IncompleteReadError)

_JITTER = random.SystemRandom()
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_OWN_REGION = "give the bucket's own region in the store's address: region=..."
_REFUSALS = {
    "AccessDenied": "grant this identity the publisher's policy of deploy/object-storage",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
    "ExpiredToken": "renew the credentials in the environment",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, the region and the endpoint",
    "NoSuchBucket": "create the bucket first, or correct its name",
    "PermanentRedirect": _OWN_REGION,
    "AuthorizationHeaderMalformed": _OWN_REGION,
    "RequestTimeTooSkewed": "set this machine's clock",
}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: ``attempts`` per request, pauses that double and jitter. All times in seconds."""

    attempts: int = 5
    first_pause: float = 0.2
    longest_pause: float = 5.0
    connect_timeout: float = 5.0
    read_timeout: float = 60.0


class S3Store:
    """``ObjectStore`` in ``bucket`` under ``prefix`` (empty, or ending in a slash). The tag is the ETag.

    Before its first write each instance proves that the server honours conditions (see ``probe``).
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Credentials come from the usual AWS environment. Nothing is asked of the server yet."""
        self._bucket = bucket
        self._prefix = prefix
        self._patience = patience or Patience()
        self._proved = False
        self._proving = threading.Lock()
        config = Config(
            # Trailing checksums are younger than many servers; the signed SHA-256 of the body does the work.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 1},  # we retry: only we can settle a condition
            connect_timeout=self._patience.connect_timeout,
            read_timeout=self._patience.read_timeout,
            max_pool_connections=16,
            s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
        )
        try:
            # boto3's types do not describe the clients that it makes at run time.
            self._client: Any = boto3.session.Session().client(
                "s3", endpoint_url=endpoint, region_name=region, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"{self}: {error}", hint="check the address of the store") from error

    def __repr__(self) -> str:
        return f"S3Store({str(self)!r})"

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def create(self, key: str, data: bytes, kind: ObjectKind) -> None:
        """See ``ObjectStore``."""
        check_write(key, data, kind, moving=False)
        self._prove()
        self._settle(key, data, kind, None, "already there with other bytes")

    def replace(self, key: str, data: bytes, kind: ObjectKind, expected: str | None) -> str:
        """See ``ObjectStore``."""
        check_write(key, data, kind, moving=True)
        if kind is not PROBE:
            self._prove()
        return self._settle(key, data, kind, expected, "another writer was here first")

    def get(self, key: str) -> Stored | None:
        """See ``ObjectStore``."""
        check_key(key)
        return self._patiently(key, "read", lambda: self._read(key))

    def delete(self, key: str) -> None:
        """See ``ObjectStore``."""
        check_key(key)
        self._patiently(key, "delete", lambda: self._client.delete_object(**self._name(key)))

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """See ``ObjectStore``."""
        token: str | None = None
        while True:
            found, token = self._patiently(prefix, "list", partial(self._page, prefix, token))
            yield from found
            if token is None:
                return

    def probe(self) -> None:
        """See ``ObjectStore``."""
        probe.probe(self, str(self))
        # The unquoted form too must be compared, not ignored: a swap may fall back to it.
        key = f"{probe.PREFIX}{secrets.token_hex(16)}"
        self.replace(key, b"1", PROBE, None)
        refused = self._patiently(key, "probe", lambda: self._refuses_unquoted(key))
        self.delete(key)
        if not refused:
            raise ConfigError(f"{self} ignores If-Match without quotes", hint=probe.HINT)
        self._proved = True

    def _refuses_unquoted(self, key: str) -> bool:
        try:
            self._put(key, b"2", PROBE, "0" * 32, quoted=False)
        except ClientError as error:
            if _status(error) in _WILL_NOT:
                return True
            raise
        return False

    def _prove(self) -> None:
        with self._proving:
            if not self._proved:
                self.probe()

    def _settle(self, key: str, data: bytes, kind: ObjectKind, expected: str | None, conflict: str) -> str:
        """Put on a condition until it is known who won, and return the tag of our bytes if we did.

        An error answer, a time-out and a 412 (our own earlier try may have been stored) all leave that
        open, so the key is read again. If what was expected still stands after a 412, the server compares
        the ETag without its quotes (Ceph), and that form is tried next.
        """
        quoted = True
        for attempt in range(self._patience.attempts):
            try:
                return self._put(key, data, kind, expected, quoted)
            except (ClientError, BotoCoreError) as error:
                status = self._undecided(error, key, "write")
                reason = error
            present = self.get(key)
            if present is not None and present.data == data:
                return present.tag
            if (None if present is None else present.tag) != expected:
                raise ConflictError(key, conflict) from reason
            if status == _PRECONDITION_FAILED and expected is not None:
                quoted = not quoted
                if not quoted:
                    continue
            self._pause(attempt)
        if status == _PRECONDITION_FAILED:
            # A weak ETag compares equal to nothing, and one that a cache has read is yesterday's.
            refused = f"{self}{key}: the server refuses a condition that holds by what it says itself"
            raise (ConfigError if kind is PROBE else FetchError)(refused, hint=probe.HINT) from reason
        raise self._given_up(reason, key, "write")

    def _put(self, key: str, data: bytes, kind: ObjectKind, expected: str | None, quoted: bool) -> str:
        if expected is None:
            condition = {"IfNoneMatch": "*"}
        else:
            condition = {"IfMatch": expected if quoted else expected.strip('"')}
        answer = self._client.put_object(
            **self._name(key),
            **condition,
            Body=data,
            ContentType=kind.content_type,
            CacheControl=kind.cache_control,
        )
        return str(_said(answer, "ETag"))

    def _read(self, key: str) -> Stored | None:
        try:
            answer = self._client.get_object(**self._name(key))
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                return None
            raise
        if _said(answer, "ContentLength") > MAX_OBJECT_BYTES:
            raise ConfigError(f"{self}{key}: larger than any object of a repository")
        return Stored(answer["Body"].read(), str(_said(answer, "ETag")))

    def _page(self, prefix: str, token: str | None) -> tuple[tuple[Listed, ...], str | None]:
        following = {"ContinuationToken": token} if token else {}
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + prefix, **following)
        # `gc` deletes by what it finds here: an answer that is no whole listing must not pass for one.
        following_token = _said(answer, "NextContinuationToken") if _said(answer, "IsTruncated") else None
        if following_token is not None and following_token == token:
            raise _NotS3(problem="a page of a listing that leads to itself")
        found = []
        for item in answer.get("Contents", ()):
            key = str(_said(item, "Key"))
            if not key.startswith(self._prefix + prefix):
                raise _NotS3(problem="a listing of other keys than were asked for")
            modified = _said(item, "LastModified").astimezone(UTC)
            found.append(Listed(key[len(self._prefix) :], _said(item, "Size"), modified))
        return tuple(found), following_token

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _patiently(self, key: str, doing: str, call: Callable[[], _T]) -> _T:
        for attempt in range(self._patience.attempts):
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                self._undecided(error, key, doing)
                reason = error
            self._pause(attempt)
        raise self._given_up(reason, key, doing)

    def _undecided(self, error: ClientError | BotoCoreError, key: str, doing: str) -> int:
        """Return the status (0: none came) if asking again may help; raise ``ConfigError`` if it cannot."""
        if isinstance(error, ClientError):
            status = _status(error)
            code = _code(error)
            if code not in _REFUSALS and (status >= 500 or status in _PASSING or code in _PASSING_CODES):
                return status
            hint = _REFUSALS.get(code, "")
            if (code, doing) == ("AccessDenied", "delete") and not key.startswith(probe.PREFIX):
                hint = "only an identity with the collector's policy of deploy/object-storage deletes"
            raise ConfigError(f"cannot {doing} {self}{key}: {code}", hint=hint) from error
        if isinstance(error, _WIRE_ERRORS):
            return 0
        raise ConfigError(f"cannot {doing} {self}{key}: {error}", hint=_CREDENTIALS) from error

    def _given_up(self, reason: ClientError | BotoCoreError, key: str, doing: str) -> FetchError:
        moved = isinstance(reason, ClientError) and _status(reason) == _REDIRECTED
        error = FetchError(
            f"cannot {doing} {self}{key}: {reason} ({self._patience.attempts} attempts)",
            hint=_OWN_REGION if moved else "check that the endpoint answers, then run the same command again",
        )
        error.__cause__ = reason
        return error

    def _pause(self, attempt: int) -> None:
        if attempt + 1 < self._patience.attempts:
            longest = min(self._patience.longest_pause, self._patience.first_pause * 2**attempt)
            time.sleep(_JITTER.uniform(0, longest))


def _said(answer: Mapping[str, Any], field: str) -> Any:
    """What an answer must say by the S3 API reference; a proxy's page with status 200 does not."""
    if field not in answer:
        raise _NotS3(problem=f"an answer without {field}")
    return answer[field]


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
