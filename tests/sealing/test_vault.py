"""The vault key: what it opens, where it may be, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vallum.errors import ConfigError
from vallum_publisher.vault import DEFAULT, Vault, make_vault, open_vault

KEY = b"v" * 32


def _nobody(name: str) -> str:
    raise AssertionError(f"asked for the passphrase of {name}")


@given(st.text(max_size=20), st.binary(max_size=64))
def test_what_is_sealed_opens_under_its_name_only(name: str, secret: bytes) -> None:
    sealed = Vault(KEY).seal(name, secret)
    assert Vault(KEY).open(name, sealed) == secret
    for other in (Vault(KEY).seal(name, secret), b"", sealed[:-1], sealed[:11]):
        assert other != sealed
    for vault, which, data in (
        (Vault(b"V" * 32), name, sealed),
        (Vault(KEY), name + "!", sealed),
        (Vault(KEY), name, sealed[:-1]),
        (Vault(KEY), name, b""),
    ):
        with pytest.raises(ConfigError, match="vault key"):
            vault.open(which, data)


def test_a_key_file_is_made_once(tmp_path: Path) -> None:
    make_vault(tmp_path, DEFAULT, None)
    sealed = open_vault(tmp_path, DEFAULT, _nobody).seal("x", b"y")
    make_vault(tmp_path, DEFAULT, None)
    assert open_vault(tmp_path, DEFAULT, _nobody).open("x", sealed) == b"y"
    assert (tmp_path / "keys" / "vault.key").stat().st_mode & 0o777 == 0o600


def test_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    make_vault(tmp_path, DEFAULT, "words")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "words"

    open_vault(tmp_path, DEFAULT, ask)
    assert asked == ["vault"]
    with pytest.raises(ConfigError, match="passphrase is wrong"):
        open_vault(tmp_path, DEFAULT, lambda _name: "other")


def test_a_key_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT", KEY.hex())
    make_vault(tmp_path, "env:VAULT", None)
    assert not list(tmp_path.iterdir())
    assert open_vault(tmp_path, "env:VAULT", _nobody).open("x", Vault(KEY).seal("x", b"y")) == b"y"


@pytest.mark.parametrize("address", ["env:NOTHING", "env:SHORT", "env:TEXT", "file:none.key", "kms:1", ""])
def test_what_is_no_vault_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("SHORT", "ab")
    monkeypatch.setenv("TEXT", "not hexadecimal")
    with pytest.raises(ConfigError):
        open_vault(tmp_path, address, _nobody)
