"""Packed samples: what goes in comes out, in few bytes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.blocks import QUALITIES, pack, unpack
from coldchain.domain.telemetry import Sample, runs_of

T_US = 1_760_000_000_000_000
integers = st.integers(-(2**53), 2**53)
samples = st.builds(
    Sample,
    st.sampled_from(["temp/air", "temp/箱", "door/1", "x/a"]),
    st.integers(0, 253_402_300_800_000_000) | st.integers(T_US, T_US + 10**9),
    integers | st.integers(-30_000, -10_000) | st.floats(allow_nan=False) | st.booleans() | st.text() | st.none(),
    st.sampled_from(QUALITIES),
)


@given(st.lists(samples, max_size=30), st.sampled_from([0, T_US]))
def test_every_sample_comes_back_exactly(listed: list[Sample], base_us: int) -> None:
    runs = runs_of(listed)
    assert tuple(unpack(pack(runs, base_us), base_us)) == runs
    again = [Sample(r.name, t, v, r.quality) for r in runs for t, v in zip(r.times, r.values, strict=True)]
    assert sorted(map(repr, again)) == sorted(map(repr, listed))


def test_twenty_readings_of_a_usual_probe_take_at_most_three_bytes_each() -> None:
    rng = random.Random(1)
    usual = [Sample("temp/air", T_US + i * 60_000_000, rng.randrange(-21_000, -19_000, 50)) for i in range(20)]
    assert len(pack(runs_of(usual), T_US)) <= 60


def test_a_message_of_more_names_than_a_byte_counts_comes_back_whole() -> None:
    for names in (254, 255, 256, 2_300):
        runs = runs_of([Sample(f"x/{n}", T_US + n, float(n)) for n in range(names)])
        assert tuple(unpack(pack(runs, T_US), T_US)) == runs
