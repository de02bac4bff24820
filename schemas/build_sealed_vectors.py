"""Write the vectors of sealed runs and wraps: ``python schemas/build_sealed_vectors.py``.

Keys are fixed and salts come of them, so ``vectors/sealed`` comes out the same each time (as long as zstd
compresses the same). HPKE draws a fresh key for each seal: ``vectors/wraps`` is kept where it exists, and
only a missing file is made anew. Every value is hexadecimal.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vallum.expression import Keyer, Scope
from vallum.format.columns import padme
from vallum.format.epoch import Epoch, commit_epoch, commit_pepper
from vallum.format.keypair import PrivateKey, Suite
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, parse_header
from vallum.format.seal import TAG_BYTES, run_key, seal_run
from vallum.format.section import Codec, Section
from vallum.format.wrap import Secrets, seal_wrap, wrap_name

VECTORS = Path(__file__).parent / "vectors"
HOST_BITS = 20
LABELS = ("vallum:1:test",)


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that anybody can make again: the beginning of SHA-256 of a name."""
    return sha256(f"vallum vector {name}".encode()).digest()[:size]


PEPPER = fixed("pepper")
UID = fixed("uid", 16)


def build_sealed(edition: str) -> dict[str, Any]:
    """The vector of one stream: a base and a step that open, and what must be refused."""
    epoch, key = Epoch(UID, f"demo.{edition}", 2, 3), fixed(f"epoch key {edition}")
    codec = Codec("url", edition, ("exact",), Keyer(PEPPER, HOST_BITS))
    base = seal_run(codec, _run(codec, epoch, 0, 5, 40), epoch, key)
    step = seal_run(codec, _run(codec, epoch, 4, 5, 3), epoch, key)
    return {
        "uid": UID.hex(),
        "stream": epoch.stream,
        "generation": epoch.generation,
        "epoch": epoch.number,
        "kind": "url",
        "tables": ["exact"],
        "host_bits": HOST_BITS,
        "pepper": PEPPER.hex(),
        "pepper_commitment": commit_pepper(epoch, PEPPER),
        "epoch_key": key.hex(),
        "epoch_commitment": commit_epoch(epoch, key),
        "runs": {name: _opened(epoch, key, data) for name, data in (("base", base), ("step", step))},
        "refused": _refused(epoch, key, step),
    }


def build_wrap(suite: Suite) -> dict[str, Any]:
    """A wrap, which is another one each time, and all that is needed to open it."""
    epoch = Epoch(UID, "demo.match", 2, 3)
    contents = Secrets(fixed("epoch key match"), PEPPER, fixed("decoy seed"))
    private = PrivateKey(suite, (fixed("seed 1") + fixed("seed 2") + fixed("x25519"))[-suite.private_bytes :])
    public, commitment = private.public(), commit_epoch(epoch, contents.key)
    return {
        "suite": str(suite),
        "hpke_ids": suite.ids.hex(),
        "private_key": private.data.hex(),
        "public_key": public.data.hex(),
        "line": public.line(),
        "fingerprint": public.fingerprint(),
        "uid": UID.hex(),
        "stream": epoch.stream,
        "generation": epoch.generation,
        "epoch": epoch.number,
        "info": (epoch.context("wrap") + suite.ids).hex(),
        "epoch_key": contents.key.hex(),
        "epoch_commitment": commitment,
        "pepper": contents.pepper.hex(),
        "pepper_commitment": commit_pepper(epoch, contents.pepper),
        "decoy_seed": contents.seed.hex(),
        "name": wrap_name(commitment, public),
        "wrap": seal_wrap(epoch, contents, public).hex(),
    }


def _run(codec: Codec, epoch: Epoch, start: int, end: int, rows: int) -> Run:
    forms = [f"site{at}.example/" for at in range(rows)]
    keys = [codec.keyer.url_key(Scope.URL, form) for form in forms]
    values = [b"\x01" + form.encode() for form in forms] if codec.edition == "full" else None
    section = Section("exact", ((1, 40),), Rows.build(keys, [LABELS] * rows, values), ())
    header = RunHeader(codec.kind, codec.edition, epoch.generation, epoch.number, start, end, 0)
    return Run(header, fixed("table salt", 16), (section,))


def _opened(epoch: Epoch, key: bytes, data: bytes) -> dict[str, str]:
    header, at = parse_header(data)
    this_key = run_key(epoch, key, header)
    return {
        "header": data[:at].hex(),
        "info": (epoch.context("run") + header.start.to_bytes(8) + header.end.to_bytes(8)).hex(),
        "run_key": this_key.hex(),
        "body": AESGCM(this_key).decrypt(bytes(12), data[at:], data[:at]).hex(),
        "file": data.hex(),
    }


def _refused(epoch: Epoch, key: bytes, data: bytes) -> dict[str, str]:
    header, at = parse_header(data)
    body = AESGCM(run_key(epoch, key, header)).decrypt(bytes(12), data[at:], data[:at])

    def sealed(other: bytes) -> bytes:
        return data[:at] + AESGCM(run_key(epoch, key, header)).encrypt(bytes(12), other, data[:at])

    larger = padme(len(body) + TAG_BYTES + 1) - TAG_BYTES
    return {
        "salt changed": (data[: at - 1] + bytes((data[at - 1] ^ 1,)) + data[at:]).hex(),
        "ciphertext changed": (data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]).hex(),
        "tag changed": (data[:-1] + bytes((data[-1] ^ 1,))).hex(),
        "cut short": data[:-1].hex(),
        "sealed with another key": (
            data[:at] + AESGCM(fixed("another key")).encrypt(bytes(12), body, data[:at])
        ).hex(),
        "padded to the next size": sealed(body.ljust(larger, b"\0")).hex(),
        "padded to no size": sealed(body + b"\0").hex(),
        "padding not zero": sealed(body[:-1] + b"\1").hex(),
        "length beyond the body": sealed(len(body).to_bytes(4) + body[4:]).hex(),
    }


def main() -> None:
    """Write the files."""
    files: dict[Path, dict[str, Any]] = {
        VECTORS / "sealed" / f"url-{edition}.json": build_sealed(edition) for edition in ("match", "full")
    }
    wraps = {VECTORS / "wraps" / f"{suite}.json": suite for suite in Suite}
    files |= {path: build_wrap(suite) for path, suite in wraps.items() if not path.exists()}
    for path, vector in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vector, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
