"""``demo``: the whole thread in a temporary folder."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import emit, json_option, say, table
from vallum.errors import ConfigError
from vallum.progress import silent

if TYPE_CHECKING:
    from vallum_publisher.demo.story import Ending


@click.command(epilog="\b\nExamples:\n  vallum-publisher demo\n  vallum-publisher demo --keep playground")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Make it here and leave it.")
@json_option
def demo(keep: Path | None, as_json: bool) -> None:
    """Publish, serve, sync, match and tamper in a temporary folder, in a few seconds."""
    from vallum_publisher.demo.story import tell

    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise ConfigError(f"{keep} is not empty", hint="name a new folder")
    with tempfile.TemporaryDirectory(prefix="vallum-demo-") as temporary:
        folder = (keep or Path(temporary)).absolute()
        outcome = tell(folder, silent if as_json else lambda line: say(f"• {line}"))
    if as_json:
        emit(asdict(outcome))
    else:
        _show(outcome)
        if keep is not None:
            say(f"kept in {keep}; try: vallum --config {keep}/fresh/vallum.toml status")


def _show(outcome: Ending) -> None:
    say()
    table(
        ("client", "versions", "entries", "syncs", "bytes fetched", "requests", "seconds"),
        [
            (
                row.client,
                " ".join(f"{stream.partition('.')[0]}:{version}" for stream, version in row.versions.items()),
                outcome.rows,
                row.syncs,
                row.bytes,
                row.requests,
                row.seconds,
            )
            for row in outcome.clients
        ],
    )
    say(f"{outcome.versions} versions of 2 lists published, synced and attacked in {outcome.seconds:.1f} s")
