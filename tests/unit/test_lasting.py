"""Some of the goods that nobody can tell apart lay in one place all the while: whichever were taken out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.lasting import lasting
from coldchain.domain.quantities import COUNT, EMPTIED, FROM, IN, OPENING, OUT, Step, fold, recorded_since
from coldchain.domain.tracing import FOREVER_US

ROOM, TRUCK, LOT = "room:s/b", "veh:A", "lot:1/L"


def step(t_us: int, act: str, amount: int, parent: str = TRUCK, maybe: bool = False) -> Step:
    return Step(parent, "" if act == EMPTIED else LOT, "", t_us, act, amount, maybe, f"{t_us}")


def stretches(*steps: Step) -> list[tuple[int, int, int]]:
    amounts, _ = fold(steps, recorded_since(steps))
    return [tuple(one) for one in lasting([one for one in amounts if one.item], steps)]


def test_what_nothing_leaves_is_there_for_ever() -> None:
    assert stretches(step(1, IN, 10)) == [(1, FOREVER_US, 10)]


def test_some_stay_until_as_much_left_as_there_was() -> None:
    assert stretches(step(1, IN, 10), step(5, OUT, 4), step(9, OUT, 6)) == [(1, 9, 10)]
    assert stretches(step(1, IN, 10), step(5, IN, 10), step(6, OUT, 10), step(9, OUT, 9)) == [
        (1, 6, 10), (5, FOREVER_US, 20),
    ]  # fmt: skip


def test_what_left_by_somebody_elses_word_left() -> None:
    assert stretches(step(1, IN, 10), step(5, FROM, 10)) == [(1, 5, 10)]


def test_who_does_not_say_how_much_may_have_taken_all() -> None:
    assert stretches(step(1, IN, 10), step(5, OUT, 0)) == [(1, 5, 10)]
    assert stretches(step(1, IN, 10), step(5, EMPTIED, 0), step(7, IN, 3)) == [(1, 5, 10), (7, FOREVER_US, 3)]


def test_what_a_count_misses_may_have_been_the_first() -> None:
    assert stretches(step(1, IN, 10), step(5, COUNT, 10)) == [(1, FOREVER_US, 10)]
    assert stretches(step(1, IN, 4), step(3, IN, 6), step(5, COUNT, 4)) == [(1, 5, 4), (5, FOREVER_US, 4)]
    assert stretches(step(1, IN, 10), step(5, COUNT, 9)) == [(1, FOREVER_US, 9)]


def test_of_a_room_that_was_never_counted_nobody_knows_what_a_count_missed() -> None:
    assert stretches(step(1, IN, 10, ROOM), step(5, COUNT, 8, ROOM)) == [(1, 5, 8), (5, FOREVER_US, 8)]
    assert stretches(step(1, OPENING, 10, ROOM), step(5, OUT, 3, ROOM)) == [(1, FOREVER_US, 10)]


def test_what_may_not_have_come_is_not_there() -> None:
    assert stretches(step(1, IN, 10), step(2, IN, 5, maybe=True), step(5, OUT, 10)) == [(1, 5, 10)]


moves = st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=1, max_size=12)


@given(moves, st.sampled_from(["first", "last", "any"]), st.randoms(use_true_random=False))
def test_whichever_is_taken_some_were_there_all_the_while(
    said: list[tuple[bool, int]], which: str, rng: random.Random
) -> None:
    """said: (in or out, how many), one a moment."""
    inside: list[int] = []
    came: dict[int, int] = {}
    left: dict[int, int] = {}
    steps = []
    for t_us, (comes, many) in enumerate(said, 1):
        if comes:
            fresh = range(len(came), len(came) + many)
            came |= dict.fromkeys(fresh, t_us)
            inside += fresh
        else:
            many = min(many, len(inside))
            order = {"first": inside, "last": inside[::-1], "any": rng.sample(inside, len(inside))}[which]
            for one in order[:many]:
                left[one] = t_us
            inside = [one for one in inside if one not in left]
        if many:
            steps.append(step(t_us, IN if comes else OUT, many * 1000))
    for from_us, to_us, _ in stretches(*steps):
        assert any(came[one] <= from_us and left.get(one, FOREVER_US) >= to_us for one in came)
