"""`deploy/systemd`: systemd takes every unit as it is, and every command in them exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.servers.process import find
from tests.typed import typed

FOLDER = Path(__file__).parents[2] / "deploy/systemd"
UNITS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".service", ".timer"))


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_it_without_a_warning(unit: str, tmp_path: Path) -> None:
    analyze = find("systemd-analyze", "systemd")
    for path in FOLDER.glob("vallum*"):
        # The program is looked for too, and lies elsewhere here.
        text = path.read_text().replace("/opt/vallum/bin/vallum", "/bin/true ")
        (tmp_path / path.name).write_text(re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text))
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", tmp_path / unit],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", [name for name in UNITS if name.endswith(".service")])
def test_its_command_is_one_of_ours(unit: str, tmp_path: Path) -> None:
    [command] = re.findall(r"(?m)^ExecStart=/opt/vallum/bin/(.*)$", (FOLDER / unit).read_text())
    # `--help` behind the command's own words: click reads them all first.
    assert typed([*command.split(), "--help"], tmp_path).code == 0


def test_units_are_confined_and_leave_no_core_dump() -> None:
    for unit in FOLDER.glob("*.service"):
        text = unit.read_text()
        for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "LimitCORE=0", "CapabilityBoundingSet="):
            assert f"\n{line}\n" in text, f"{unit.name}: {line}"
