"""What the vectors are made with: one module per family, each a generator of ``(sentence, vector)``.

A vector is ``{"description", "layer", "expect", "input", "output"}``: what is asked of which decoder, and
either ``ok`` with what comes out, or the layer that refuses. Each holds one scenario. Bytes are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Vector = dict[str, Any]
Vectors = Iterator[tuple[str, Vector]]

PEPPER = bytes(range(32))


def vector(
    description: str, layer: str, given: dict[str, Any], expect: str = "ok", **output: Any
) -> tuple[str, Vector]:
    """Name a vector by its description, and leave ``output`` out where there is none."""
    made: Vector = {"description": description, "layer": layer, "expect": expect, "input": given}
    if output:
        made["output"] = output
    return "-".join("".join(c if c.isalnum() else " " for c in description.lower()).split()), made
