"""JSON that ends with its own digest (client.md §8.3): whatever turns in it is seen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallum.digested import format_digested, parse_digested
from vallum.errors import FormatError

objects = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=20)), min_size=1)


@given(objects)
def test_what_was_written_reads_back(raw: dict[str, object]) -> None:
    raw.pop("sha256", None)
    read = parse_digested("a file", format_digested(raw))
    assert isinstance(read, dict)
    assert {name: value for name, value in read.items() if name != "sha256"} == raw


@given(objects, st.data())
def test_whatever_bit_turns(raw: dict[str, object], data: st.DataObject) -> None:
    """The object is refused, or read as it was written: a bit of the digest's name says nothing of it."""
    raw.pop("sha256", None)
    written = bytearray(format_digested({"format": 1, **raw}))
    at, bit = data.draw(st.integers(0, len(written) - 1)), data.draw(st.integers(0, 7))
    written[at] ^= 1 << bit
    try:
        read = parse_digested("a file", bytes(written))
    except FormatError:
        return
    assert isinstance(read, dict)
    assert {**read, **raw, "format": 1} == read


@given(objects)
def test_an_older_file_has_no_digest(raw: dict[str, object]) -> None:
    assert parse_digested("a file", json.dumps(raw).encode()) == raw


@given(st.binary(max_size=200))
def test_garbage_is_an_error_of_ours(data: bytes) -> None:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        with pytest.raises(FormatError):
            parse_digested("a file", data)
