"""``vallum doctor``: what on this machine keeps lists from being verified and enforced, each with a way out.

It looks and changes nothing. What it finds are findings, never exceptions: one broken thing must not hide
the next.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from vallum.allow import read_allowances
from vallum.config import Config, Source
from vallum.errors import VallumError
from vallum.format.charter import split_stream
from vallum.format.fields import format_time
from vallum.invitation import root_fingerprint
from vallum.lock import FILE as LOCK
from vallum.recipient import PASSPHRASE_VARIABLE, is_key_locked, read_key
from vallum.state import read_current
from vallum.sync.connections import authorities, proxy_of
from vallum.sync.fetch import METADATA
from vallum.sync.floor import read_floor
from vallum.sync.freshness import Freshness
from vallum.sync.judge import load_never_block
from vallum.sync.standing import read_standing
from vallum.sync.transport import Transport, open_transport

GOOD, WARN, BAD = "good", "warning", "bad"
CLOCK_TOLERANCE = timedelta(minutes=5)
LOW_DISK = 256 << 20
"""Bytes below which a sync is in danger, whatever the lists' size."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: ``clock``, ``proxy``, ``ca``, ``store``, ``root``, ``recipient``, ``keys``, ``disk``,
            ``permissions``, ``processes``, ``lists`` or ``files``.
        about: the source, list or path, if the check is about one.
        level: ``good``, ``warning`` or ``bad``.
        says: what was found.
        hint: what to do about it; empty if nothing is to be done.
    """

    check: str
    about: str
    level: str
    says: str
    hint: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in ("check", "about", "level", "says", "hint")}


def examine(
    config: Config, now: datetime, connect: Callable[[Source], Transport] = open_transport
) -> list[Finding]:
    """Look at everything.

    Args:
        config: of this machine.
        now: its clock.
        connect: how to reach a source.
    """
    found: list[Finding] = []
    for source in config.sources:
        found += _looked("root", _root(config, source))
        found += _looked("proxy", _way(source))
        found += _looked("store", _store(source, now, connect))
        found += _looked("recipient", _recipient(config, source))
    found += _looked("clock", _clock(config, now))
    found += _looked("keys", _keys(config))
    found += _looked("disk", _disk(config))
    found += _looked("permissions", _permissions(config))
    found += _looked("processes", _processes(config))
    found += _looked("files", _files(config))
    found += _looked("lists", _lists(config, now))
    return found


def _looked(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """What this machine does not let us look at is a finding, too."""
    try:
        yield from findings
    except OSError as error:
        where = str(error.filename or "")
        yield Finding(
            check, where, BAD, f"it cannot be looked at: {error.strerror or type(error).__name__}",
            "run `vallum doctor` as the owner of the state folder; if it is, the disk may be failing",
        )  # fmt: skip


def _status(path: Path) -> os.stat_result | None:
    """``None`` for what has gone meanwhile: a sync may be under way."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _root(config: Config, source: Source) -> Iterator[Finding]:
    try:
        fingerprint = root_fingerprint(source.root_bytes())
        floor = read_floor(config.state / source.name).shipped(source.floor)
    except VallumError as error:
        yield Finding("root", source.name, BAD, str(error), error.hint)
        return
    mode = source.root.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(
            "root", source.name, BAD, f"{source.root} can be written by others than its owner",
            f"chmod go-w {source.root}: whoever can change it decides what is trusted",
        )  # fmt: skip
    where = f"; the chain has reached version {floor.root}" if floor.root else ""
    yield Finding("root", source.name, GOOD, f"handed over: {fingerprint[:19]} …{where}")


def _way(source: Source) -> Iterator[Finding]:
    """The proxy and the certificates, where there are any."""
    if urlsplit(source.url).scheme == "file":
        return
    try:
        proxy = proxy_of(source)
    except VallumError as error:
        yield Finding("proxy", source.name, BAD, str(error), error.hint)
    else:
        # Never with the user and password that may stand in it.
        shown = f"through {urlsplit(proxy).hostname}:{urlsplit(proxy).port}" if proxy else "none, directly"
        yield Finding("proxy", source.name, GOOD, shown)
    if urlsplit(source.url).scheme == "http":
        yield Finding(
            "ca", source.name, WARN, "the address is http: others can see and delay what is fetched",
            "use https where the publisher offers it; what comes is verified either way",
        )  # fmt: skip
        return
    try:
        number = authorities(source)
    except VallumError as error:
        yield Finding("ca", source.name, BAD, str(error), error.hint)
        return
    whose = f"of {source.ca}" if source.ca else "of the system"
    if number:
        yield Finding("ca", source.name, GOOD, f"{number} authorities {whose}")
    else:
        yield Finding(
            "ca", source.name, WARN, f"no authorities {whose} that could be counted",
            "if the store cannot be reached, install ca-certificates or set `ca`",
        )  # fmt: skip


def _store(source: Source, now: datetime, connect: Callable[[Source], Transport]) -> Iterator[Finding]:
    began = time.monotonic()
    name = f"{METADATA}timestamp.json"
    try:
        transport = connect(source)
        try:
            answer = transport.get(name, fresh=True)
            size = sum(map(len, answer.chunks)) if answer.status == 200 else 0
        finally:
            transport.close()
    except VallumError as error:
        hint = error.hint or "check name resolution, the firewall and the proxy"
        yield Finding("store", source.name, BAD, str(error), hint)
        return
    seconds = time.monotonic() - began
    if answer.status != 200:
        yield Finding(
            "store", source.name, BAD, f"{name}: the store answered {answer.status}",
            "check `url`, and that headers or the bucket's policy let this machine read",
        )  # fmt: skip
        return
    yield Finding("store", source.name, GOOD, f"reached, {size:,} bytes in {seconds:.2f} s")
    off = _off(answer.date, now)
    if off is not None and abs(off) > CLOCK_TOLERANCE:
        yield Finding(
            "clock", source.name, BAD, f"this machine is {_span(off)} the store's clock",
            "set the clock by NTP: expiry and every `until` are judged by it",
        )  # fmt: skip


def _off(date: str, now: datetime) -> timedelta | None:
    try:
        return now - parsedate_to_datetime(date) if date else None
    except (ValueError, TypeError):
        return None


def _span(off: timedelta) -> str:
    minutes = abs(off) // timedelta(minutes=1)
    amount = f"{minutes} minutes" if minutes < 180 else f"{minutes // 60} hours"
    return f"{amount} {'ahead of' if off > timedelta(0) else 'behind'}"


def _clock(config: Config, now: datetime) -> Iterator[Finding]:
    try:
        sources = read_current(config.state).sources
    except VallumError:
        sources = {}  # `lists` says why
    newest = max((source.verified_at for source in sources.values()), default=now)
    if now < newest - CLOCK_TOLERANCE:
        yield Finding(
            "clock", "", BAD, f"it is behind {format_time(newest)}, when something was verified here",
            "set the clock by NTP; lists stay enforced, their age cannot be judged",
        )  # fmt: skip
    else:
        yield Finding("clock", "", GOOD, f"{format_time(now)}, not behind anything that was verified here")


def _keys(config: Config) -> Iterator[Finding]:
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


def _recipient(config: Config, source: Source) -> Iterator[Finding]:
    """The key that encrypted lists are sealed to, before the next change of keys asks for it."""
    path = source.recipient
    if path is None:
        for stream in _encrypted(config, source):
            yield Finding(
                "recipient", source.name, BAD, f"{stream} is encrypted, and the source names no key",
                'make one with `vallum keygen FILE`, put recipient = "FILE" into the source, and send the '
                "line that it prints to the publisher",
            )  # fmt: skip
        return
    words = os.environ.get(PASSPHRASE_VARIABLE, "")
    try:
        if is_key_locked(path) and not words:
            yield Finding(
                "recipient", source.name, WARN, f"{path} is locked, and no passphrase was given here",
                f"set {PASSPHRASE_VARIABLE} where `vallum sync` runs, and here to try it",
            )  # fmt: skip
            return
        public = read_key(path, words).public()
    except VallumError as error:
        hint = error.hint or f"run `vallum doctor` as the user who syncs; {path} is to be his, 0600"
        yield Finding("recipient", source.name, BAD, str(error), hint)
        return
    yield Finding("recipient", source.name, GOOD, f"{public.suite} key {public.fingerprint()[:19]} …")


def _encrypted(config: Config, source: Source) -> list[str]:
    """Followed streams that are known to be encrypted; public lists have no ``match`` edition."""
    try:
        held = read_current(config.state).sources.get(source.name)
    except VallumError:
        held = None  # `lists` says why
    sealed = {name for name, state in held.streams.items() if state.charter.pepper} if held else set()
    return [stream for stream in source.streams if stream in sealed or split_stream(stream)[1] == "match"]


def _disk(config: Config) -> Iterator[Finding]:
    folder = next(path for path in (config.state, *config.state.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    statuses = filter(None, map(_status, config.state.rglob("*")))
    held = sum(status.st_size for status in statuses if stat.S_ISREG(status.st_mode))
    says = f"{free:,} bytes free, {held:,} in use here"
    if free < max(LOW_DISK, held // 2):
        yield Finding(
            "disk", str(folder), WARN, says, "free some space: a sync writes each new version beside the old"
        )
    else:
        yield Finding("disk", str(folder), GOOD, says)
    inodes = os.statvfs(folder)
    if inodes.f_files and inodes.f_favail < 1000:
        yield Finding("disk", str(folder), WARN, f"{inodes.f_favail} file names left", "remove files there")


def _permissions(config: Config) -> Iterator[Finding]:
    folder = config.state
    if not folder.exists():
        yield Finding("permissions", str(folder), WARN, "there is no state folder yet", "run `vallum sync`")
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


def _processes(config: Config) -> Iterator[Finding]:
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


def _files(config: Config) -> Iterator[Finding]:
    for what, path, read in (
        ("never_block", config.never_block, lambda: load_never_block(config.never_block)),
        ("allow", config.allow, lambda: read_allowances(config.state)),
    ):
        try:
            read()
        except VallumError as error:
            yield Finding("files", what, BAD, str(error), error.hint)
        else:
            if path is not None:
                yield Finding("files", what, GOOD, str(path))


def _lists(config: Config, now: datetime) -> Iterator[Finding]:
    try:
        standing = read_standing(config, now)
    except VallumError as error:
        yield Finding(
            "lists", "", BAD, str(error), error.hint or "run `vallum sync`: it mends what is damaged"
        )
        return
    for name in standing.missing:
        yield Finding(
            "lists", name, BAD, "no verified version yet", "run `vallum sync`, and read what it says"
        )
    for stream in standing.streams:
        head = stream.state.head
        warnings = stream.warnings()
        if not warnings:
            says = f"version {head.generation}.{head.version}, {stream.rows:,} rows, fresh"
            yield Finding("lists", stream.name, GOOD, says)
        bad = stream.freshness is not Freshness.FRESH or (stream.aside and not stream.aside.rejected)
        for warning in warnings:
            yield Finding(
                "lists", stream.name, BAD if bad else WARN, warning,
                "run `vallum sync`; if it succeeds, call the publisher" if bad else "",
            )  # fmt: skip
