"""Every name of the public suffix list in its one form: for those who must ask about all of them at once.

Whether one host is a public suffix is asked of :mod:`vallum.host`. A list's keys can only be compared with
names that are hashed forward, hence the whole set here.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from vallum.host import host_form


@cache
def suffix_names() -> frozenset[str]:
    """Names that are a public suffix by a rule without wildcard."""
    return frozenset(host_form(rule) for rule in _rules() if not rule.startswith(("*.", "!")))


@cache
def wildcard_parents() -> frozenset[str]:
    """Names right below which each name is a public suffix, exceptions aside."""
    return frozenset(host_form(rule[2:]) for rule in _rules() if rule.startswith("*."))


def _rules() -> list[str]:
    text = files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return [line.split()[0] for line in lines if line and not line.startswith("//")]
