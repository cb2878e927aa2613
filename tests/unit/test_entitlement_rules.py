"""Who holds a unit, and whose events about it count: functions of sets, without a database."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.entitlement import (
    Bar,
    DecisionError,
    EventDecision,
    Passage,
    Statement,
    Tenure,
    read_decision,
    ruled,
    tenures,
    unit_bar,
)
from coldchain.domain.events import Event
from coldchain.domain.handovers import SLACK_US
from coldchain.domain.parties import Directory, read_registration

HOUR = 3_600_000_000
PALLET = "sscc:169012345000000025"
KNOWN = Directory(
    [
        read_registration({"op": "org", "id": "customs", "roles": ["customs"], "n": 1, "from_us": 0}),
        read_registration({"op": "agent", "id": "b/temp", "org": "b", "agent": "temp", "n": 1, "from_us": 0}),
    ]
)


def passage(giver: str, taker: str, shipped_h: float, accepted_h: float | None, *named: str) -> Passage:
    shipped_us = round(shipped_h * HOUR)
    key = f"{giver}{taker}{shipped_h}"
    return Passage(
        giver,
        taker,
        shipped_us,
        None if accepted_h is None else round(accepted_h * HOUR),
        named,
        (Statement(key, giver, shipped_us),),
    )


def held(*passages: Passage) -> list[tuple[str, float, float | None]]:
    found = tenures(KNOWN, PALLET, passages, {})
    return [(one.holder, one.from_us / HOUR, None if one.to_us is None else one.to_us / HOUR) for one in found]


def test_a_unit_has_a_holder_from_the_first_two_sided_handover_on() -> None:
    assert held() == held(passage("a", "b", 10, None)) == []
    assert held(passage("a", "b", 10, 11), passage("b", "c", 20, 21)) == [("b", 11, 21), ("c", 21, None)]


def test_who_does_not_hold_it_hands_nothing_over_and_an_agent_of_the_holder_does() -> None:
    first = passage("a", "b", 10, 11)
    assert held(first, passage("x", "y", 20, 21)) == [("b", 11, None)]
    assert held(first, passage("temp", "c", 20, 21)) == [("b", 11, 21), ("c", 21, None)]
    assert held(first, passage("customs", "c", 20, 21)) == [("b", 11, 21), ("c", 21, None)]


def test_a_shipment_that_the_holder_confirms_hands_over() -> None:
    wrong = passage("x", "y", 20, 21)
    (stated,) = wrong.shipments
    confirmed = {stated.key: [EventDecision(stated.key, 1, True, "b", "warehouse")]}
    found = tenures(KNOWN, PALLET, [passage("a", "b", 10, 11), wrong], confirmed)
    assert [one.holder for one in found] == ["b", "y"]


def test_it_comes_back_and_goes_again() -> None:
    trips = [passage("a", "b", 10, 11), passage("b", "a", 20, 21), passage("a", "b", 30, 31)]
    assert [one[0] for one in held(*trips)] == ["b", "a", "b"]


def moves(by: str, at_h: float, action: str = "DELETE", step: str = "unpacking") -> Event:
    return Event("e", "AggregationEvent", round(at_h * HOUR), action, step, PALLET, by=by)


TENURES = {PALLET: tenures(KNOWN, PALLET, [passage("a", "b", 10, 11), passage("b", "c", 20, None, "carrier")], {})}


@pytest.mark.parametrize(
    ("by", "at_h", "holder"),
    [
        ("x", 5, None),
        ("x", 12, None),
        ("x", 15, "b"),
        ("b", 15, None),
        ("temp", 15, None),
        ("customs", 15, None),
        ("a", 15, "b"),
        ("c", 19, None),
        ("carrier", 25, None),
        ("x", 25, "b"),
    ],
)
def test_only_the_holder_and_whom_it_names_move_it(by: str, at_h: float, holder: str | None) -> None:
    assert unit_bar(KNOWN, moves(by, at_h), TENURES) == (None if holder is None else Bar("unit", PALLET, holder))


def test_a_withdrawal_is_nobodys_business_but_its_senders() -> None:
    withdrawal = Event("e", "AggregationEvent", 25 * HOUR, "DELETE", "", PALLET, by="x", error="did_not_occur")
    assert unit_bar(KNOWN, withdrawal, TENURES) is None


@pytest.mark.parametrize(
    ("rulings", "expected"),
    [
        ([], "open"),
        ([(1, True, "x", "carrier")], "open"),
        ([(1, True, "sender", "customs")], "open"),
        ([(1, True, "b", "warehouse")], "confirmed"),
        ([(1, True, "b", "warehouse"), (2, False, "temp", "carrier")], "refused"),
        ([(9, True, "b", "warehouse"), (1, False, "port", "customs")], "refused"),
        ([(1, False, "port", "customs"), (2, True, "other", "inspector")], "confirmed"),
    ],
)
def test_the_last_word_is_that_of_those_who_have_a_say(rulings: list[tuple[Any, ...]], expected: str) -> None:
    it, bar = Statement("k", "sender", 20 * HOUR), Bar("unit", PALLET, "b")
    decisions = [EventDecision("k", *one) for one in rulings]
    assert ruled(KNOWN, it, bar, {"k": decisions}) == ruled(KNOWN, it, bar, {"k": decisions[::-1]}) == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"event": "ABC"}, "32 hex digits"),
        ({"event": 7}, "32 hex digits"),
        ({"decision": "maybe"}, "confirmed or refused"),
        ({"n": 0}, "expected 1 to"),
        ({"n": True}, "expected 1 to"),
    ],
)
def test_a_ruling_that_decides_nothing_says_why(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(DecisionError, match=said):
        read_decision({"event": "ab" * 16, "decision": "confirmed", "n": 1, **changed}, "b")


names = st.sampled_from(["a", "b", "c", "temp", "customs"])
passages = st.lists(
    st.builds(passage, names, names, st.integers(0, 40), st.none() | st.integers(0, 40), names), max_size=8
)


@given(passages, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_holders(found: list[Passage], draw: random.Random) -> None:
    assert tenures(KNOWN, PALLET, draw.sample(found, len(found)), {}) == tenures(KNOWN, PALLET, found, {})


@given(passages)
def test_holders_follow_one_another_without_a_gap(found: list[Passage]) -> None:
    turns = tenures(KNOWN, PALLET, found, {})
    assert all(one.to_us == after.from_us for one, after in itertools.pairwise(turns))
    assert all(turn.to_us is None for turn in turns[-1:])


@given(passages, names, st.integers(0, 60))
def test_a_holder_is_never_barred_from_its_own(found: list[Passage], by: str, at_h: int) -> None:
    turns = tenures(KNOWN, PALLET, found, {})
    holders = {turn.holder for turn in turns if holds(turn, at_h * HOUR)}
    if by in holders:
        assert unit_bar(KNOWN, moves(by, at_h), {PALLET: turns}) is None


def holds(turn: Tenure, t_us: int) -> bool:
    return turn.from_us - SLACK_US <= t_us and (turn.to_us is None or t_us < turn.to_us + SLACK_US)
