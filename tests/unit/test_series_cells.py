"""Messages packed by cells of time: each comes back as it was said, in few bytes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.blocks import QUALITIES, block_of
from coldchain.domain.cells import Message, pack_cell, places_of, unpack_cell
from coldchain.domain.telemetry import Run, Sample, runs_of

T_US = 1_760_000_000_000_000
MINUTE = 60_000_000
samples = st.builds(
    Sample,
    st.sampled_from(["temp/air", "temp/箱", "rh/1", "x/a"]),
    st.integers(0, 253_402_300_800_000_000) | st.integers(T_US, T_US + 10**9),
    st.integers(-(2**53), 2**53)
    | st.integers(-30_000, -10_000)
    | st.floats()
    | st.sampled_from([0.0, -0.0, 60.5, 3.61])
    | st.booleans()
    | st.text()
    | st.none(),
    st.sampled_from(QUALITIES),
)
messages = st.builds(
    lambda listed, place, quality, first_us, length: Message(*place, quality, first_us, first_us + length, listed),
    st.lists(samples, max_size=8).map(runs_of),
    st.tuples(st.integers(0, 3), st.integers(0, 2**53), st.integers(0, 2**45), st.integers(0, 4)),
    st.sampled_from([None, "", "empty", "invalid-senml,bad"]),
    st.integers(T_US, T_US + 10**10),
    st.integers(0, 10**9),
)
cells = st.lists(messages, min_size=1, max_size=12, unique_by=lambda m: (m.first_us, m.boot, m.seq, m.entry))


def told(found: list[Message]) -> list[str]:
    return sorted(map(repr, found))


@given(cells, st.randoms(use_true_random=False))
def test_every_message_comes_back_exactly_and_their_order_changes_no_byte(
    found: list[Message], chance: random.Random
) -> None:
    cell = pack_cell(found)
    assert told(list(unpack_cell(cell))) == told(found), "repr tells -0.0 from 0.0, 1 from 1.0 and True, nan from none"
    assert [place[:-1] for place in places_of(cell)] == [message[:-1] for message in unpack_cell(cell)]
    chance.shuffle(found)
    assert pack_cell(found) == cell


def test_a_message_from_a_cell_packs_to_the_block_it_had() -> None:
    said = [usual(seq) for seq in range(30)]
    again = list(unpack_cell(pack_cell(said)))
    assert [block_of(message.runs) for message in again] == [block_of(message.runs) for message in said]


def usual(seq: int) -> Message:
    """Four probes every 15 s, humidity, door and position: 20 readings, once a minute."""
    rng = random.Random(seq)
    times = [T_US + seq * MINUTE + back * 1_000_000 for back in (-45, -30, -15, 0)]
    runs = [
        Run(f"temp/{probe}", "", times, [round(rng.gauss(-21_000, 40), -1) for _ in times])
        for probe in ("front", "middle", "rear", "return")
    ]
    last = times[-1:]
    runs += [
        Run("rh/box", "", last, [60 + round(rng.gauss(0, 2), 1)]),
        Run("door/rear", "", last, [rng.random() < 0.02]),
        Run("lat", "", last, [310_000_000 + seq * 90]),
        Run("lon", "", last, [1_210_000_000 + seq * 70]),
    ]
    return Message(1, seq, 1_000 * seq + rng.randrange(500), 0, None, times[0], last[0], tuple(runs))


def test_six_hours_of_a_usual_truck_take_less_than_two_bytes_a_reading() -> None:
    cell = pack_cell([usual(seq) for seq in range(360)])
    assert (len(cell.places) + len(cell.samples)) / (360 * 20) < 2
