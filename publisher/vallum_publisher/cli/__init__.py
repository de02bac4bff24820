"""The ``vallum-publisher`` command: what a hotline does with lists. One file per group of commands."""

from __future__ import annotations

from pathlib import Path

import click

from vallum.cli import process
from vallum_publisher.cli.announce import announce
from vallum_publisher.cli.backup import backup, restore
from vallum_publisher.cli.demo import demo
from vallum_publisher.cli.founding import init, lists
from vallum_publisher.cli.intake import diff, ingest
from vallum_publisher.cli.keys import keys
from vallum_publisher.cli.recipients import recipients
from vallum_publisher.cli.release import gc, invite, publish, refresh, status, verify
from vallum_publisher.cli.trace import trace

_EXIT_CODES = """\
Exit codes: 0 done, 1 no (something is due, missing or not in order; of trace: nobody), 2 the command, the
configuration or the input is wrong, 3 what was received or held is wrong, 4 not to be had now, try again,
70 a fault of this program."""


@click.group(
    name="vallum-publisher",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n"
    "  vallum-publisher demo\n"
    "  vallum-publisher --home hotline init --name 'Example Hotline'\n"
    "  vallum-publisher --home hotline list create urls --kind url\n"
    f"\n{_EXIT_CODES}",
)
@click.option(
    "--home",
    "-C",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    envvar="VALLUM_PUBLISHER_HOME",
    show_default=True,
    help="The publisher's folder (or $VALLUM_PUBLISHER_HOME).",
)
@click.version_option(
    package_name="vallum-publisher", prog_name="vallum-publisher", message="%(prog)s %(version)s"
)
@click.pass_context
def cli(context: click.Context, home: Path) -> None:
    """Build, sign and publish URL and hash lists."""
    context.obj = home


for command in (
    init,
    lists,
    ingest,
    diff,
    publish,
    refresh,
    status,
    verify,
    invite,
    gc,
    keys,
    recipients,
    trace,
    backup,
    restore,
    announce,
    demo,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    process.main(cli)
