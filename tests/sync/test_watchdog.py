"""The one thread that ends what takes too long."""

from __future__ import annotations

import threading
import time

import pytest

from vallum.sync.watchdog import Watchdog


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
