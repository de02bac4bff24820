"""Labels: what the hotline says about an entry, as sorted sets of short strings.

A label is a triple ``scheme:version:code`` (``uk-sap:1:A``, ``ncmec:1:A1``) or a bare flag
(``ai_generated``, ``test``). Two schemes are Vallum's own: ``subject:1:image`` says what the entry is and
``jurisdiction:1:GB`` where it is unlawful. The vocabulary is open: an unknown label is carried, never an
error. What a label leads to is decided by policy, not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vallum.errors import InputError

LabelSet = tuple[str, ...]
"""Sorted and without repetition."""

MAX_LABELS = 64
"""Labels in one set."""

TEST = "test"
"""The flag of the harmless row that every list holds (DESIGN §4)."""

FLAGS = ("ai_generated", "known_minor", "non_photographic", "test")
"""The flags that Vallum names itself; others are allowed."""

SUBJECTS = ("image", "video", "audio", "page", "manual", "tool", "model")

_LABEL = re.compile(
    r"[a-z][a-z0-9_]{0,62}|[a-z0-9][a-z0-9._-]{0,62}:[A-Za-z0-9._-]{1,32}:[A-Za-z0-9._-]{1,64}"
)


def is_label(text: str) -> bool:
    """Say whether ``text`` is a triple or a flag in the one allowed spelling (format.md §2)."""
    return _LABEL.fullmatch(text) is not None


def label_set(labels: Iterable[str]) -> LabelSet:
    """Sort and unite labels into a set.

    Raises:
        InputError: a label is malformed, or there are more than ``MAX_LABELS``.
    """
    united = tuple(sorted(set(labels)))
    if len(united) > MAX_LABELS:
        raise InputError(f"{len(united)} labels on one entry, at most {MAX_LABELS} are allowed")
    for label in united:
        if not is_label(label):
            raise InputError(
                "a label is malformed",
                hint="a label is scheme:version:code, such as uk-sap:1:A, or a flag such as ai_generated",
            )
    return united
