"""How many cases of a lot were in what, when: exact where the record says so, with the truth inside where not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.events import Event, Quantity, identified
from coldchain.domain.quantities import Amount, Fault, fold, linked_from, recorded_since, steps_of

LOT, OTHER = "lot:16901234500018/L1", "lot:plant/beef/2026-01-10"
PALLET, NEXT, BOX, ROOM = "sscc:169012345000000025", "hu:w1/7", "cont:CSQU3054383", "room:w1/a"


def goods(cases: float | None, item: str = LOT, unit: str = "", role: str = "") -> Quantity:
    return Quantity(item, -1 if cases is None else round(cases * 1000), unit, role)


def event(time_us: int, action: str, parent: str, *quantities: Quantity, name: str = "", **more: object) -> Event:
    own = name or f"{time_us}{action}{parent}{quantities}{sorted(more)}"
    made = Event(own, "AggregationEvent", time_us, action, "", parent, quantities=tuple(sorted(quantities)), by="w1")
    return identified(replace(made, **more))  # type: ignore[arg-type]


def at_place(time_us: int, step: str, place: str, *quantities: Quantity, action: str = "OBSERVE") -> Event:
    more = {"kind": "ObjectEvent", "biz_step": step, "location": place}
    return event(time_us, action, "", *quantities, name=f"{time_us}{step}{place}{quantities}", **more)


def linked(*units: str) -> tuple[tuple[str, str], ...]:
    return (("linkedFrom", json.dumps(list(units) if len(units) > 1 else units[0])),)


def folded(events: Iterable[Event]) -> tuple[tuple[Amount, ...], tuple[Fault, ...]]:
    steps = steps_of(events)
    return fold(steps, recorded_since(steps))


def line(parent: str, *events: Event, item: str = LOT) -> list[tuple[int, int | None, float, float | None]]:
    return [
        (one.from_us, one.to_us, one.least_milli / 1000, None if one.most_milli is None else one.most_milli / 1000)
        for one in folded(events)[0]
        if (one.parent, one.item) == (parent, item)
    ]


def test_cases_put_in_and_taken_out_are_known_exactly() -> None:
    events = [
        event(10, "ADD", PALLET, goods(60)),
        event(20, "ADD", PALLET, goods(4)),
        event(30, "DELETE", PALLET, goods(14)),
    ]
    assert line(PALLET, *events) == [(10, 20, 60, 60), (20, 30, 64, 64), (30, None, 50, 50)]
    assert folded(events)[0][0].why == (events[0].key,)


def test_cases_and_kilograms_of_one_lot_are_lines_of_their_own() -> None:
    found = folded([event(10, "ADD", PALLET, goods(60), goods(1213.5, unit="KGM"))])[0]
    assert [(one.measure, one.least_milli) for one in found] == [("", 60_000), ("KGM", 1_213_500)]


def test_two_dates_of_one_lot_in_one_event_are_summed() -> None:
    assert line(PALLET, event(10, "ADD", PALLET, goods(40), goods(20))) == [(10, None, 60, 60)]


def test_a_delete_that_names_nothing_leaves_nothing_and_later_goods_begin_at_nothing() -> None:
    events = [event(10, "ADD", PALLET, goods(60)), event(20, "DELETE", PALLET), event(30, "ADD", PALLET, goods(5))]
    assert line(PALLET, *events) == [(10, 20, 60, 60), (20, 30, 0, 0), (30, None, 5, 5)]


def test_emptying_an_empty_pallet_again_says_nothing_new() -> None:
    events = [event(10, "ADD", PALLET, goods(60)), event(20, "DELETE", PALLET), event(30, "DELETE", PALLET)]
    assert line(PALLET, *events) == [(10, 20, 60, 60), (20, None, 0, 0)]


def test_a_destroyed_or_processed_pallet_holds_nothing() -> None:
    put = event(10, "ADD", PALLET, goods(60))
    gone = event(20, "DELETE", "", kind="ObjectEvent", units=(PALLET,))
    used = event(20, "", "", kind="TransformationEvent", inputs=(PALLET,))
    for end in (gone, used):
        assert line(PALLET, put, end) == [(10, 20, 60, 60), (20, None, 0, 0)]


def test_a_room_holds_an_unknown_amount_until_its_opening_count() -> None:
    events = [
        event(10, "ADD", ROOM, goods(60)),
        at_place(20, "stock_taking", ROOM, goods(100)),
        event(30, "DELETE", ROOM, goods(30)),
    ]
    assert line(ROOM, *events) == [(10, 20, 60, None), (20, 30, 100, 100), (30, None, 70, 70)]
    assert folded(events)[1] == ()


def test_after_its_opening_count_a_room_holds_nothing_of_goods_that_came_later() -> None:
    opening, partial = (at_place(10, step, ROOM, goods(100)) for step in ("stock_taking", "cycle_counting"))
    later = event(20, "ADD", ROOM, goods(60, OTHER))
    assert line(ROOM, opening, later, item=OTHER) == [(20, None, 60, 60)]
    assert line(ROOM, partial, later, item=OTHER) == [(20, None, 60, None)]


def test_an_opening_stock_put_in_is_a_count() -> None:
    opening = event(10, "ADD", ROOM, goods(100), biz_step="stock_taking")
    assert line(ROOM, opening, event(20, "DELETE", ROOM, goods(30))) == [(10, 20, 100, 100), (20, None, 70, 70)]


def test_shipping_receiving_and_selling_hand_over_and_move_no_goods() -> None:
    opening = at_place(5, "stock_taking", ROOM, goods(100))
    for step in ("shipping", "receiving", "retail_selling", "storing", "sampling"):
        assert line(ROOM, opening, at_place(10, step, ROOM, goods(40))) == [(5, None, 100, 100)]
    assert line(ROOM, opening, at_place(10, "destroying", ROOM, goods(40), action="DELETE"))[-1][2:] == (60, 60)
    assert line(ROOM, opening, at_place(10, "commissioning", ROOM, goods(40), action="ADD"))[-1][2:] == (100, 100)


def test_an_amount_nobody_stated_leaves_bounds() -> None:
    events = [
        event(10, "ADD", PALLET, goods(60)),
        event(20, "DELETE", PALLET, goods(None)),
        event(30, "ADD", PALLET, goods(None)),
    ]
    assert line(PALLET, *events) == [(10, 20, 60, 60), (20, 30, 0, 60), (30, None, 0, None)]
    assert line(PALLET, events[0], event(20, "OBSERVE", PALLET, goods(None))) == [(10, None, 60, 60)]


def test_a_tally_that_agrees_changes_nothing_and_one_that_differs_widens_the_time_before_it() -> None:
    put = event(10, "ADD", PALLET, goods(60))
    assert line(PALLET, put, event(20, "OBSERVE", PALLET, goods(60)))[-1][2:] == (60, 60)
    short = event(20, "OBSERVE", PALLET, goods(58))
    assert line(PALLET, put, short) == [(10, 20, 58, 60), (20, None, 58, 58)]
    (fault,) = folded([put, short])[1]
    assert (fault.rule, fault.from_us, fault.to_us) == ("count-differs", 10, 20)
    assert (fault.stated_milli, fault.least_milli, fault.most_milli, fault.why) == (
        58_000,
        60_000,
        60_000,
        (put.key, short.key),
    )


def test_more_taken_out_than_was_put_in_is_a_fault_and_leaves_nothing() -> None:
    events = [event(10, "ADD", PALLET, goods(60)), event(20, "DELETE", PALLET, goods(61))]
    assert line(PALLET, *events)[-1] == (20, None, 0, 0)
    (fault,) = folded(events)[1]
    assert (fault.rule, fault.stated_milli, fault.most_milli) == ("more-out-than-in", 61_000, 60_000)


def test_goods_never_put_into_a_pallet_on_record_are_a_fault_when_taken_out() -> None:
    events = [event(10, "ADD", PALLET, goods(60)), event(20, "DELETE", PALLET, goods(1, OTHER))]
    assert [fault.item for fault in folded(events)[1]] == [OTHER]


def test_of_a_pallet_whose_contents_nobody_recorded_nothing_is_a_fault() -> None:
    out = event(20, "DELETE", PALLET, goods(60))
    assert folded([out])[1] == ()
    assert line(PALLET, out) == [(20, None, 0, None)]


def test_goods_put_elsewhere_and_linked_back_have_left_where_they_came_from() -> None:
    events = [event(10, "ADD", BOX, goods(1200)), event(20, "ADD", PALLET, goods(60), extras=linked(BOX))]
    assert line(BOX, *events)[-1] == (20, None, 1140, 1140)
    assert linked_from(events[1]) == (BOX,)


def test_the_other_half_of_one_removal_is_counted_once() -> None:
    put, out = event(10, "ADD", BOX, goods(1200)), event(20, "DELETE", BOX, goods(60))
    assert line(BOX, put, out, event(20, "ADD", PALLET, goods(60), extras=linked(BOX)))[-1][2:] == (1140, 1140)


def test_two_statements_that_may_mean_one_removal_or_two_leave_bounds_until_a_count() -> None:
    put, out = event(10, "ADD", BOX, goods(1200)), event(20, "DELETE", BOX, goods(60))
    later = event(25, "ADD", PALLET, goods(60), extras=linked(BOX))
    counted = event(30, "OBSERVE", BOX, goods(1140))
    assert line(BOX, put, out, later, counted)[-2:] == [(25, 30, 1080, 1140), (30, None, 1140, 1140)]


def test_goods_of_one_of_two_pallets_lower_what_each_may_still_hold() -> None:
    events = [event(10, "ADD", PALLET, goods(60)), event(10, "ADD", NEXT, goods(60))]
    events.append(event(20, "ADD", "hu:w1/8", goods(30), extras=linked(PALLET, NEXT)))
    assert line(PALLET, *events)[-1] == line(NEXT, *events)[-1] == (20, None, 30, 60)


def test_of_two_versions_of_one_event_either_or_neither_happened() -> None:
    put = event(10, "ADD", PALLET, goods(60))
    one, two = (event(20, "ADD", PALLET, goods(n), name="same") for n in (5, 8))
    assert line(PALLET, put, one, two)[-1] == (20, None, 60, 68)
    out = [event(20, "DELETE", PALLET, goods(n), name="same") for n in (5, 8)]
    assert line(PALLET, put, *out)[-1] == (20, None, 52, 60)
    counts = [event(20, "OBSERVE", PALLET, goods(n), name="same") for n in (55, 58)]
    assert line(PALLET, put, *counts)[-1] == (20, None, 55, 60)
    assert folded([put, *counts])[1] == ()


def test_a_withdrawn_event_moved_nothing() -> None:
    wrong = event(20, "DELETE", PALLET, goods(60))
    withdrawal = identified(replace(wrong, error="did_not_occur"))
    assert line(PALLET, event(10, "ADD", PALLET, goods(60)), wrong, withdrawal) == [(10, None, 60, 60)]


def test_amounts_beyond_all_stock_have_no_upper_end_and_still_fit_a_database() -> None:
    events = [event(t, "ADD", PALLET, *[goods(2**42)] * 600, name=f"e{t}") for t in range(5)]
    (*_, last) = folded(events)[0]
    assert (last.least_milli, last.most_milli) == (2**62, None)


def test_what_links_to_no_identifier_links_to_nothing() -> None:
    assert linked_from(event(10, "ADD", PALLET, goods(1), extras=(("linkedFrom", '["", 5, "no name"]'),))) == ()
    assert linked_from(event(10, "ADD", PALLET, goods(1), extras=linked(PALLET))) == ()


@st.composite
def scenes(draw: st.DrawFn) -> list[Event]:
    events = []
    for number in range(draw(st.integers(0, 10))):
        action = draw(st.sampled_from(("ADD", "ADD", "DELETE", "OBSERVE")))
        amounts = [goods(draw(st.integers(0, 9)), draw(st.sampled_from((LOT, OTHER))))] if draw(st.booleans()) else []
        name = draw(st.sampled_from((f"e{number}", "shared")))
        more = {"extras": linked(BOX)} if draw(st.booleans()) else {}
        parent = draw(st.sampled_from((PALLET, ROOM)))
        events.append(event(draw(st.integers(0, 6)), action, parent, *amounts, name=name, **more))
    return events


@given(scenes(), st.data())
def test_any_order_and_repetition_gives_the_same_amounts_and_faults(events: list[Event], data: st.DataObject) -> None:
    doubled = events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([]))
    amounts, faults = folded(events)
    assert folded(data.draw(st.permutations(doubled))) == (amounts, faults)
    for one, following in pairwise(amounts):
        if one[:3] == following[:3]:
            assert one.to_us == following.from_us
    for one in amounts:
        assert one.least_milli >= 0
        assert one.most_milli is None or one.least_milli <= one.most_milli


def replayed(events: Sequence[Event], t_us: int) -> dict[tuple[str, str], int]:
    """What a storekeeper's book says at a moment, entries in the order of time, nothing ever disputed or linked."""
    ranks = {"ADD": 0, "OBSERVE": 1, "DELETE": 2}
    book: dict[tuple[str, str], int] = {}
    for one in sorted(events, key=lambda e: (e.time_us, ranks[e.action], bool(not e.quantities))):
        for quantity in one.quantities if one.time_us <= t_us else ():
            at = (one.parent, quantity.item)
            held = book.get(at, 0)
            sign = {"ADD": 1, "DELETE": -1}.get(one.action, 0)
            book[at] = max(0, held + sign * quantity.amount_milli) if sign else quantity.amount_milli
        if one.time_us <= t_us and one.action == "DELETE" and not one.quantities:
            book |= {at: 0 for at in book if at[0] == one.parent}
    return book


@st.composite
def books(draw: st.DrawFn) -> list[Event]:
    """A pallet filled at the start, then everything one may do to it, one event an instant."""
    events = [event(0, "ADD", PALLET, goods(20, LOT), goods(20, OTHER), name="start")]
    for time_us in range(1, draw(st.integers(1, 10))):
        action = draw(st.sampled_from(("ADD", "DELETE", "OBSERVE", "DELETE all")))
        listed = (
            () if action == "DELETE all" else (goods(draw(st.integers(1, 30)), draw(st.sampled_from((LOT, OTHER)))),)
        )
        events.append(event(time_us, action.split()[0], PALLET, *listed, name=f"e{time_us}"))
    return events


@given(books())
def test_undisputed_entries_give_what_a_storekeepers_book_gives(events: list[Event]) -> None:
    amounts, faults = folded(events)
    short = {(fault.parent, fault.item, fault.from_us) for fault in faults if fault.rule == "count-differs"}
    for t_us in range(11):
        for at, held in replayed(events, t_us).items():
            (now,) = [one for one in amounts if (one.parent, one.item) == at and one.holds(t_us)]
            assert now.least_milli <= held <= now.most_milli  # type: ignore[operator]
            if (*at, now.from_us) not in short:
                assert now.least_milli == held == now.most_milli


@given(st.data())
def test_the_truth_lies_inside_whoever_recorded_the_removals(data: st.DataObject) -> None:
    """Goods leave a container into pallets; each removal is recorded by the giver, the taker, both, or as two versions
    of which one is right, and now and then somebody counts."""
    held, events, truth = 100, [event(0, "ADD", BOX, goods(100), name="start")], {0: 100}
    for time_us in range(2, 2 * data.draw(st.integers(1, 8)), 2):
        taken = data.draw(st.integers(1, 10))
        held -= taken
        how = data.draw(st.sampled_from(("out", "in", "both", "later", "versions", "count")))
        if how in ("out", "both", "later"):
            events.append(event(time_us, "DELETE", BOX, goods(taken), name=f"o{time_us}"))
        if how in ("in", "both", "later"):
            when = time_us + (how == "later")
            events.append(event(when, "ADD", f"hu:w1/{time_us}", goods(taken), extras=linked(BOX), name=f"i{time_us}"))
        if how == "versions":
            for wrong in (0, 3):
                events.append(event(time_us, "DELETE", BOX, goods(taken + wrong), name=f"v{time_us}"))
        if how == "count":
            held += taken
            events.append(event(time_us, "OBSERVE", BOX, goods(held), name=f"c{time_us}"))
        truth[time_us] = truth[time_us + 1] = held
    amounts, faults = folded(events)
    for t_us, cases in truth.items():
        (now,) = [one for one in amounts if one.parent == BOX and one.holds(t_us)]
        assert now.least_milli <= 1000 * cases <= now.most_milli  # type: ignore[operator]
    assert faults == ()
