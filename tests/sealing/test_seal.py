"""Runs that only the entitled can read: what opens, what does not, and what the file's size tells."""

from __future__ import annotations

import hmac
from dataclasses import replace
from hashlib import sha256
from itertools import product

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import ConfigError, DataError, FormatError, TrustError
from vallum.expression import Keyer, Scope
from vallum.format.columns import compress, padme
from vallum.format.epoch import Epoch, check_epoch_key, check_pepper, commit_epoch, commit_pepper
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, format_body, format_run, parse_header
from vallum.format.seal import open_run, run_key, seal_run
from vallum.format.section import Codec, Section

UID = bytes(range(16))
KEY, PEPPER = b"k" * 32, b"p" * 32
EPOCH = Epoch(UID, "demo.match", 3, 2)
CODEC = Codec("url", "match", ("exact",), Keyer(PEPPER, 20))


def _run(rows: int = 5, salt: bytes = b"t" * 16) -> Run:
    keys = sorted(CODEC.keyer.url_key(Scope.URL, f"site{at}.example/") for at in range(rows))
    adds = Rows.build(keys, [("vallum:1:test",)] * rows, None)
    header = RunHeader("url", "match", EPOCH.generation, EPOCH.number, 0, 7, 0)
    return Run(header, salt, (Section("exact", ((1, rows),), adds, ()),))


def _sealed_with(body: bytes, header: RunHeader | None = None) -> bytes:
    """A file of any body, sealed as a publisher with a fault of his own would."""
    raw = format_body(CODEC, _run().table_salt, _run().sections)
    header = header or RunHeader("url", "match", 3, 2, 0, 7, padme(len(raw)), b"s" * 32)
    clear = header.format()
    return clear + AESGCM(run_key(EPOCH, KEY, header)).encrypt(bytes(12), body, clear)


def _body(padding: int | None = None) -> bytes:
    frame = compress(format_body(CODEC, _run().table_salt, _run().sections), 3)
    right = padme(4 + len(frame) + 16) - 16 - 4 - len(frame)
    return len(frame).to_bytes(4) + frame + bytes(right if padding is None else right + padding)


@given(st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_a_sealed_run_opens_to_what_was_sealed(rows: int) -> None:
    run = _run(rows)
    data = seal_run(CODEC, run, EPOCH, KEY, level=3)
    opened = open_run(CODEC, data, EPOCH, KEY)
    assert opened.table_salt == run.table_salt
    assert list(opened.sections[0].adds.keys()) == list(run.sections[0].adds.keys())
    assert opened.sections[0].counts == run.sections[0].counts


@given(st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_the_ciphertext_has_a_padded_size(rows: int) -> None:
    data = seal_run(CODEC, _run(rows), EPOCH, KEY, level=3)
    _, at = parse_header(data)
    assert padme(len(data) - at) == len(data) - at


def test_no_two_bodies_share_a_key() -> None:
    """Sealing again gives the same file, as a retry should; anything else in it gives another run key."""
    first = seal_run(CODEC, _run(), EPOCH, KEY)
    assert seal_run(CODEC, _run(), EPOCH, KEY) == first
    others = [
        seal_run(CODEC, _run(salt=b"T" * 16), EPOCH, KEY),
        seal_run(CODEC, _run(6), EPOCH, KEY),
        seal_run(CODEC, _run(), EPOCH, KEY, level=1),
        seal_run(CODEC, _run(), EPOCH, b"K" * 32),
        seal_run(CODEC, _run(), Epoch(UID, "other.match", 3, 2), KEY),
    ]
    salts = {parse_header(data)[0].salt for data in (first, *others)}
    assert len(salts) == len({first, *others})


def test_one_body_in_several_places_does_not_show() -> None:
    """Convergent encryption would show it: the same rows under other versions, epochs, generations, lists."""
    run = _run()
    places = [
        (run.header, EPOCH),
        (replace(run.header, start=1), EPOCH),
        (replace(run.header, end=8), EPOCH),
        (replace(run.header, epoch=3), replace(EPOCH, number=3)),
        (replace(run.header, generation=4), replace(EPOCH, generation=4)),
        (run.header, replace(EPOCH, stream="other.match")),
        (run.header, replace(EPOCH, uid=UID[::-1])),
    ]
    sealed = [seal_run(CODEC, replace(run, header=header), epoch, KEY) for header, epoch in places]
    seen: set[bytes] = set()
    for data in sealed:
        header, at = parse_header(data)
        assert not seen & {header.salt, data[at : at + 16], data[-16:]}
        seen |= {header.salt, data[at : at + 16], data[-16:]}


def test_nothing_of_the_body_stands_in_the_file() -> None:
    data = seal_run(CODEC, _run(), EPOCH, KEY)
    for key in list(_run().sections[0].adds.keys()):
        assert key not in data
    assert b"vallum:1:test" not in data
    assert b"t" * 16 not in data


def test_each_byte_counts() -> None:
    """A flipped bit anywhere is refused: magic, facts, numbers, salt, ciphertext, tag."""
    data = seal_run(CODEC, _run(), EPOCH, KEY)
    for at, bit in product(range(len(data)), (0x01, 0x80)):
        with pytest.raises(DataError):
            open_run(CODEC, data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :], EPOCH, KEY)


@pytest.mark.parametrize("cut", [0, 4, 30, 45, -17, -16, -1])
def test_a_file_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(DataError):
        open_run(CODEC, seal_run(CODEC, _run(), EPOCH, KEY)[:cut], EPOCH, KEY)


@pytest.mark.parametrize(
    "other",
    [
        Epoch(bytes(16), "demo.match", 3, 2),
        Epoch(UID, "other.match", 3, 2),
        Epoch(UID, "demo.full", 3, 2),
        Epoch(UID, "demo.match", 4, 2),
        Epoch(UID, "demo.match", 3, 1),
    ],
    ids=["uid", "list", "edition", "generation", "epoch"],
)
def test_a_run_of_elsewhere_does_not_open(other: Epoch) -> None:
    with pytest.raises(TrustError, match=r"does not open|another generation or epoch") as caught:
        open_run(CODEC, seal_run(CODEC, _run(), EPOCH, KEY), other, KEY)
    assert "call the publisher" in caught.value.hint


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(TrustError, match="does not open"):
        open_run(CODEC, seal_run(CODEC, _run(), EPOCH, KEY), EPOCH, b"K" * 32)


def test_versions_are_bound_twice() -> None:
    """The run's versions stand in the associated data and in the key: a renamed run is another run."""
    data = seal_run(CODEC, _run(), EPOCH, KEY)
    header, at = parse_header(data)
    renamed = RunHeader("url", "match", 3, 2, 0, 8, header.raw_max, header.salt)
    assert run_key(EPOCH, KEY, renamed) != run_key(EPOCH, KEY, header)
    with pytest.raises(TrustError):
        open_run(CODEC, renamed.format() + data[at:], EPOCH, KEY)


@pytest.mark.parametrize("more", [1, 2, 64])
def test_padding_has_one_size(more: int) -> None:
    with pytest.raises(FormatError, match="padded size"):
        open_run(CODEC, _sealed_with(_body(padding=more)), EPOCH, KEY)


def test_padding_is_zero() -> None:
    body = _body()
    assert body[-1] == 0, "the example has padding"
    with pytest.raises(FormatError, match="not zero"):
        open_run(CODEC, _sealed_with(body[:-1] + b"\x01"), EPOCH, KEY)


@pytest.mark.parametrize("body", [b"", b"\0\0\0", b"\xff\xff\xff\xff" + bytes(60)])
def test_a_length_beyond_the_body_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError, match="padded size"):
        open_run(CODEC, _sealed_with(body), EPOCH, KEY)


def test_a_public_run_is_not_taken_for_a_sealed_one() -> None:
    """Whoever can write the store cannot hand an unsealed run to a list whose charter has a pepper."""
    with pytest.raises(FormatError, match="not sealed"):
        open_run(CODEC, format_run(CODEC, _run(salt=bytes(16))), EPOCH, KEY)


def test_the_caller_is_told_of_his_own_mistakes() -> None:
    with pytest.raises(ConfigError, match="generation or epoch"):
        seal_run(CODEC, _run(), Epoch(UID, "demo.match", 3, 9), KEY)
    with pytest.raises(ConfigError, match="32 bytes"):
        seal_run(CODEC, _run(), EPOCH, b"short")


def test_commitments_are_the_documented_ones() -> None:
    context = b"\x95\xa5epoch\xc4\x10" + UID + b"\xaademo.match\x03\x02"
    assert EPOCH.context("epoch") == context
    assert commit_epoch(EPOCH, KEY) == hmac.new(KEY, context, sha256).hexdigest()
    without_epoch = b"\x94\xa6pepper\xc4\x10" + UID + b"\xa4demo\x03"
    assert commit_pepper(EPOCH, PEPPER) == hmac.new(PEPPER, without_epoch, sha256).hexdigest()


def test_one_pepper_commitment_serves_both_editions_and_all_epochs() -> None:
    assert commit_pepper(Epoch(UID, "demo.full", 3, 8), PEPPER) == commit_pepper(EPOCH, PEPPER)
    assert commit_pepper(Epoch(UID, "demo.full", 4, 8), PEPPER) != commit_pepper(EPOCH, PEPPER)


@given(st.binary(min_size=32, max_size=32))
def test_only_the_committed_key_and_pepper_pass(other: bytes) -> None:
    check_epoch_key(EPOCH, KEY, commit_epoch(EPOCH, KEY))
    check_pepper(EPOCH, PEPPER, commit_pepper(EPOCH, PEPPER))
    if other != KEY:
        with pytest.raises(TrustError, match="epoch key"):
            check_epoch_key(EPOCH, other, commit_epoch(EPOCH, KEY))
    if other != PEPPER:
        with pytest.raises(TrustError, match="pepper"):
            check_pepper(EPOCH, other, commit_pepper(EPOCH, PEPPER))
