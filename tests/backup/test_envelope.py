"""The sealed stream of a backup: what opens it, and what is refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import ConfigError, DataError, FormatError, TrustError, VallumError
from vallum.format.keypair import PrivateKey, Suite, generate
from vallum_publisher.backup.envelope import CHUNK, MARK, Locks, open_stream, seal_stream

KEYS = {suite: generate(suite) for suite in Suite}
OTHER = generate(Suite.X25519)


def _sealed(plain: bytes, locks: Locks, pieces: int = 1) -> bytes:
    size = max(1, len(plain) // pieces)
    return b"".join(seal_stream((plain[at : at + size] for at in range(0, len(plain), size)), locks))


def _opened(sealed: bytes, private: PrivateKey | None = None, passphrase: str = "") -> bytes:
    return b"".join(open_stream(io.BytesIO(sealed), private, passphrase))


@given(
    size=st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7]),
    pieces=st.integers(1, 9),
    suite=st.sampled_from(Suite),
)
@settings(max_examples=40, deadline=None)
def test_what_is_sealed_opens(size: int, pieces: int, suite: Suite) -> None:
    plain = bytes(at % 251 for at in range(size))
    public = KEYS[suite].public()
    sealed = _sealed(plain, Locks((OTHER.public(), public)), pieces)
    assert _opened(sealed, KEYS[suite]) == plain
    assert plain[:64] not in sealed or size < 64
    assert len(sealed) < size + 4_000 + size // 1_000


def test_a_passphrase_opens_it_too() -> None:
    sealed = _sealed(b"plain" * 40_000, Locks((OTHER.public(),), "words", cost=10))
    assert _opened(sealed, OTHER) == _opened(sealed, None, "words") == b"plain" * 40_000
    with pytest.raises(ConfigError, match="passphrase is wrong") as caught:
        _opened(sealed, None, "other")
    assert "chosen when it was made" in caught.value.hint


def test_nobody_else_opens_it() -> None:
    sealed = _sealed(b"plain", Locks((KEYS[Suite.HYBRID].public(),)))
    for key, told in ((OTHER, "another key"), (generate(), "another key"), (None, "is locked")):
        with pytest.raises(ConfigError, match=told) as caught:
            _opened(sealed, key)
        assert "opens with --key FILE" in caught.value.hint
    with pytest.raises(ConfigError, match="nobody"):
        _sealed(b"plain", Locks())


def test_what_opens_it_is_said_to_who_tries_another_way() -> None:
    to_key, to_words = _sealed(b"plain", Locks((OTHER.public(),))), _sealed(b"x", Locks((), "words", cost=10))
    with pytest.raises(ConfigError, match="not locked with a passphrase") as caught:
        _opened(to_key, None, "words")
    assert caught.value.hint == "it opens with --key FILE"
    with pytest.raises(ConfigError, match="not sealed to any key") as caught:
        _opened(to_words, OTHER)
    assert caught.value.hint == "it opens with --passphrase"


@pytest.fixture(scope="module")
def long() -> bytes:
    return _sealed(bytes(3 * CHUNK + 5), Locks((OTHER.public(),)))


def test_whoever_cuts_reorders_or_joins_is_found_out(long: bytes) -> None:
    """Each piece is whole and genuine; their number and order are bound as well."""
    body = long.index(b"\n\n") + 2
    step = CHUNK + 16
    pieces = [long[at : at + step] for at in range(body, len(long), step)]
    assert len(pieces) == 4
    head = long[:body]
    for changed in (
        pieces[:3],
        pieces[:1],
        [],
        [pieces[1], pieces[0], *pieces[2:]],
        [pieces[0], *pieces],
        [*pieces, pieces[3]],
        [*pieces[:3], pieces[2]],
    ):
        with pytest.raises(TrustError):
            _opened(head + b"".join(changed), OTHER)


def test_a_file_cut_within_its_header_is_cut_short_and_no_newer_form(long: bytes) -> None:
    for size in (0, 5, len(MARK), len(MARK) + 1, len(MARK) + 9, long.index(b"\n\n") + 1):
        with pytest.raises(FormatError, match="empty" if not size else "cut short") as caught:
            _opened(long[:size], OTHER)
        assert "another copy" in caught.value.hint
    for other in (b"vallum-backup-2\n" + long, b"PK\x03\x04"):
        with pytest.raises(FormatError, match="not a backup") as caught:
            _opened(other, OTHER)
        assert "upgrade" in caught.value.hint


def test_a_lock_that_is_taken_off_or_put_on_shows(long: bytes) -> None:
    """The header is bound in, so nobody can add a way in to a file and pass it on."""
    both = _sealed(b"plain", Locks((OTHER.public(), KEYS[Suite.X25519].public())))
    lines = both.split(b"\n")
    for changed in (b"\n".join(lines[:1] + lines[2:]), both.replace(b"\n\n", b"\n" + lines[1] + b"\n\n", 1)):
        with pytest.raises(TrustError):
            _opened(changed, KEYS[Suite.X25519])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_changed_byte_goes_through(long: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(long) - 1))
    changed = bytearray(long)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VallumError):
        _opened(bytes(changed), OTHER)


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_no_backup(junk: bytes, marked: bool) -> None:
    with pytest.raises((DataError, ConfigError)):
        _opened(MARK + b"\n" + junk if marked else junk, OTHER)


@pytest.mark.parametrize("line", [b"x" * (1 << 20), b"for x25519 AAAA\n" * 10_000])
def test_a_header_without_end_is_not_read_for_ever(line: bytes) -> None:
    file = io.BytesIO(MARK + b"\n" + line)
    with pytest.raises(FormatError):
        list(open_stream(file, OTHER))
    assert file.tell() < 1 << 18
