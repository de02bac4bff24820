"""Writes docs/reference/commands.md from the command lines themselves: ``python docs/build_commands.py``.

The only source of that page is the help that users see; a test holds the two together.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from vallum.cli import cli as client
from vallum.cli.terminal import EXIT_CODES
from vallum_publisher.cli import cli as publisher

PAGE = Path(__file__).parent / "reference" / "commands.md"
PROGRAMS = (("vallum", client), ("vallum-publisher", publisher))

_INTRODUCTION = """\
# Commands

Made from the commands' own help by `docs/build_commands.py`; do not edit.

Results go to standard output, everything about the work to standard error. Progress is shown on a terminal
only. `--json` prints one JSON document (`vallum check`: one per look-up and line). What goes wrong is said as
`error:` and, where there is a way out, `hint:`. Nothing is half done: mend it and run the
command again.

{exit_codes} More in [errors.md](errors.md).
"""


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and everything below it, each with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from walk(each, f"{name} {each.name}")


def build() -> str:
    """Return the page."""
    parts = [_INTRODUCTION.format(exit_codes=" ".join(EXIT_CODES.split()))]
    for name, program in PROGRAMS:
        parts += [_section(full, command) for full, command in walk(program, name)]
    return "\n".join(parts)


def _section(name: str, command: click.Command) -> str:
    level = "##" if " " not in name else "###"
    lines = [f"{level} `{name}`", "", _usage(name, command), "", inspect.cleandoc(command.help or "")]
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        lines += ["", "| option | |", "|---|---|", *map(_row, options)]
    examples, remarks = _epilog(command)
    if examples:
        lines += ["", "```sh", *examples, "```"]
    if remarks:
        lines += ["", remarks]
    return "\n".join(lines) + "\n"


def _usage(name: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    words = [name] + ["[OPTION]…"] * (len(arguments) < len(command.params))
    words += [each.metavar or each.human_readable_name.upper() for each in arguments]
    words += ["COMMAND …"] * isinstance(command, click.Group)
    return "`" + " ".join(words).replace("...", "…") + "`"


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if isinstance(option.type, click.Choice):
        names += " " + "\\|".join(map(str, option.type.choices))
    elif isinstance(option.type, click.IntRange):
        bounds = [option.type.min, option.type.max]
        names += " " + "…".join("" if bound is None else str(bound) for bound in bounds)
    elif not option.is_flag:
        names += f" {option.metavar or option.type.name.upper()}"
    help_text = (option.help or "").replace("|", "\\|")
    if option.show_default and not option.is_flag:
        help_text += f" Default: `{option.default}`."
    if option.required:
        help_text += " Required."
    return f"| {names} | {help_text} |"


def _epilog(command: click.Command) -> tuple[list[str], str]:
    """The examples, and what else the epilog says of this command alone."""
    examples: list[str] = []
    remarks: list[str] = []
    for block in (command.epilog or "").replace("\b\n", "").split("\n\n"):
        if block.startswith("Examples:"):
            examples += [line.removeprefix("  ") for line in block.splitlines()[1:]]
        elif block and block != EXIT_CODES:
            remarks.append(" ".join(block.split()))
    return examples, " ".join(remarks)


if __name__ == "__main__":
    PAGE.write_text(build(), "utf-8")
