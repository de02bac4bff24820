"""A command as a process: its memory stays its own, and a fault of ours is told without what it was about.

Both command lines, the client's and the publisher's, start here. What is said of errors that Vallum knows is
:mod:`.terminal`'s business.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from vallum.cli.terminal import BROKEN, note, run

_PR_SET_DUMPABLE = 4
_FRAMES = 20
_ENDING = signal.SIGTERM, signal.SIGHUP
_MOMENT = 0.01


def main(command: click.Command) -> NoReturn:
    """Run a command line as this process, to its end."""
    keep_memory_private()
    os.umask(os.umask(0o077) | 0o022)  # libraries make folders, too: nobody else is to write into them
    # Python's own would print the error's text, and that quotes what it choked on: a URL, a key.
    threading.excepthook = lambda told: _tell(told.exc_value)
    sys.unraisablehook = _cannot_raise
    ended = _end_in_order()
    try:
        code = run(command)
    except Exception as error:  # as of threads, above
        _tell(error)
        code = BROKEN
    sys.exit(128 + ended[0] if ended else code)


def _end_in_order() -> list[int]:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does: what it holds half written is removed.

    Returns:
        Gets the signal's number when one comes; the exit code is then 128 and that, as of shells.
    """
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)  # tidying up is not to be cut short
        ended.append(number)
        _interrupt(frame)

    for each in _ENDING:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup
            signal.signal(each, end)
    return ended


def _cannot_raise(told: sys.UnraisableHookArgs) -> None:
    """Tell what arose where nothing can be raised, such as in a callback of the garbage collector.

    What was to end the command would be lost there: it comes once more, a moment later, from elsewhere.
    """
    if isinstance(told.exc_value, KeyboardInterrupt):
        _interrupt_soon()
    else:
        _tell(told.exc_value)


def _interrupt_soon() -> None:
    signal.signal(signal.SIGALRM, lambda _number, frame: _interrupt(frame))
    signal.setitimer(signal.ITIMER_REAL, _MOMENT)


def _interrupt(frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt in what is running: at once, or when the hook that would swallow it is done."""
    while frame is not None:
        if frame.f_code is _cannot_raise.__code__:
            _interrupt_soon()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def keep_memory_private() -> None:
    """Leave no core dump when this process dies: its memory may hold keys and rows of a list.

    The limit alone does not do on Linux, where a core may be piped to a collector, whatever the limit says.
    A process that is not dumpable is never dumped, nor can others of the same user attach to it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _tell(error: BaseException | None) -> None:
    """Tell a programmer where an error arose, and nobody what it was about."""
    lines = ["error: internal error; nothing of any list stands in these lines, report them"]
    chained = error
    while chained is not None:
        lines.append(f"  {type(chained).__name__}")
        frames = traceback.extract_tb(chained.__traceback__)[-_FRAMES:]
        lines += [f"    {_shorten(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
        chained = chained.__cause__ or chained.__context__
    note("\n".join(lines))


def _shorten(filename: str) -> str:
    """A file by its package, not by where it is installed."""
    return "/".join(Path(filename).parts[-3:])
