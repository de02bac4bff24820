"""Wraps: who can open one, what a stranger can make of one, and what a publisher cannot do unseen."""

from __future__ import annotations

import secrets
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallum.errors import ConfigError, DataError, FormatError, InputError, TrustError
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.keypair import PublicKey, Suite, generate, parse_line
from vallum.format.wrap import (
    WRAP_BYTES,
    Secrets,
    cover_wraps,
    covers_wanted,
    open_wrap,
    seal_wrap,
    wrap_name,
)

EPOCH = Epoch(bytes(range(16)), "demo.match", 1, 4)
CONTENTS = Secrets(b"k" * 32, b"p" * 32, b"s" * 32)
COMMITMENTS = commit_epoch(EPOCH, CONTENTS.key), commit_pepper(EPOCH, CONTENTS.pepper)
KEYS = {suite: generate(suite) for suite in Suite}
both = pytest.mark.parametrize("suite", Suite)


def _mutated(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :]


@both
def test_a_recipient_opens_his_wrap(suite: Suite) -> None:
    key = KEYS[suite]
    data = seal_wrap(EPOCH, CONTENTS, key.public())
    assert len(data) == WRAP_BYTES
    assert open_wrap(data, key, EPOCH, *COMMITMENTS) == CONTENTS


@both
def test_two_seals_of_the_same_share_nothing(suite: Suite) -> None:
    first, second = (seal_wrap(EPOCH, CONTENTS, KEYS[suite].public()) for _ in range(2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 60  # chance: 8


@both
def test_another_recipient_cannot(suite: Suite) -> None:
    data = seal_wrap(EPOCH, CONTENTS, KEYS[suite].public())
    with pytest.raises(TrustError, match="does not open") as caught:
        open_wrap(data, generate(suite), EPOCH, *COMMITMENTS)
    assert "call the publisher" in caught.value.hint


@both
@pytest.mark.parametrize(
    "other",
    [
        Epoch(bytes(16), "demo.match", 1, 4),
        Epoch(EPOCH.uid, "other.match", 1, 4),
        Epoch(EPOCH.uid, "demo.full", 1, 4),
        Epoch(EPOCH.uid, "demo.match", 2, 4),
        Epoch(EPOCH.uid, "demo.match", 1, 5),
    ],
    ids=["uid", "list", "edition", "generation", "epoch"],
)
def test_a_wrap_of_elsewhere_does_not_open(suite: Suite, other: Epoch) -> None:
    data = seal_wrap(other, CONTENTS, KEYS[suite].public())
    with pytest.raises(TrustError, match="does not open"):
        open_wrap(data, KEYS[suite], EPOCH, *COMMITMENTS)


@both
def test_each_region_counts(suite: Suite) -> None:
    data = seal_wrap(EPOCH, CONTENTS, KEYS[suite].public())
    for at in (*range(0, WRAP_BYTES, 61), suite.overhead - 17, suite.overhead - 16, WRAP_BYTES - 1):
        with pytest.raises(DataError):
            open_wrap(_mutated(data, at), KEYS[suite], EPOCH, *COMMITMENTS)
    for size in (0, 31, WRAP_BYTES - 1, WRAP_BYTES + 1):
        with pytest.raises(FormatError, match="2048 bytes"):
            open_wrap(data.ljust(size, b"\0")[:size], KEYS[suite], EPOCH, *COMMITMENTS)


@both
@given(secret=st.binary(max_size=200))
def test_what_a_stranger_sealed_is_refused(suite: Suite, secret: bytes) -> None:
    """He knows the key's line and all public facts, and so makes a wrap that opens."""
    info = EPOCH.context("wrap") + suite.ids
    data = KEYS[suite].public().seal(secret.ljust(WRAP_BYTES - suite.overhead, b"\0"), info)
    with pytest.raises(DataError):
        open_wrap(data, KEYS[suite], EPOCH, *COMMITMENTS)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Secrets(b"K" * 32, CONTENTS.pepper, CONTENTS.seed), "epoch key"),
        (Secrets(CONTENTS.key, b"P" * 32, CONTENTS.seed), "pepper"),
    ],
)
def test_a_publisher_cannot_give_two_recipients_different_secrets(other: Secrets, what: str) -> None:
    """One of them gets what the signed head and charter do not commit to, and is told so."""
    honest, singled_out = KEYS[Suite.HYBRID], KEYS[Suite.X25519]
    opened = open_wrap(seal_wrap(EPOCH, CONTENTS, honest.public()), honest, EPOCH, *COMMITMENTS)
    assert opened == CONTENTS
    data = seal_wrap(EPOCH, other, singled_out.public())
    with pytest.raises(TrustError, match=f"{what} is not the one") as caught:
        open_wrap(data, singled_out, EPOCH, *COMMITMENTS)
    assert "other recipients" in caught.value.hint


def test_padding_within_is_zero() -> None:
    suite = Suite.X25519
    secret = (CONTENTS.key + CONTENTS.pepper + CONTENTS.seed).ljust(WRAP_BYTES - suite.overhead - 1, b"\0")
    data = KEYS[suite].public().seal(secret + b"\1", EPOCH.context("wrap") + suite.ids)
    with pytest.raises(FormatError, match="not zero"):
        open_wrap(data, KEYS[suite], EPOCH, *COMMITMENTS)


def test_a_secret_of_another_length_is_not_sealed() -> None:
    with pytest.raises(ConfigError, match="lengths"):
        seal_wrap(EPOCH, Secrets(b"", CONTENTS.pepper, CONTENTS.seed), KEYS[Suite.X25519].public())


def test_names_are_unlinkable_between_epochs() -> None:
    """One recipient's name differs in each epoch and stream; nothing of it is his key's."""
    public = KEYS[Suite.HYBRID].public()
    epochs = [Epoch(EPOCH.uid, stream, 1, n) for stream in ("demo.match", "demo.full") for n in (1, 2, 3)]
    names = {wrap_name(commit_epoch(epoch, secrets.token_bytes(32)), public) for epoch in epochs}
    assert len(names) == len(epochs)
    assert all(len(name) == len("wraps/") + 40 for name in names)


@pytest.mark.parametrize("wraps", [0, 1, 2, 3, 4, 5, 63, 64, 65, 1000])
def test_wraps_and_covers_make_a_power_of_two(wraps: int) -> None:
    total = wraps + covers_wanted(wraps)
    assert total.bit_count() == (1 if wraps else 0)
    assert wraps <= total <= max(0, 2 * wraps - 1)


@both
def test_covers_look_like_wraps(suite: Suite) -> None:
    """Same form of name, same size, same constant bits (X25519's last bit is zero in real seals, too)."""
    public = KEYS[suite].public()
    real = [seal_wrap(EPOCH, CONTENTS, public) for _ in range(64)]
    covers = list(cover_wraps(EPOCH, COMMITMENTS[0], suite, 64))
    assert len({name for name, _ in covers}) == 64
    assert {len(data) for _, data in covers} == {WRAP_BYTES}
    assert _constant_bits(real) == _constant_bits([data for _, data in covers])


def _constant_bits(sample: list[bytes]) -> int:
    """How many bits are the same in all; 64 draws leave one by chance with p < 10⁻¹⁴."""
    numbers = [int.from_bytes(data) for data in sample]
    everywhere, nowhere = (1 << 8 * WRAP_BYTES) - 1, 0
    for number in numbers:
        everywhere &= number
        nowhere |= number
    return 8 * WRAP_BYTES - (nowhere & ~everywhere).bit_count()


def test_secrets_do_not_show() -> None:
    for text in (repr(CONTENTS), repr(KEYS[Suite.HYBRID]), f"{KEYS[Suite.X25519]}"):
        assert "kkk" not in text
        assert KEYS[Suite.X25519].data.hex() not in text
        assert "\\x" not in text


# The line that a recipient sends ---------------------------------------------------------------------------


@both
def test_a_line_reads_back(suite: Suite) -> None:
    public = KEYS[suite].public()
    assert parse_line(public.line()) == public
    assert len(public.data) == suite.public_bytes


def test_a_line_that_mail_has_broken_reads_back() -> None:
    public = KEYS[Suite.HYBRID].public()
    line = public.line()
    broken = "\r\n".join(line[at : at + 72] for at in range(0, len(line), 72))
    assert parse_line(f"  {broken}\n") == public


@both
@pytest.mark.parametrize("cut", [0, 5, 20, 40, -4, -1])
def test_a_line_cut_short_is_refused(suite: Suite, cut: int) -> None:
    with pytest.raises(InputError):
        parse_line(KEYS[suite].public().line()[:cut])


@given(st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    for line in (text, f"vallum-recipient-1 x25519 {text}", f"vallum-recipient-1 {text}"):
        with pytest.raises(InputError):
            parse_line(line)


def test_keys_to_which_nothing_can_be_sealed_are_refused() -> None:
    """A point of low order gives every sender the same secret; an ML-KEM key beyond the modulus, none."""
    hybrid = KEYS[Suite.HYBRID].public().data
    for bad in (
        PublicKey(Suite.X25519, bytes(32)),
        PublicKey(Suite.X25519, b"\1" + bytes(31)),
        PublicKey(Suite.HYBRID, hybrid[:-32] + bytes(32)),
        PublicKey(Suite.HYBRID, b"\xff" * 1184 + hybrid[-32:]),
    ):
        with pytest.raises(InputError, match="not a public key"):
            parse_line(bad.line())


def test_a_suite_cannot_be_changed_on_the_way() -> None:
    hybrid = KEYS[Suite.HYBRID].public()
    with pytest.raises(InputError):
        parse_line(hybrid.line().replace("mlkem768-x25519", "x25519"))
    same_bytes = PublicKey(Suite.X25519, hybrid.data[-32:])
    assert same_bytes.fingerprint() != hybrid.fingerprint()


def test_the_fingerprint_is_compared_as_people_say_it() -> None:
    public = KEYS[Suite.HYBRID].public()
    said = public.fingerprint()
    assert len(said.split()) == 16
    for spelling in (said, said.upper(), said.replace(" ", ""), said.replace(" ", "\n")):
        public.check_fingerprint(spelling)
    for wrong in ("", said[:-5], said[:-1] + ("0" if said[-1] != "0" else "1")):
        with pytest.raises(InputError, match="not that of this key") as caught:
            public.check_fingerprint(wrong)
        assert "call the recipient" in caught.value.hint


def test_fingerprints_differ() -> None:
    publics = [generate(suite).public() for suite in Suite for _ in range(3)]
    assert all(a.fingerprint() != b.fingerprint() for a, b in combinations(publics, 2))
