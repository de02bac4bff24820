"""Verify and apply signed URL and hash lists.

Names load what they need when they are first used: ``import vallum`` for look-ups brings in neither TUF nor
an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vallum.errors import (
    BusyError,
    ConfigError,
    DataError,
    FetchError,
    FormatError,
    GuardError,
    InputError,
    StateError,
    StorageError,
    TrustError,
    UnavailableError,
    VallumError,
)

if TYPE_CHECKING:
    from vallum import aio
    from vallum.expression import Scope
    from vallum.match.answer import Action, Decision, Match, Outcome
    from vallum.match.explain import Explanation
    from vallum.match.lists import Lists
    from vallum.match.lists import open_lists as open
    from vallum.match.policy import Policy
    from vallum.match.status import ListStatus
    from vallum.sync.report import SyncReport
    from vallum.sync.updater import Updater
    from vallum.url import Canonical, canonicalize

_HOMES = {
    "Action": "match.answer",
    "Canonical": "url",
    "Decision": "match.answer",
    "Explanation": "match.explain",
    "ListStatus": "match.status",
    "Lists": "match.lists",
    "Match": "match.answer",
    "Outcome": "match.answer",
    "Policy": "match.policy",
    "Scope": "expression",
    "SyncReport": "sync.report",
    "Updater": "sync.updater",
    "canonicalize": "url",
}

__all__ = [
    "Action",
    "BusyError",
    "Canonical",
    "ConfigError",
    "DataError",
    "Decision",
    "Explanation",
    "FetchError",
    "FormatError",
    "GuardError",
    "InputError",
    "ListStatus",
    "Lists",
    "Match",
    "Outcome",
    "Policy",
    "Scope",
    "StateError",
    "StorageError",
    "SyncReport",
    "TrustError",
    "UnavailableError",
    "Updater",
    "VallumError",
    "aio",
    "canonicalize",
    "open",
]


def __getattr__(name: str) -> object:
    if name == "aio":
        return import_module("vallum.aio")
    if name == "open":
        value: object = import_module("vallum.match.lists").open_lists
    elif name in _HOMES:
        value = getattr(import_module(f"vallum.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'vallum' has no attribute {name!r}")
    globals()[name] = value
    return value
