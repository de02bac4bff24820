"""Reading a file that leaked: whatever it has become, as pieces of text to look for names and digests in.

Exports as they were written, or what is left of them: columns added or gone, lines sorted, drawn or joined,
case changed, dots in brackets or in words, only the hosts; UTF-8, UTF-16, UTF-32 or any 8-bit encoding; gzip.
Read in pieces of a megabyte, whatever its size and wherever its lines end. How a text is spelt (escapes of
JSON, URLs, HTML, terminals, mails) is undone by :mod:`.spelling`; whose the names are is the tracer's
business.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import BinaryIO

from vallum.errors import InputError, StorageError
from vallum_publisher.recipients.spelling import readings

UNREAD = (
    "base64, hexadecimal dumps, digests with signs between their digits or as raw bytes, names that are "
    "broken over lines, reversed or translated; pictures, and documents that are no text"
)
"""What no reading of a file undoes, for people."""

PIECE = 1 << 20
"""Bytes that are read at a time, and as many that a decompressor may give at a time."""

_CARRIED = 2048
"""Characters of a piece that come again with the next: more than any name or digest has, spelt in escapes."""

_PACKED = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet)",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\xfd7zXZ\x00": "packed by xz",
    b"BZh": "packed by bzip2",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"%PDF-": "a PDF document",
    b"SQLite format 3\x00": "an SQLite database",
}
_GZIP = b"\x1f\x8b"
_GZIP_BITS = 31  # zlib's number for "with gzip's header"
# First the runs that are long enough, and of those what is a marker: five times as fast as looking at once.
# What is possessive takes a run from its beginning.
_RUN = re.compile(r"[a-z0-9]{16,}+")
_SYLLABLES = re.compile(r"(?:[bcdfghjklmnprstvwxyz][aeiou]){8,}+")
_LABELS = 16, 18, 20
"""Letters of a decoy's label: 8 to 10 syllables."""
_DIGITS = re.compile(r"[0-9a-f]{32,}+")
_DIGESTS = 32, 40, 64
_ATTACHED = 16
"""Hexadecimal digits that may touch a digest, such as the `3a` of `%3a`; what is longer is no digest."""


def possible_markers(pieces: Iterable[str]) -> Iterator[str]:
    """Everything in a text that has the look of a decoy's label or of a digest, whatever touches it.

    A host counts by its label alone, the one of syllables: whatever became of the dot, nothing of it is lost.
    Of a longer row of syllables each part counts that is as long as a label; of a longer row of hexadecimal
    digits its beginning and its end. Repeated as it is repeated, but within a piece.

    Args:
        pieces: the text in order, of any length each.
    """
    carried, cut = "", False
    for piece, last in _with_last(pieces):
        raw = f"{carried}{piece}"
        yield from {one for text in readings(raw) for one in _candidates(text, not cut, last)}
        cut = cut or len(raw) > _CARRIED
        carried = raw[-_CARRIED:]


def _candidates(text: str, begins: bool, ends: bool) -> Iterator[str]:
    """The markers of one reading; ``begins``, ``ends``: whether the file does, there."""
    for run in _RUN.finditer(text):
        for found in _SYLLABLES.finditer(text, *run.span()):
            letters = found[0]
            for size in _LABELS:
                for at in range(0, len(letters) - size + 1, 2):
                    yield letters[at : at + size]
        for found in _DIGITS.finditer(text, *run.span()):
            # What touches a cut may be the rest of something longer; it comes whole in the other piece.
            if (found.start() or begins) and (found.end() < len(text) or ends):
                digits = found[0]
                if len(digits) in _DIGESTS:
                    yield digits
                    continue
                for size in _DIGESTS:
                    if size < len(digits) <= size + _ATTACHED:
                        yield digits[:size]
                        yield digits[-size:]


class Leak:
    """A leaked file as pieces of text; to be read once.

    Attributes:
        damage: what is wrong with the file, once it has been read; empty if nothing is.
        digest: SHA-256 of what has been read of it, packed as it came.
    """

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] = lambda _read: None) -> None:
        """Take a file.

        Args:
            file: its bytes.
            progress: is told how many bytes of the file have been read.
        """
        self._file, self._progress = file, progress
        self.damage = ""
        self.digest = sha256()

    def __iter__(self) -> Iterator[str]:
        """Read the text.

        Raises:
            InputError: the file is empty, no text, or packed in another way than once by gzip: to find nobody
                in it would mean nothing.
            StorageError: it cannot be read.
        """
        pieces = self._unpacked()
        head = next(pieces, b"")
        _refuse_packed(head)
        if head.startswith(_GZIP):
            raise InputError("the file is packed by gzip twice", hint="unpack it once first")
        decoder, name = _decoder(head)
        if not head and not self.damage:
            raise InputError("the file is empty", hint="is it the one that leaked?")
        if name == "utf-8" and b"\0" in head:
            raise InputError("the file is no text", hint="unpack it, or convert it to text, first")
        yield decoder.decode(head)
        for piece in pieces:
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)

    def _read(self) -> Iterator[bytes]:
        read = 0
        try:
            while piece := self._file.read(PIECE):
                read += len(piece)
                self.digest.update(piece)
                self._progress(read)
                yield piece
        except OSError as error:
            raise StorageError(f"the file cannot be read: {error.strerror}") from None

    def _unpacked(self) -> Iterator[bytes]:
        pieces = self._read()
        head = next(pieces, b"")
        if head.startswith(_GZIP):
            yield from self._gunzipped(head, pieces)
        else:
            yield head
            yield from pieces

    def _gunzipped(self, head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
        packer = zlib.decompressobj(wbits=_GZIP_BITS)
        while True:
            try:
                yield packer.decompress(head, PIECE)
            except zlib.error:
                self.damage = "its gzip stream is damaged; only what comes before was read"
                return
            head = packer.unconsumed_tail
            if packer.eof:  # gzip files may be joined
                head = (packer.unused_data + next(pieces, b"")).lstrip(b"\0")
                packer = zlib.decompressobj(wbits=_GZIP_BITS)
                if not head.startswith(_GZIP):
                    return
            elif not head:
                head = next(pieces, b"")
                if not head:
                    self.damage = "it ends in the middle of its gzip stream"
                    return


def _refuse_packed(head: bytes) -> None:
    for magic, what in _PACKED.items():
        if head.startswith(magic):
            raise InputError(f"the file is {what}", hint="unpack it, or convert it to text, first")


def _decoder(head: bytes) -> tuple[codecs.IncrementalDecoder, str]:
    """By the mark at the beginning, else by the zeros of what is mostly ASCII."""
    begin, name = head[:400], "utf-8"
    zeros = [begin[at::4].count(0) * 8 > len(begin) for at in range(4)]
    if begin.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the one begins as UTF-16's does
        name = "utf-32"
    elif zeros[1:] == [True] * 3 and not zeros[0]:
        name = "utf-32-le"
    elif zeros[:3] == [True] * 3 and not zeros[3]:
        name = "utf-32-be"
    elif begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif zeros == [False, True] * 2:
        name = "utf-16-le"
    elif zeros == [True, False] * 2:
        name = "utf-16-be"
    # What is looked for is ASCII: bytes that are none of it separate, whatever they stand for.
    return codecs.getincrementaldecoder(name)("replace"), name


def _with_last(pieces: Iterable[str]) -> Iterator[tuple[str, bool]]:
    held: str | None = None
    for piece in pieces:
        if held is not None:
            yield held, False
        held = piece
    if held is not None:
        yield held, True
