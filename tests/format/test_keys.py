"""Keys, digests and labels."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.format.lists import HOSTS, PATHS
from vallum.errors import InputError
from vallum.expression import DIGEST_TAGS, TAGS, URL_TAGS, Keyer, Scope, parse_digest
from vallum.labels import MAX_LABELS, is_label, label_set

PEPPERS = st.sampled_from((b"", bytes(range(32))))
FORMS = st.builds(lambda host, path: host + path, st.sampled_from(HOSTS), st.sampled_from(PATHS))


@given(PEPPERS, st.integers(0, 32), st.sampled_from(list(Scope)), FORMS)
def test_a_key_has_its_hosts_bits_in_front_and_its_expressions_behind(
    pepper: bytes, host_bits: int, scope: Scope, form: str
) -> None:
    def naive(text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=12, key=pepper).digest())

    bits = (
        f"{naive('host|' + form.split('/')[0]):096b}"[:host_bits]
        + f"{naive(f'url|{scope}|{form}'):096b}"[host_bits:]
    )
    keyer = Keyer(pepper, host_bits)
    assert keyer.url_key(scope, form) == int(bits, 2).to_bytes(12)
    part = keyer.host_part(form.split("/")[0])
    assert keyer.url_key(scope, form, part) == keyer.url_key(scope, form)
    wholes = [naive(f"url|{scope}|{form}").to_bytes(12), b"\xff" * 12, bytes(12)]
    parts = [part.to_bytes(12), bytes(12), part.to_bytes(12)]
    assert keyer.joined_all(parts, wholes) == b"".join(
        keyer.joined(int.from_bytes(part), whole) for part, whole in zip(parts, wholes, strict=True)
    )
    assert keyer.joined_all([], []) == b""


@given(FORMS)
def test_no_scope_is_anothers(form: str) -> None:
    """A page that was listed must not look like the prefix of what lies below it."""
    keyer = Keyer(b"", 20)
    assert len({keyer.url_key(scope, form) for scope in Scope}) == len(Scope)


@pytest.mark.parametrize("signal", DIGEST_TAGS)
def test_a_digest_is_read_as_bytes_and_as_hexadecimal_of_either_case(signal: str) -> None:
    raw = bytes(range(100, 100 + DIGEST_TAGS[signal].size))[: DIGEST_TAGS[signal].size]
    assert parse_digest(signal, raw) == raw
    assert parse_digest(signal, raw.hex()) == parse_digest(signal, f" {raw.hex().upper()}\n") == raw


@pytest.mark.parametrize(
    "digest", ["", "zz" * 32, "ab" * 31, "ab" * 33, "ab" * 31 + "a", "ab " * 32, "ａｂ" * 32, b"", bytes(31)]
)
def test_what_is_no_digest_is_refused(digest: str | bytes) -> None:
    with pytest.raises(InputError):
        parse_digest("sha256", digest)


def test_an_unknown_signal_is_refused() -> None:
    with pytest.raises(InputError, match="unknown signal"):
        parse_digest("crc32", "00")


def test_tags_are_found_by_scope_and_by_signal() -> None:
    assert {tag.code for tag in [*URL_TAGS.values(), *DIGEST_TAGS.values()]} == set(TAGS)


@given(st.lists(st.sampled_from(("test", "uk-sap:1:A", "ncmec:1:A1", "ai_generated")), max_size=6))
def test_label_sets_are_sorted_and_unite(labels: list[str]) -> None:
    made = label_set(labels)
    assert list(made) == sorted(set(labels))
    assert label_set(made) == made


@pytest.mark.parametrize(
    "label", ["", "Test", "1abc", "a:b", "a:b:c:d", "a:1: ", "test\n", "a::b", "ä", "a" * 64]
)
def test_what_is_no_label_is_refused(label: str) -> None:
    assert not is_label(label)
    with pytest.raises(InputError):
        label_set([label])


def test_more_labels_than_the_limit_are_refused() -> None:
    with pytest.raises(InputError, match="at most 64"):
        label_set(f"l{number}" for number in range(MAX_LABELS + 1))
