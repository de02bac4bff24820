"""The hotline of encrypted lists, as in tests/sealing, and an encrypted list in force."""

from pathlib import Path

import pytest

from tests.export.scenes import TABLE, write_sealed
from tests.sealing.conftest import founded_hotline, hotline

__all__ = ["founded_hotline", "hotline", "sealed"]


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted URL list in force. Not to be changed."""
    folder = tmp_path_factory.mktemp("sealed")
    write_sealed(folder, {"urls": TABLE})
    return folder
