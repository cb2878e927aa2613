"""What devices tell of their battery and clock: joined in any order, the same."""

from __future__ import annotations

import random
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.blocks import block_of
from coldchain.domain.condition import DAY_US, HOUR_US, UNTOLD, Condition, told
from coldchain.domain.telemetry import Run

NOW_US = 1_760_000_000_000_000
FLOOR_US = NOW_US - 30 * DAY_US
MINUTE_US = 60_000_000

times = st.integers(-45 * 24 * 60, 3 * 24 * 60).map(lambda minutes: NOW_US + minutes * MINUTE_US)
samples = st.lists(st.tuples(times, st.sampled_from([0.0, 12.5, 64.0, 100.0])), min_size=1, max_size=4)
runs = st.builds(
    lambda name, quality, pairs: Run(name, quality, [t for t, _ in pairs], [value for _, value in pairs]),
    st.sampled_from(["battery", "temp/air"]),
    st.sampled_from(["", "", "bad-time", "fault"]),
    samples,
)
messages = st.lists(runs, min_size=1, max_size=3)


def after(before: Condition, message: list[Run]) -> Condition:
    return told(before, message, block_of(message), FLOOR_US, NOW_US)[0]


@given(st.lists(messages, max_size=5), st.randoms(use_true_random=False))
def test_messages_in_any_order_and_conditions_joined_in_any_order_tell_the_same(
    said: list[list[Run]], rng: random.Random
) -> None:
    expected = reduce(after, said, UNTOLD)
    alone = [after(UNTOLD, message) for message in said]
    assert reduce(Condition.joined, alone, UNTOLD) == expected
    rng.shuffle(said)
    rng.shuffle(alone)
    assert reduce(after, said, UNTOLD) == reduce(Condition.joined, alone, UNTOLD) == expected
    assert all(expected.joined(one) is expected for one in alone)


def test_times_are_set_apart_and_spans_say_which() -> None:
    ahead_us, early_us, good_us = NOW_US + DAY_US + 1, FLOOR_US - 1, NOW_US + DAY_US
    message = [Run("battery", "", [early_us, good_us, ahead_us], [1, 2, 3])]
    condition, runs, block = told(UNTOLD, message, block_of(message), FLOOR_US, NOW_US)
    assert [(run.quality, run.times) for run in runs] == [("", [good_us]), ("bad-time", [early_us, ahead_us])]
    assert (block.first_us, block.last_us) == (good_us, good_us)
    hour_us = good_us // HOUR_US * HOUR_US
    clock = (ahead_us, ahead_us, early_us, early_us, hour_us, hour_us + HOUR_US)
    assert condition == Condition(good_us, 2.0, *clock)
    assert condition.is_fast(good_us)
    assert not condition.is_fast(hour_us + HOUR_US)


def test_five_minutes_ahead_is_not_fast() -> None:
    message = [Run("temp/air", "", [NOW_US + 5 * MINUTE_US], [-20])]
    assert told(UNTOLD, message, block_of(message), FLOOR_US, NOW_US)[0] is UNTOLD
