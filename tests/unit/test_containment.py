"""What was in what, when: a pure fold, whatever the order in which events arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.containment import Conflict, Interval, Move, contents, fold, parents, relation
from coldchain.domain.events import Event, Quantity, identified

CASE, PALLET, OTHER, TRUCK, ROOM = "case:16901234500018/1", "sscc:1", "sscc:2", "veh:TRUCK-1", "room:w1/a"


def event(
    time_us: int, action: str, parent: str, *units: str, kind: str = "AggregationEvent", event_id: str = ""
) -> Event:
    name = event_id or f"{time_us}{action}{parent}{units}"
    return identified(Event(name, kind, time_us, action, "", parent, tuple(sorted(units)), by="w1"))


def spans(intervals: Sequence[Interval]) -> list[tuple[str, str, int, int | None]]:
    return [interval[:4] for interval in intervals]


def test_a_case_is_in_the_pallet_from_packing_to_unpacking() -> None:
    events = [event(10, "ADD", PALLET, CASE), event(50, "DELETE", PALLET, CASE)]
    assert spans(fold(events)) == [(CASE, PALLET, 10, 50)]
    assert fold(events)[0].why == (events[0].key, events[1].key)


def test_what_was_never_taken_out_is_still_there() -> None:
    assert spans(fold([event(10, "ADD", PALLET, CASE)])) == [(CASE, PALLET, 10, None)]


def test_a_portal_read_is_evidence_and_moves_nothing() -> None:
    events = [event(10, "ADD", PALLET, CASE), event(20, "OBSERVE", OTHER, CASE)]
    assert spans(fold(events)) == [(CASE, PALLET, 10, None)]


def test_a_change_that_readings_confirm_moves_the_case() -> None:
    moves = [Move(CASE, 20, OTHER, True, ("r1", "r2")), Move(CASE, 20, PALLET, False, ("r3", "r4"))]
    expected = [(CASE, PALLET, 10, 20), (CASE, OTHER, 20, None)]
    assert spans(fold([event(10, "ADD", PALLET, CASE)], moves)) == expected
    assert spans(fold([event(10, "ADD", PALLET, CASE)], moves[::-1])) == expected


def test_packing_into_another_pallet_ends_the_stay_in_the_first() -> None:
    events = [event(10, "ADD", PALLET, CASE), event(30, "ADD", OTHER, CASE)]
    assert spans(fold(events)) == [(CASE, PALLET, 10, 30), (CASE, OTHER, 30, None)]


def test_taking_a_unit_out_of_something_it_is_not_in_changes_nothing() -> None:
    events = [event(10, "ADD", PALLET, CASE), event(30, "DELETE", OTHER, CASE)]
    assert spans(fold(events)) == [(CASE, PALLET, 10, None)]


def test_a_delete_that_names_no_child_empties_the_parent() -> None:
    events = [event(10, "ADD", PALLET, CASE, "case:16901234500018/2"), event(40, "DELETE", PALLET)]
    assert [span[2:] for span in spans(fold(events))] == [(10, 40), (10, 40)]


def test_a_delete_that_counts_its_children_without_naming_them_empties_nothing() -> None:
    counted = identified(replace(event(40, "DELETE", PALLET), quantities=(Quantity("lot:16901234500018/L", 2000, ""),)))
    assert spans(fold([event(10, "ADD", PALLET, CASE), counted])) == [(CASE, PALLET, 10, None)]


def test_a_destroyed_case_and_an_ingredient_are_in_nothing_any_more() -> None:
    gone = event(40, "DELETE", "", CASE, kind="ObjectEvent")
    used = identified(Event("t", "TransformationEvent", 40, "", "", inputs=(CASE,), outputs=("case:16901234500018/9",)))
    for end in (gone, used):
        assert spans(fold([event(10, "ADD", PALLET, CASE), end])) == [(CASE, PALLET, 10, 40)]


def test_a_case_belongs_to_its_lot_beside_the_pallet_it_is_in() -> None:
    born = identified(replace(event(5, "ADD", "", CASE, kind="ObjectEvent"), lot="BEEF-1"))
    intervals = fold([born, event(10, "ADD", PALLET, CASE)])
    assert (CASE, "lot:16901234500018/BEEF-1", 5, None) in spans(intervals)
    assert [i.parent for i in parents(intervals, CASE, 20)] == [PALLET]


def test_a_disputed_event_moves_nothing() -> None:
    one, two = event(10, "ADD", PALLET, CASE, event_id="same"), event(10, "ADD", OTHER, CASE, event_id="same")
    assert fold([one, two]) == ()


def test_contents_and_the_chain_around_a_unit_are_those_of_the_moment() -> None:
    events = [event(10, "ADD", PALLET, CASE), event(20, "ADD", TRUCK, PALLET), event(60, "DELETE", TRUCK, PALLET),
              event(70, "ADD", ROOM, PALLET)]  # fmt: skip
    intervals = fold(events)
    assert [i.parent for i in parents(intervals, CASE, 30)] == [PALLET, TRUCK]
    assert [i.parent for i in parents(intervals, CASE, 65)] == [PALLET]
    assert [i.child for i in contents(intervals, ROOM, 80)] == [PALLET, CASE]
    assert contents(intervals, TRUCK, 60) == []


def test_units_that_contain_each_other_end_no_loop() -> None:
    intervals = fold([event(10, "ADD", PALLET, OTHER), event(11, "ADD", OTHER, PALLET)])
    assert {i.child for i in contents(intervals, PALLET, 20)} == {OTHER}
    assert [i.parent for i in parents(intervals, PALLET, 20)] == [OTHER]


def test_a_chain_of_100000_units_needs_no_recursion() -> None:
    intervals = [Interval(f"hu:x/{i}", f"hu:x/{i + 1}", 0, None, ()) for i in range(100_000)]
    assert len(parents(intervals, "hu:x/0", 5)) == 100_000
    assert len(contents(intervals, "hu:x/100000", 5)) == 100_000


def test_a_board_is_no_place_its_load_is_in() -> None:
    board = "grai:06901234510010PLT0000001"
    events = [event(10, "ADD", TRUCK, PALLET), event(20, "ADD", board, PALLET, kind="AssociationEvent"),
              event(30, "ADD", PALLET, board, kind="AssociationEvent")]  # fmt: skip
    assert spans(fold(events)) == [(PALLET, TRUCK, 10, None)]
    assert spans(fold([event(10, "ADD", board, CASE)])) == [(CASE, board, 10, None)]


def test_a_coupled_trailer_is_where_its_tractor_is() -> None:
    trailer = "veh:TRAILER-1"
    events = [event(10, "ADD", TRUCK, trailer, kind="AssociationEvent"), event(20, "ADD", trailer, PALLET),
              event(30, "DELETE", TRUCK, trailer, kind="AssociationEvent")]  # fmt: skip
    assert [i.parent for i in parents(fold(events), PALLET, 25)] == [trailer, TRUCK]
    assert [i.parent for i in parents(fold(events), PALLET, 35)] == [trailer]


def test_a_unit_that_two_parties_have_in_two_parents_is_a_contradiction_and_stops_nothing() -> None:
    put, again, out = event(10, "ADD", PALLET, CASE), event(20, "ADD", OTHER, CASE), event(30, "DELETE", PALLET, CASE)
    intervals, conflicts = relation([put, again, out])
    assert spans(intervals) == [(CASE, PALLET, 10, 20), (CASE, OTHER, 20, None)]
    assert conflicts == (Conflict("two-parents", CASE, PALLET, OTHER, 20, 30, (again.key, out.key)),)
    (both,) = relation([put, event(10, "ADD", OTHER, CASE)])[1]
    assert (both.rule, both.from_us, both.to_us, {both.parent, both.other}) == ("two-parents", 10, 10, {PALLET, OTHER})
    assert relation([put, again])[1] == ()


def test_a_unit_taken_out_of_what_it_was_never_in_is_a_contradiction_once_its_stays_are_on_record() -> None:
    put, out, odd = event(10, "ADD", PALLET, CASE), event(20, "DELETE", PALLET, CASE), event(30, "DELETE", OTHER, CASE)
    assert relation([put, out, odd])[1] == (Conflict("never-put-in", CASE, OTHER, "", 30, 30, (odd.key,)),)
    assert relation([odd])[1] == ()
    assert relation([put, out, replace(out, time_us=25, event_id="second witness", key="k")])[1] == ()


UNITS = ("a", "b", "c", "d")


@st.composite
def scenes(draw: st.DrawFn) -> list[Event]:
    events = []
    for _ in range(draw(st.integers(0, 12))):
        units = draw(st.lists(st.sampled_from(UNITS), max_size=3, unique=True))
        parent = draw(st.sampled_from(("p", "q", "a")))
        action = draw(st.sampled_from(("ADD", "ADD", "DELETE", "OBSERVE")))
        events.append(event(draw(st.integers(0, 8)), action, parent, *units))
    return events


def where(events: Sequence[Event], unit: str, t_us: int) -> str | None:
    """The parent of a unit at a moment, from a replay of everything up to it."""
    at: dict[str, str] = {}
    ranks = {"ADD": 0, "OBSERVE": 1, "DELETE": 2}
    for e in sorted({e.key: e for e in events}.values(), key=lambda e: (e.time_us, ranks[e.action], e.key)):
        if e.time_us > t_us:
            break
        for child in e.units if e.units or e.action != "DELETE" else [c for c, p in at.items() if p == e.parent]:
            if e.action == "ADD" and child != e.parent:
                at[child] = e.parent
            elif e.action == "DELETE" and at.get(child) == e.parent:
                del at[child]
    return at.get(unit)


@given(scenes(), st.data())
def test_any_order_and_repetition_gives_the_relation_a_replay_gives(events: list[Event], data: st.DataObject) -> None:
    shuffled = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([])))
    )
    intervals, conflicts = relation(events)
    assert relation(shuffled) == (intervals, conflicts)
    for unit in UNITS:
        for t_us in range(10):
            holding = [i.parent for i in intervals if i.child == unit and i.holds(t_us)]
            assert holding == [p for p in [where(events, unit, t_us)] if p]


def test_out_of_the_room_and_into_the_truck_at_one_time_is_a_move_and_no_contradiction() -> None:
    moved = [event(10, "ADD", ROOM, PALLET), event(20, "DELETE", ROOM, PALLET), event(20, "ADD", TRUCK, PALLET)]
    intervals, conflicts = relation(moved)
    assert spans(intervals) == [(PALLET, ROOM, 10, 20), (PALLET, TRUCK, 20, None)]
    assert conflicts == ()
    late = event(21, "DELETE", ROOM, PALLET)
    assert [one.rule for one in relation([*moved[:1], moved[2], late])[1]] == ["two-parents"]
