"""Where goods went, where they came from, what they met."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from coldchain.domain.contacts import contacts
from coldchain.domain.containment import Interval
from coldchain.domain.tracing import FOREVER_US, Facts, Flow, Handling, backward, forward
from exploring import examples

P, Q, TRUCK, ROOM, BOX = "sscc:1", "sscc:2", "veh:T", "room:w/a", "cont:MORU0714983"


def stay(child: str, parent: str, from_us: int, to_us: int | None = None) -> Interval:
    return Interval(child, parent, from_us, to_us, (f"{child}>{parent}",))


def grades(start: str, facts: Facts, at_us: int | None = None) -> dict[str, str]:
    return {c.unit: c.grade for c in contacts(start, forward(start, facts, at_us), facts, at_us)}


def test_a_case_is_traced_through_its_pallet_into_truck_and_room() -> None:
    facts = Facts([stay("case:a", P, 0), stay(P, TRUCK, 10, 20), stay(P, ROOM, 30)])
    hops = forward("case:a", facts)
    assert set(hops) == {P, TRUCK, ROOM}
    assert (hops[TRUCK].via, hops[TRUCK].from_us, hops[TRUCK].to_us, hops[TRUCK].why) == (P, 10, 20, (f"{P}>{TRUCK}",))


def test_a_case_that_left_the_pallet_did_not_travel_on_with_it() -> None:
    facts = Facts([stay("case:a", P, 0, 10), stay(P, TRUCK, 10, 20), stay("case:a", Q, 10)])
    assert set(forward("case:a", facts)) == {P, Q}


def test_a_bad_container_reaches_all_that_came_out_of_it_and_where_that_went() -> None:
    facts = Facts([stay("case:a", BOX, 0, 10), stay("case:a", P, 10), stay(P, TRUCK, 20, 30), stay("case:b", P, 15)])
    assert set(forward(BOX, facts)) == {"case:a", P, TRUCK}
    assert BOX in backward(P, facts)


def test_a_product_leads_back_to_every_ingredient_and_its_origin() -> None:
    facts = Facts(
        [stay("case:a", BOX, 0, 10), stay("case:a", P, 10), stay("case:z", Q, 0, 70)],
        [Flow(50, (P,), ("case:x", "case:y"), "cut")],
    )
    assert {P, "case:a", BOX} <= set(backward("case:x", facts))
    assert "case:z" not in backward("case:x", facts)
    assert forward("case:a", facts)["case:y"].why == ("cut",)


def test_what_was_put_on_the_pallet_after_it_was_processed_is_no_ingredient() -> None:
    facts = Facts([stay("case:a", P, 0, 10), stay("case:late", P, 60)], [Flow(50, (P,), ("case:x",), "cut")])
    assert set(backward("case:x", facts)) == {P}


def test_only_what_happened_from_then_on_is_onward_and_up_to_then_is_backward() -> None:
    facts = Facts([stay("case:a", P, 0, 10), stay("case:a", Q, 10)])
    assert set(forward("case:a", facts, at_us=10)) == {Q}
    assert set(backward("case:a", facts, at_us=9)) == {P}


def test_a_return_to_the_same_pallet_ends_no_loop() -> None:
    facts = Facts(
        [stay("case:a", P, 0, 10), stay("case:a", Q, 10, 20), stay("case:a", P, 20), stay(P, Q, 0), stay(Q, P, 0)]
    )
    assert set(forward("case:a", facts)) == {P, Q}
    assert set(backward(P, facts)) == {"case:a", Q}


def test_a_chain_of_20000_transformations_needs_no_recursion() -> None:
    class Chain(Facts):
        def flows(self, units: object) -> Sequence[Flow]:
            (unit,) = units  # type: ignore[misc]
            n = int(unit[7:])
            flows = [Flow(n, (f"case:x/{n}",), (f"case:x/{n + 1}",), str(n))] if n < 20_000 else []
            return [*flows, Flow(n - 1, (f"case:x/{n - 1}",), (unit,), str(n - 1))] if n else flows

    assert len(forward("case:x/0", Chain())) == 20_000
    assert len(backward("case:x/20000", Chain())) == 20_000


LOT = "lot:1974/beef/2026-01-10"


def test_a_counted_lot_reaches_what_held_some_of_it_and_where_that_was() -> None:
    facts = Facts([stay(P, TRUCK, 10, 20), stay(Q, ROOM, 5)], portions=[stay(LOT, P, 0, 15), stay(LOT, BOX, 0)])
    assert set(forward(LOT, facts)) == {P, BOX, TRUCK}
    assert LOT in backward(TRUCK, facts)
    assert LOT not in backward(ROOM, facts)


def test_a_pallet_that_held_some_of_a_lot_says_nothing_about_the_rest_of_the_lot() -> None:
    facts = Facts([stay("case:a", LOT, 0)], portions=[stay(LOT, P, 0), stay(LOT, Q, 0)])
    assert set(forward(P, facts)) == set()
    assert set(forward("case:a", facts)) == {LOT}


# Contacts


def test_lots_counted_on_one_pallet_are_in_contact() -> None:
    facts = Facts(
        [stay("case:a", P, 0, 5), stay("case:b", "lot:1/M", 0)],
        portions=[stay(LOT, P, 0, 10), stay("lot:1/M", P, 5, 20), stay("lot:1/N", P, 30)],
    )
    assert grades(LOT, facts) == {"case:a": "G1", "lot:1/M": "G1"}


def test_contacts_are_graded_by_what_was_shared() -> None:
    pallet = [stay("case:a", P, 0, 100), stay("case:mate", P, 5, 50)]
    container = [stay(P, BOX, 10, 30), stay(Q, BOX, 10, 30), stay("case:boxed", Q, 0, 100)]
    truck = [stay(P, TRUCK, 40, 60), stay("case:rider", TRUCK, 50, 70), stay("case:before", TRUCK, 0, 40)]
    room = [stay(P, ROOM, 60, 90), stay("case:stored", ROOM, 65), stay("case:later", ROOM, 95)]
    expected = {"case:mate": "G1", Q: "G2", "case:boxed": "G2", "case:rider": "G3", "case:stored": "G4"}
    assert grades("case:a", Facts([*pallet, *container, *truck, *room])) == expected


def test_cases_of_one_lot_are_in_contact_by_it() -> None:
    facts = Facts([stay("case:a", "lot:1/L", 0), stay("case:b", "lot:1/L", 5)])
    assert grades("case:a", facts) == {"case:b": "G2"}


def test_a_shared_room_is_closer_when_both_were_handled_there_meanwhile() -> None:
    intervals = [stay("case:a", P, 0), stay(P, ROOM, 10, 50), stay(Q, ROOM, 20, 80), stay("case:q", Q, 0)]
    both = [Handling(30, P, ROOM, "h1"), Handling(20, Q, ROOM, "h2")]
    assert grades("case:a", Facts(intervals, handled=both)) == {Q: "G3", "case:q": "G3"}
    assert grades("case:a", Facts(intervals, handled=both[:1])) == {Q: "G4", "case:q": "G4"}
    after = [Handling(60, Q, ROOM, "h2"), both[0]]
    assert grades("case:a", Facts(intervals, handled=after)) == {Q: "G4", "case:q": "G4"}


def test_a_contact_says_where_when_and_by_what_record() -> None:
    facts = Facts([stay("case:a", P, 0, 100), stay("case:mate", P, 5, 50)])
    (contact,) = contacts("case:a", forward("case:a", facts), facts)
    assert contact == ("G1", "case:mate", P, 5, 50, (f"case:mate>{P}",))


def test_what_was_met_before_that_moment_is_no_contact_of_what_came_after() -> None:
    facts = Facts([stay("case:a", P, 0), stay("case:early", P, 0, 10), stay("case:late", P, 40)])
    assert grades("case:a", facts, at_us=20) == {"case:late": "G1"}


# Both directions agree

UNITS = tuple("abcdef")


@st.composite
def networks(draw: st.DrawFn) -> Facts:
    unit, moment = st.sampled_from(UNITS), st.integers(0, 12)
    some = st.sets(unit, min_size=1, max_size=2).map(sorted).map(tuple)
    stays = draw(st.lists(st.tuples(unit, unit, moment, st.integers(0, 6)), max_size=8))
    flows = draw(st.lists(st.builds(Flow, moment, some, some, st.just("t")), max_size=3))
    intervals = [
        stay(child, parent, from_us, from_us + length if length else None)
        for child, parent, from_us, length in stays
        if child != parent
    ]
    ordered = sorted(set(intervals), key=lambda i: (*i[:3], i.to_us or 0))
    counted = draw(st.integers(0, len(ordered)))
    return Facts(ordered[counted:], flows, portions=ordered[:counted])


def brute(start: str, facts: Facts, since: int) -> set[str]:
    """Forward by simulation, moment by moment: which units are nothing but suspect goods, which hold some."""
    whole, reached = set(), set()
    for now in range(since, 20):
        if now == since:
            whole = {start}
        while True:
            at = [i for i in facts.intervals if i.holds(now)]
            holding, size = whole | {i.parent for i in facts.portions if i.holds(now) and i.child in whole}, -1
            while size != len(holding):
                size = len(holding)
                holding |= {i.parent for i in at if i.child in holding}
            inner = {i.child for i in at if i.parent in whole}
            made = {o for f in facts.transformations if f.time_us == now and holding & set(f.inputs) for o in f.outputs}
            reached |= holding
            if inner | made <= whole:
                break
            whole |= inner | made
    return reached - {start}


@settings(max_examples=examples(300), deadline=None)
@given(networks(), st.integers(0, 12))
def test_onward_is_what_a_simulation_of_every_moment_finds(facts: Facts, since: int) -> None:
    for unit in UNITS:
        assert set(forward(unit, facts, since)) == brute(unit, facts, since)


@settings(max_examples=examples(300), deadline=None)
@given(networks())
def test_b_is_onward_of_a_exactly_when_a_is_backward_of_b(facts: Facts) -> None:
    onward = {a: set(forward(a, facts)) for a in UNITS}
    back = {b: set(backward(b, facts)) for b in UNITS}
    assert {(a, b) for a in UNITS for b in onward[a]} == {(a, b) for b in UNITS for a in back[b]}


def test_hops_never_begin_at_the_end_of_time() -> None:
    hops = forward("case:a", Facts([stay("case:a", P, 0)]))
    assert hops[P].to_us is None
    assert all(-FOREVER_US < hop.from_us < FOREVER_US for hop in hops.values())
