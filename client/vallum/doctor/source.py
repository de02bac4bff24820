"""One source: its root file, the way to its store, what the store is, and the key for encrypted lists."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from vallum.config import Config, Source
from vallum.doctor.finding import BAD, CLOCK_TOLERANCE, GOOD, WARN, Finding
from vallum.errors import ConfigError, FormatError, InputError, TrustError, VallumError
from vallum.format import limits
from vallum.format.charter import split_stream
from vallum.invitation import root_fingerprint
from vallum.recipient import PASSPHRASE_VARIABLE, is_key_locked, read_key
from vallum.state import read_current
from vallum.sync.connections import authorities, proxy_of
from vallum.sync.fetch import TIMESTAMP, refusal
from vallum.sync.floor import read_floor
from vallum.sync.rehearsal import rehearse
from vallum.sync.transport import Answer, Transport


def root(config: Config, source: Source) -> Iterator[Finding]:
    """The file of the root of trust, and the floor."""
    try:
        data = source.root_bytes()
        try:
            fingerprint = root_fingerprint(data)
        except InputError as error:
            yield Finding("root", source.name, BAD, f"{source.root}: {error}", source.way_to_root)
            return
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


def way(source: Source) -> Iterator[Finding]:
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


def store(
    config: Config, source: Source, now: datetime, connect: Callable[[Source], Transport]
) -> Iterator[Finding]:
    """Whether the store can be reached, is that of this root, has the lists, and what time it is there."""
    try:
        transport = connect(source)
    except VallumError as error:
        yield Finding("store", source.name, BAD, str(error), error.hint)
        return
    try:
        began = time.monotonic()
        answer = yield from _reached(source, transport)
        if answer is None:
            return
        yield from _store_clock(source, answer.date, now)
        try:
            top = rehearse(source, read_floor(config.state / source.name).shipped(source.floor), transport)
        except (ConfigError, FormatError):
            # `root` says that root file or floor cannot be read
            yield Finding("store", source.name, GOOD, "reached; whose it is cannot be told without the root")
            return
        except VallumError as error:
            hint = error.hint or "call the publisher; the lists in force stay in force"
            doubts = "root" if isinstance(error, TrustError) and error.unsigned else ""
            yield Finding("store", source.name, BAD, str(error), hint, doubts)
            return
        seconds = time.monotonic() - began
        yield Finding("store", source.name, GOOD, f"reached, and signed by keys of the root, {seconds:.2f} s")
        for stream in source.streams:
            if stream not in top.streams:
                yield Finding(
                    "lists", f"{source.name}/{stream}", BAD, "the repository has no such list or edition",
                    f"it has: {', '.join(top.streams) or 'none'}",
                )  # fmt: skip
    finally:
        transport.close()


def _reached(source: Source, transport: Transport) -> Generator[Finding, None, Answer | None]:
    """Ask once for what each poll asks for."""
    try:
        answer = transport.get(TIMESTAMP, fresh=True)
        size = 0
        for chunk in answer.chunks:
            size += len(chunk)
            if size > limits.TIMESTAMP:
                break  # whoever answers so is told apart below
    except VallumError as error:
        hint = error.hint or "check name resolution, the firewall and the proxy"
        yield Finding("store", source.name, BAD, str(error), hint)
        return None
    if answer.status != 200:
        refused = refusal(TIMESTAMP, answer.status)
        yield Finding("store", source.name, BAD, str(refused), refused.hint)
        return None
    return answer


def _store_clock(source: Source, date: str, now: datetime) -> Iterator[Finding]:
    off = _off(date, now)
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


def recipient(config: Config, source: Source) -> Iterator[Finding]:
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
