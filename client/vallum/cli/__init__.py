"""The ``vallum`` command: what a provider or platform does with lists. One file per group of commands."""

from __future__ import annotations

from pathlib import Path

import click

from vallum.cli import process
from vallum.cli.allow import allow
from vallum.cli.check import check
from vallum.cli.doctor import doctor
from vallum.cli.export import export
from vallum.cli.levers import pin, quarantine
from vallum.cli.setup import init, keygen
from vallum.cli.sync import status, sync, verify
from vallum.cli.terminal import EXIT_CODES

CONFIG = "vallum.toml"


@click.group(
    name="vallum",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"\b\nExamples:\n  vallum init --invitation hotline.json\n  vallum sync\n  vallum check https://www.example/\n\n{EXIT_CODES}",
)
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    default=CONFIG,
    envvar="VALLUM_CONFIG",
    show_default=True,
    help="The one configuration file (or $VALLUM_CONFIG).",
)
@click.version_option(package_name="vallum", prog_name="vallum", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Verify signed URL and hash lists, keep them up to date, and look things up in them."""
    context.obj = config


for command in (init, keygen, sync, check, export, status, verify, doctor, quarantine, pin, allow):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    process.main(cli)
