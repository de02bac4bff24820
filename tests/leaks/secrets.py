"""What must not be found, in every spelling in which a program could have written it."""

from __future__ import annotations

import re
from base64 import b32encode, b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Secrets:
    """Listed values and keys; ``found_in`` says which of them some bytes hold."""

    words: set[bytes] = field(default_factory=set)
    values: dict[bytes, str] = field(default_factory=dict)

    def add_words(self, *words: str) -> None:
        """Text that stands in listed values only: hosts, paths."""
        self.words |= {word.lower().encode() for word in words}

    def add_value(self, what: str, value: bytes) -> None:
        """Bytes: a digest, a row's key, a pepper."""
        assert len(value) >= 12, "shorter ones would be found by chance"
        for spelled in (
            value,
            value.hex().encode(),
            b64encode(value).rstrip(b"="),
            b32encode(value).rstrip(b"="),
        ):
            self.values[spelled.lower()] = what
        self.values[urlsafe_b64encode(value).rstrip(b"=").lower()] = what
        # As Python shows bytes; what is printable in them stands for itself.
        self.values[repr(value)[2:-1].encode().lower()] = what
        self.values[b"".join(b"%%%02x" % byte for byte in value)] = what

    def found_in(self, data: bytes) -> set[str]:
        """What of it stands in some bytes, in any case."""
        low = data.lower()
        found = {word.decode() for word in self.words if word in low}
        return found | {what for spelled, what in self.values.items() if spelled in low}


def scan(secrets: Secrets, folder: Path, belongs: re.Pattern[str]) -> dict[str, set[str]]:
    """Files below a folder that hold something, or whose names do, but for those where it belongs."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        leaked = secrets.found_in(name.encode())
        if path.is_file() and not path.is_symlink() and not belongs.fullmatch(name):
            leaked |= secrets.found_in(path.read_bytes())
        if leaked:
            found[name] = leaked
    return found
