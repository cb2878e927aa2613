"""A lot adds up, or says by how much it does not; whatever the order of the events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from coldchain.domain.balance import Balance, balances
from coldchain.domain.events import Event, Quantity, identified
from coldchain.domain.quantities import Amount, fold, recorded_since, steps_of

LOT = "lot:1974/shank/L1"
CONT, PALLET, ROOM = "cont:MORU0714983", "hu:acme/P-1", "room:w1/a"


def event(
    time_us: int,
    kind: str,
    action: str,
    cases: int,
    *,
    parent: str = "",
    step: str = "",
    role: str = "",
    place: str = "",
) -> Event:
    quantity = (Quantity(LOT, cases * 1000, "", role),)
    name = f"{time_us}{kind}{action}{parent}{step}"
    return identified(Event(name, kind, time_us, action, step, parent, quantities=quantity, location=place, by="acme"))


def aggregation(time_us: int, action: str, cases: int, parent: str, step: str = "") -> Event:
    return event(time_us, "AggregationEvent", action, cases, parent=parent, step=step)


def held(events: Sequence[Event]) -> list[Amount]:
    steps = steps_of(events)
    return [amount for amount in fold(steps, recorded_since(steps))[0] if amount.to_us is None]


def balance(*events: Event) -> Balance:
    (found,) = balances(LOT, events, held(events))
    return found


STORY = (
    aggregation(1, "ADD", 1200, CONT, "loading"),
    aggregation(2, "DELETE", 1200, CONT, "unloading"),
    aggregation(3, "ADD", 1200, PALLET, "packing"),
    aggregation(4, "DELETE", 25, PALLET, "picking"),
    event(5, "ObjectEvent", "OBSERVE", 25, step="retail_selling", place=ROOM),
)


def test_what_entered_is_what_was_sold_and_what_is_held() -> None:
    found = balance(*STORY)
    assert (found.entered_milli, found.left) == (1_200_000, (("retail_selling", 25_000),))
    assert (found.held_least_milli, found.held_most_milli) == (1_175_000, 1_175_000)
    assert found.missing_milli == (0, 0)


def test_moving_goods_between_units_is_neither_entering_nor_leaving() -> None:
    more = (aggregation(6, "DELETE", 10, PALLET), aggregation(7, "ADD", 10, "hu:acme/P-2"))
    assert balance(*STORY, *more).missing_milli == (0, 0)


def test_what_was_taken_out_and_appears_nowhere_is_missing() -> None:
    assert balance(*STORY, aggregation(6, "DELETE", 40, PALLET)).missing_milli == (40_000, 40_000)


def test_more_than_entered_is_less_than_nothing_missing() -> None:
    more = aggregation(6, "ADD", 5, "hu:acme/P-2")
    assert balance(*STORY, more).missing_milli == (-5_000, -5_000)


def test_samples_destruction_and_processing_leave_by_their_own_names() -> None:
    gone = (
        event(6, "ObjectEvent", "DELETE", 2, step="sampling", place=PALLET),
        event(7, "ObjectEvent", "DELETE", 3, step="destroying", place=PALLET),
        event(8, "TransformationEvent", "", 4, role="input"),
        event(9, "ObjectEvent", "DELETE", 1, step="removing", place=PALLET),
    )
    found = dict(balance(*STORY, *gone).left)
    assert found == {
        "retail_selling": 25_000,
        "sampling": 2_000,
        "destroying": 3_000,
        "transformation": 4_000,
        "removed": 1_000,
    }


def test_before_a_room_is_counted_nobody_can_tell_what_is_missing() -> None:
    loose = (aggregation(6, "DELETE", 100, PALLET), aggregation(6, "ADD", 100, ROOM, "storing"))
    assert balance(*STORY, *loose).missing_milli == (None, 0)


def test_goods_only_seen_passing_do_not_balance() -> None:
    assert balances(LOT, [aggregation(1, "OBSERVE", 3, PALLET)], ()) == ()


def test_order_and_repetition_do_not_matter() -> None:
    expected = balance(*STORY)
    for order in permutations(STORY):
        assert balances(LOT, [*order, order[0]], held(order)) == (expected,)
