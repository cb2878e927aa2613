"""Codes, sessions, the token, and what wrong ones cost."""

from __future__ import annotations

import contextlib
import threading

import pytest

from coldchain.services.access import (
    CODE_LIFE_S,
    MAX_ADDRESSES,
    MAX_CODES,
    MAX_FAILURES,
    SESSION_LIFE_S,
    Access,
    AccessDenied,
    TooManyAttempts,
)
from web.story import Clock

TOKEN = "the operator's token, long enough"
HERE = "192.0.2.1"


@pytest.fixture
def clock() -> Clock:
    return Clock(1_772_438_400_000_000)


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(TOKEN, clock)


def test_only_the_operators_token_passes(access: Access) -> None:
    assert access.principal(TOKEN, HERE).is_operator
    for wrong in ("", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udcff"):
        with pytest.raises(AccessDenied):
            access.principal(wrong, HERE)


def test_a_token_short_enough_to_guess_is_refused_at_the_start(clock: Clock) -> None:
    with pytest.raises(ValueError, match="at least 20"):
        Access("short", clock)


def test_a_code_signs_in_once(access: Access) -> None:
    code = access.issue_code()
    access.visitor(access.redeem(code, HERE))
    with pytest.raises(AccessDenied):
        access.redeem(code, HERE)


def test_a_session_is_of_whoever_the_code_was_made_for(access: Access) -> None:
    visitor = access.visitor(access.redeem(access.issue_code(person="Li Wei"), HERE))
    assert (visitor.principal, visitor.person) == (access.principal(TOKEN, HERE), "Li Wei")


def test_of_two_browsers_with_one_link_one_gets_in(access: Access) -> None:
    code, sessions = access.issue_code(), []
    start = threading.Barrier(8)

    def browser(address: str) -> None:
        start.wait()
        with contextlib.suppress(AccessDenied):
            sessions.append(access.redeem(code, address))

    threads = [threading.Thread(target=browser, args=(f"192.0.2.{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 1


def test_a_code_and_a_session_end_with_their_time(access: Access, clock: Clock) -> None:
    code, session = access.issue_code(), access.redeem(access.issue_code(), HERE)
    clock.now_us += CODE_LIFE_S * 1_000_000
    with pytest.raises(AccessDenied):
        access.redeem(code, HERE)
    access.visitor(session)
    clock.now_us += (SESSION_LIFE_S - CODE_LIFE_S) * 1_000_000
    with pytest.raises(AccessDenied):
        access.visitor(session)


def test_signing_out_ends_the_session(access: Access) -> None:
    session = access.redeem(access.issue_code(), HERE)
    access.end_session(session)
    with pytest.raises(AccessDenied):
        access.visitor(session)


def test_the_oldest_code_makes_room_for_the_newest(access: Access) -> None:
    first, *_, last = [access.issue_code() for _ in range(MAX_CODES + 1)]
    access.redeem(last, HERE)
    with pytest.raises(AccessDenied):
        access.redeem(first, HERE)


def test_ten_wrong_guesses_close_the_door_for_a_minute(access: Access, clock: Clock) -> None:
    for _ in range(MAX_FAILURES):
        with pytest.raises(AccessDenied):
            access.redeem("guess", HERE)
    with pytest.raises(TooManyAttempts) as refused:
        access.principal(TOKEN, HERE)
    assert refused.value.retry_after_s == 60
    access.principal(TOKEN, "192.0.2.2")
    clock.now_us += 60_000_000
    access.principal(TOKEN, HERE)


def test_guessing_from_many_addresses_fills_no_memory(access: Access) -> None:
    for n in range(MAX_ADDRESSES + 10):
        with pytest.raises(AccessDenied):
            access.principal("guess", f"host-{n}")
    assert len(access._failures._counts) == MAX_ADDRESSES
