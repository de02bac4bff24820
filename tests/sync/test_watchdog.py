"""The one thread that ends what takes too long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty

import pytest

from vallum.errors import UnavailableError
from vallum.sync.names import NAMES, Answers
from vallum.sync.watchdog import WATCHDOG, Watchdog


def soon(seconds: float = 0.05) -> float:
    return time.monotonic() + seconds


def test_it_barks_when_the_time_has_come() -> None:
    barked = threading.Event()
    with Watchdog().watching(soon(), barked.set):
        assert barked.wait(10)


def test_it_leaves_alone_what_ended_in_time() -> None:
    """Also when the block ended by an error."""
    dog, barked = Watchdog(), threading.Event()
    with dog.watching(soon(0.2), barked.set):
        pass
    with pytest.raises(ValueError, match="ours"), dog.watching(soon(0.2), barked.set):
        raise ValueError("ours")
    assert not barked.wait(0.5)


def test_an_earlier_end_wakes_it() -> None:
    """It sleeps until the end of an hour; who comes later and ends sooner is not made to wait for that."""
    dog, long, short = Watchdog(), threading.Event(), threading.Event()
    with dog.watching(soon(3600), long.set):
        time.sleep(0.05)
        with dog.watching(soon(), short.set):
            assert short.wait(10)
    assert not long.is_set()


def test_a_bark_that_fails_is_not_the_last() -> None:
    """What one source's connections come to when they are cut off must not leave the others unwatched."""
    dog, barked = Watchdog(), threading.Event()

    def fail() -> None:
        raise ValueError("ours")

    with dog.watching(soon(), fail), dog.watching(soon(0.1), barked.set):
        assert barked.wait(10)


def test_no_bark_outlives_its_block() -> None:
    """Else the connections of the next sync would be cut off."""
    dog, began, ended = Watchdog(), threading.Event(), threading.Event()

    def bark() -> None:
        began.set()
        time.sleep(0.2)
        ended.set()

    with dog.watching(soon(), bark):
        assert began.wait(10)
    assert ended.is_set()


def test_many_watches_are_one_thread_and_little_memory() -> None:
    before = threading.active_count()
    dog = Watchdog()
    for _ in range(1000):
        with dog.watching(soon(3600), lambda: None):
            pass
    assert threading.active_count() == before + 1
    assert len(dog._watches) <= 1


def test_a_machine_without_threads_loses_no_later_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """TasksMax is reached: nothing runs without its deadline, and what runs later has its own."""
    dog, ended, barked = Watchdog(), threading.Event(), threading.Event()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(UnavailableError), dog.watching(soon(), ended.set):
            pytest.fail("without a deadline")
    with dog.watching(soon(0.1), barked.set):
        assert barked.wait(10)
    assert not ended.is_set()


def child_of_busy_parent() -> None:
    """Fork while a watch and a look-up are under way; end as the child does, which begins its own."""
    system, asked = socket.getaddrinfo, threading.Event()

    def hang(*_: object) -> list[object]:
        asked.set()
        time.sleep(60)
        return []

    socket.getaddrinfo = hang  # type: ignore[assignment]  # a resolver that hangs
    NAMES.ask("localhost", 80, Answers())
    with WATCHDOG.watching(soon(60), lambda: None):
        assert asked.wait(10)
        child = os.fork()
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        socket.getaddrinfo = system
        answers, barked = Answers(), threading.Event()
        NAMES.ask("localhost", 80, answers)
        try:
            answers.get(timeout=10)
        except Empty:
            os._exit(1)
        with WATCHDOG.watching(soon(), barked.set):
            os._exit(0 if barked.wait(10) else 2)


def test_a_forked_child_has_threads_of_its_own() -> None:
    """A server's workers fork while their parent syncs: deadlines bark in them, and names are looked up."""
    program = "from tests.sync.test_watchdog import child_of_busy_parent as run; run()"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, timeout=60, check=False).returncode == 0
