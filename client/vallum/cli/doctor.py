"""``vallum doctor``: is everything well on this machine?"""

from __future__ import annotations

from pathlib import Path

import click

from vallum.cli.terminal import NO, OK, UNAVAILABLE, clock, emit, json_option, say


@click.command(
    epilog="\b\nExamples:\n  vallum doctor\n  vallum doctor --json\n\n"
    "Exit codes: 0 all is well, 1 there are warnings, 2 the configuration is wrong, 4 something is bad."
)
@json_option
@click.pass_obj
def doctor(config: Path, as_json: bool) -> int:
    """Look at clock, proxy, certificates, store, root, keys, disk, permissions, processes and lists."""
    from vallum.config import load_config
    from vallum.doctor import BAD, GOOD, WARN, examine

    found = examine(load_config(config), clock())
    worst = max((one.level for one in found), key=(GOOD, WARN, BAD).index, default=GOOD)
    if as_json:
        emit({"level": worst, "findings": [one.to_dict() for one in found]})
    else:
        colours = {GOOD: "green", WARN: "yellow", BAD: "red"}
        for one in found:
            about = f" {one.about}" if one.about else ""
            say(f"{click.style(f'{one.level:<8}', fg=colours[one.level])}{one.check}{about}: {one.says}")
            if one.hint and one.level != GOOD:
                say(f"        {click.style('hint:', fg='yellow')} {one.hint}")
    return {GOOD: OK, WARN: NO, BAD: UNAVAILABLE}[worst]
