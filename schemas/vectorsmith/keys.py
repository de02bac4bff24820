"""Keys and ids (format.md §3)."""

from __future__ import annotations

from schemas.vectorsmith import PEPPER, Vectors, vector
from vallum.expression import TAGS, Keyer, host_of

FORMS = {
    1: "example.com/a?q=1",
    2: "example.com/a",
    3: "example.com/a/",
    4: "www.example.com",
    5: "example.com",
}


def vectors() -> Vectors:
    """Every tag, with and without a pepper; every width of the host's part; what is no digest."""
    for pepper, secret in ((b"", "a public list"), (PEPPER, "a list with a pepper")):
        for code, form in FORMS.items():
            for host_bits in (0, 20, 32):
                keyer, tag = Keyer(pepper, host_bits), TAGS[code]
                assert tag.scope is not None  # noqa: S101 - a builder that checks itself
                key = keyer.url_key(tag.scope, form)
                host = f"host|{host_of(form)}"
                yield vector(
                    f"key of a {tag.scope} entry in {secret} with {host_bits} host bits",
                    "key",
                    {"pepper": pepper.hex(), "host_bits": host_bits, "tag": code, "form": form},
                    expression=tag.prefix + form,
                    host_expression=host,
                    host_hash=keyer.hash(host.encode()).hex(),
                    hash=keyer.hash((tag.prefix + form).encode()).hex(),
                    key=key.hex(),
                    id=keyer.entry_id(key),
                )
        for code, tag in TAGS.items():
            if tag.scope is None:
                raw = bytes((7 * at + code) % 256 for at in range(tag.size))
                keyer = Keyer(pepper, 0)
                key = keyer.digest_key(tag.signal, raw)
                yield vector(
                    f"key of a {tag.signal} digest in {secret}",
                    "key",
                    {"pepper": pepper.hex(), "host_bits": 0, "tag": code, "digest": raw.hex()},
                    expression=tag.prefix + raw.hex(),
                    key=key.hex(),
                    id=keyer.entry_id(key),
                )
    given = {"pepper": "", "host_bits": 0, "tag": 16}
    yield vector(
        "a digest in upper case has the key of its lower case",
        "key",
        {**given, "digest": ("ab" * 32).upper()},
        expression="sha256|" + "ab" * 32,
        **_digest(Keyer(b"", 0), bytes.fromhex("ab" * 32)),
    )
    yield vector("a digest one byte too short is refused", "key", {**given, "digest": "ab" * 31}, "input")
    yield vector("a digest with half a byte is refused", "key", {**given, "digest": "ab" * 31 + "a"}, "input")
    yield vector("a digest with a blank within is refused", "key", {**given, "digest": "ab " * 32}, "input")
    yield vector(
        "a pepper of another length is refused",
        "key",
        {**given, "pepper": "00" * 31, "digest": "ab" * 32},
        "input",
    )
    yield vector(
        "more than 32 host bits are refused",
        "key",
        {"pepper": "", "host_bits": 33, "tag": 5, "form": "example.com"},
        "input",
    )


def _digest(keyer: Keyer, raw: bytes) -> dict[str, str]:
    key = keyer.digest_key("sha256", raw)
    return {"key": key.hex(), "id": keyer.entry_id(key)}
