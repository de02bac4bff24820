"""What intake takes and what it rejects, format by format, with line, column, reason and hint."""

from __future__ import annotations

import io
from typing import Any

import pytest

from vallum.errors import ConfigError
from vallum.expression import Scope
from vallum_publisher.catalog import TEST_REF, Record, Status
from vallum_publisher.intake import Reject, RejectedInput, read_records

SHA, SHA1, MD5 = "ab" * 32, "cd" * 20, "ef" * 16
PDQ = "0f" * 32


def read(data: str | bytes, kind: str = "url", format: str = "text", **options: Any) -> list[Record]:
    raw = data.encode(options.get("encoding", "utf-8")) if isinstance(data, str) else data
    return read_records(io.BytesIO(raw), kind=kind, format=format, **{"unterminated": True, **options})


def rejects(data: str | bytes, kind: str = "url", format: str = "text", **options: Any) -> list[Reject]:
    with pytest.raises(RejectedInput) as caught:
        read(data, kind, format, **options)
    assert "example" not in str(caught.value) + repr(caught.value.rejects)
    assert "nothing of the input was taken" in str(caught.value)
    assert all(reject.reason and reject.hint for reject in caught.value.rejects)
    return list(caught.value.rejects)


def values(records: list[Record]) -> list[object]:
    return [record.value for record in records]


# Plain text


def test_plain_urls() -> None:
    text = "\ufeff# a list\r\n\r\n  https://a.example/x \r\nhttp://B.example/#f\r\nhttp://b.example/\r\nb.example/"
    assert values(read(text)) == ["a.example/x", "b.example/"]


def test_plain_digests_by_length() -> None:
    records = read(f"{SHA}\n{SHA1.upper()}\n{MD5}\n", "hash")
    assert [(record.tag, record.value) for record in records] == [
        (16, bytes.fromhex(SHA)), (17, bytes.fromhex(SHA1)), (18, bytes.fromhex(MD5)),
    ]  # fmt: skip


def test_plain_rejects() -> None:
    found = rejects(
        "https://a.example/x y\nhttps://\na.example/ok\nhttps://user@a.example/\nhttp://a.example/\x00\n"
    )
    assert [reject.line for reject in found] == [1, 2, 4, 5]
    assert "word" in found[0].reason
    assert "host" in found[1].reason
    assert "credentials" in found[2].reason
    assert "control" in found[3].reason
    assert found[0].text == "https://a.example/x y"
    found = rejects(
        f"{SHA[:-1]}\n{'x' * 32}\n{'0' * 64}\nd41d8cd98f00b204e9800998ecf8427e\n{SHA[:-2]} \n", "hash"
    )
    assert [reject.line for reject in found] == [1, 2, 3, 4, 5]
    assert "63 characters" in found[0].reason
    assert "empty file" in found[2].reason
    assert "empty file" in found[3].reason


@pytest.mark.parametrize(
    "host", ["example.com", "//example.com", "example.com:8080", "192.0.2.1", "bücher.example"]
)
def test_a_bare_host_is_not_guessed(host: str) -> None:
    (reject,) = rejects(host)
    assert "host without path" in reject.reason
    assert "bare-host" in reject.hint


@pytest.mark.parametrize(
    "text", ["http://name.example", "name.example/", "name.example?x", "//name.example/a"]
)
def test_what_names_a_page_is_no_bare_host(text: str) -> None:
    assert read(text)[0].tag == 1


def test_a_bare_host_means_what_the_operator_says() -> None:
    text = "name.example\nhttps://other.example/x\n"
    for scope, tag, value in (
        ("url", 1, "name.example/"),
        ("host", 4, "name.example"),
        (Scope.DOMAIN, 5, "name.example"),
    ):
        first, second = read(text, bare_host=scope)
        assert (first.tag, first.value) == (tag, value)
        assert (second.tag, second.value) == (1, "other.example/x")
    with pytest.raises(ConfigError):
        read(text, bare_host="path_prefix")


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_a_mapping(delimiter: str) -> None:
    rows = [
        ["Nr", "Address", "Cat", "Where", "Seen"],
        ["R-1", "http://a.example/x", "A", "GB DE", "2026-05-01"],
        ["", "", "", "", ""],
        ["R-2", '"http://a.example/1,2;3\t"', '"uk-sap:1:B|ai_generated"', "", "2026-05-01T12:00:00+02:00"],
    ]
    text = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows if any(row)) + "\r\n\r\n"
    mapping = {
        "ref": "nr",
        "url": "Address",
        "labels": "Cat",
        "jurisdictions": "Where",
        "verified_at": "Seen",
    }
    if delimiter == "\t":
        text = text.replace("3\t", "3")
    first, second = read(text, format="csv", mapping=mapping, label_scheme="uk-sap:1")
    assert (first.ref, first.value) == ("R-1", "a.example/x")
    assert first.labels == ("jurisdiction:1:DE", "jurisdiction:1:GB", "uk-sap:1:A")
    assert (second.ref, second.value, second.verified_at) == ("R-2", "a.example/1,2;3", 1777629600)
    assert second.labels == ("ai_generated", "uk-sap:1:B")


def test_csv_several_digests_are_one_content() -> None:
    text = f"sha256,md5,SHA1,pdq,status\n{SHA},{MD5},{SHA1},{PDQ},\n,{MD5[::-1]},,,withdrawn\n"
    *group, single = read(text, "hash", "csv")
    assert sorted(record.tag for record in group) == [16, 17, 18, 32]
    assert len({record.content_id for record in group}) == 1
    assert group[0].content_id
    assert (single.tag, single.content_id, single.status) == (18, "", Status.WITHDRAWN)
    again = read(f"md5,sha256\n{MD5},{SHA}\n", "hash", "csv")
    assert {record.content_id for record in again} == {group[0].content_id}, "named by the strongest digest"


def test_csv_scope_column_decides() -> None:
    text = "url,scope\nname.example,domain\nname.example/a,path_prefix\nname.example/b,\n"
    assert [(record.tag, record.value) for record in read(text, format="csv")] == [
        (5, "name.example"), (3, "name.example/a"), (1, "name.example/b"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "mapping", "says"),
    [
        ("Address,Cat\nhttp://a.example/,A\n", {"url": "Adress"}, "'Adress'"),
        ("Address,Cat\nhttp://a.example/,A\n", {}, "holds url"),
        ("url,URL\nhttp://a.example/,A\n", {}, "more than once"),
        ("url\nhttp://a.example/\n", {"uri": "url"}, "field 'uri'"),
        ("", {}, "holds url"),
    ],
)
def test_csv_without_the_column_names_those_there_are(text: str, mapping: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        read(text, format="csv", mapping=mapping)
    if "Address" in text:
        assert "Address, Cat" in caught.value.hint


@pytest.mark.parametrize("first", ["http://a.example/x,A", SHA + ",A", "a.example;B"])
def test_csv_without_header_shows_no_values(first: str) -> None:
    with pytest.raises(ConfigError, match="no column names") as caught:
        read(f"{first}\n{first}\n", format="csv")
    assert first[:8] not in str(caught.value) + caught.value.hint


def test_one_word_that_may_be_a_header_is_not_quoted() -> None:
    """A list without a header line, of what looks like a column's name: the message goes into a log."""
    with pytest.raises(ConfigError, match="no column holds url") as caught:
        read("listed-site-example\nlisted-site-example\n", format="csv")
    assert "listed-site" not in str(caught.value) + caught.value.hint
    assert "if that line is a header" in caught.value.hint


def test_csv_rejects_name_the_row_and_the_operators_column() -> None:
    text = (
        "Nr,Address,Cat,Was\n"
        'R-1,"http://a.example/\n",x:1:A,\n'  # spans two lines
        "R-2,http://a.example/1,2,x:1:A,\n"
        "R-3,http://a.example/,No-Label,\n"
        "R-4,http://a.example/,,2026-02-30\n"
        f"{TEST_REF},http://a.example/,,\n"
        'R-6,http://a.example/,"x"y,\n'
        'R-7,"http://a.example/,,\n'
    )
    found = rejects(
        text, format="csv", mapping={"ref": "Nr", "url": "Address", "labels": "Cat", "added_at": "Was"}
    )
    assert [(reject.line, reject.column) for reject in found] == [
        (4, ""), (5, "Cat"), (6, "Was"), (7, "Nr"), (8, ""), (9, ""),
    ]  # fmt: skip
    assert "5 cells" in found[0].reason


# JSON Lines


def test_json_lines() -> None:
    text = (
        f'{{"sha256": "{SHA}", "md5": null, "ref": "R", "labels": ["ncmec:1:A1"], "flags": ["known_minor"],'
        ' "subject": "video", "jurisdictions": ["GB"], "expires_at": "2027-01-01T00:00:00Z",'
        ' "x_note": {"a": 1}}\n\n'
        f'{{"pdq": "{PDQ}", "pdq_quality": 80, "status": "disputed"}}\n'
    )
    first, second = read(text, "hash", "jsonl")
    assert first.labels == ("jurisdiction:1:GB", "known_minor", "ncmec:1:A1", "subject:1:video")
    assert (first.ref, first.expires_at) == ("R", 1798761600)
    assert (second.tag, second.status) == (32, Status.DISPUTED)
    (mapped,) = read('{"Address": "https://a.example/"}', format="jsonl", mapping={"url": "Address"})
    assert mapped.value == "a.example/"


@pytest.mark.parametrize(
    ("line", "column", "says"),
    [
        ('{"url": "https://a.example/"', "", "not JSON"),
        ("[" * 5000, "", "not JSON"),
        ('"https://a.example/"', "", "not a JSON object"),
        ('{"url": "https://a.example/", "jurisdiction": "GB"}', "", "unknown member"),
        ('{"url": "https://a.example/", "url": "https://b.example/"}', "url", "twice"),
        ('{"url": 5}', "url", "not a text"),
        ('{"url": ""}', "url", "not a text"),
        ('{"url": null}', "", "no value"),
        ('{"ref": "R"}', "", "no value"),
        ('{"url": "https://a.example/", "labels": "x:1:A"}', "labels", "array"),
        ('{"url": "https://a.example/", "labels": [1]}', "labels", "array"),
        ('{"url": "https://a.example/", "flags": ["x:1:A"]}', "labels", "flag is malformed"),
        ('{"url": "https://a.example/", "subject": "film"}', "labels", "unknown subject"),
        ('{"url": "https://a.example/", "jurisdictions": ["gb"]}', "labels", "jurisdiction is malformed"),
        ('{"url": "https://a.example/", "scope": "all"}', "scope", "not a scope"),
        ('{"url": "https://a.example/", "status": "gone"}', "status", "not a status"),
        ('{"url": "https://a.example/", "added_at": "2026-05-01T12:00:00"}', "added_at", "not a time"),
        ('{"url": "https://a.example/", "added_at": "1969-05-01"}', "added_at", "1970"),
        ('{"url": "https://a.example/", "pdq_quality": true}', "pdq_quality", "not a quality"),
        ('{"url": "https://a.example/", "ref": "a\\u0000b"}', "ref", "control"),
        ('{"url": "https://a.example/x", "scope": "host"}', "url", "path"),
    ],
)
def test_json_lines_rejects(line: str, column: str, says: str) -> None:
    (reject,) = rejects(f'{{"url": "https://ok.example/"}}\n{line}\n', format="jsonl")
    assert (reject.line, reject.column) == (2, column)
    assert says in reject.reason


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (f'"pdq": "{PDQ}", "pdq_quality": 49', "below 50"),
        ('"pdq": "' + "f" * 64 + '"', "blank"),
        ('"pdq": "' + "00" * 31 + '01"', "blank"),
        (f'"sha256": "{SHA1}"', "32 bytes"),
        (f'"sha256": "{SHA[:32]} {SHA[32:]}"', "hexadecimal"),
        ('"photodna": "' + "A" * 191 + '"', "hexadecimal|bytes"),
    ],
)
def test_digests_that_must_not_be_listed(member: str, says: str) -> None:
    (reject,) = rejects("{" + member + "}", "hash", "jsonl")
    assert any(word in reject.reason for word in says.split("|"))


def test_photodna_in_both_spellings() -> None:
    base64, hexadecimal = "AQID" * 48, "010203" * 48
    one, other = read(
        f'{{"photodna": "{base64}", "ref": "1"}}\n{{"photodna": "{hexadecimal}", "ref": "2"}}',
        "hash",
        "jsonl",
    )
    assert one.value == other.value == b"\x01\x02\x03" * 48


# What an input says twice


def test_repetitions_are_united_and_contradictions_name_both_lines() -> None:
    text = "url;labels;ref\nhttp://a.example/;x:1:A;1\nhttps://A.example;x:1:A;1\nhttp://a.example/;x:1:B;2\n"
    assert len(read(text, format="csv")) == 2
    (reject,) = rejects(text + "http://a.example/;x:1:B;1\n", format="csv")
    assert (reject.line, "line 2" in reject.reason) == (5, True)


# Bytes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_declared_encodings(encoding: str) -> None:
    text = "url;ref\r\nhttp://a.example/é;Fräulein\r\n"
    (record,) = read(text.encode(encoding), format="csv", encoding=encoding.upper().replace("-", "_"))
    assert (record.value, record.ref) == ("a.example/%C3%A9", "Fräulein")


def test_other_bytes_than_declared() -> None:
    head = "url\nhttp://a.example/ü\n".encode()
    data = head + "http://b.example/ü\n".encode("latin-1") + b"http://c.example/\n" + b"x\xff"
    found = rejects(data, format="csv")
    assert [(reject.line, reject.offset) for reject in found] == [(3, len(head) + 17), (5, len(data) - 1)]
    (reject,) = rejects("url\nhttp://a.example/\n".encode("utf-16"), format="csv")
    assert (reject.line, reject.offset) == (1, 0)
    assert "UTF-16" in reject.hint
    cut = "http://a.example/\nhttp://b.example/".encode("utf-16-le")[:-1]
    (reject,) = rejects(cut, encoding="utf-16-le")
    assert (reject.line, reject.offset) == (2, len(cut) - 1)
    with pytest.raises(ConfigError, match="ebcdic"):
        read(b"", encoding="ebcdic")
    with pytest.raises(ConfigError):
        read(b"", encoding="utf-7")


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    huge = b"http://a.example/" + b"x" * (1 << 21) + b"\nhttp://a.example/ b\n"
    assert [reject.line for reject in rejects(huge)] == [1, 2]


def test_arguments_that_cannot_be_meant() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"format": "xml"},
        {"kind": "domain"},
        {"label_scheme": "uk"},
        {"mapping": {"url": "x"}},
    )
    for options in wrong:
        with pytest.raises(ConfigError):
            read("http://a.example/\n", **options)


def test_progress_is_told() -> None:
    told: list[tuple[int, int | None]] = []
    read_records(
        io.BytesIO(b"http://a.example/\n" * 45_000), kind="url", format="text",
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(20_000, None), (40_000, None), (45_000, None)]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("format", ["text", "csv"])
def test_a_last_line_that_was_cut_is_not_another_page(format: str, encoding: str) -> None:
    """The exporter died in the middle of a URL: what it left is the host's start page."""
    header = "labels,url\n" if format == "csv" else ""
    comma = "," if format == "csv" else ""
    whole = f"{header}{comma}http://a.example/gallery/3.html\n{comma}http://b.example/gallery/4.html\n"
    assert len(read(whole, format=format, encoding=encoding, unterminated=False)) == 2
    cut = whole.removesuffix("gallery/4.html\n")
    (reject,) = rejects(cut, format=format, encoding=encoding, unterminated=False)
    assert (reject.line, reject.reason) == (whole.count("\n"), "the last line has no line end")
    assert "is the file whole?" in reject.hint
    assert "--unterminated" in reject.hint
    assert values(read(cut, format=format, encoding=encoding)) == ["a.example/gallery/3.html", "b.example/"]


def test_blanks_at_the_end_are_no_cut_line() -> None:
    assert len(read("http://a.example/\n  ", unterminated=False)) == 1


def test_a_cut_line_that_is_wrong_anyway_is_told_once() -> None:
    (reject,) = rejects("http://a.example/\nhttp://", unterminated=False)
    assert (reject.line, reject.reason) == (2, "the URL names no host")


def test_a_last_json_object_ends_by_itself() -> None:
    assert len(read('{"url": "https://a.example/"}', format="jsonl", unterminated=False)) == 1
    (reject,) = rejects('{"url": "https://a.exam', format="jsonl", unterminated=False)
    assert "not JSON" in reject.reason
