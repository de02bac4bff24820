"""Bytes to numbered lines of text, in the declared encoding and no other."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from vallum.errors import ConfigError
from vallum_publisher.intake.rejects import Reject

MAX_LINE = 1 << 20
"""Bytes; a longer line is no line of a list."""

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")

_NAMES = {codecs.lookup(name).name: name for name in ENCODINGS}
_CHUNK = 1 << 16
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Lines:
    """Iterates over an input's lines, each with its line end.

    A line that is not of the encoding, or too long, is rejected and stands as an empty one, so that line
    numbers stay true. ``number`` is that of the line last given; ``cut``, when all are given, whether it
    says something and has no line end.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self.number = 0
        self.cut = False
        self.rejects: list[Reject] = []
        self._stream = stream
        self._encoding = check_encoding(encoding)
        self._lines = self._wide() if self._encoding.startswith("utf-16") else self._narrow()

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _narrow(self) -> Iterator[str]:
        """Encodings in which the byte 10 ends a line and nothing else."""
        encoding, offset, text = self._encoding, 0, ""
        readline = self._stream.readline
        while raw := readline(MAX_LINE + 1):
            start, text = offset, ""
            offset += len(raw)
            if len(raw) > MAX_LINE and not raw.endswith(b"\n"):
                offset += self._skip_line()
                self._reject("a line of more than a mebibyte", "is this the right file?", start)
            else:
                if start == 0 and encoding == "utf-8":
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                try:
                    text = raw.decode(encoding)
                except UnicodeDecodeError as error:
                    at = offset - len(raw) + error.start
                    self._reject(f"not {encoding}", self._guess(raw), at)
            self.number += 1
            yield text if text else "\n"
        self.cut = _is_cut(text)

    def _skip_line(self) -> int:
        size = 0
        while raw := self._stream.readline(_CHUNK):
            size += len(raw)
            if raw.endswith(b"\n"):
                break
        return size

    def _guess(self, raw: bytes) -> str:
        if self.number == 0 and raw.startswith(_WIDE_MARKS):
            return "the file begins like UTF-16: declare that"
        return "declare the file's encoding, or save it as UTF-8"

    def _wide(self) -> Iterator[str]:
        """UTF-16: after the first fault nothing can be trusted to be in step, so it is the last."""
        decoder = codecs.getincrementaldecoder(self._encoding)("strict")
        rest, offset, ended = "", 0, False
        while not ended:
            raw = self._stream.read(_CHUNK)
            ended = not raw
            if offset == 0 and self._encoding == "utf-16" and raw and not raw.startswith(_WIDE_MARKS):
                self._reject("no byte-order mark", "declare utf-16-le or utf-16-be", 0)
                return
            held = len(decoder.getstate()[0])
            try:
                text = decoder.decode(raw, final=ended)
            except UnicodeDecodeError as error:
                self._reject(
                    f"not {self._encoding}", "declare the file's encoding", offset - held + error.start
                )
                return
            if offset == 0:
                text = text.removeprefix("\ufeff")
            offset += len(raw)
            *whole, rest = (rest + text).split("\n")
            for line in whole:
                self.number += 1
                yield line + "\n"
            if len(rest) > MAX_LINE:
                self._reject("a line of more than a mebibyte", "is this the right file?", offset)
                return
        if rest:
            self.number += 1
            yield rest
        self.cut = _is_cut(rest)

    def _reject(self, reason: str, hint: str, offset: int) -> None:
        self.rejects.append(Reject(self.number + 1, "", reason, hint, offset=offset))


def _is_cut(last: str) -> bool:
    return not last.endswith("\n") and bool(last.strip())


def check_encoding(name: str) -> str:
    """Return the one spelling of an encoding's name.

    Raises:
        ConfigError: not one of ``ENCODINGS``.
    """
    try:
        return _NAMES[codecs.lookup(name).name]
    except (LookupError, KeyError):
        raise ConfigError(
            f"no input in encoding {name!r}", hint=f"encodings: {', '.join(ENCODINGS)}"
        ) from None
