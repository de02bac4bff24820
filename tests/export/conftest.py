"""The hotline of encrypted lists, as in tests/sealing."""

from tests.sealing.conftest import founded_hotline, hotline

__all__ = ["founded_hotline", "hotline"]
