"""What ships: the client installs and imports alone, light, and both versions move together."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, pkgutil, sys

class Alone:
    def __init__(self, allowed): self.allowed = allowed
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top not in self.allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f'{name} is not what the client depends on', name=top)

sys.meta_path.insert(0, Alone(set(sys.argv[1:])))
import vallum
for module in pkgutil.walk_packages(vallum.__path__, 'vallum.'):
    importlib.import_module(module.name)
"""

LIGHT = """
import sys, vallum
vallum.open
heavy = {'tuf', 'securesystemslib', 'aiohttp', 'urllib3', 'cryptography', 'click'}
heavy &= {module.partition('.')[0] for module in sys.modules}
assert not heavy, heavy
"""


def project(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))["project"]
    return loaded


def closure(names: list[str]) -> set[str]:
    """Distributions that come with ``names``, by what the installed ones require without extras."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = re.split(r"[^A-Za-z0-9._-]", queue.pop(), maxsplit=1)[0].lower().replace("_", "-")
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        found.add(name)
        queue += [line for line in required if "extra ==" not in line]
    return found


def test_the_client_imports_alone() -> None:
    distributions = closure(project(ROOT / "pyproject.toml")["dependencies"])
    modules = {
        module for module, owners in metadata.packages_distributions().items()
        if any(owner.lower().replace("_", "-") in distributions for owner in owners)
    }  # fmt: skip
    assert "vallum_publisher" not in modules
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, "vallum", "_cffi_backend", *sorted(modules)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_importing_vallum_for_matching_is_light() -> None:
    result = subprocess.run([sys.executable, "-W", "error", "-c", LIGHT], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_both_versions_move_together() -> None:
    client, publisher = project(ROOT / "pyproject.toml"), project(ROOT / "publisher" / "pyproject.toml")
    assert publisher["version"] == client["version"]
    assert f"vallum=={client['version']}" in publisher["dependencies"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{client['version']}]" in changelog or "## [Unreleased]" in changelog


def test_no_tracked_file_names_a_registry_or_a_machine() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    words = ["pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js", "deb.debian" + ".org"]
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".json", ".hex", ".bin"} or not path.is_file():
            continue
        text = path.read_text("utf-8", errors="replace")
        assert not any(word in text for word in words), name
        assert not name.endswith((".lock", "package-lock.json")), name
