"""``vallum status --metrics``: what monitoring sees, in the states that it is there for."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.levers.conftest import PAGES
from vallum.allow import Allowance, Kind, add
from vallum.cli import cli
from vallum.metrics import format_metrics
from vallum.sync import levers
from vallum.sync.standing import read_standing

DAY = timedelta(days=1)
_SAMPLE = re.compile(r'(vallum_[a-z_]+)((?:\{(?:[a-z]+="[a-z0-9.-]+",?)+\})?) (-?[0-9.e+]+)')


def metrics(client: Client, repository: Repository, after: timedelta = timedelta(0)) -> dict[str, float]:
    """Samples by name and labels, each family declared before its first."""
    now = repository.now + after
    text = format_metrics(read_standing(client.config, now), now)
    found: dict[str, float] = {}
    declared = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            declared = line.split()[2]
        elif not line.startswith("#"):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == declared
            found[sample[1] + sample[2]] = float(sample[3])
    return found


def of(name: str, state: str = "") -> str:
    more = f',state="{state}"' if state else ""
    return f'vallum_{name}{{source="hotline",list="urls.full"{more}}}'


def test_all_is_well(repository: Repository, client: Client) -> None:
    found = metrics(client, repository)
    assert found[of("list_version")] == 1
    assert found[of("list_rows")] == len(PAGES)
    assert found[of("list_freshness", "fresh")] == 1
    assert found[of("list_stale_at_seconds")] == (repository.now + 3 * DAY).timestamp()
    assert found['vallum_source_failed_days{source="hotline"}'] == 0
    assert not any(name.startswith("vallum_list_missing") for name in found)


@pytest.mark.parametrize(("days", "state"), [(0, "fresh"), (4, "stale"), (-2, "clock")])
def test_exactly_one_state(repository: Repository, client: Client, days: int, state: str) -> None:
    found = metrics(client, repository, days * DAY)
    states = {name: value for name, value in found.items() if "list_freshness" in name}
    assert sum(states.values()) == 1
    assert states[of("list_freshness", state)] == 1


def test_quarantine_pin_allowance_and_what_is_missing(repository: Repository, client: Client) -> None:
    """Each lever stands in the metrics while it lasts, and no longer."""
    now = repository.now
    repository.create("more")
    repository.release("urls", listed("only.example/"))
    levers.pin(client.config, "urls", "1", now + DAY, "a dispute", now)
    allowance = Allowance(Kind.HOST, "secret.example", now, now + DAY, "our own")
    add(client.state, allowance, now)
    found = metrics(client, repository)
    assert found[of("list_pinned_until_seconds")] == (now + DAY).timestamp()
    assert found["vallum_allowances"] == 1
    assert found["vallum_allowance_ends_seconds"] == (now + DAY).timestamp()
    [source] = client.config.sources
    client.config = replace(client.config, sources=(replace(source, streams=("more.full", "urls.full")),))
    client.sync(now + DAY)
    found = metrics(client, repository, DAY)
    assert found[of("list_quarantined")] == 1
    assert found[of("list_pinned_until_seconds")] == found["vallum_allowances"] == 0
    assert found['vallum_list_missing{source="hotline",list="more.full"}'] == 1
    assert "secret" not in "".join(found)


def test_the_command_replaces_the_file_whole(repository: Repository, client: Client, tmp_path: Path) -> None:
    config = tmp_path / "vallum.toml"
    [source] = client.config.sources
    config.write_text(
        f'state = "{client.state}"\n[[source]]\nname = "hotline"\nurl = "{source.url}"\n'
        f'root = "{source.root}"\nlists = ["urls"]\n'
    )
    file = tmp_path / "vallum.prom"
    for _ in range(2):
        done = CliRunner().invoke(cli, ["-c", str(config), "status", "--metrics", str(file)])
        assert done.exception is None
        assert done.output == ""
    assert file.read_text().endswith("\n")
    assert file.stat().st_mode & 0o777 == 0o644
    printed = CliRunner().invoke(cli, ["-c", str(config), "status", "--metrics", "-"]).output
    assert of("list_version") in printed


def test_the_reference_names_every_metric(repository: Repository, client: Client) -> None:
    text = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text()
    now = repository.now
    written = format_metrics(read_standing(client.config, now), now)
    assert set(re.findall(r"# TYPE (\w+)", written)) == set(re.findall(r"`(vallum_\w+)`", text))
