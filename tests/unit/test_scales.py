"""When a scale shows that goods went or came, and when it is only a scale."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.scales import Step, steps

MINUTE = 60_000_000


def line(*kilograms: float, minutes: int = 5) -> list[tuple[int, float]]:
    return [(place * minutes * MINUTE, kg) for place, kg in enumerate(kilograms)]


def test_a_lasting_change_is_one_step_from_the_last_sample_before_it_to_the_first_after() -> None:
    assert steps(line(12000, 12010, 11990, 11500, 11510, 11490), 5) == [Step(10 * MINUTE, 15 * MINUTE, 12000, 11500)]


def test_a_bump_a_slow_drift_and_a_change_within_the_tolerance_are_none() -> None:
    assert steps(line(12000, 12000, 12000, 9000, 12000, 12000, 12000), 5) == []
    assert steps(line(*(12000 - 10 * place for place in range(40)), minutes=10), 5) == []
    assert steps(line(12000, 12000, 12000, 11945, 11945, 11945), 5) == []


def test_samples_hours_apart_do_not_tell_what_happened_between() -> None:
    assert steps(line(12000, 12000, 12000, 11000, 11000, 11000, minutes=20), 5) == []


def test_two_weights_of_one_time_are_no_weight() -> None:
    samples = line(12000, 12000, 12000, 11500, 11500, 11500)
    assert steps([*samples, (15 * MINUTE, 12000.0)], 5) == []


def test_down_and_up_again_are_two_steps() -> None:
    found = steps(line(100, 100, 100, 80, 80, 80, 80, 80, 80, 100, 100, 100, minutes=2), 5)
    assert [(step.before, step.after, step.sign) for step in found] == [(100, 80, -1), (80, 100, 1)]


@given(st.lists(st.floats(0, 1e5), max_size=20), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(kilograms: list[float], chance: random.Random) -> None:
    samples = line(*kilograms)
    again = samples + chance.sample(samples, len(samples) // 2)
    chance.shuffle(again)
    assert steps(again, 5) == steps(samples, 5)
