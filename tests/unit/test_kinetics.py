"""Mean kinetic temperature against its limit, window by window (docs/temperature.md 6.3)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.exposure import Piece
from coldchain.domain.kinetics import Over, kinetic, means, overs
from coldchain.domain.rulepacks import Mkt
from temperature import reference as plain

MINUTE = 60_000_000
HOUR = 60 * MINUTE
RULE = Mkt(8_000, 4 * 3600, "MKT of 4 h")


def at(*said: tuple[int, int, float]) -> list[Piece]:
    """(minute from, minute to, °C)."""
    return [Piece(a * MINUTE, b * MINUTE, round(c * 1000), "air") for a, b, c in said]


def test_a_window_at_the_limit_is_kept_and_a_thousandth_above_it_is_not() -> None:
    assert overs(RULE, at((0, 240, 8))) == []
    ((from_us, exceeded_us),) = overs(RULE, at((0, 240, 8.001)))
    assert from_us == 0
    assert 239 * MINUTE < exceeded_us < 240 * MINUTE


def test_it_is_exceeded_when_the_rest_cannot_make_up_for_it() -> None:
    """At 15 °C goods suffer 2.3728 times as much as at 8 °C: 240 / 2.3728 = 101.15 minutes are four hours' worth."""
    ((_, exceeded_us),) = overs(RULE, at((0, 102, 15)))
    assert round(exceeded_us / MINUTE, 2) == 101.15
    assert overs(RULE, at((0, 101, 15))) == []


def test_what_is_warm_so_far_is_not_known_to_exceed_anything() -> None:
    so_far = kinetic(RULE, at((0, 60, 15)), 0)
    assert so_far is not None
    assert (so_far.mkt_mc, so_far.verdict, so_far.exceeded_us) == (15_000, "unknown", None)
    whole = kinetic(RULE, at((0, 60, 15), (60, 240, 3)), 0)
    assert whole is not None
    assert whole.verdict == "kept"


def test_the_window_told_is_one_that_exceeds_the_limit() -> None:
    """The second is warmer as far as it is known, and decides nothing yet."""
    told = kinetic(RULE, at((0, 240, 9), (240, 260, 20)), 0)
    assert told is not None
    assert (told.from_us, told.mkt_mc, told.verdict) == (0, 9_000, "exceeded")


def test_a_time_that_is_told_twice_counts_once() -> None:
    twice = at((0, 60, 15), (0, 60, 15))
    assert overs(RULE, twice) == []
    assert means(RULE, twice) == {0: (15_000, HOUR)}


def test_the_next_window_begins_anew() -> None:
    assert overs(RULE, at((140, 340, 15))) == []
    assert [one.from_us for one in overs(RULE, at((130, 480, 15)))] == [0, 240 * MINUTE]


series = st.lists(
    st.tuples(st.integers(1, 90), st.none() | st.sampled_from([-20.0, 2.0, 5.0, 8.0, 9.5, 15.0, 40.0])), max_size=20
)


@given(series, st.lists(st.integers(0, 1800), max_size=10))
def test_it_is_what_the_clause_says_however_the_time_is_cut(
    said: list[tuple[int, float | None]], cuts: list[int]
) -> None:
    """said: (minutes, °C or unknown)."""
    minute, found, by_minute = 0, [], {}
    for lasts, celsius in said:
        if celsius is not None:
            turns = sorted({minute, minute + lasts, *(cut for cut in cuts if minute < cut < minute + lasts)})
            found += at(*((a, b, celsius) for a, b in pairwise(turns)))
            by_minute |= dict.fromkeys(range(minute, minute + lasts), celsius)
        minute += lasts
    expected = plain.kinetically_over(by_minute, 8.0, 240)
    assert [(one.from_us // MINUTE, one.exceeded_us // MINUTE) for one in overs(RULE, found)] == expected
    assert all(isinstance(one, Over) for one in overs(RULE, reversed(found)))
    assert overs(RULE, reversed(found)) == overs(RULE, found)
