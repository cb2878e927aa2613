"""Whom a change is told to, when, and together with which others."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.notices import (
    GIVE_UP_S,
    HOUR_US,
    MOST_TOGETHER,
    News,
    NoticeError,
    Quiet,
    Selection,
    Waiting,
    compose,
    is_given_up,
    is_quiet,
    next_try_s,
    parse_quiet,
    selects,
)

NEWS = News("f", 1, 9, "CN-frozen transport limit", "dev:t1-gw", "alarm", "raised", ("veh:T1",), frozenset({"polar"}))
SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [
        (Selection(), True),
        (Selection(rules=("CN-frozen",)), True),
        (Selection(rules=("P2", "CN-")), True),
        (Selection(rules=("P2",)), False),
        (Selection(severity="alarm"), True),
        (Selection(severity="critical"), False),
        (Selection(events=("raised", "escalated")), True),
        (Selection(events=("closed",)), False),
        (Selection(subject="dev:t1-gw"), True),
        (Selection(subject="dev:t2-gw"), False),
        (Selection(place="veh:T1"), True),
        (Selection(place="dev:t1-gw"), True),
        (Selection(place="room:w1/a"), False),
        (Selection(org="polar"), True),
        (Selection(org="acme"), False),
    ],
)
def test_a_channel_selects_what_it_is_told_of(wanted: Selection, is_told: bool) -> None:
    assert selects(wanted, NEWS) is is_told


def test_what_happens_in_one_place_is_told_together_whichever_device_says_so() -> None:
    assert NEWS.group == NEWS._replace(subject="dev:t1-rear").group == "veh:T1"
    assert NEWS._replace(places=(), subject="sscc:1").group == "sscc:1"


# Quiet hours


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * SECOND_US)


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "quiet"),
    [
        ("22:00-06:00", "Asia/Shanghai", "2026-03-02T21:59:59+08:00", False),
        ("22:00-06:00", "Asia/Shanghai", "2026-03-02T22:00:00+08:00", True),
        ("22:00-06:00", "Asia/Shanghai", "2026-03-03T05:59:59+08:00", True),
        ("22:00-06:00", "Asia/Shanghai", "2026-03-03T06:00:00+08:00", False),
        ("12:00-13:30", "UTC", "2026-03-03T13:29:00+00:00", True),
        ("12:00-13:30", "UTC", "2026-03-03T13:30:00+00:00", False),
        # The night the clocks go forward lasts an hour less, the other one an hour more.
        ("22:00-06:00", "Europe/Berlin", "2026-03-29T05:59:00+02:00", True),
        ("22:00-06:00", "Europe/Berlin", "2026-03-29T06:00:00+02:00", False),
        ("22:00-06:00", "Europe/Berlin", "2026-10-25T05:59:00+01:00", True),
        ("22:00-06:00", "Europe/Berlin", "2026-10-25T06:00:00+01:00", False),
        ("", "UTC", "2026-03-03T03:00:00+00:00", False),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(hours: str, zone: str, moment: str, quiet: bool) -> None:
    assert is_quiet(parse_quiet(hours), ZoneInfo(zone), at(moment)) is quiet


@pytest.mark.parametrize("text", ["22-6", "22:00-24:00", "06:00-06:00", "22:00", "22:00-06:60", " 22:00-06:00"])
def test_hours_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(NoticeError, match="quiet hours"):
        parse_quiet(text)
    assert parse_quiet("22:00-06:30") == Quiet(1_320, 390)


# Messages


def change(number: int, group: str = "veh:T1", severity: str = "alarm", since_s: int = 0) -> Waiting:
    return Waiting(f"f{number}", 1, number, group, severity, since_s * SECOND_US)


def made(*waiting: Waiting, now_s: int = 60, per_hour: int = 20, used: int = 0, quiet: bool = False) -> list[list[int]]:
    """Entries of the changes in each message."""
    found = compose(waiting, now_s * SECOND_US, window_us=60 * SECOND_US, per_hour=per_hour, used=used, quiet=quiet)
    return [[one.entry for one in message] for message in found]


def test_three_probes_of_one_excursion_are_one_message() -> None:
    three = [change(1), change(2, since_s=20), change(3, since_s=50)]
    assert made(*three, now_s=59) == []
    assert made(*three, now_s=60) == [[1, 2, 3]]


def test_what_happens_elsewhere_is_a_message_of_its_own() -> None:
    assert made(change(1), change(2, "room:w1/a"), change(3)) == [[1, 3], [2]]


def test_in_quiet_hours_only_what_is_critical_is_told() -> None:
    both = [change(1), change(2, severity="critical"), change(3, severity="warning")]
    assert made(*both, quiet=True) == [[2]]
    assert made(*both, quiet=False) == [[1, 2, 3]]


def test_beyond_the_hours_limit_the_rest_is_one_digest() -> None:
    many = [change(number, f"veh:T{number}") for number in range(1, 7)]
    assert made(*many, per_hour=4) == [[1], [2], [3, 4, 5, 6]]
    assert made(*many, per_hour=4, used=2) == [[1, 2, 3, 4, 5, 6]]
    assert made(*many, per_hour=4, used=3) == [], "the fourth is kept for what is critical"
    assert made(*many, per_hour=1) == [[1, 2, 3, 4, 5, 6]]
    assert made(*many, per_hour=1, used=1) == []


def test_what_is_critical_has_a_quarter_of_the_hour_to_itself_and_goes_first() -> None:
    flood = [change(number, f"veh:T{number}", "warning") for number in range(1, 5)]
    critical = change(9, "veh:T9", "critical")
    assert made(*flood, critical, per_hour=4, used=3) == [[9]]
    assert made(*flood, critical, per_hour=4) == [[9], [1], [2, 3, 4]]
    assert made(critical, per_hour=4, used=4) == []


def test_no_message_grows_for_ever() -> None:
    flood = [change(number) for number in range(MOST_TOGETHER + 5)]
    assert [len(one) for one in made(*flood)] == [MOST_TOGETHER]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["warning", "alarm", "critical"]), st.integers(0, 120)),
        max_size=30,
    ),
    st.integers(1, 12),
    st.integers(0, 14),
    st.booleans(),
)
def test_no_change_is_told_twice_in_a_round_and_the_limit_holds(
    changes: list[tuple[str, str, int]], per_hour: int, used: int, quiet: bool
) -> None:
    waiting = [change(n, group, severity, since_s) for n, (group, severity, since_s) in enumerate(changes)]
    messages = made(*waiting, now_s=100, per_hour=per_hour, used=used, quiet=quiet)
    told = [entry for message in messages for entry in message]
    assert len(told) == len(set(told))
    assert all(messages)
    assert len(messages) <= max(0, per_hour - used)
    if quiet:
        assert all(waiting[entry].severity == "critical" for entry in told)
    if not quiet and used == 0:
        groups = {one.group for one in waiting if one.since_us <= 40 * SECOND_US}
        assert {one.entry for one in waiting if one.group in groups} <= set(told) or per_hour < 4


def test_tries_are_further_and_further_apart_and_come_to_an_end() -> None:
    pauses = [next_try_s(failures) for failures in range(1, 12)]
    assert pauses[:4] == [10, 20, 40, 80]
    assert pauses[-1] == next_try_s(1_000) == 3_600
    assert GIVE_UP_S * SECOND_US > 24 * HOUR_US
    last = next(failures for failures in range(1, 1_000) if is_given_up(failures))
    tried_s = sum(next_try_s(failures) for failures in range(1, last))
    assert GIVE_UP_S - 3_600 <= tried_s <= GIVE_UP_S
    assert is_given_up(last + 1)
