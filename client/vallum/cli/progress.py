"""What is being done, on one line of a terminal: for both programs, on standard error only.

The work tells as often as it likes (:mod:`vallum.progress`); a thread draws four times a second, with the
seconds since the work began, so that a step that takes a minute is seen to go on. Work that is done sooner
than that draws nothing.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from vallum.progress import Count, Tell, counting, silent

_EVERY = 0.25
"""Seconds between two drawings."""
_CLEAR = "\r\x1b[K"


class _Line:
    """The last line of the terminal, while it is ours."""

    def __init__(self) -> None:
        self._text = ""
        self._drawn = False
        self._began = time.monotonic()
        self._over = Event()
        self._lock = Lock()
        self._stream = sys.stderr
        self._thread = Thread(target=self._draw_on, name="vallum-progress", daemon=True)
        self._thread.start()

    def tell(self, doing: str) -> None:
        """Show this from now on; nothing, and at once, if it is empty."""
        self._text = doing
        if not doing:
            self.clear()

    def clear(self) -> None:
        """Give the line back to whoever prints next; what is told later is drawn anew."""
        with self._lock:
            self._text = ""
            if self._drawn:
                self._stream.write(_CLEAR)
                self._stream.flush()
                self._drawn = False

    def end(self) -> None:
        """Draw no more."""
        self._over.set()
        self._thread.join()
        self.clear()

    def _draw_on(self) -> None:
        while not self._over.wait(_EVERY):
            with self._lock:
                if self._text:
                    line = f"{time.monotonic() - self._began:4.0f} s  {self._text}"
                    self._stream.write(_CLEAR + line[: shutil.get_terminal_size().columns - 1])
                    self._stream.flush()
                    self._drawn = True


_shown: list[_Line] = []
"""The line that is drawn now, if any: whoever asks a person something must be able to clear it."""


def clear_line() -> None:
    """Clear the line before something else is printed or asked while work goes on."""
    for line in _shown:
        line.clear()


@contextmanager
def showing_steps(quiet: bool = False) -> Iterator[Tell]:
    """Show on a terminal what is being done; silent elsewhere, and if ``quiet`` (with ``--json``)."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    line = _Line()
    _shown.append(line)
    try:
        yield line.tell
    finally:
        _shown.remove(line)
        line.end()


@contextmanager
def showing_rows(label: str, quiet: bool = False) -> Iterator[Count]:
    """Show on a terminal how many of how many are done, behind what they are; else as ``showing_steps``."""
    with showing_steps(quiet) as tell:
        yield counting(tell, label)
