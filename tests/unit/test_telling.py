"""Receivers told side by side: who hangs keeps nobody else waiting, nor the end of the program."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from coldchain.services.telling import Tellers


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """Receivers wait for it, and it comes when the test is over at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def tellers(silence: threading.Event) -> Tellers:
    """As many of one server hang as may."""
    tellers = Tellers("test")
    number = 0
    while tellers.can_tell(f"slow {number}", "slow"):
        tellers.tell(f"slow {number}", "slow", lambda: silence.wait(60))
        number += 1
    assert number > 1
    return tellers


def test_a_server_that_hangs_takes_the_places_of_no_other(tellers: Tellers, silence: threading.Event) -> None:
    assert not tellers.can_tell("one more", "slow")
    tellers.tell("a", "quick", lambda: True)
    tellers.wait_a_little()
    assert tellers.heard(), "nobody waited for the slow one"
    silence.set()
    assert tellers.finish()
    assert tellers.can_tell("one more", "slow")


def test_one_is_told_one_thing_at_a_time(tellers: Tellers) -> None:
    told = threading.Event()
    tellers.tell("a", "x", lambda: told.wait(60))
    assert not tellers.can_tell("a", "x")
    assert tellers.can_tell("b", "x")
    told.set()
    while not tellers.finish(0.01):
        continue
    assert tellers.can_tell("a", "x")


def test_who_ends_leaves_those_who_hang(tellers: Tellers) -> None:
    assert not tellers.finish(0.0)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("test slow"))


def test_what_goes_wrong_in_telling_is_heard_once() -> None:
    def fails() -> bool:
        raise OSError("disk full")

    tellers = Tellers("test")
    tellers.tell("a", "x", fails)
    with pytest.raises(OSError, match="disk full"):
        tellers.finish()
    assert not tellers.finish()
    assert tellers.can_tell("a", "x")
