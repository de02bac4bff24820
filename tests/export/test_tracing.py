"""What a leaked file holds of decoys, whatever it has become, and how often that errs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.leaked import HASHES, OWNERS, UID, URLS, exported_lines, found_in, owners_of, seed_of
from vallum.errors import InputError
from vallum.format.decoys import DECOYS, decoys_for, markers
from vallum_publisher.recipients.leak import Leak, possible_markers
from vallum_publisher.recipients.tracing import (
    ENOUGH,
    MARKERS,
    false_accusation_bound,
    miss_bound,
    tally,
)

# Whatever the file has come to be --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        str,
        str.upper,
        lambda text: f"http://{text}",
        lambda text: f"0.0.0.0 {text}",
        lambda text: f"||{text}^$document",
        lambda text: f"*.{text.partition('/')[0]} CNAME .",
        lambda text: f'local-zone: "{text.partition("/")[0]}." always_nxdomain',
        lambda text: text.replace(".", "[.]"),
        lambda text: text.replace(".", " [dot] ".strip()),
        lambda text: f"{{'url': 'hxxps://{text.replace('.', '(.)')}', 'labels': []}}",
        lambda text: f"{text};2026-01-01;x",
        lambda text: json.dumps({"a": [text, 1], "url": f"https://www.{text}"}),
    ],
)
def test_whatever_format_the_file_has_come_to(write: Callable[[str], str]) -> None:
    lines = [write(text) for text in exported_lines(decoys_for(seed_of(3), UID, URLS), 1000)]
    for data in ("\n".join(lines), " ".join(lines), "\r\n".join(sorted(lines))):
        assert found_in(data.encode()) == {3: DECOYS}


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
ENCODINGS += ["utf-32", "utf-32-le", "utf-32-be", "utf-7"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_whatever_the_encoding(encoding: str) -> None:
    text = "Adresse;Größe\n" + "\n".join(exported_lines(decoys_for(seed_of(3), UID, URLS), 10))
    assert found_in(text.encode(encoding)) == {3: DECOYS}
    assert found_in(gzip.compress(text.encode(encoding))) == {3: DECOYS}


def test_digests_are_traced_too() -> None:
    owners = owners_of(5, "hash")
    lines = [f"{decoy.tag.signal},{decoy.text.upper()}" for decoy in decoys_for(seed_of(2), UID, HASHES)]
    assert found_in("\n".join(lines).encode(), owners) == {2: DECOYS}


def test_a_mixture_names_each_source() -> None:
    lines = [d.text for n in (1, 4) for d in decoys_for(seed_of(n), UID, URLS)[: 10 * n]]
    assert found_in("\n".join(lines).encode()) == {4: 40, 1: 10}


def test_repetition_is_no_evidence() -> None:
    """A decoy that stands in the file a hundred times has been found once; two do not accuse."""
    lines = [decoy.text for decoy in decoys_for(seed_of(1), UID, URLS)[: ENOUGH - 1]] * 100
    assert found_in("\n".join(lines).encode()) == {1: ENOUGH - 1}


def test_what_touches_a_decoy_hides_it_not() -> None:
    """Letters before or behind it may be what is left of an escape; what is no whole decoy is none."""
    host = next(markers(seed_of(1), UID, "url"))
    label = host.partition(".")[0]
    for text in (f"x{host}", f"n{label}", f"ba{host}", f"{label}ba", f"a-{host}", f"{host}-a", f"{label}dot"):
        assert found_in(text.encode(), {label: 0}) == {0: 1}
    for text in (label[:-1], label[2:], f"{label[:7]} {label[7:]}", f"{label[:7]}q{label[7:]}"):
        assert not found_in(text.encode(), {label: 0})
    digest = next(markers(seed_of(1), UID, "hash"))
    for text in (f"{digest}0", f"a{digest}", f"x{digest}x", f"{digest}{'0' * 16}"):
        assert found_in(text.encode(), {digest: 0}) == {0: 1}
    for text in (digest[:-1], digest[1:], f"0{digest}0", digest + "0" * 17):
        assert not found_in(text.encode(), {digest: 0})


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_where_pieces_end_does_not_matter(data: st.DataObject) -> None:
    """Names cut in two, pieces of nothing, one line without end: the same is found, and nothing else."""
    host, digest = "babebibobubabebi.com", "ab" * 16
    words = st.sampled_from(
        [
            host,
            digest,
            f"{digest}0",
            f"0{digest}",
            digest * 2,
            f"x{host}",
            f"{host}x",
            "\\n",
            "%3a",
            "&#46;",
            "[",
            ".]",
            " ",
            "\n",
            "é",
        ]
    )
    text = "".join(data.draw(st.lists(words, max_size=400)))
    whole = Counter(possible_markers([text]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert set(possible_markers(pieces)) == set(whole)


def test_what_is_carried_to_the_next_piece_begins_anywhere() -> None:
    """Also within a longer run of digits, whose end is no digest."""
    for behind in range(2040 - 64, 2060):
        text = "cd" * 50 + " " + "." * behind
        assert not list(possible_markers([text, " and more"]))


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_it_stumble(data: bytes) -> None:
    for each in (data, b"\x1f\x8b" + data, gzip.compress(data)[: len(data)], b"\xff\xfe" + data):
        leak = Leak(io.BytesIO(each))
        with suppress(InputError):
            list(possible_markers(leak))


# Packed ----------------------------------------------------------------------------------------------------


def test_joined_gzip_streams() -> None:
    halves = [d.text for d in decoys_for(seed_of(3), UID, URLS)]
    data = b"".join(
        gzip.compress("".join(f"{text}\n" for text in part).encode())
        for part in (halves[:64], [""], halves[64:])
    )
    assert found_in(data) == {3: DECOYS}
    assert found_in(data + bytes(512)) == {3: DECOYS}


def test_half_a_gzip_file_says_what_it_holds() -> None:
    """A copy that broke off names all the same, and the reader learns that there was more."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    lines = exported_lines(decoys_for(seed_of(3), UID, URLS), 20_000)
    chance.shuffle(lines)
    data = gzip.compress("\n".join(lines).encode())
    leak = Leak(io.BytesIO(data[: len(data) // 2]))
    _, found = tally(leak, OWNERS)
    assert 30 < len(found) < DECOYS
    assert "ends in the middle" in leak.damage
    leak = Leak(io.BytesIO(data[:5000] + b"\xff" * 500 + data[5500:]))
    tally(leak, OWNERS)
    assert "damaged" in leak.damage


def test_what_is_packed_otherwise_is_no_clean_file() -> None:
    """Bytes of a zip archive hold no names: 'nobody' would be a wrong answer."""
    twice = gzip.compress(gzip.compress(b"x"))
    inside = gzip.compress(b"PK\x03\x04...")
    chance = random.Random(2).randbytes(50_000)  # noqa: S311 - the same each time
    for data in (
        twice,
        inside,
        chance,
        bz2.compress(b"x"),
        b"PK\x03\x04...",
        b"%PDF-1.7",
        b"\x28\xb5\x2f\xfd..",
        b"\xfd7zXZ\x00",
    ):
        with pytest.raises(InputError, match="the file is") as caught:
            found_in(data)
        assert "unpack" in caught.value.hint


def test_an_empty_file_is_no_clean_file() -> None:
    for data in (b"", gzip.compress(b"")):
        with pytest.raises(InputError, match="the file is empty"):
            found_in(data)


def test_a_bomb_is_read_in_pieces() -> None:
    """A megabyte of gzip that opens to a gigabyte: at most a piece of it is in memory at a time."""
    leak = Leak(io.BytesIO(gzip.compress(b"x" * (64 << 20), compresslevel=1)))
    sizes = [len(piece) for piece in leak]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= 1 << 20


# How often it errs -----------------------------------------------------------------------------------------


def test_ten_thousand_random_tenths() -> None:
    """Misses stay at their bound, and nobody else is ever named (issue 13)."""
    draws, rows, recipients = 10_000, 1_000, 20
    owners = owners_of(recipients)
    chance = random.Random(13)  # noqa: S311 - a sample that is the same each time, no secret
    exports = [exported_lines(decoys_for(seed_of(n), UID, URLS), rows) for n in range(recipients)]
    missed = 0
    for draw in range(draws):
        leaker = draw % recipients
        sample = chance.sample(exports[leaker], (rows + DECOYS) // 10)
        _, found = tally(["\n".join(sample)], owners)
        named = [number for number, count in Counter(found.values()).items() if count >= ENOUGH]
        assert named in ([], [leaker])
        missed += not named
    assert missed <= 12, "1.6 are expected at most; 12 have p < 10⁻⁶"


def test_many_recipients_and_nobody_by_chance() -> None:
    """A long file of names as decoys are made, of somebody else's seeds: not one is anybody's here."""
    owners = owners_of(200)
    assert len(owners) == 200 * MARKERS
    others = [host for number in range(200, 250) for host in markers(seed_of(number), UID, "url")]
    seen, found = tally(["\n".join(others)], owners)
    # Of 8 syllables each is tried as it is, of 9 in three ways, of 10 in six.
    assert len(others) == 32_000 < seen < 4 * 32_000
    assert not found


def test_the_bounds_are_what_the_page_says() -> None:
    assert 1.5e-4 < miss_bound(0.1) < 1.7e-4
    assert miss_bound(0.2) < 1e-9
    assert 0.03 < miss_bound(0.05) < 0.05
    assert miss_bound(0) == 1
    assert miss_bound(1) == 0
    assert false_accusation_bound(6 * 10**7, 1000) < 1e-14
    assert false_accusation_bound(2, 1000) == 0
    with pytest.raises(InputError):
        miss_bound(1.5)
