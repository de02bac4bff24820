"""A recipient's key file: who may read it, passphrases, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vallum.errors import ConfigError, InputError, StorageError
from vallum.format.keypair import PrivateKey, Suite, generate
from vallum.passphrase import lock, unlock
from vallum.recipient import read_key, write_key

CHEAP = 10
both = pytest.mark.parametrize("suite", Suite)


@both
def test_a_key_reads_back(tmp_path: Path, suite: Suite) -> None:
    key, path = generate(suite), tmp_path / "recipient.key"
    write_key(path, key)
    assert read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


@both
def test_a_passphrase_locks_it(tmp_path: Path, suite: Suite) -> None:
    key, path = generate(suite), tmp_path / "recipient.key"
    write_key(path, key, "correct horse", CHEAP)
    assert read_key(path, "correct horse") == key
    with pytest.raises(ConfigError, match="none was given"):
        read_key(path)
    with pytest.raises(InputError, match="passphrase is wrong") as caught:
        read_key(path, "wrong horse")
    assert "VALLUM_PASSPHRASE" in caught.value.hint


def test_a_passphrase_that_is_no_utf8_is_the_bytes_that_it_is(tmp_path: Path) -> None:
    """As the environment of a service hands it over, say from a Latin-1 file."""
    key, path = generate(Suite.X25519), tmp_path / "recipient.key"
    write_key(path, key, os.fsdecode("Größe".encode("latin-1")), CHEAP)
    assert read_key(path, os.fsdecode("Größe".encode("latin-1"))) == key
    with pytest.raises(InputError, match="passphrase is wrong"):
        read_key(path, "Größe")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "recipient.key"
    write_key(path, first := generate(Suite.X25519))
    with pytest.raises(ConfigError, match="exists already"):
        write_key(path, generate(Suite.X25519))
    assert read_key(path) == first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "recipient.key"
    write_key(path, generate(Suite.X25519))
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others than its owner") as caught:
        read_key(path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# only a comment\n",
        b"vallum-recipient-key-1 x25519 clear\n",
        b"vallum-recipient-key-2 x25519 clear AAAA\n",
        b"vallum-recipient-key-1 rsa clear AAAA\n",
        b"vallum-recipient-key-1 x25519 clear AAAA\n",
        b"vallum-recipient-key-1 x25519 clear !!!!\n",
        b"vallum-recipient-key-1 x25519 open AAAA\n",
        b"\xff\xfe\x00",
        b"x" * 100_000,
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "recipient.key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"damaged|cut short|unknown suite") as caught:
        read_key(path)
    assert str(path) in str(caught.value)
    assert "the copy that you keep" in caught.value.hint or "upgrade" in caught.value.hint


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file") as caught:
        read_key(tmp_path / "none")
    assert "vallum keygen" in caught.value.hint


def test_what_cannot_be_read_is_this_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        read_key(tmp_path)


def test_a_key_is_not_written_beside_nothing(tmp_path: Path) -> None:
    """A slip of the pen in the folder's name: said, not made true."""
    with pytest.raises(ConfigError, match="there is no folder") as caught:
        write_key(tmp_path / "none/recipient.key", generate(Suite.X25519))
    assert caught.value.hint
    assert not (tmp_path / "none").exists()


def test_a_file_of_the_other_suite_does_not_unlock(tmp_path: Path) -> None:
    path = tmp_path / "recipient.key"
    write_key(path, PrivateKey(Suite.X25519, b"1" * 32), "words", CHEAP)
    path.write_bytes(path.read_bytes().replace(b" x25519 ", b" mlkem768-x25519 "))
    with pytest.raises(InputError):
        read_key(path, "words")


@given(st.binary(max_size=100), st.text(min_size=1, max_size=20), st.binary(max_size=8))
@settings(max_examples=15, deadline=None)
def test_what_is_locked_unlocks(secret: bytes, passphrase: str, context: bytes) -> None:
    locked = lock(secret, passphrase, context, CHEAP)
    assert unlock(locked, passphrase, context) == secret
    for other in (locked[:-1] + bytes((locked[-1] ^ 1,)), locked[:-1], locked[:10], b""):
        with pytest.raises(InputError):
            unlock(other, passphrase, context)
    with pytest.raises(InputError):
        unlock(locked, passphrase, context + b"!")


def test_accents_have_one_spelling() -> None:
    assert unlock(lock(b"x", "caf\u00e9", b"", CHEAP), "cafe\u0301", b"") == b"x"


def test_an_absurd_cost_is_refused_before_it_is_paid() -> None:
    with pytest.raises(InputError, match="cost"):
        unlock(bytes((40,)) + bytes(48), "words", b"")
    with pytest.raises(InputError, match="empty"):
        lock(b"x", "", b"")
