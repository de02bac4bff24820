"""Every reader: what is written is read back, and no bytes make it raise anything but its own errors."""

from __future__ import annotations

import csv
import io
import json
import string
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vallum.errors import ConfigError
from vallum.expression import DIGEST_TAGS, TAGS
from vallum.labels import FLAGS, SUBJECTS
from vallum_publisher.catalog import Record, Status, classify, unite
from vallum_publisher.intake import RejectedInput, read_records
from vallum_publisher.intake.fields import DIGEST_FIELDS

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "entry.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)

paths = st.text(string.ascii_letters + string.digits + "-_~,;:@!$&'()*+=|", max_size=12)
urls = st.builds("{}.example/{}".format, st.text(string.ascii_lowercase, min_size=1, max_size=8), paths)
digests = st.sampled_from(["sha256", "sha1", "md5"]).flatmap(
    lambda signal: st.tuples(
        st.just(signal),
        st.binary(min_size=DIGEST_TAGS[signal].size, max_size=DIGEST_TAGS[signal].size).filter(any),
    )
)
numbers = st.text(string.ascii_letters + string.digits + ' -/;,"äß', max_size=10).map(str.strip)
labels = st.lists(st.sampled_from(["uk-sap:1:A", "ncmec:1:B2", "vics:2.0:1", *FLAGS]), max_size=3)
places = st.lists(st.sampled_from(["GB", "DE", "DE-BY"]), max_size=2)
moments = st.integers(1, 4_000_000_000)


@st.composite
def lists(draw: st.DrawFn, kind: str) -> list[Record]:
    found: dict[tuple[object, ...], Record] = {}
    for _ in range(draw(st.integers(0, 6))):
        if kind == "url":
            tag, value = 1, draw(urls)
        else:
            signal, raw = draw(digests)
            tag, value = DIGEST_TAGS[signal].code, raw  # type: ignore[assignment]  # text or bytes, as in Record
        wire = unite(draw(labels), subject=draw(st.sampled_from(["", *SUBJECTS])), jurisdictions=draw(places))
        record = Record(
            tag, value, draw(numbers), draw(numbers), wire, draw(st.sampled_from(Status)), *(
                draw(st.one_of(st.just(0), moments)) for _ in range(4)
            )
        )  # fmt: skip
        found.setdefault(record[:3], record)
    return list(found.values())


def fields(record: Record) -> dict[str, Any]:
    """One record as an operator would write it."""
    parts = classify(record.labels)
    value = record.value if isinstance(record.value, str) else record.value.hex().upper()
    said: dict[str, Any] = {TAGS[record.tag].signal: value, "status": record.status.value}
    for name, text in (
        ("ref", record.ref),
        ("content_id", record.content_id),
        ("subject", "".join(parts.subjects)),
    ):
        if text:
            said[name] = text
    for name, many in (
        ("labels", parts.labels),
        ("flags", parts.flags),
        ("jurisdictions", parts.jurisdictions),
    ):
        if many:
            said[name] = list(many)
    for name in ("added_at", "updated_at", "verified_at", "expires_at"):
        if getattr(record, name):
            said[name] = datetime.fromtimestamp(getattr(record, name), UTC).isoformat()
    return said


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["url", "hash"]))
def test_json_lines_are_read_back(data: st.DataObject, kind: str) -> None:
    records = data.draw(lists(kind))
    text = "".join(
        json.dumps(fields(record), ensure_ascii=data.draw(st.booleans())) + "\n" for record in records
    )
    assert read_records(io.BytesIO(text.encode()), kind=kind, format="jsonl") == records


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["url", "hash"]))
def test_csv_is_read_back(data: st.DataObject, kind: str) -> None:
    records = data.draw(lists(kind))
    columns = sorted(
        {"url", "sha256", "sha1", "md5"} | {name for record in records for name in fields(record)}
    )
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=data.draw(st.sampled_from(",;\t")),
        lineterminator=data.draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow(columns)
    for record in records:
        said = fields(record)
        cells = [said.get(name, "") for name in columns]
        writer.writerow([" ".join(cell) if isinstance(cell, list) else cell for cell in cells])
    raw = out.getvalue().encode(encoding)
    assert read_records(
        io.BytesIO(raw), kind=kind, format="csv", encoding=encoding.removesuffix("-sig")
    ) == records  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(records=st.one_of(st.lists(urls), st.lists(digests)))
def test_plain_text_is_read_back(records: list[Any]) -> None:
    kind = "hash" if records and isinstance(records[0], tuple) else "url"
    texts = [one[1].hex() if kind == "hash" else one for one in records]
    expected = list(dict.fromkeys(one[1] if kind == "hash" else one for one in records))
    data = "".join(f"{text}\n" for text in texts).encode()
    assert [record.value for record in read_records(io.BytesIO(data), kind=kind, format="text")] == expected


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(urls, min_size=1), at=st.integers(0), format=st.sampled_from(["text", "csv"]))
def test_a_file_that_is_cut_anywhere_never_says_another_thing(texts: list[str], at: int, format: str) -> None:
    rows = texts if format == "text" else ["url", *texts]
    data = "".join(f"{row}\n" for row in rows).encode()
    cut = io.BytesIO(data[: at % len(data)])
    with suppress(RejectedInput, ConfigError):
        assert {record.value for record in read_records(cut, kind="url", format=format)} <= set(texts)


pieces = st.sampled_from(
    [
        b"url", b"sha256", b"labels", b",", b";", b"\t", b'"', b"\n", b"\r\n", b"\r", b" ", b"#", b"\x00",
        b"http://a.example/", b"name.example", b"ab" * 32, b'{"url":', b"}", b"[", b"null",
        b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    ]
)  # fmt: skip
soup = st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=20).map(b"".join))


@settings(max_examples=200, deadline=None)
@given(
    data=soup,
    kind=st.sampled_from(["url", "hash"]),
    format=st.sampled_from(["text", "csv", "jsonl"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "latin-1", "cp1252"]),
)
def test_no_bytes_raise_anything_else(data: bytes, kind: str, format: str, encoding: str) -> None:
    try:
        records = read_records(io.BytesIO(data), kind=kind, format=format, encoding=encoding)
    except RejectedInput as error:
        numbers = [reject.line for reject in error.rejects]
    except ConfigError:
        numbers = [1] if format == "csv" else []  # what is wrong with the header line
    else:
        assert all(record.value for record in records)
        return
    assert numbers
    assert 1 <= min(numbers) <= max(numbers) <= data.count(b"\n") + 1


# The reader's hand-written checks against the schema

members: dict[str, st.SearchStrategy[Any]] = {
    "url": st.one_of(urls, st.just("https://a.example/")),
    "scope": st.sampled_from(["url", "path_prefixx", "URL"]),
    "sha256": st.from_regex(r"[0-9A-Fa-f]{62,65}", fullmatch=True),
    "sha1": st.from_regex(r"[0-9A-Fa-f]{40}", fullmatch=True),
    "md5": st.from_regex(r"[0-9a-g]{32}", fullmatch=True),
    "pdq": st.just("0f" * 32),
    "photodna": st.from_regex(r"[0-9A-F]{288}|[0-9A-Za-z+/]{192}|[0-9A-Za-z+/]{8}", fullmatch=True),
    "digest": st.from_regex(r"([0-9A-F]{32}|[0-9A-F]{40}|[0-9A-F]{64}|[0-9A-F]{50})", fullmatch=True),
    "pdq_quality": st.one_of(st.integers(50, 102), st.integers(-3, -1), st.just(2**70)),
    "ref": st.one_of(numbers, st.just("x" * 201), st.just("x" * 200), st.just("a\tb")),
    "content_id": st.one_of(numbers, st.text("ab\n\x7f\x85", max_size=3)),
    "labels": st.lists(st.sampled_from(["uk-sap:1:A", "x", "A", "a:b", "a:b:c:d", "", "ä:1:A"]), max_size=3),
    "flags": st.lists(st.sampled_from(["test", "other_1", "x:1:A", "Test"]), max_size=2),
    "subject": st.sampled_from([*SUBJECTS, "film", ""]),
    "jurisdictions": st.lists(st.sampled_from(["GB", "DE-BY", "gb", "GBR"]), max_size=2),
    "status": st.sampled_from([*(status.value for status in Status), "gone"]),
    "added_at": st.sampled_from(
        ["2026-05-01", "2026-05-01T12:00:00Z", "2026-05-01T12:00:00.5+02:00", "2026-5-1"]
    ),
    "expires_at": st.sampled_from(["2026-05-01T12:00:00", "20260501", "2026-W01-1", "now", "2030-01-01"]),
    "x_note": st.one_of(st.integers(), st.text(max_size=3)),
    "jurisdiction": st.just("GB"),
}
wrong_types = st.one_of(st.none(), st.integers(0, 9), st.booleans(), st.just([1]), st.just({}), st.just(1.5))


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(members)), max_size=5, unique=True))
    return {
        name: draw(wrong_types) if draw(st.integers(0, 9)) == 0 else draw(members[name]) for name in names
    } | draw(st.sampled_from([{}, {"url": "https://a.example/"}, {"sha1": "ab" * 20}]))


@settings(max_examples=250, deadline=None)
@given(said=objects())
@example(said={"digest": "0" * 32})
@example(said={"photodna": "A" * 192})
def test_the_reader_and_the_schema_agree(said: dict[str, Any]) -> None:
    for kind, others in (("url", DIGEST_FIELDS), ("hash", ("url",))):
        # A list passes over what another kind of list would take.
        pruned = {name: value for name, value in said.items() if name not in others}
        assert verdict(said, kind) == VALIDATOR.is_valid(pruned)


def verdict(said: dict[str, Any], kind: str) -> bool:
    try:
        read_records(io.BytesIO(json.dumps(said).encode()), kind=kind, format="jsonl")
    except RejectedInput:
        return False
    return True


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
