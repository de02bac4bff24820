"""Vault keys that lie elsewhere: wrapped by KMS (moto's server), in HashiCorp Vault (a double of its API)."""

from __future__ import annotations

import logging
import traceback
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.key_value import KeyValueServer, serving
from tests.servers.kms import KmsServer, kms, kms_server  # noqa: F401 - fixtures
from vallum.errors import ConfigError, FetchError, VallumError
from vallum_publisher.vault import Vault, make_vault, open_vault
from vallum_publisher.vault.aws_kms import CONTEXT

KEY = bytes(range(32))
PATH = "secret/data/hotline"
ADDRESS = f"hv:{PATH}#vault_key"


def _nobody(name: str) -> str:
    raise AssertionError(f"asked for the passphrase of {name}")


def _opens(folder: Path, address: str, key: bytes = KEY) -> bool:
    return open_vault(folder, address, _nobody).open("x", Vault(key).seal("x", b"y")) == b"y"


def _refused(folder: Path, address: str, kind: type[VallumError] = ConfigError) -> VallumError:
    """What is said when the key is not to be had; nothing of it may be secret."""
    with pytest.raises(VallumError) as caught:
        open_vault(folder, address, _nobody)
    told = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert isinstance(caught.value, kind), told
    for secret in (KEY, KEY[:31]):
        assert secret.hex() not in told
        assert b64encode(secret).decode() not in told
    assert "s.token" not in told
    return caught.value


@pytest.fixture
def kms_key(kms: KmsServer) -> str:  # noqa: F811 - the fixture
    """A new key of KMS."""
    client = kms.client()
    try:
        made: str = client.create_key(Description="vallum")["KeyMetadata"]["KeyId"]
        return made
    finally:
        client.close()


def test_kms_draws_a_key_that_only_it_can_decrypt(
    tmp_path: Path,
    kms: KmsServer,  # noqa: F811 - the fixture
    kms_key: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody sees the key when it is made, and no log at debug level holds it when it is used."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore.parsers", "botocore.endpoint", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    address = kms.address(kms_key)
    make_vault(tmp_path, address, None)
    path = tmp_path / "keys" / "vault.kms"
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_bytes()
    sealed = open_vault(tmp_path, address, _nobody).seal("pepper", b"secret")
    make_vault(tmp_path, address, None)
    assert path.read_bytes() == first, "a key that is there is left alone"
    assert open_vault(tmp_path, address, _nobody).open("pepper", sealed) == b"secret"

    client = kms.client()
    plain = client.decrypt(CiphertextBlob=b64decode(first), EncryptionContext=CONTEXT)["Plaintext"]
    client.close()
    assert plain not in first
    for text in (plain.hex(), b64encode(plain).decode(), repr(plain)):
        assert text not in caplog.text
    assert "kms" in caplog.text.lower(), "the log was on"


def test_a_key_file_that_somebody_else_encrypted_for_something_else(
    tmp_path: Path,
    kms: KmsServer,  # noqa: F811 - the fixture
    kms_key: str,
) -> None:
    """An operator's own ciphertext opens if it was meant for this, and not otherwise."""
    client = kms.client()
    path = tmp_path / "vault.kms"
    for context, key, good in (
        (CONTEXT, KEY, True),
        ({"vallum": "other"}, KEY, False),
        (CONTEXT, KEY[:31], False),
    ):
        blob = client.encrypt(KeyId=kms_key, Plaintext=key, EncryptionContext=context)["CiphertextBlob"]
        path.write_bytes(b64encode(blob))
        if good:
            assert _opens(tmp_path, kms.address(kms_key, "vault.kms"))
        else:
            _refused(tmp_path, kms.address(kms_key, "vault.kms"))
    client.close()


def test_what_kms_refuses(tmp_path: Path, kms: KmsServer, kms_key: str) -> None:  # noqa: F811 - the fixture
    address = kms.address(kms_key)
    assert "restore the copy" in _refused(tmp_path, address).hint
    make_vault(tmp_path, address, None)
    good = (tmp_path / "keys" / "vault.kms").read_bytes()
    for damaged in (b"not base64!", b"", b64encode(b64decode(good)[:-1] + b"!")):
        (tmp_path / "keys" / "vault.kms").write_bytes(damaged)
        _refused(tmp_path, address)
    (tmp_path / "keys" / "vault.kms").write_bytes(good)
    assert "check key=" in _refused(tmp_path, kms.address("00000000-0000-0000-0000-000000000000")).hint
    client = kms.client()
    other = client.create_key(Description="other")["KeyMetadata"]["KeyId"]
    _refused(tmp_path, kms.address(other))
    client.close()


def test_a_kms_that_does_not_answer_or_does_not_know_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vault.kms").write_bytes(b64encode(b"x" * 100))
    nowhere = "awskms:vault.kms?key=k&region=eu-1&endpoint=http%3A%2F%2F127.0.0.1%3A1"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert "credentials" in str(_refused(tmp_path, nowhere))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    _refused(tmp_path, nowhere, FetchError)
    for wrong in (
        "vault.kms",
        "vault.kms?key=k",
        "?key=k",
        "vault.kms?key=k&what=1",
        "vault.kms?key=k&region=",
    ):
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        _refused(tmp_path, f"awskms:{wrong}")


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyValueServer]:
    """A double of Vault that holds the key, with the environment that its own command line would want."""
    for name in ("VAULT_NAMESPACE", "VAULT_CACERT"):
        monkeypatch.delenv(name, raising=False)
    with serving(KeyValueServer(secrets={PATH: {"vault_key": KEY.hex()}})) as server:
        monkeypatch.setenv("VAULT_ADDR", server.address)
        monkeypatch.setenv("VAULT_TOKEN", server.token)
        yield server


def test_a_key_in_vault(tmp_path: Path, vault: KeyValueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    make_vault(tmp_path, ADDRESS, None)
    assert not vault.asked, "who publishes does not write there"
    assert _opens(tmp_path, ADDRESS)
    assert _opens(tmp_path, f"hv:{PATH}"), "the field has a name by default"
    monkeypatch.setenv("VAULT_NAMESPACE", "desk")
    assert _opens(tmp_path, ADDRESS)
    assert vault.asked[-1]["X-Vault-Namespace"] == "desk"


def test_what_vault_refuses(tmp_path: Path, vault: KeyValueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        "vault kv put -mount=secret nothing vault_key=" in _refused(tmp_path, "hv:secret/data/nothing").hint
    )
    assert "no field other" in str(_refused(tmp_path, f"hv:{PATH}#other"))
    vault.secrets[PATH] = None
    assert "has no secret" in str(_refused(tmp_path, ADDRESS))
    for odd in (KEY[:31].hex(), "words", "", 7, None, [KEY.hex()]):
        vault.secrets[PATH] = {"vault_key": odd}
        _refused(tmp_path, ADDRESS)
    for body, kind in (
        (b"<html>", FetchError),
        (b"[]", ConfigError),
        (b'{"data":{"vault_key":"a"}}', ConfigError),
    ):
        vault.body = body
        _refused(tmp_path, ADDRESS, kind)
    for status in (500, 502, 503, 429, 472):
        vault.status = status
        _refused(tmp_path, ADDRESS, FetchError)
    for status in (307, 400):
        vault.status = status
        before = len(vault.asked)
        _refused(tmp_path, ADDRESS)
        assert len(vault.asked) == before + 1, "the token goes to nobody else"
    vault.status, vault.body = 0, None
    monkeypatch.setenv("VAULT_TOKEN", "s.stolen")
    assert 'path "secret/data/hotline"' in _refused(tmp_path, ADDRESS).hint


def test_a_vault_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s.token")
    for address in ("", "vault.example:8200", "ftp://vault.example", "http://vault.example:8200"):
        monkeypatch.setenv("VAULT_ADDR", address)
        _refused(tmp_path, ADDRESS)
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:1")
    _refused(tmp_path, ADDRESS, FetchError)
    monkeypatch.delenv("VAULT_TOKEN")
    _refused(tmp_path, ADDRESS)
    for wrong in ("hv:", "hv:secret", "hv:secret/hotline#x", "hv:secret/data/../x", "hv:/data/x"):
        _refused(tmp_path, wrong)


def test_a_key_that_stands_where_its_place_belongs_is_not_printed(tmp_path: Path) -> None:
    """Somebody writes the key itself into publisher.toml: the error goes to a screen, and into a log."""
    digits, letters = KEY.hex(), b64encode(KEY).decode()
    for text in (digits, digits.upper(), letters, letters.rstrip("="), letters.replace("/", "_")):
        for scheme in ("", "env:", "hex:", "file:" if text.lower() == digits else "env:", f"{text}:"):
            told = _refused(tmp_path, f"{scheme}{text}")
            assert text not in f"{told}{told.hint}"
            assert text.lower() not in f"{told}{told.hint}"
    with pytest.raises(ConfigError, match=r"cannot be at gpg:"):
        open_vault(tmp_path, "gpg:key", _nobody)
