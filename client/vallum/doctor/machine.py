"""This machine: its clock, disk, permissions, processes and files, and how its lists stand."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from vallum.allow import read_allowances, too_wide
from vallum.config import Config
from vallum.doctor.finding import BAD, CLOCK_TOLERANCE, GOOD, WARN, Finding
from vallum.errors import VallumError
from vallum.format.charter import split_stream
from vallum.format.fields import format_time
from vallum.guard import broken_absolutes
from vallum.lock import FILE as LOCK
from vallum.pepper import read_pepper
from vallum.state import NEVER_SYNCED, read_current
from vallum.sync.freshness import Freshness
from vallum.sync.judge import load_never_block
from vallum.sync.quarantine import Quarantine
from vallum.sync.standing import read_standing
from vallum.tablefile import open_table

LOW_DISK = 256 << 20
"""Bytes below which a sync is in danger, whatever the lists' size."""
FULL_DISK = 1 << 20
"""Bytes below which no sync can do its work."""
LOW_NAMES = 1000
"""File names below which a sync is in danger; with none left it cannot do its work."""


def clock(config: Config, now: datetime) -> Iterator[Finding]:
    """This machine's clock against what was verified here."""
    try:
        sources = read_current(config.state).sources
    except VallumError:
        sources = {}  # `lists` says why
    newest = max((source.verified_at for source in sources.values()), default=now)
    if now < newest - CLOCK_TOLERANCE:
        yield Finding(
            "clock", "", BAD, f"it is behind {format_time(newest)}, when something was verified here",
            "set the clock by NTP; if it is right, it was ahead at that sync, and this ends by itself then; "
            "lists stay enforced, their age cannot be judged",
        )  # fmt: skip
    else:
        yield Finding("clock", "", GOOD, f"{format_time(now)}, not behind anything that was verified here")


def keys(config: Config) -> Iterator[Finding]:
    """Whether keys on this disk are closed to others."""
    loose = [
        path
        for source in config.sources
        for path in (config.state / source.name / "keys").glob("*")
        if (status := _status(path)) and stat.S_ISREG(status.st_mode) and status.st_mode & 0o007
    ]
    for path in loose:
        yield Finding("keys", str(path), BAD, "everybody on this machine can read it", f"chmod o-rwx {path}")
    if not loose:
        yield Finding("keys", "", GOOD, "nobody else can read what keys there are")


def disk(config: Config) -> Iterator[Finding]:
    """Room for the next version."""
    folder = next(path for path in (config.state, *config.state.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    statuses = filter(None, map(_status, config.state.rglob("*")))
    held = sum(status.st_size for status in statuses if stat.S_ISREG(status.st_mode))
    says = f"{free:,} bytes free, {held:,} in use here"
    if free < max(LOW_DISK, held // 2):
        level = BAD if free < FULL_DISK else WARN
        yield Finding(
            "disk", str(folder), level, says, "free some space: a sync writes each new version beside the old"
        )
    else:
        yield Finding("disk", str(folder), GOOD, says)
    inodes = os.statvfs(folder)
    if inodes.f_files and inodes.f_favail < LOW_NAMES:
        level = WARN if inodes.f_favail else BAD
        yield Finding("disk", str(folder), level, f"{inodes.f_favail} file names left", "remove files there")


def permissions(config: Config) -> Iterator[Finding]:
    """Whether this user may write, and nobody else read."""
    folder = config.state
    if not folder.exists():
        yield Finding("permissions", str(folder), WARN, "there is no state folder yet", NEVER_SYNCED)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "permissions", str(folder), WARN, "this user may read here, not write: enough to match",
            "run `vallum sync` as the owner of the folder",
        )  # fmt: skip
    others = [
        path
        for path in (folder, *folder.glob("*"))
        if (status := _status(path)) and status.st_mode & 0o007 and not stat.S_ISLNK(status.st_mode)
    ]
    for path in others:
        yield Finding("permissions", str(path), WARN, "others can get at it", f"chmod o-rwx {path}")
    if not others and os.access(folder, os.W_OK | os.X_OK):
        yield Finding("permissions", str(folder), GOOD, "writable here, closed to others")


def processes(config: Config) -> Iterator[Finding]:
    """Which process syncs at this moment."""
    holders = lock_holders(config.state / LOCK)
    if not holders:
        yield Finding("processes", "", GOOD, "no sync is under way")
    for pid, command in holders:
        yield Finding(
            "processes", str(pid), GOOD, f"a sync is under way: process {pid} ({command or 'unknown'})",
            "if it never ends, look at `deadline` of its sources",
        )  # fmt: skip


def lock_holders(path: Path) -> list[tuple[int, str]]:
    """Processes that hold the lock file, as the kernel says (Linux), with their program's name."""
    try:
        about = path.stat()
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    device = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    pids = {
        int(fields[4])
        for line in lines
        if len(fields := line.split()) > 5 and fields[5] == device and fields[1] != "->"
    }
    return [(pid, _program(pid)) for pid in sorted(pids) if pid > 0]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def files(config: Config, now: datetime) -> Iterator[Finding]:
    """Files that the operator names, and what he allows."""
    for what, path, read in (
        ("never_block", config.never_block, lambda: load_never_block(config.never_block)),
        ("allow", config.allow, lambda: _read_allowed(config, now)),
    ):
        try:
            read()
        except VallumError as error:
            yield Finding("files", what, BAD, str(error), error.hint)
        else:
            if path is not None:
                yield Finding("files", what, GOOD, str(path))


def _read_allowed(config: Config, now: datetime) -> None:
    read_allowances(config.state)
    for wide in too_wide(config.allow, now):
        raise wide


def lists(config: Config, now: datetime) -> Iterator[Finding]:
    """How the last syncs ended, and how the lists in force stand."""
    try:
        standing = read_standing(config, now)
    except VallumError as error:
        yield Finding(
            "lists", "", BAD, str(error), error.hint or "run `vallum sync`: it mends what is damaged"
        )
        return
    failing = dict(standing.failing())
    for name, failure in failing.items():
        hint = failure.hint or "mend it and run `vallum sync`; if it stays so, call the publisher"
        yield Finding("sync", name, BAD, str(failure), hint)
    aside = [
        f"{source.name}/{stream}"
        for source in config.sources
        for stream in source.streams
        if (found := Quarantine(config.state, source.name).find(stream)) and not found.rejected
    ]
    for name in aside:
        yield Finding(
            "sync", name, BAD, "the last sync left a version in quarantine",
            "call the publisher; then `vallum quarantine show`, and `accept` or `reject`",
        )  # fmt: skip
    if standing.sources and not failing and not aside:
        yield Finding("sync", "", GOOD, "the last sync of each source did not fail")
    for name in standing.missing:
        yield Finding(
            "lists", name, BAD, "no verified version yet", "run `vallum sync`, and read what it says"
        )
    for stream in standing.streams:
        remarks = stream.remarks()
        if not remarks:
            says = f"version {stream.state.head.number}, {stream.rows:,} rows, fresh"
            yield Finding("lists", stream.name, GOOD, says)
        bad = stream.freshness is not Freshness.FRESH or (stream.aside and not stream.aside.rejected)
        for remark in remarks:
            yield Finding("lists", stream.name, BAD if bad else WARN, remark.says, remark.hint)


def never_block(config: Config) -> Iterator[Finding]:
    """Lists in force against the names that the operator never wants blocked, as of now (client.md §6.9).

    Each entry is named by its id; what cannot be read is said by ``files`` and ``lists``.
    """
    if config.never_block is None:
        return
    try:
        never, current = load_never_block(config.never_block), read_current(config.state)
    except VallumError:
        return
    covered = False
    for name, stream, state in current.streams():
        try:
            keyer = state.charter.codec(
                split_stream(stream)[1], read_pepper(config.state, name, stream, state.charter)
            ).keyer
            tables = {
                table: open_table(config.state / path, state.head.tables[table])
                for table, path in state.files(name, stream).items()
            }
        except VallumError:
            continue
        for reason in broken_absolutes(tables, keyer, never):
            covered = True
            yield Finding(
                "never_block", f"{name}/{stream}", WARN, reason,
                "`vallum allow add ID` lifts one entry, `vallum pin` goes back; and call the publisher",
            )  # fmt: skip
    if not covered:
        yield Finding("never_block", "", GOOD, "no list in force covers a name of yours")


def _status(path: Path) -> os.stat_result | None:
    """``None`` for what has gone meanwhile: a sync may be under way."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
