"""When a scheduled query is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.services.epcis_schedule import ScheduleError, parse_schedule


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def text(t_us: int) -> str:
    return datetime.fromtimestamp(t_us // 1_000_000, UTC).isoformat(" ")[:19]


@pytest.mark.parametrize(
    ("stated", "after", "due"),
    [
        ({"hour": "1", "minute": "5"}, "2026-03-02 00:00:00", "2026-03-02 01:05:00"),
        ({"hour": "1", "minute": "5"}, "2026-03-02 01:05:00", "2026-03-03 01:05:00"),
        ({"hour": 1}, "2026-03-02 01:00:01", "2026-03-03 01:00:00"),
        ({"second": "0/30"}, "2026-03-02 00:00:00", "2026-03-02 00:00:30"),
        ({"second": "0,30"}, "2026-03-02 00:00:31", "2026-03-02 00:01:00"),
        ({"minute": "[5-7]"}, "2026-03-02 00:05:30", "2026-03-02 00:06:00"),
        ({"minute": "*/15"}, "2026-03-02 00:50:00", "2026-03-02 01:00:00"),
        ({"dayOfWeek": "1"}, "2026-03-02 00:00:00", "2026-03-09 00:00:00"),
        ({"dayOfMonth": "31"}, "2026-04-01 00:00:00", "2026-05-31 00:00:00"),
        ({"month": "2", "dayOfMonth": "29"}, "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ({"hour": "[22-23]", "dayOfWeek": "7"}, "2026-03-08 22:30:00", "2026-03-08 23:00:00"),
    ],
)
def test_a_schedule_is_due_at_its_next_time(stated: dict[str, object], after: str, due: str) -> None:
    assert text(parse_schedule(stated).next_us(us(after))) == due


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"hours": "1"},
        {"hour": "24"},
        {"hour": "x"},
        {"hour": "[5-3]"},
        {"hour": "1/0"},
        {"hour": ""},
        {"dayOfWeek": "0"},
        {"dayOfMonth": "30", "month": "2"},
        {"minute": None},
        {"minute": [1]},
        {"minute": "٣"},
    ],
)
def test_what_is_no_schedule_is_refused(stated: dict[str, object]) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule(stated)


@given(
    st.fixed_dictionaries(
        {}, optional={"second": st.integers(0, 59), "minute": st.integers(0, 59), "hour": st.integers(0, 23)}
    ),
    st.integers(0, 2**41),
)
def test_the_next_time_is_later_matches_and_comes_again(stated: dict[str, int], after_s: int) -> None:
    if not stated:
        return
    schedule = parse_schedule(stated)
    due = schedule.next_us(after_s * 1_000_000 % 4_000_000_000_000_000)
    moment = datetime.fromtimestamp(due // 1_000_000, UTC)
    assert due > after_s * 1_000_000 % 4_000_000_000_000_000
    assert all(getattr(moment, name) == value for name, value in stated.items())
    assert schedule.next_us(due) > due
