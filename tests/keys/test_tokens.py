"""Keys in PKCS #11 tokens (a real SoftHSM) and in services whose libraries are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, SSlibKey
from tuf.api.metadata import Metadata

from tests.keys.scenes import STREAM, Scene
from tests.release.scenes import NOW
from tests.servers.softhsm import PIN
from vallum.errors import ConfigError
from vallum_publisher.keys import Keyring, read_public, shown
from vallum_publisher.release.metadata import make_targets
from vallum_publisher.release.succession import NewKeys


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLUM_PASSPHRASE", PIN)


@pytest.mark.usefixtures("pin")
@pytest.mark.parametrize(("number", "role"), [(0, "online"), (1, "urls"), (2, "offline")])
def test_a_token_signs_for_every_role(scene: Scene, tokens: list[str], number: int, role: str) -> None:
    """The key never leaves the token, and clients verify what it signs like any other."""
    uri = tokens[number]
    done = scene.rotation().rotate([role], NewKeys((uri,)), threshold=1, now=NOW)
    held = {(each.reach, each.scheme, each.signer) for each in scene.holders() if each.role in done.roles}
    assert held == {("token", "ecdsa-sha2-nistp256", uri)}
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)
    scene.rotation().renew(["offline"], now=NOW)
    assert scene.client.synced() == (1, 2)
    scene.publisher.verify()


@pytest.mark.usefixtures("pin")
def test_a_token_that_refuses_changes_nothing(
    scene: Scene, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = tokens[3]
    scene.rotation().rotate([STREAM], NewKeys((uri,)), now=NOW)
    monkeypatch.setenv("VALLUM_PASSPHRASE_FOURTH", "0000")
    with pytest.raises(ConfigError, match="signing failed"):
        scene.publish("b.example/1")
    assert scene.client.synced() == (1, 1)
    monkeypatch.delenv("VALLUM_PASSPHRASE_FOURTH")
    assert scene.publish("b.example/1") == (1, 2)
    assert scene.client.synced() == (1, 2)


@pytest.mark.usefixtures("tokens")
def test_a_token_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No PKCS#11 token"):
        read_public(tmp_path, "hsm:2?label=elsewhere", lambda _name: PIN)


def test_no_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    with pytest.raises(ConfigError) as refused:
        read_public(tmp_path, "hsm:2", lambda _name: PIN)
    assert "PYKCS11LIB" in refused.value.hint


@pytest.mark.parametrize(
    ("uri", "extra"),
    [("hv:name", "vault"), ("gcpkms:projects/p", "gcpkms"), ("azurekms:vault/key", "azurekms")],
)
def test_a_service_without_its_library_says_what_to_install(tmp_path: Path, uri: str, extra: str) -> None:
    scheme = uri.partition(":")[0]
    assert scheme in SIGNER_FOR_URI_SCHEME
    with pytest.raises(ConfigError, match="not installed") as refused:
        read_public(tmp_path, uri, lambda _name: "")
    assert f"securesystemslib[{extra}]" in refused.value.hint
    key = SSlibKey("ab" * 32, "ecdsa", "ecdsa-sha2-nistp256", {"public": "x"})
    with pytest.raises(ConfigError) as unsigned:
        Keyring(tmp_path, {key.keyid: uri}, lambda _name: "").sign(
            Metadata(make_targets(NOW)), "urls", [key], 1
        )
    assert unsigned.value.hint


def test_another_scheme_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keys cannot be at pigeon:") as refused:
        read_public(tmp_path, "pigeon:coop", lambda _name: "")
    assert "hsm:" in refused.value.hint


def test_what_is_shown_of_a_uri_is_no_secret() -> None:
    assert shown("hsm:2?label=root&pin=4711") == "hsm:2?label=root"
    assert shown("awskms:key?token=abc") == "awskms:key"
    assert shown("file:keys/online.pem") == "file:keys/online.pem"
