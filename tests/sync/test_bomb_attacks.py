"""Small things that unfold into large ones, signed by the list's own keys; each docstring is the attack.

The list's keys are stolen in all of these: everything is validly signed, so that only our own bounds help.
Decoders alone are attacked in tests/format/test_robustness.py; here the whole client is.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
import zstandard
from tuf.api.metadata import TargetFile

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import FormatError, StateError
from vallum.format import limits
from vallum.format.columns import compress, decompress, padme
from vallum.format.head import format_head
from vallum.format.run import RunHeader, parse_header

MIB = 1 << 20


def _frame(repository: Repository, forge: Callable[[RunHeader, bytes], bytes], *forms: str) -> None:
    """Publish version 2 of these forms, whose one run has a forged body after the header of the true one."""
    history = repository.lists["urls"]
    history.spans = [(1, 2)]
    history.versions.append(listed(*(forms or ("bad.example/c",))))
    true = repository.run("urls", 1, 2)
    header, at = parse_header(true)
    history.runs[1, 1, 2] = forge(header, true[at:])
    history.versions.pop()
    repository.release("urls", listed("bad.example/c"))


def _refused_within(client: Client, most: int) -> FormatError:
    """The client refuses, stays as it was, and takes at most so many bytes of memory about it."""
    before = client.files()
    tracemalloc.start()
    try:
        error = client.refused(FormatError)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"
    assert client.files() == before
    assert isinstance(error, FormatError)
    return error


def test_a_bomb_of_zeros(repository: Repository, client: Client) -> None:
    """A run of some kilobytes unfolds into 200 MB: its header declares little, the frame what it is."""
    bomb = compress(bytes(200 * MIB), 1)
    assert len(bomb) < MIB
    _frame(repository, lambda header, _: header.format() + bomb)
    assert "declares" in str(_refused_within(client, 30 * MIB))


def test_a_run_that_declares_two_gigabytes(repository: Repository, client: Client) -> None:
    """The header declares the most there is, the frame as much, and both hold next to nothing."""
    frame = zstandard.ZstdCompressor(write_content_size=True).compress(b"\0")
    # The frame's header: single segment, four bytes of size (RFC 8878 §3.1.1.1).
    huge = frame[:4] + bytes([0b1010_0000]) + (limits.RAW).to_bytes(4, "little") + frame[6:]
    _frame(repository, lambda header, _: replace(header, raw_max=limits.RAW).format() + huge)
    assert "window" in str(_refused_within(client, 30 * MIB))


@pytest.mark.parametrize("more", [-1, 1])
def test_a_frame_that_holds_other_than_it_declares(repository: Repository, client: Client, more: int) -> None:
    """The frame's header says one byte less, or one more, than comes out."""

    def forge(header: RunHeader, frame: bytes) -> bytes:
        size = zstandard.get_frame_parameters(frame).content_size
        at = frame.index(size.to_bytes(1 if size < 256 else 2, "little"), 4) if size < 256 else 5
        width = 1 if size < 256 else 2
        stored = size if size < 256 else size - 256
        assert int.from_bytes(frame[at : at + width], "little") == stored
        return header.format() + frame[:at] + (stored + more).to_bytes(width, "little") + frame[at + width :]

    _frame(repository, forge)
    assert "zstd" in str(_refused_within(client, 30 * MIB))


@pytest.mark.parametrize("body", [
    b"\xdd" + (10**9).to_bytes(4),  # an array of 10⁹ values that are not there
    b"\x92\xc4\x00\xdd" + (10**9).to_bytes(4) + b"\xc0" * 1000,  # the same where sections should be
    b"\xdf" + (10**9).to_bytes(4),  # a map
    b"\xc6" + (10**9).to_bytes(4),  # bytes
    b"\x91" * 100_000,  # arrays in arrays
], ids=["array", "sections", "map", "bytes", "depth"])  # fmt: skip
def test_msgpack_that_promises_a_billion(repository: Repository, client: Client, body: bytes) -> None:
    """The body's first bytes announce more values than memory could hold."""
    _frame(
        repository, lambda header, _: replace(header, raw_max=padme(len(body))).format() + compress(body, 3)
    )
    assert "msgpack" in str(_refused_within(client, 30 * MIB))


def test_a_run_with_one_row_twice(repository: Repository, client: Client) -> None:
    """Two rows have one key: a look-up would find the one, a count would say two."""

    def forge(header: RunHeader, frame: bytes) -> bytes:
        raw = decompress("test", frame, limits.RAW)
        assert raw.count(b"c\nd") == 1
        doubled = raw.replace(b"c\nd", b"c\nc")
        return replace(header, raw_max=padme(len(doubled))).format() + compress(doubled, 3)

    _frame(repository, forge, "bad.example/c", "bad.example/d")
    before = client.in_force()
    [(_, error)] = client.sync().errors()
    assert isinstance(error, FormatError | StateError)
    assert client.in_force() == before


def test_a_hundred_thousand_listed_runs(repository: Repository, client: Client) -> None:
    """A head lists so many runs that the search for a way among them would take for ever."""
    raw = format_head(replace(repository.head("urls"), version=10**5 + 1))
    raw["runs"] = [[number, number + 1, 1] for number in range(10**5)]
    role = repository.roles["urls.full"].signed
    role.targets["urls.full/head"].unrecognized_fields["custom"] = {"vallum": raw}
    repository.publish()
    # TUF's own limit for a role's bytes comes first; a head that is squeezed below it meets ours.
    error = client.sync().errors()[0][1]
    assert "bytes" in str(error)
    raw["runs"] = [[number, number + 1, 1] for number in range(limits.HEAD_RUNS + 1)]
    repository.publish()
    assert f"1 to {limits.HEAD_RUNS}" in str(client.refused(FormatError))


def test_a_hundred_thousand_targets(repository: Repository, client: Client) -> None:
    """The role itself is stuffed with targets that no head lists: cut off, whatever length is signed."""
    role = repository.roles["urls.full"].signed
    filler = TargetFile.from_data("urls.full/x", b"", ["sha256"])
    role.targets |= {f"urls.full/{number}.run": filler for number in range(10**4)}
    repository.publish()
    assert len(repository.objects[repository.name_of("urls.full")]) > limits.LIST_ROLE
    before = client.in_force()
    [(_, error)] = client.sync().errors()
    assert f"{limits.LIST_ROLE} bytes" in str(error)
    assert client.in_force() == before


def test_a_signed_length_of_a_trillion(repository: Repository, client: Client) -> None:
    """A listed run is signed as 10¹² bytes long: it is never asked for, and another way is not there."""
    repository.lists["urls"].spans = [(1, 2)]
    repository.release("urls", listed("bad.example/c"))
    role = repository.roles["urls.full"].signed
    [path] = [name for name in role.targets if name.endswith("-1-2.run")]
    role.targets[path].length = 10**12
    repository.publish()
    assert "no listed run" in str(client.refused(StateError))
    assert not any(name.endswith(".run") for name in repository.requests)
