"""The vectors for implementations in other languages, opened step by step with bare primitives."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.build_sealed_vectors import VECTORS, build_sealed, build_wrap
from vallum.errors import DataError
from vallum.expression import Keyer, Scope
from vallum.format.epoch import Epoch, check_epoch_key, check_pepper
from vallum.format.keypair import PrivateKey, Suite, parse_line
from vallum.format.seal import open_run
from vallum.format.section import Codec
from vallum.format.wrap import Secrets, open_wrap, wrap_name


def _read(path: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return vector


SEALED = sorted((VECTORS / "sealed").glob("*.json"))
WRAPS = sorted((VECTORS / "wraps").glob("*.json"))


def _epoch(vector: dict[str, Any]) -> Epoch:
    return Epoch(
        bytes.fromhex(vector["uid"]), vector["stream"], int(vector["generation"]), int(vector["epoch"])
    )


def _check_sealed(vector: dict[str, Any]) -> None:
    epoch, key = _epoch(vector), bytes.fromhex(vector["epoch_key"])
    pepper = bytes.fromhex(vector["pepper"])
    check_epoch_key(epoch, key, vector["epoch_commitment"])
    check_pepper(epoch, pepper, vector["pepper_commitment"])
    keyer = Keyer(pepper, vector["host_bits"])
    edition = vector["stream"].rpartition(".")[2]
    codec = Codec(vector["kind"], edition, tuple(vector["tables"]), keyer)
    for run in vector["runs"].values():
        header, data = bytes.fromhex(run["header"]), bytes.fromhex(run["file"])
        made = HKDF(SHA256(), 32, header[-32:], bytes.fromhex(run["info"])).derive(key)
        assert made.hex() == run["run_key"]
        body = bytes.fromhex(run["body"])
        assert AESGCM(made).encrypt(bytes(12), body, header) == data[len(header) :]
        opened = open_run(codec, data, epoch, key)
        rows = len(opened.sections[0].adds)
        expected = sorted(keyer.url_key(Scope.URL, f"site{at}.example/") for at in range(rows))
        assert list(opened.sections[0].adds.keys()) == expected
        assert rows == (40 if opened.is_base else 3)
    for text in vector["refused"].values():
        with pytest.raises(DataError):
            open_run(codec, bytes.fromhex(text), epoch, key)


def _check_wrap(vector: dict[str, Any]) -> None:
    epoch, suite = _epoch(vector), Suite(vector["suite"])
    private = PrivateKey(suite, bytes.fromhex(vector["private_key"]))
    public = private.public()
    assert public.data.hex() == vector["public_key"]
    assert parse_line(vector["line"]) == public
    public.check_fingerprint(vector["fingerprint"])
    commitment = bytes.fromhex(vector["epoch_commitment"])
    name = f"wraps/{sha256(commitment + public.data).hexdigest()[:40]}"
    assert name == vector["name"] == wrap_name(vector["epoch_commitment"], public)
    secrets = Secrets(*(bytes.fromhex(vector[name]) for name in ("epoch_key", "pepper", "decoy_seed")))
    data = bytes.fromhex(vector["wrap"])
    opened = open_wrap(data, private, epoch, vector["epoch_commitment"], vector["pepper_commitment"])
    assert opened == secrets
    plain = private.open(data, bytes.fromhex(vector["info"]))
    assert plain == (secrets.key + secrets.pepper + secrets.seed).ljust(2048 - suite.overhead, b"\0")
    assert hmac.new(secrets.key, epoch.context("epoch"), sha256).digest() == commitment


@pytest.mark.parametrize("path", SEALED, ids=lambda path: path.stem)
def test_sealed_runs(path: Path) -> None:
    _check_sealed(_read(path))


@pytest.mark.parametrize("path", WRAPS, ids=lambda path: path.stem)
def test_wraps(path: Path) -> None:
    _check_wrap(_read(path))


def test_there_are_vectors() -> None:
    assert [path.stem for path in SEALED] == ["url-full", "url-match"]
    assert [path.stem for path in WRAPS] == sorted(Suite)


@pytest.mark.parametrize("edition", ["match", "full"])
def test_the_builder_still_makes_the_sealed_ones(edition: str) -> None:
    """All but what zstd chose, which its next release may choose otherwise."""
    made, kept = build_sealed(edition), _read(VECTORS / "sealed" / f"url-{edition}.json")
    _check_sealed(made)
    for part in ("runs", "refused"):
        assert made.pop(part).keys() == kept.pop(part).keys()
    assert made == kept


@pytest.mark.parametrize("suite", Suite)
def test_the_builder_still_makes_the_wraps(suite: Suite) -> None:
    made, kept = build_wrap(suite), _read(VECTORS / "wraps" / f"{suite}.json")
    _check_wrap(made)
    assert made.pop("wrap") != kept.pop("wrap"), "a seal is another one each time"
    assert made == kept
