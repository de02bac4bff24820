"""How commands talk: tables and lines for people, JSON for programs, errors with hints, one clock.

House rules of messages: lower case, no full stop at the end, what and where first; the way out stands in
``hint:``. Both command lines, the client's and the publisher's, print through here. What a command does is
the library's business.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import click

from vallum.errors import (
    ConfigError,
    DataError,
    NotEntitledError,
    StorageError,
    UnavailableError,
    VallumError,
)
from vallum.format.fields import format_time
from vallum.host import refuse_parser

OK, NO, USAGE, DATA, UNAVAILABLE, NOT_ENTITLED = 0, 1, 2, 3, 4, 5
BROKEN = 70  # as sysexits.h says of a fault within the program
STOPPED, GONE = 130, 141  # as shells say of programs that SIGINT or SIGPIPE ended
EXIT_CODES = """\
Exit codes: 0 done (or: listed), 1 no (not listed, or something is not in order), 2 the command, the
configuration or the input is wrong, 3 what was received or held is wrong, 4 not to be had now, try again,
5 the list is encrypted and not for this machine's key, 70 a fault of this program."""

_HAS_RESULT: ContextVar[bool] = ContextVar("has_result", default=False)
"""Whether JSON was printed; what went wrong then is a part of it."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def clock() -> datetime:
    """Now, in UTC. The only place where the command lines read the clock."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock of the command lines


def exit_code(error: VallumError) -> int:
    """The exit code that an error's family has."""
    if isinstance(error, DataError):
        return DATA
    if isinstance(error, NotEntitledError):
        return NOT_ENTITLED
    if isinstance(error, UnavailableError):
        return UNAVAILABLE
    return USAGE


def say(line: str = "") -> None:
    """Print one line of the result to standard output. Raises as :func:`write`."""
    write(f"{line}\n")


def write(text: str) -> None:
    """Print a part of the result to standard output as it is.

    Raises:
        StorageError: it takes nothing more, as a file on a full disk. (That its reader has gone is click's.)
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        _HAS_RESULT.set(True)  # nor will it take what went wrong
        reason = f"standard output: {error.strerror}"
        hint = "it may have been done: look (`status`) before you run it again"
        raise StorageError(reason, hint=hint) from None


def note(line: str) -> None:
    """Print one line about the work, not its result, to standard error."""
    click.echo(line, err=True)


def emit(value: Any) -> None:
    """Print a result for programs: one JSON document. Raises as :func:`write`."""
    _HAS_RESULT.set(True)
    say(json.dumps(value, indent=2, default=_plain))


def emit_line(value: Any) -> None:
    """Print one result of many for programs: one JSON document on one line. Raises as :func:`write`."""
    _HAS_RESULT.set(True)
    say(json.dumps(value, default=_plain))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Say how many there are of what: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; columns of numbers are set right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]
    right = [_numeric([row[at] for row in rows]) for at in range(len(headings))]

    def line(texts: Sequence[str]) -> str:
        return "  ".join(
            text.rjust(width) if flush else text.ljust(width)
            for text, width, flush in zip(texts, widths, right, strict=True)
        ).rstrip()

    say(click.style(line(headings), bold=True))
    for texts in cells:
        say(line(texts))


def show_error(error: VallumError) -> None:
    """Print ``error:`` and, where there is one, ``hint:``."""
    note(f"{click.style('error:', fg='red', bold=True)} {plain(str(error))}")
    for line in getattr(error, "__notes__", ()):  # PEP 678
        note(plain(line))
    show_hint(error.hint)


def fail(error: VallumError, code: int, as_json: bool) -> int:
    """Say what went wrong; on standard output too if JSON was asked for and none was printed.

    Returns:
        ``code``.
    """
    show_error(error)
    if as_json and not _HAS_RESULT.get():
        with suppress(StorageError):  # of the two, the first is to be told
            emit_line(as_record(error, code))
    return code


def as_record(error: VallumError, code: int) -> dict[str, object]:
    """An error as JSON has it, wherever it stands there; with its notes (PEP 678), if it has any."""
    record = {"error": str(error), "kind": type(error).__name__, "hint": error.hint, "exit_code": code}
    notes = getattr(error, "__notes__", None)
    return {**record, "notes": notes} if notes else record


def warn(text: str, hint: str = "") -> None:
    """Print ``warning:``, of what keeps nothing from being done, and ``hint:`` where there is one."""
    note(f"warning: {plain(text)}")
    show_hint(hint)


def show_hint(hint: str) -> None:
    """Print ``hint:``, if there is one."""
    if hint:
        note(f"{click.style('hint:', fg='yellow')} {plain(hint)}")


def plain(text: str) -> str:
    """One line that leaves a terminal alone: what is not printable, as in a path, is shown as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command line (this process's, if none is given) to its exit code.

    What Vallum or click raises becomes ``error:`` and ``hint:``; where JSON was asked for, an object as well.
    """
    _HAS_RESULT.set(False)
    as_json = _asks_for_json(sys.argv[1:] if arguments is None else arguments)
    try:
        refuse_parser()
        result = command.main(arguments, prog_name=command.name, standalone_mode=False)
    except VallumError as error:
        return fail(error, exit_code(error), as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "vallum"
        said = ConfigError(error.format_message().rstrip("."), hint=f"see `{where} --help`")
        return fail(said, USAGE, as_json)
    except click.ClickException as error:
        return fail(ConfigError(error.format_message().rstrip(".")), USAGE, as_json)
    except (click.Abort, KeyboardInterrupt):
        note("stopped")
        return STOPPED
    except SystemExit:
        # So click answers to a reader that has gone (`| head`); its code 1 would mean "no" here.
        return GONE
    return result if isinstance(result, int) else OK


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Also of a command line that cannot be read, whose options nobody knows."""
    words = list(arguments)
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _numeric(column: Sequence[object]) -> bool:
    known = [value for value in column if value is not None]
    return bool(known) and all(isinstance(value, int | float) for value in known)


def _plain(value: object) -> str:
    """What JSON has no form for: moments as everywhere in Vallum, paths and the like as text."""
    return format_time(value) if isinstance(value, datetime) else str(value)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)
