"""A hotline with two lists in force at a provider, made once by the commands and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.typed import Result, typed

LISTED = "https://www.lantern.example/gallery/3.html"
PICTURE = b"not really a picture"

Type = Callable[..., Result]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both-sides")
    for command in (
        "vallum-publisher -C hotline init --name Hotline --contact nobody --public-url ../hotline/store",
        "vallum-publisher -C hotline list create urls --kind url --public",
        "vallum-publisher -C hotline list create pictures --kind hash --public",
    ):
        assert typed(command.split(), folder).code == 0
    ingest = ["vallum-publisher", "-C", "hotline", "ingest"]
    (folder / "picture.png").write_bytes(PICTURE)
    assert typed([*ingest, "urls", "-"], folder, f"{LISTED}\n".encode()).code == 0
    assert typed([*ingest, "pictures", "-"], folder, b"7c6f3ae2c8a4f0d6b8ff5d1f8dcf9a1e\n").code == 0
    assert typed(["vallum-publisher", "-C", "hotline", "publish"], folder).code == 0
    invite = ["vallum-publisher", "-C", "hotline", "invite", "--output", "invitation.json"]
    assert typed(invite, folder).code == 0
    vallum = ["vallum", "-c", "provider/vallum.toml"]
    assert typed([*vallum, "init", "--invitation", "invitation.json", "--name", "hotline"], folder).code == 0
    assert typed([*vallum, "sync"], folder).code == 0
    return folder


@pytest.fixture
def both(template: Path, tmp_path: Path) -> Path:
    """The folder that holds ``hotline/``, ``provider/`` and ``invitation.json``."""
    folder = tmp_path / "both"
    shutil.copytree(template, folder)
    config = folder / "provider" / "vallum.toml"
    config.write_text(config.read_text().replace(template.as_uri(), folder.as_uri()))
    return folder


@pytest.fixture
def client(both: Path) -> Type:
    """Type a command of the client in the provider's folder."""

    def type_(*words: str | Path, stdin: bytes = b"") -> Result:
        return typed(["vallum", *words], both / "provider", stdin)

    return type_


@pytest.fixture
def publisher(both: Path) -> Type:
    """Type a command of the publisher; its folder is ``hotline``."""

    def type_(*words: str | Path, stdin: bytes = b"") -> Result:
        return typed(["vallum-publisher", "-C", "hotline", *words], both, stdin)

    return type_
