"""SoftHSM: PKCS #11 tokens in files, with a key each, as a hardware token would have them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.process import find, missing

PIN = "4711"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)

LABELS = ("first", "second", "third", "fourth")


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Signer URIs of tokens with one ECDSA key each, number 2.

    For the whole session: the module is loaded once by a process, with the tokens of that moment.
    """
    program = find("softhsm2-util", "Debian's softhsm2")
    module = next((path for path in _MODULES if Path(path).exists()), None)
    if module is None:
        missing("libsofthsm2.so", "Debian's softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf")}

    for label in LABELS:
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{label}.pem").write_bytes(key)
        for words in (
            ["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN],
            [
                "--import",
                folder / f"{label}.pem",
                "--token",
                label,
                "--label",
                label,
                "--id",
                "02",
                "--pin",
                PIN,
            ],
        ):
            subprocess.run([program, *words], check=True, capture_output=True, timeout=30, env=environment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        patch.setenv("PYKCS11LIB", module)
        yield [f"hsm:2?label={label}" for label in LABELS]
