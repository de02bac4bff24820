"""Heads and charters: inverses, and code and schema of one mind."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.build_vectors import VECTORS
from schemas.vectorsmith.metadata import good_charter, good_head
from vallum.errors import FormatError
from vallum.format import limits
from vallum.format.charter import Charter, format_charter, parse_charter, split_stream
from vallum.format.fields import format_time, parse_time
from vallum.format.head import Head, RunRef, format_head, parse_head, stale_after, state_of

HEAD = jsonschema.Draft202012Validator(json.loads((VECTORS.parent / "head.schema.json").read_text()))
CHARTER = jsonschema.Draft202012Validator(json.loads((VECTORS.parent / "charter.schema.json").read_text()))

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(8999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 - zoned by the strategy
    lambda moment: moment.replace(microsecond=0)
)
HEX64 = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
EPOCHS = st.integers(1, limits.MAX_EPOCH)
TEXT = st.text(max_size=300)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    version = draw(st.one_of(st.integers(1, 50), st.integers(1, limits.MAX_VERSION)))
    epochs = draw(st.dictionaries(EPOCHS, HEX64, max_size=4))
    number = st.sampled_from(sorted(epochs)) if epochs else EPOCHS
    ends = draw(st.lists(st.integers(1, version), min_size=1, max_size=6))
    spans = sorted({(draw(st.integers(0, end - 1)), end) for end in ends})
    return Head(
        generation=draw(st.integers(1, limits.MAX_GENERATION)),
        version=version,
        tables=draw(st.dictionaries(NAMES, HEX64, min_size=1, max_size=3)),
        created=draw(TIMES),
        as_of=draw(TIMES),
        max_age=draw(st.integers(1, limits.MAX_AGE)),
        min_poll=draw(st.integers(0, limits.MIN_POLL)),
        epochs=epochs,
        runs=tuple(RunRef(start, end, draw(number)) for start, end in spans),
    )


@st.composite
def charters(draw: st.DrawFn) -> Charter:
    kind = draw(st.sampled_from(("url", "hash")))
    pepper = draw(st.none() | HEX64)
    text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cf")), max_size=60)
    return Charter(
        uid=draw(st.binary(min_size=16, max_size=16)),
        generation=draw(st.integers(1, limits.MAX_GENERATION)),
        kind=kind,
        host_bits=draw(st.integers(0, 32)) if kind == "url" else 0,
        tables=("exact",) if kind == "url" else draw(st.sampled_from((("exact",), ("exact", "pdq")))),
        editions=("full",)
        if pepper is None
        else draw(st.sampled_from((("full",), ("match",), ("full", "match")))),
        publisher=draw(text),
        jurisdiction=draw(text),
        appeal_url=draw(st.sampled_from(("", "https://hotline.example/appeal?x=1"))),
        wide_per_week=draw(st.integers(0, limits.MAX_VERSION)),
        pepper=pepper,
    )


@given(heads())
def test_a_head_comes_back_as_it_was_and_fits_its_schema(head: Head) -> None:
    raw = json.loads(json.dumps(format_head(head)))
    assert parse_head(raw) == head
    HEAD.validate(raw)
    assert stale_after(head) == head.as_of + timedelta(seconds=head.max_age)


@given(charters())
def test_a_charter_comes_back_as_it_was_and_fits_its_schema(charter: Charter) -> None:
    raw = json.loads(json.dumps(format_charter(charter)))
    assert parse_charter(raw) == charter
    CHARTER.validate(raw)


NUMBERS = st.integers(-1, 10)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(),
    st.floats(allow_nan=False),
    TEXT,
    HEX64,
    st.just([]),
    st.just({}),
    st.lists(NUMBERS, max_size=4),
    st.lists(st.lists(NUMBERS | st.booleans(), max_size=4), max_size=3),
    st.lists(TEXT, max_size=2),
    st.dictionaries(st.text(max_size=12), HEX64 | TEXT, max_size=3),
    st.sampled_from(
        (["full"], ["match", "full"], ["exact", "pdq"], "hash", "url", "v2", "2026-02-30T00:00:00Z")
    ),
    st.sampled_from((4294967296, 2**53, 2**53 - 1, "https://x", "http://x.example/")),
    st.sampled_from(({"1": "00" * 32}, {"01": "00" * 32}, {"4294967296": "00" * 32})),
)


def accepts(parse: Any, raw: dict[str, Any]) -> bool:
    try:
        parse(raw)
    except FormatError:
        return False
    return True


def _relations_hold(raw: dict[str, Any]) -> bool:
    """What the head's schema leaves to its reader."""
    runs, version = raw["runs"], raw["version"]
    spans = [tuple(run[:2]) for run in runs]
    return (
        raw["state"] == state_of(raw["tables"])
        and all(start < end <= version for start, end in spans)
        and all(a < b for a, b in pairwise(spans))
        and (not raw["epochs"] or all(str(run[2]) in raw["epochs"] for run in runs))
        and all(_is_day(raw[name]) for name in ("created", "as_of"))
        and not raw["critical"]
    )


def _is_day(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _no_floats(value: object) -> bool:
    """JSON Schema takes 1.0 for an integer; canonical JSON has no floats at all."""
    if isinstance(value, dict):
        return all(map(_no_floats, value.values()))
    return all(map(_no_floats, value)) if isinstance(value, list) else not isinstance(value, float)


@given(st.data())
@settings(max_examples=400)
def test_code_and_schema_agree_about_heads(data: st.DataObject) -> None:
    raw = good_head()
    for name in data.draw(st.lists(st.sampled_from([*raw, "mood"]), max_size=2, unique=True)):
        if data.draw(st.booleans()) and name in raw:
            del raw[name]
        else:
            raw[name] = data.draw(JUNK)
    if data.draw(st.booleans()) and isinstance(raw.get("tables"), dict):
        with suppress(TypeError, UnicodeEncodeError):
            raw["state"] = state_of(raw["tables"])
    fits = _no_floats({name: raw.get(name) for name in good_head()}) and HEAD.is_valid(raw)
    assert accepts(parse_head, raw) == (fits and _relations_hold(raw))


@given(st.data())
@settings(max_examples=400)
def test_code_and_schema_agree_about_charters(data: st.DataObject) -> None:
    raw = good_charter()
    for name in data.draw(st.lists(st.sampled_from([*raw, "mood"]), max_size=3, unique=True)):
        if data.draw(st.booleans()) and name in raw:
            del raw[name]
        else:
            raw[name] = data.draw(JUNK)
    fits = _no_floats({name: raw.get(name) for name in good_charter()}) and CHARTER.is_valid(raw)
    short = all(
        len(raw[name].encode("utf-8", "replace")) <= 256
        for name in ("publisher", "jurisdiction", "appeal_url")
        if isinstance(raw.get(name), str)
    )
    assert accepts(parse_charter, raw) == (fits and short)


@pytest.mark.parametrize("family", ["heads", "charters"])
def test_schemas_take_the_good_vectors(family: str) -> None:
    cases = [json.loads(path.read_text()) for path in (VECTORS / family).glob("*.json")]
    good = [case for case in cases if case["expect"] == "ok"]
    assert good
    for case in good:
        (HEAD if family == "heads" else CHARTER).validate(case["input"][family[:-1]])


@given(TIMES)
def test_a_time_comes_back(moment: datetime) -> None:
    assert parse_time("x", format_time(moment)) == moment


@given(
    st.text(max_size=30)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.*", fullmatch=True)
)
def test_a_time_has_one_spelling(text: str) -> None:
    try:
        moment = parse_time("x", text)
    except FormatError:
        return
    assert format_time(moment) == text


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00z", "٢٠٢٦-01-01T00:00:00Z", "2026-W01-1T00:00:00Z", "20260101T000000Z"]
)
def test_other_spellings_of_a_time_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_time("x", text)


@given(st.text(max_size=20) | NAMES.map(lambda name: f"{name}.match"))
def test_a_streams_name_splits_or_is_refused(text: str) -> None:
    try:
        name, edition = split_stream(text)
    except FormatError:
        return
    assert f"{name}.{edition}" == text
    assert "/" not in text
    assert edition in ("match", "full")
