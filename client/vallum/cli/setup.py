"""``vallum init``: from a publisher's invitation to a configuration that can sync."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vallum.cli.terminal import emit, say
from vallum.errors import ConfigError


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum init --invitation hotline.json\n"
    "  vallum init --invitation second.json --name second"
)
@click.option(
    "--invitation",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that the publisher's `invite` wrote.",
)
@click.option("--name", help="Call the source this; by default the publisher's name made short.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def init(config: Path, invitation: Path, name: str | None, as_json: bool) -> None:
    """Make the configuration of an invitation, or add a source to the one that exists."""
    from vallum.config import load_config
    from vallum.invitation import parse_invitation, root_fingerprint, write_config

    try:
        data = invitation.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{invitation}: {error.strerror}", hint="name the file that the publisher sent you"
        ) from None
    invited = parse_invitation(data)
    source = name or _short(invited.publisher)
    if config.exists() and source in {each.name for each in load_config(config).sources}:
        raise ConfigError(
            f"{config} follows a source named {source!r} already", hint="add another one under another --name"
        )
    written = write_config(config, invited, source)
    fingerprint = root_fingerprint(invited.root)
    streams = list(invited.streams)
    if as_json:
        emit(
            {
                "config": str(written.path),
                "source": source,
                "publisher": invited.publisher,
                "contact": invited.contact,
                "lists": streams,
                "root_fingerprint": fingerprint.replace(" ", ""),
            }
        )
        return
    say(f"{config}: source {source} ({invited.publisher}), lists {', '.join(streams)}")
    say()
    say("Fingerprint of the root of trust. Compare it with the publisher by telephone before you go on:")
    groups = fingerprint.split(" ")
    for at in range(0, len(groups), 4):
        say("    " + "  ".join(groups[at : at + 4]))
    say(f"Whom to call: {invited.contact or 'ask the publisher for a number that you can check'}")
    say()
    option = "" if config == Path("vallum.toml") else f" --config {config}"
    say(f"Next: vallum{option} sync")


def _short(publisher: str) -> str:
    """A source's name of a publisher's: lower case, hyphens, short."""
    return re.sub(r"[^a-z0-9]+", "-", publisher.lower()).strip("-")[:63].strip("-") or "publisher"
