"""theupdateframework/tuf-conformance against our client: every test of it, no exceptions.

The suite lies on no package index and is not copied here: ``TUF_CONFORMANCE`` names a checkout of it, which
``.ci/run`` makes where the network lets it, at the commit where it was last run whole.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.process import find

SUITE = "TUF_CONFORMANCE"
TESTS = 113
CLIENT = Path(__file__).with_name("client")


def test_every_test_of_the_suite_passes() -> None:
    """Rollback, freeze, thresholds, rotations, delegations: as the TUF project asks of any client."""
    if SUITE not in os.environ:
        pytest.skip(f"{SUITE} names no checkout of theupdateframework/tuf-conformance (see .ci/run)")
    suite = Path(os.environ[SUITE])
    find("faketime", "Debian's faketime")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tuf_conformance"]
    entry = f"{sys.executable} {CLIENT}"
    done = subprocess.run(
        [*command, "--entrypoint", entry], cwd=suite, capture_output=True, text=True, check=False
    )
    end = done.stdout[-4000:] + done.stderr[-1000:]
    assert done.returncode == 0, end
    counts = re.fullmatch(r"([0-9]+) passed in .*", done.stdout.splitlines()[-1])
    assert counts, end
    assert int(counts[1]) >= TESTS


def test_the_client_says_what_was_wrong(tmp_path: Path) -> None:
    """The executable without the suite: it takes a root, asks nobody, and fails loudly without a store."""
    (tmp_path / "root.json").write_text("{}")
    command = [sys.executable, str(CLIENT), "--metadata-dir", str(tmp_path)]
    subprocess.run([*command, "init", str(tmp_path / "root.json")], check=True)
    done = subprocess.run(
        [*command, "--metadata-url", "http://127.0.0.1:1/metadata/", "refresh"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "root" in done.stderr
