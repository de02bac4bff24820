"""Decoys: derived alike at both ends, like the rows that they stand among (tracing: tests/export)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from hashlib import shake_256

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.expression import DIGEST_TAGS, TAGS, Scope, Tag, parse_digest
from vallum.format.decoys import DECOYS, decoys_for, markers
from vallum.labels import LabelSet
from vallum.url import canonicalize

UID = bytes(range(16))
URL_COUNTS = {(1, ("a",)): 400, (1, ("b",)): 300, (3, ()): 100, (4, ("a",)): 150, (5, ("b",)): 50}
HASH_COUNTS = {(16, ()): 500, (18, ("a",)): 300, (32, ("b",)): 200}


def _seed(number: int) -> bytes:
    return number.to_bytes(32)


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=20, deadline=None)
def test_decoys_are_derived_alike_at_both_ends(seed: bytes) -> None:
    assert decoys_for(seed, UID, URL_COUNTS) == decoys_for(seed, UID, URL_COUNTS)
    wanted = set(markers(seed, UID, "url"))
    assert len(wanted) == 5 * DECOYS
    assert {decoy.text.partition("/")[0] for decoy in decoys_for(seed, UID, URL_COUNTS)} <= wanted
    assert {decoy.text for decoy in decoys_for(seed, UID, HASH_COUNTS)} <= set(markers(seed, UID, "hash"))


@given(st.dictionaries(st.sampled_from(sorted(TAGS)), st.integers(0, 10**7), min_size=1))
@settings(deadline=None)
def test_they_take_after_the_rows(counts: dict[int, int]) -> None:
    decoys = decoys_for(_seed(1), UID, {(code, ()): count for code, count in counts.items()})
    apt = {code: count for code, count in counts.items() if count and code != DIGEST_TAGS["photodna"].code}
    assert len(decoys) == (DECOYS if apt else 0)
    made = Counter(decoy.tag.code for decoy in decoys)
    for code, count in apt.items():
        assert abs(made[code] - DECOYS * count / sum(apt.values())) <= 1


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=20, deadline=None)
def test_each_is_a_row_that_a_list_could_hold(seed: bytes) -> None:
    for decoy in decoys_for(seed, UID, URL_COUNTS):
        assert str(canonicalize(decoy.text)) == decoy.text + (
            "/" if decoy.tag.scope in (Scope.HOST, Scope.DOMAIN) else ""
        )
    for decoy in decoys_for(seed, UID, HASH_COUNTS):
        assert parse_digest(decoy.tag.signal, decoy.text).hex() == decoy.text


def test_other_seeds_and_lists_have_others() -> None:
    sets = [
        set(markers(_seed(n), uid, kind))
        for n in (1, 2)
        for uid in (UID, bytes(16))
        for kind in ("url", "hash")
    ]
    assert len(set().union(*sets)) == sum(map(len, sets))


def test_half_the_bits_of_a_pdq_decoy_are_set() -> None:
    for decoy in decoys_for(_seed(3), UID, {(32, ()): 9}):
        assert int(decoy.text, 16).bit_count() == 128


def test_bits_of_digests_are_balanced() -> None:
    """No position is fixed, as it would be if decoys were tellable by a mask."""
    for code in (16, 32):
        values = [int(d.text, 16) for n in range(4) for d in decoys_for(_seed(n), UID, {(code, ()): 1})]
        for bit in range(256):
            assert 160 < sum(value >> bit & 1 for value in values) < 352  # of 512; eight standard deviations


def test_decoy_hosts_are_what_the_space_counts() -> None:
    pattern = re.compile(r"(?:[bcdfghjklmnprstvwxyz][aeiou]){8,10}\.(?:com|net|org|info)")
    assert all(pattern.fullmatch(host) for n in range(12) for host in markers(_seed(n), UID, "url"))


_label_sets = st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("c",)])
_strata = st.dictionaries(
    st.tuples(st.sampled_from([1, 3, 4, 16, 18]), _label_sets), st.integers(0, 5_000), min_size=1
)


@given(_strata, st.sets(st.sampled_from([1, 3, 4, 16, 18])), st.sampled_from(["", "a", "b"]))
@settings(deadline=None)
def test_a_part_holds_what_the_whole_has_of_it(
    rows: dict[tuple[int, LabelSet], int], codes: set[int], label: str
) -> None:
    """Exports of one list agree: the same labels whatever is wanted; few decoys are the whole's alone."""

    def wanted(tag: Tag, labels: LabelSet) -> bool:
        return (not codes or tag.code in codes) and (not label or label in labels)

    whole, part = decoys_for(_seed(1), UID, rows), decoys_for(_seed(1), UID, rows, wanted)
    assert all(wanted(one.tag, one.labels) for one in part)
    assert len(part) <= DECOYS
    labels = {one.text: one.labels for one in whole}
    assert all(labels.get(one.text, one.labels) == one.labels for one in part)
    for code in {one.tag.code for one in whole}:
        mine = [one for one in part if one.tag.code == code]
        held = [one for one in whole if one.tag.code == code and wanted(one.tag, one.labels)]
        # One is a beginning of the other, both in the order of their numbers.
        assert mine[: len(held)] == held[: len(mine)]
        if not label:
            assert len(held) <= len(mine) + 1


@given(_strata, st.binary(min_size=32, max_size=32))
@settings(max_examples=20, deadline=None)
def test_they_are_what_the_page_says(rows: dict[tuple[int, LabelSet], int], seed: bytes) -> None:
    """format.md §8.6, read word by word; no line in common with the code."""
    assert [(one.tag.code, one.text, one.labels) for one in decoys_for(seed, UID, rows)] == list(
        _by_the_page(seed, rows)
    )


def _by_the_page(seed: bytes, rows: dict[tuple[int, LabelSet], int]) -> Iterator[tuple[int, str, LabelSet]]:
    counts = {tag: sum(count for (code, _), count in rows.items() if code == tag) for tag, _ in rows}
    total = sum(counts.values())
    given = []
    for k in range(128):
        below = 0
        for tag in sorted(counts):
            below += counts[tag]
            if Fraction(2 * k + 1, 256) * total < below:
                given.append(tag)
                break
    for tag in sorted(counts):
        sets = [labels for (code, labels), count in sorted(rows.items()) if code == tag for _ in range(count)]
        for n in range(given.count(tag)):
            kind = TAGS[tag].signal if TAGS[tag].scope is None else f"url|{TAGS[tag].scope}"
            d = shake_256(msgpack.packb(["decoy", seed, UID, kind, n], use_bin_type=True)).digest(260)
            labels = sets[int.from_bytes(d[:4], "big") * len(sets) // 2**32]
            if kind in ("sha256", "sha1", "md5"):
                yield tag, d[4 : 4 + TAGS[tag].size].hex(), labels
                continue
            host = ""
            for at in range(8 + d[4] % 3):
                host += "bcdfghjklmnprstvwxyz"[d[6 + at] % 20] + "aeiou"[d[16 + at] % 5]
            host += "." + ["com", "net", "org", "info"][d[5] % 4]
            words = ["img", "gallery", "view", "files", "media", "thumbs", "archive", "post"]
            endings = [".html", ".jpg", ".php", "", "", "/", ".mp4", ".zip"]
            page = f"/{words[d[26] % 8]}/{d[28:34].hex()}{endings[d[27] % 8]}"
            yield tag, host if tag in (4, 5) else host + page, labels


def test_few_decoys_change_when_the_list_does() -> None:
    before = decoys_for(_seed(1), UID, URL_COUNTS)
    after = decoys_for(_seed(1), UID, {key: count + count // 50 + 1 for key, count in URL_COUNTS.items()})
    assert len(set(before) ^ set(after)) <= 4


def test_no_decoy_is_a_test_row() -> None:
    assert decoys_for(_seed(1), UID, {(1, ("test",)): 1}) == ()
    assert {one.labels for one in decoys_for(_seed(1), UID, {(1, ("test",)): 9, (1, ("a",)): 1})} == {("a",)}
