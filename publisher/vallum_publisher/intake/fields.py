"""A record's fields, as texts of any format, to records: values, labels, dates, identity.

The formats differ in how they find fields; what a field may say is decided here alone (and stands in
``schemas/entry.schema.json`` for JSON Lines). Files repeat themselves, so what a line says besides its value
is worked out once per different text.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import unhexlify
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple, TypeVar

from vallum.errors import InputError
from vallum.expression import DIGEST_TAGS, URL_TAGS, Scope, parse_digest
from vallum.labels import FLAGS, LabelSet
from vallum.url import entry_form
from vallum_publisher.catalog.entry import MAX_REF, TEST_REF, Record, Status, unite
from vallum_publisher.intake.rejects import BadField

DIGEST_FIELDS = (*DIGEST_TAGS, "digest")
"""``digest`` is one whose algorithm its length says."""
FACT_FIELDS = (
    "scope", "status", "labels", "flags", "subject", "jurisdictions",
    "added_at", "updated_at", "verified_at", "expires_at", "pdq_quality",
)  # fmt: skip
FIELDS = ("url", *DIGEST_FIELDS, *FACT_FIELDS, "ref", "content_id")
VALUE_FIELDS = {"url": ("url",), "hash": DIGEST_FIELDS}
"""Fields that hold what a kind of list recognises."""

MIN_PDQ_QUALITY = 50
_PDQ_BITS = range(64, 193)
"""Set bits of a PDQ hash; it thresholds at the median, so half are set unless the picture is blank."""

_BY_LENGTH = {2 * DIGEST_TAGS[signal].size: signal for signal in ("md5", "sha1", "sha256")}
_EMPTY_FILES = {
    bytes.fromhex(digest)
    for digest in (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
}
_PHOTODNA_BASE64 = re.compile(r"[A-Za-z0-9+/]{192}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))?"
)
_LAST_MOMENT = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
_WITH_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BEYOND_HOST = re.compile(r"[/\\?#]")
_CACHED = 100_000

_Choice = TypeVar("_Choice", Scope, Status)


class Facts(NamedTuple):
    """What a line says besides its value and its numbers."""

    scope: Scope | None = None
    status: Status = Status.ACTIVE
    labels: LabelSet = ()
    added_at: int = 0
    updated_at: int = 0
    verified_at: int = 0
    expires_at: int = 0
    pdq_quality: int | None = None


class RawFacts(NamedTuple):
    """The same as texts; hashable, so that repetitions are worked out once."""

    scope: str = ""
    status: str = ""
    labels: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    subject: str = ""
    jurisdictions: tuple[str, ...] = ()
    added_at: str = ""
    updated_at: str = ""
    verified_at: str = ""
    expires_at: str = ""
    pdq_quality: str = ""


class RecordMaker:
    """Makes records for one list."""

    def __init__(self, kind: str, *, bare_host: Scope | None = None, label_scheme: str = "") -> None:
        """Set the rules.

        Args:
            kind: of the list, ``url`` or ``hash``.
            bare_host: what a host without path and scope means; ``None`` rejects it.
            label_scheme: ``scheme:version`` put before labels that are bare codes.
        """
        self._kind = kind
        self._bare_host = bare_host
        self._label_scheme = label_scheme
        self._known: dict[RawFacts, Facts] = {}

    def facts(self, raw: RawFacts) -> Facts:
        """Read what a line says besides its value.

        Raises:
            BadField: one of them is wrong.
        """
        facts = self._known.get(raw)
        if facts is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            facts = self._known[raw] = self._read_facts(raw)
        return facts

    def records(
        self, values: Iterable[tuple[str, str]], ref: str, content_id: str, facts: Facts
    ) -> list[Record]:
        """Make a record of each value: of a URL, or of each digest of one file.

        Args:
            values: fields of ``VALUE_FIELDS`` with their texts; empty texts are left out.
            ref: the hotline's report number.
            content_id: what groups the digests of one file; made up if it is empty and there are several.
            facts: the rest.

        Raises:
            BadField: a value or number is wrong, or there is no value.
        """
        if ref:
            _check_number("ref", ref)
        if content_id:
            _check_number("content_id", content_id)
        found: list[tuple[int, str | bytes]] = [
            self._url(text, facts) if name == "url" else _digest(name, text, facts)
            for name, text in values
            if text
        ]
        if not found:
            needed = " or ".join(VALUE_FIELDS[self._kind])
            raise BadField("", "no value", hint=f"a {self._kind} list needs {needed}")
        if len(found) > 1 and not content_id:
            # The same file is grouped under the same id whenever it comes again: by its strongest digest.
            strongest = min(found)[1]
            content_id = blake2b(
                strongest if isinstance(strongest, bytes) else b"", digest_size=8
            ).hexdigest()
        return [_record(tag, value, ref, content_id, facts) for tag, value in found]

    def plain(self, name: str, text: str, facts: Facts) -> Record:
        """Make the record of one value that says nothing of reports or files. Raises as :meth:`records`."""
        tag, value = self._url(text, facts) if name == "url" else _digest(name, text, facts)
        return _record(tag, value, "", "", facts)

    def _url(self, text: str, facts: Facts) -> tuple[int, str]:
        if not text.isprintable():
            # A URL parser would drop line breaks and make one URL of two.
            raise BadField("url", "the URL holds a control character", hint="percent-encode it", text=text)
        scope = facts.scope or self._scope(text)
        try:
            return URL_TAGS[scope].code, entry_form(text, scope)
        except InputError as error:
            raise BadField("url", str(error), hint=error.hint, text=text) from None

    def _scope(self, text: str) -> Scope:
        """What a URL without a scope of its own means."""
        if _WITH_SCHEME.match(text) or _BEYOND_HOST.search(text.removeprefix("//")):
            return Scope.URL
        if self._bare_host is None:
            raise BadField(
                "url",
                "a host without path: the page, the host or the whole domain?",
                hint="say so in a scope column, by --bare-host url|host|domain, or write https://host/",
                text=text,
            )
        return self._bare_host

    def _read_facts(self, raw: RawFacts) -> Facts:
        try:
            labels = unite(map(self._label, raw.labels), raw.flags, raw.subject, raw.jurisdictions)
        except InputError as error:
            said = " ".join((*raw.labels, *raw.flags, raw.subject, *raw.jurisdictions))
            raise BadField("labels", str(error), hint=error.hint, text=said) from None
        scope = _choice("scope", raw.scope, Scope) if raw.scope else None
        status = _choice("status", raw.status, Status) if raw.status else Status.ACTIVE
        added_at, updated_at = _moment("added_at", raw.added_at), _moment("updated_at", raw.updated_at)
        verified_at, expires_at = (
            _moment("verified_at", raw.verified_at),
            _moment("expires_at", raw.expires_at),
        )
        quality = _quality(raw.pdq_quality)
        return Facts(scope, status, labels, added_at, updated_at, verified_at, expires_at, quality)

    def _label(self, text: str) -> str:
        if self._label_scheme and ":" not in text and text not in FLAGS:
            return f"{self._label_scheme}:{text}"
        return text


def _record(tag: int, value: str | bytes, ref: str, content_id: str, facts: Facts) -> Record:
    _scope, status, labels, added_at, updated_at, verified_at, expires_at, _quality = facts
    # Past the named tuple's own constructor, which costs as much as all of this.
    return tuple.__new__(
        Record,
        (tag, value, ref, content_id, labels, status, added_at, updated_at, verified_at, expires_at),
    )


def _digest(name: str, text: str, facts: Facts) -> tuple[int, bytes]:
    if name == "digest":
        signal = _BY_LENGTH.get(len(text))
        if signal is None:
            raise BadField(
                name,
                f"not a digest: {len(text)} characters",
                hint="32 hex digits mean MD5, 40 SHA-1, 64 SHA-256; PDQ needs a column of its own",
                text=text,
            )
    else:
        signal = name
    if signal == "photodna" and _PHOTODNA_BASE64.fullmatch(text):
        raw = b64decode(text)
    else:
        try:
            raw = parse_digest(signal, unhexlify(text))  # unlike bytes.fromhex() it passes over no blanks
        except ValueError:
            raise BadField(
                name, f"a {signal} digest is hexadecimal", hint="0-9 and a-f only", text=text
            ) from None
        except InputError as error:
            raise BadField(
                name, str(error), hint="is the digest whole, and in the right column?", text=text
            ) from None
    if raw in _EMPTY_FILES or not any(raw):
        raise BadField(
            name,
            "the digest of an empty file, or of nothing",
            hint="it would match every empty file; look at how the digests were made",
            text=text,
        )
    if signal == "pdq":
        _check_pdq(name, raw, text, facts.pdq_quality)
    return DIGEST_TAGS[signal].code, raw


def _check_pdq(name: str, raw: bytes, text: str, quality: int | None) -> None:
    if int.from_bytes(raw).bit_count() not in _PDQ_BITS:
        raise BadField(
            name,
            "a PDQ hash of a blank or nearly blank picture",
            hint="it would match every other such picture; leave it out",
            text=text,
        )
    if quality is not None and quality < MIN_PDQ_QUALITY:
        raise BadField(
            "pdq_quality",
            f"PDQ quality {quality} is below {MIN_PDQ_QUALITY}",
            hint="such hashes match strangers; list the file by its other digests",
        )


def _check_number(name: str, text: str) -> None:
    if len(text) > MAX_REF or not text.isprintable():
        raise BadField(
            name,
            f"more than {MAX_REF} characters, or a control character",
            hint="give the report's plain number",
            text=text,
        )
    if name == "ref" and text == TEST_REF:
        raise BadField(
            name, "the report number of the list's own test row", hint="give it another", text=text
        )


def _choice(name: str, text: str, kind: type[_Choice]) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        raise BadField(name, f"not a {name}", hint=f"one of {', '.join(kind)}", text=text) from None


def _moment(name: str, text: str) -> int:
    """Seconds since 1970; 0 if nothing is said."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise BadField(
            name, "not a time", hint="write 2026-05-31T12:00:00Z, or the date alone for its start", text=text
        )
    seconds = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
    if not 0 < seconds < _LAST_MOMENT:
        raise BadField(
            name, "a time before 1970 or after 9998", hint="leave out what is not known", text=text
        )
    return seconds


def _quality(text: str) -> int | None:
    if not text:
        return None
    if len(text) > 3 or not (text.isascii() and text.isdigit()) or int(text) > 100:
        raise BadField("pdq_quality", "not a quality", hint="an integer from 0 to 100", text=text)
    return int(text)
