"""The architecture, held by tests: which way imports point and where foreign libraries may stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client" / "vallum"
PUBLISHER = ROOT / "publisher" / "vallum_publisher"

PURE = (
    "errors",
    "labels",
    "expression",
    "host",
    "percent",
    "slips",
    "url",
    "path",
    "format",
    "guard",
    "suffix_names",
)
"""The sans-IO core: bytes and values in, values or an error out."""

PURE_MAY_IMPORT = {
    "__future__", "array", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "heapq", "ipaddress", "itertools", "math", "operator", "re", "struct", "sys",
    "typing", "urllib",
    "importlib",  # the public suffix list, which publicsuffixlist reads likewise
    "ada_url", "cryptography", "hmac", "msgpack", "publicsuffixlist", "secrets", "zstandard",
}  # fmt: skip

ONLY_IN = {
    "boto3": {PUBLISHER / "store" / "s3.py", PUBLISHER / "vault" / "aws_kms.py"},
    "botocore": {PUBLISHER / "store" / "s3.py", PUBLISHER / "vault" / "aws_kms.py"},
    "tuf": {CLIENT / "sync", CLIENT / "invitation.py", PUBLISHER / "release", PUBLISHER / "keys.py"},
    "sqlalchemy": {PUBLISHER / "catalog"},
    "click": {CLIENT / "cli", PUBLISHER / "cli"},
    "aiohttp": {PUBLISHER / "demo" / "loopback.py", PUBLISHER / "announcer.py"},
}
"""Where a library may be imported: files, or folders with all below."""


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


def sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def test_the_client_never_names_the_publisher() -> None:
    for file in sources(CLIENT):
        assert not any(name.startswith("vallum_publisher") for name in imports(file)), file


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_stands_only_where_it_belongs(library: str) -> None:
    allowed = ONLY_IN[library]
    for file in sources(CLIENT, PUBLISHER):
        if any(file == place or place in file.parents for place in allowed):
            continue
        assert library not in {name.partition(".")[0] for name in imports(file)}, file


def test_the_core_does_no_io() -> None:
    for name in PURE:
        place = CLIENT / name
        for file in [place.with_suffix(".py")] if place.with_suffix(".py").exists() else sources(place):
            for imported in imports(file):
                top, _, rest = imported.partition(".")
                if top == "vallum":
                    assert rest.partition(".")[0] in PURE, f"{file.name} imports {imported}"
                else:
                    assert top in PURE_MAY_IMPORT, f"{file.name} imports {imported}"


def test_files_stay_small_and_say_what_they_are_for() -> None:
    for file in sources(CLIENT, PUBLISHER):
        text = file.read_text("utf-8")
        if not text:
            continue
        assert ast.get_docstring(ast.parse(text)), f"{file} has no module docstring"
        assert text.count("\n") <= 420, (
            f"{file} has {text.count(chr(10))} lines; would two nouns say it better?"
        )
        assert file.stem not in {"utils", "common", "helpers", "manager"}, file
