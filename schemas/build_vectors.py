"""Write the vectors of the format: ``python schemas/build_vectors.py``.

All of it is made of fixed input, so that a second run changes nothing, as long as zstd compresses the same:
that is why the runs are committed, and a test compares everything but their compressed bytes. The vectors of
sealed runs and wraps have a builder of their own, ``build_sealed_vectors.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from schemas.vectorsmith import decoys, keys, metadata, paths, runs, tables

VECTORS = Path(__file__).parent / "vectors"
FAMILIES = {
    "keys": keys.vectors,
    "runs": runs.vectors,
    "tables": tables.vectors,
    "paths": paths.vectors,
    "heads": metadata.heads,
    "charters": metadata.charters,
    "decoys": decoys.vectors,
}


def build(family: str) -> dict[str, dict[str, Any]]:
    """All vectors of a family by file name without extension."""
    made: dict[str, dict[str, Any]] = {}
    for name, vector in FAMILIES[family]():
        if name in made:
            raise ValueError(f"two vectors are named {name}")
        made[name] = vector
    return made


def main() -> None:
    """Write every family, and drop files that no builder makes."""
    for family in FAMILIES:
        folder = VECTORS / family
        folder.mkdir(parents=True, exist_ok=True)
        made = build(family)
        for path in folder.glob("*.json"):
            if path.stem not in made:
                path.unlink()
        for name, vector in made.items():
            text = json.dumps(vector, indent=1, ensure_ascii=False) + "\n"
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{family}: {len(made)}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
