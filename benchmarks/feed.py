"""Reads a recorded feed: JSON Lines, gzipped or not, one version a line, ``{"at", "add", "remove"}``.

Forms that a list refuses (private addresses, no host) are left out here and counted, as an intake would.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vallum.errors import InputError
from vallum.expression import Scope
from vallum.url import entry_form


@dataclass(frozen=True)
class Step:
    """One version of the feed: URLs as they came, with their forms."""

    add: dict[str, str]
    remove: dict[str, str]
    refused: int


def read_feed(path: Path, versions: int) -> Iterator[Step]:
    """Yield the first ``versions`` steps."""
    forms: dict[str, str | None] = {}

    def form(url: str) -> str | None:
        if url not in forms:
            try:
                forms[url] = entry_form(url, Scope.URL)
            except InputError:
                forms[url] = None
        return forms[url]

    with _open(path) as lines:
        for number, line in enumerate(lines):
            if number == versions:
                return
            raw = json.loads(line)
            add = {url: form(url) for url in raw["add"]}
            remove = {url: form(url) for url in raw["remove"]}
            yield Step(
                {url: text for url, text in add.items() if text},
                {url: text for url, text in remove.items() if text},
                sum(text is None for text in add.values()),
            )


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


class Holdings:
    """What the feed lists at a version: several URLs may have one form, which goes with the last of them."""

    def __init__(self) -> None:
        self._urls: dict[str, set[str]] = {}

    def apply(self, step: Step) -> set[str]:
        """Apply a step, removals first; return the forms whose being listed changed."""
        touched: dict[str, bool] = {}
        for url, form in step.remove.items():
            held = self._urls.get(form, set())
            if url in held:
                touched.setdefault(form, True)
                held.discard(url)
                if not held:
                    del self._urls[form]
        for url, form in step.add.items():
            touched.setdefault(form, form in self._urls)
            self._urls.setdefault(form, set()).add(url)
        return {form for form, before in touched.items() if before != (form in self._urls)}

    def forms(self) -> set[str]:
        """The forms listed now."""
        return set(self._urls)
