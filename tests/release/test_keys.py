"""Key files, passphrases, and signing by a threshold of what can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, SSlibKey
from tuf.api.metadata import Metadata, Targets

from tests.release.scenes import NOW
from vallum.errors import ConfigError, StorageError
from vallum_publisher.keys import (
    FileSigner,
    Keyring,
    belongs_here,
    make_key,
    passphrase_from_environment,
)
from vallum_publisher.release.metadata import make_targets


def _ring(folder: Path, *names: str, ask: str = "") -> Keyring:
    uris = {}
    for name in names:
        public = make_key(folder / name, ask or None)
        uris[public.keyid] = f"file:{name}"
    return Keyring(folder, uris, lambda _name: ask)


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.pem"
    first = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert make_key(path) == first  # used, not made anew
    assert path.read_bytes() == content
    path.write_bytes(b"not a key")
    with pytest.raises(ConfigError, match="not a key"):
        make_key(path)


def test_an_encrypted_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    public = make_key(path, "horse")
    assert b"ENCRYPTED" in path.read_bytes()
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "horse"

    data = Keyring(tmp_path, {public.keyid: "file:a.pem"}, ask).sign(_metadata(), "targets", [public], 1)
    assert asked == ["a"]
    public.verify_signature(Metadata.from_bytes(data).signatures[public.keyid], _metadata().signed_bytes)
    for wrong in ("cow", ""):
        ring = Keyring(tmp_path, {public.keyid: "file:a.pem"}, {"a": wrong}.__getitem__)
        with pytest.raises(ConfigError, match="wrong passphrase"):
            ring.sign(_metadata(), "targets", [public], 1)
    with pytest.raises(ConfigError, match="nobody to ask"):
        FileSigner.from_priv_key_uri(f"file:{path}", public)
    with pytest.raises(ConfigError, match="protects nothing"):
        make_key(tmp_path / "b.pem", "")


def test_a_key_that_is_brought_is_asked_for_once(tmp_path: Path) -> None:
    """Whoever brings a key on a stick types its passphrase once for the command, not at each look at it."""
    public = make_key(tmp_path / "stick.pem", "horse")
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return "horse"

    ring = Keyring(tmp_path, {}, ask)
    ring.use("file:stick.pem")
    ring.require("targets", [public], 1)
    data = ring.sign(_metadata(), "targets", [public], 1)
    assert asked == ["stick"]
    public.verify_signature(Metadata.from_bytes(data).signatures[public.keyid], _metadata().signed_bytes)
    with pytest.raises(ConfigError, match="there is no key file"):
        ring.use("file:nowhere.pem")


def test_what_belongs_here_lies_below_the_folder(tmp_path: Path) -> None:
    """A key on a medium may be away: nobody is told to put it back, however its path is written."""
    folder, stick = tmp_path / "hotline", tmp_path / "stick"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "linked.pem").symlink_to(stick / "a.pem")
    assert belongs_here(folder, "file:keys/online.pem")
    assert belongs_here(folder, f"file:{folder}/keys/online.pem")
    for uri in (f"file:{stick}/a.pem", f"file:{folder}/../stick/a.pem", "file:../stick/a.pem"):
        assert not belongs_here(folder, uri)
    for uri in ("file:keys/linked.pem", "hsm:2?label=root", "awskms:alias/online", ""):
        assert not belongs_here(folder, uri)


def test_passphrases_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as missing:
        passphrase_from_environment("root-1")
    assert "VALLUM_PASSPHRASE_ROOT_1" in missing.value.hint
    monkeypatch.setenv("VALLUM_PASSPHRASE", "for all")
    assert passphrase_from_environment("urls.full-1") == "for all"
    monkeypatch.setenv("VALLUM_PASSPHRASE_URLS_FULL_1", "its own")
    assert passphrase_from_environment("urls.full-1") == "its own"


@pytest.mark.parametrize("fault", ["open", "absent", "another", "scheme"])
def test_a_key_that_cannot_be_used_says_why(tmp_path: Path, fault: str) -> None:
    public = make_key(tmp_path / "a.pem")
    uri = "file:a.pem"
    if fault == "open":
        (tmp_path / "a.pem").chmod(0o640)
    elif fault == "absent":
        (tmp_path / "a.pem").unlink()
    elif fault == "another":
        make_key(tmp_path / "b.pem")
        uri = "file:b.pem"
    else:
        uri = "carrier-pigeon:coop"
    with pytest.raises((ConfigError, StorageError)) as refused:
        Keyring(tmp_path, {public.keyid: uri}, lambda name: name).sign(_metadata(), "targets", [public], 1)
    expected = {
        "open": "others can read",
        "absent": "there is no key file",
        "another": "another key",
        "scheme": "carrier-pigeon",
    }
    assert expected[fault] in str(refused.value)


def test_no_more_signatures_than_needed(tmp_path: Path) -> None:
    ring = _ring(tmp_path, "a.pem", "b.pem", "c.pem")
    keys: list[Key] = [make_key(tmp_path / name) for name in ("a.pem", "b.pem", "c.pem")]
    assert len(Metadata.from_bytes(ring.sign(_metadata(), "targets", keys, 2)).signatures) == 2
    with pytest.raises(ConfigError, match="4 keys must sign"):
        ring.sign(_metadata(), "targets", keys, 4)


def test_other_signers_of_securesystemslib_stay_reachable(tmp_path: Path) -> None:
    signer = CryptoSigner.generate_ecdsa()
    assert isinstance(signer.public_key, SSlibKey)
    path = tmp_path / "ecdsa.pem"
    path.write_bytes(signer.private_bytes)
    ring = Keyring(tmp_path, {signer.public_key.keyid: f"file2:{path}"}, lambda name: name)
    data = ring.sign(_metadata(), "targets", [signer.public_key], 1)
    signature = Metadata.from_bytes(data).signatures[signer.public_key.keyid]
    signer.public_key.verify_signature(signature, _metadata().signed_bytes)
    assert {"hsm", "awskms", "hv", "file"} <= SIGNER_FOR_URI_SCHEME.keys()


def _metadata() -> Metadata[Targets]:
    return Metadata(make_targets(NOW))
