"""A feed as a client's guard sees it: which forms come and go at each version; a recorded one, or one drawn.

The recorded one is named by the environment (``VALLUM_FEED``, see ``benchmarks/feed.py`` for its form).
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.guard.drawn import draw
from vallum.errors import InputError
from vallum.expression import Scope
from vallum.url import entry_form

RECORDED = os.environ.get("VALLUM_FEED", "")

feeds = pytest.mark.parametrize("feed", ["drawn", "recorded"] if RECORDED else ["drawn"])
"""A test with the drawn feed, and with the recorded one where there is one."""


@dataclass(frozen=True)
class Step:
    """What one version of the feed changes: forms that come and go; of bare hosts with ``host`` before."""

    at: datetime
    come: frozenset[str]
    go: frozenset[str]


@cache
def steps_of(feed: str) -> list[Step]:
    """The steps of the feed that is ``drawn``, or ``recorded``."""
    return _steps(draw() if feed == "drawn" else _recorded(Path(RECORDED)))


def _recorded(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def _form(url: str) -> str | None:
    """The form, of a bare host with ``host`` before it; ``None`` for what an intake refuses."""
    try:
        form = entry_form(url, Scope.URL)
    except InputError:
        return None
    host, slash, rest = form.partition("/")
    if slash and not rest:
        with suppress(InputError):  # a public suffix, say: then it is listed as a page
            return f"host {entry_form(host, Scope.HOST)}"
    return form


def _steps(versions: Iterable[dict[str, Any]]) -> list[Step]:
    forms: dict[str, str | None] = {}
    urls: dict[str, set[str]] = {}
    found = []
    for raw in versions:
        was: dict[str, bool] = {}
        for url, listed in [(url, False) for url in raw["remove"]] + [(url, True) for url in raw["add"]]:
            if url not in forms:
                forms[url] = _form(url)
            form = forms[url]
            if form is None:
                continue
            held = urls.setdefault(form, set())
            was.setdefault(form, bool(held))
            held.add(url) if listed else held.discard(url)
        come = frozenset(form for form, before in was.items() if urls[form] and not before)
        go = frozenset(form for form, before in was.items() if before and not urls[form])
        found.append(Step(datetime.fromtimestamp(raw["at"], UTC), come, go))
    return found
