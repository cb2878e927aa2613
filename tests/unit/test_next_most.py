"""How many entries the follower folds in its next transaction."""

from __future__ import annotations

from coldchain.projections.follow import CHUNK, TURN_S, next_most


def test_a_long_transaction_makes_the_next_shorter_and_short_full_ones_longer_again() -> None:
    most = next_most(CHUNK, CHUNK, 40 * TURN_S)
    assert most == CHUNK // 40
    assert next_most(most, most, TURN_S / 2) == 2 * most
    assert next_most(most, most - 1, TURN_S / 2) == most, "it was not the limit that made it short"
    assert next_most(CHUNK, CHUNK, TURN_S) == CHUNK


def test_one_entry_is_folded_however_long_it_takes() -> None:
    assert next_most(1, 1, 100 * TURN_S) == 1
    assert next_most(CHUNK, 3, 100 * TURN_S) == 1
