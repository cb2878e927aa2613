"""Was a pallet kept whole: what confirms a break, what never does, and that order of arrival changes nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldchain.domain.continuity import History, Opportunity, Rules, observe
from coldchain.domain.events import Event, Quantity, identified
from coldchain.domain.segments import (
    BROKEN_AUTHORISED,
    BROKEN_UNEXPLAINED,
    CONTINUOUS,
    COUNTED_REASON,
    UNOBSERVED,
    Touching,
    segments,
)
from exploring import examples

RULES = Rules()
HOUR = 3_600_000_000
S, T = "sscc:169012345000000025", "sscc:169012345000000032"
A, B, C, D = "loc:w1/dock", "loc:w2/dock", "loc:w2/room", "loc:w2/count"


def tags(*numbers: int) -> tuple[str, ...]:
    return tuple(f"case:16901234500018/{number:03d}" for number in numbers)


def aggregation(
    at_h: float, action: str, units: Sequence[str], parent: str = S, point: str = "", by: str = "w1"
) -> Event:
    time_us = round(at_h * HOUR)
    return identified(
        Event(
            event_id=f"{action}/{parent}/{time_us}/{point}/{'+'.join(units)}",
            kind="AggregationEvent",
            time_us=time_us,
            action=action,
            biz_step="",
            parent=parent,
            units=tuple(sorted(units)),
            read_point=point,
            by=by,
        )
    )


def pack(at_h: float, *numbers: int, parent: str = S) -> Event:
    return aggregation(at_h, "ADD", tags(*numbers), parent)


def read(at_h: float, point: str, *numbers: int, parent: str = S, by: str = "w1") -> Event:
    return aggregation(at_h, "OBSERVE", tags(*numbers), parent, point, by)


def scan(at_h: float, *numbers: int, parent: str = S) -> Event:
    units = tuple(sorted((parent, *tags(*numbers))))
    return identified(Event(f"scan/{at_h}", "ObjectEvent", round(at_h * HOUR), "OBSERVE", "", units=units, by="w1"))


def alone(at_h: float, point: str, *numbers: int) -> Event:
    """A portal that missed the pallet's own tag."""
    cases = Event(f"alone/{at_h}", "ObjectEvent", round(at_h * HOUR), "OBSERVE", "", units=tags(*numbers), by="w1")
    return identified(replace(cases, read_point=point))


def history(*events: Event, unit: str = S) -> History:
    return observe(unit, events, RULES)


def only(folded: History) -> Opportunity:
    (opportunity,) = folded.opportunities
    return opportunity


def verdicts(folded: History, judged: Sequence[Touching] = ()) -> list[str]:
    return [segment.verdict for segment in segments(folded, judged)]


def test_a_pallet_read_as_it_was_packed_is_continuous() -> None:
    folded = history(pack(0, 1, 2, 3), read(2, A, 1, 2, 3), read(8, B, 1, 2, 3))
    assert folded.opportunities == ()
    assert verdicts(folded) == [CONTINUOUS, CONTINUOUS]


def counted(at_h: float, action: str, cases: int, by: str = "w1") -> Event:
    event = aggregation(at_h, action, (), by=by)
    lot = Quantity("lot:1974/shank/L1", cases * 1_000, "")
    return identified(replace(event, event_id=f"{event.event_id}{cases}", quantities=(lot,), key=""))


def reasons(folded: History) -> list[tuple[str, str]]:
    return [(segment.verdict, segment.reason) for segment in segments(folded, ())]


def test_cases_without_numbers_are_continuous_as_far_as_they_were_counted_alike() -> None:
    folded = history(
        counted(0, "ADD", 48), counted(2, "OBSERVE", 48), counted(8, "OBSERVE", 48), counted(9, "DELETE", 3)
    )
    assert folded.opportunities == ()
    assert reasons(folded) == [
        ("CONTINUOUS", COUNTED_REASON),
        ("CONTINUOUS", COUNTED_REASON),
        ("UNOBSERVED", "the cases were not counted again"),
    ]


def test_after_a_declared_removal_the_new_number_is_what_is_counted() -> None:
    folded = history(counted(0, "ADD", 48), counted(2, "DELETE", 8), counted(4, "OBSERVE", 40))
    assert verdicts(folded) == ["CONTINUOUS", "CONTINUOUS"]


def test_a_count_that_differs_keeps_nothing_whole() -> None:
    folded = history(counted(0, "ADD", 48), counted(2, "OBSERVE", 47), counted(4, "OBSERVE", 47, by="w2"))
    assert verdicts(folded) == ["UNOBSERVED", "UNOBSERVED"]


def test_a_number_nobody_declared_is_unobserved() -> None:
    assert verdicts(history(counted(0, "OBSERVE", 48), counted(2, "OBSERVE", 48))) == ["UNOBSERVED"]


def test_two_versions_of_the_declared_number_leave_it_unknown() -> None:
    first = counted(0, "ADD", 48)
    other = identified(replace(counted(0, "ADD", 50), event_id=first.event_id, key=""))
    assert verdicts(history(first, other, counted(2, "OBSERVE", 48))) == ["UNOBSERVED"]


def test_a_case_that_is_named_makes_names_count() -> None:
    folded = history(counted(0, "ADD", 48), read(2, A, 1, 2), counted(4, "OBSERVE", 48))
    assert "UNOBSERVED" in verdicts(folded)


def test_one_missed_tag_stays_suspected_until_the_next_full_read() -> None:
    opportunity = only(history(pack(0, 1, 2, 3), read(2, A, 1, 2)))
    assert (opportunity.confirmed, opportunity.suspected) == (False, tags(3))
    assert "next full read at another read point" in opportunity.lacks


def test_a_tag_read_again_was_only_missed() -> None:
    folded = history(pack(0, 1, 2, 3), read(2, A, 1, 2), read(8, B, 1, 2, 3))
    assert folded.opportunities == ()
    assert verdicts(folded) == [CONTINUOUS, CONTINUOUS]


def test_the_same_read_point_twice_confirms_nothing() -> None:
    assert not only(history(pack(0, 1, 2, 3), read(2, A, 1), read(3, A, 1))).confirmed


def test_missing_tags_are_confirmed_by_the_next_full_read_at_another_read_point() -> None:
    folded = history(pack(0, 1, 2, 3, 4), read(2, A, 1, 2, 3, 4), read(8, B, 1, 2), read(9, C, 1, 2))
    opportunity = only(folded)
    assert opportunity.confirmed
    assert opportunity.askable
    assert opportunity.missing == tags(3, 4)
    assert (opportunity.from_us, opportunity.to_us) == (2 * HOUR, 8 * HOUR)
    assert [(move.unit, move.time_us, move.entered) for move in folded.moves] == [
        (tag, 8 * HOUR, False) for tag in tags(3, 4)
    ]


def test_a_single_missing_tag_is_asked_about_only_after_a_third_read_point() -> None:
    events = [pack(0, 1, 2, 3), read(2, A, 1, 2), read(8, B, 1, 2)]
    twice = only(history(*events))
    assert (twice.confirmed, twice.askable) == (True, False)
    assert "3 read points" in twice.lacks
    assert only(history(*events, read(9, C, 1, 2))).askable


def test_a_single_missing_tag_seen_twice_on_another_pallet_is_asked_about_at_once() -> None:
    there = [pack(0, 9, parent=T), read(8.1, B, 9, 3, parent=T), read(9.1, C, 9, 3, parent=T)]
    assert only(history(pack(0, 1, 2, 3), read(8, B, 1, 2), read(9, C, 1, 2), *there)).askable


def test_an_extra_tag_is_suspected_until_a_second_read_point_shows_it() -> None:
    events = [pack(0, 1, 2), read(2, A, 1, 2), read(8, B, 1, 2, 7)]
    assert not only(history(*events)).confirmed
    confirmed = only(history(*events, read(9, C, 1, 2, 7)))
    assert confirmed.askable
    assert confirmed.extra == tags(7)


def test_an_extra_tag_is_confirmed_by_a_scan() -> None:
    assert only(history(pack(0, 1, 2), read(8, B, 1, 2, 7), scan(8.5, 7))).extra == tags(7)


def test_a_scan_says_nothing_about_what_it_does_not_name() -> None:
    assert history(pack(0, 1, 2, 3), scan(1, 1), scan(2, 2)).opportunities == ()


def test_a_list_of_several_pallets_and_their_cases_says_nothing_of_which_is_on_which() -> None:
    units = tuple(sorted((S, T, *tags(1, 2, 7, 8))))
    lists = [identified(Event(f"asn{h}", "ObjectEvent", h * HOUR, "OBSERVE", "", units=units, by="w1")) for h in (1, 2)]
    assert history(pack(0, 1, 2), pack(0, 7, 8, parent=T), *lists).opportunities == ()


def test_a_stray_tag_that_its_own_pallet_shows_as_often_is_never_confirmed() -> None:
    mine = [pack(0, 1, 2), read(2, A, 1, 2, 7), read(8, B, 1, 2, 7)]
    neighbour = [pack(0, 7, 8, parent=T), read(2.01, A, 7, 8, parent=T), read(8.01, B, 7, 8, parent=T)]
    assert only(history(*mine)).confirmed
    assert not only(history(*mine, *neighbour)).confirmed


def test_a_declared_change_is_no_break() -> None:
    taken_out = aggregation(3, "DELETE", tags(3))
    put_in = pack(4, 9)
    folded = history(pack(0, 1, 2, 3), taken_out, put_in, read(8, B, 1, 2, 9), read(9, C, 1, 2, 9))
    assert folded.opportunities == ()


def test_an_emptied_pallet_expects_nothing() -> None:
    emptied = aggregation(3, "DELETE", ())
    assert history(pack(0, 1, 2), emptied, pack(4, 5, 6), read(8, B, 5, 6), read(9, C, 5, 6)).opportunities == ()


def test_a_confirmed_change_is_found_once_and_becomes_the_expected_set() -> None:
    swapped = [read(at_h, point, 1, 2, 7, 8) for at_h, point in ((8, B), (9, C), (20, D), (30, A))]
    opportunity = only(history(pack(0, 1, 2, 3, 4), read(2, A, 1, 2, 3, 4), *swapped))
    assert (opportunity.extra, opportunity.missing, opportunity.suspected) == (tags(7, 8), tags(3, 4), ())


def test_a_tag_confirmed_missing_that_is_read_again_and_was_nowhere_else_had_not_left() -> None:
    events = [pack(0, 1, 2, 3, 4), read(8, B, 1, 2), read(9, C, 1, 2), read(20, D, 1, 2, 3, 4), read(30, A, 1, 2, 3, 4)]
    assert only(history(*events[:3])).confirmed
    assert history(*events).opportunities == ()


def test_a_silent_return_after_being_seen_elsewhere_is_a_second_break() -> None:
    elsewhere = [read(9.5, C, 3, 4, parent=T)]
    events = [pack(0, 1, 2, 3, 4), read(8, B, 1, 2), read(9, C, 1, 2), read(20, D, 1, 2, 3, 4), read(30, A, 1, 2, 3, 4)]
    assert [o.missing + o.extra for o in history(*events, *elsewhere).opportunities] == [tags(3, 4), tags(3, 4)]


def test_a_pallet_nobody_declared_is_unobserved_until_two_read_points_agree() -> None:
    folded = history(read(2, A, 1, 2, 3), read(8, B, 1, 2, 3), read(9, C, 1, 2, 3))
    assert verdicts(folded) == [UNOBSERVED, CONTINUOUS]


def test_accidents_while_an_undeclared_set_forms_accuse_nobody() -> None:
    first = read(2, A, 1, 2, 9)
    second = read(8, B, 1, 2, 3)
    later = [read(at_h, point, 1, 2, 3) for at_h, point in ((9, C), (20, D), (30, A))]
    assert history(first, second, *later).opportunities == ()


def test_a_tag_that_joined_the_set_late_is_expected_like_any_other() -> None:
    formed = [read(2, A, 1, 2, 8, 9), read(3, B, 1, 2), read(4, C, 1, 2, 8, 9)]
    gone = [read(8, B, 1, 2), read(9, C, 1, 2), read(9.5, C, 8, 9, parent=T)]
    back = read(20, D, 1, 2, 8, 9)
    assert [o.missing for o in history(*formed, *gone).opportunities] == [tags(8, 9)]
    assert [o.suspected for o in history(*formed, *gone, back).opportunities] == [(), tags(8, 9)]


def test_a_disputed_event_makes_a_known_set_unknown_again() -> None:
    versions = [
        identified(Event("same", "AggregationEvent", 3 * HOUR, "DELETE", "", S, tags(*n), by="w1"))
        for n in ((3,), (4,))
    ]
    known = [pack(0, 1, 2, 3, 4), read(2, A, 1, 2, 3, 4)]
    assert only(history(*known, versions[0], read(8, B, 1, 2), read(9, C, 1, 2))).missing == tags(4)
    assert history(*known, *versions, read(8, B, 1, 2), read(9, C, 1, 2)).opportunities == ()


def test_two_versions_of_one_event_leave_the_contents_unknown() -> None:
    versions = [
        identified(Event("same", "AggregationEvent", 0, "ADD", "", S, tags(*n), by="w1")) for n in ((1, 2), (1, 3))
    ]
    folded = history(*versions, read(2, A, 1, 2), read(8, B, 1, 2))
    assert folded.opportunities == ()
    assert verdicts(folded)[0] == UNOBSERVED


def test_an_event_declared_wrong_by_its_sender_is_as_if_it_had_not_been() -> None:
    wrong = aggregation(3, "DELETE", tags(3))
    declared = identified(
        Event(wrong.event_id, wrong.kind, wrong.time_us, "DELETE", "", S, tags(3), by="w1", error="did_not_occur")
    )
    events = [pack(0, 1, 2, 3), wrong, read(8, B, 1, 2, 3)]
    assert only(history(*events)).suspected == tags(3)
    assert history(*events, declared).opportunities == ()
    assert verdicts(history(*events, declared)) == [CONTINUOUS]


def test_nobody_withdraws_an_event_of_somebody_else() -> None:
    wrong = aggregation(3, "DELETE", tags(3))
    forged = identified(
        Event(wrong.event_id, wrong.kind, wrong.time_us, "DELETE", "", S, tags(3), by="rival", error="did_not_occur")
    )
    assert only(history(pack(0, 1, 2, 3), wrong, forged, read(8, B, 1, 2, 3))).suspected == tags(3)


def test_the_party_that_held_the_unit_when_it_was_last_whole_is_the_one_to_ask() -> None:
    events = [
        pack(0, 1, 2, 3, 4),
        read(2, A, 1, 2, 3, 4, by="carrier"),
        read(8, B, 1, 2, by="w2"),
        read(9, C, 1, 2, by="w2"),
    ]
    assert only(history(*events)).holder == "carrier"


def test_the_stretch_after_the_last_full_read_is_unobserved() -> None:
    loaded = aggregation(9, "ADD", (S,), "veh:TRUCK-1")
    assert verdicts(history(pack(0, 1, 2), read(2, A, 1, 2), loaded)) == [CONTINUOUS, UNOBSERVED]


def test_a_pallet_whose_own_tag_was_missed_is_unobserved_until_it_is_read_again() -> None:
    carried = [aggregation(7, "ADD", (S,), "veh:TRUCK-1"), aggregation(9, "DELETE", (S,), "veh:TRUCK-1")]
    events = [pack(0, 1, 2, 3), *carried, alone(8, A, 1, 2, 3)]
    assert verdicts(history(*events)) == [UNOBSERVED, UNOBSERVED]
    folded = history(*events, read(10, B, 1, 2, 3))
    assert (folded.opportunities, verdicts(folded)) == ((), [CONTINUOUS] * 3)


def test_cases_read_without_their_pallet_bear_nothing_out() -> None:
    """Nobody knows what they stood on."""
    events = [pack(0, 1, 2, 3, 4), alone(8, A, 1, 2, 7), read(9, B, 1, 2, 7)]
    assert not only(history(*events)).confirmed
    assert only(history(*events, alone(10, C, 1, 2, 7))).suspected == tags(3, 4, 7)
    assert history(*events, read(11, C, 1, 2, 3, 4)).opportunities == ()


def test_the_worst_verdict_within_a_segment_is_the_segments() -> None:
    folded = history(pack(0, 1, 2), read(2, A, 1, 2), read(8, B, 1, 2))
    door = Touching("B5", "veh:TRUCK-1", "rear", 4 * HOUR, 5 * HOUR, UNOBSERVED)
    lawful = Touching("P2", S, "", 2 * HOUR, 8 * HOUR, BROKEN_AUTHORISED)
    standing = Touching("P2", S, "", 0, 2 * HOUR, BROKEN_UNEXPLAINED)
    assert verdicts(folded, [lawful]) == [CONTINUOUS, BROKEN_AUTHORISED]
    assert verdicts(folded, [lawful, door]) == [CONTINUOUS, UNOBSERVED]
    assert verdicts(folded, [lawful, door, standing]) == [BROKEN_UNEXPLAINED, UNOBSERVED]
    assert segments(folded, [door])[1].because == (("B5", "veh:TRUCK-1", "rear", 4 * HOUR),)


# Any order, any duplication, and a second opinion


def reference(unit: str, events: Sequence[Event]) -> set[tuple[str, int, bool, bool]]:
    """(tag, first deviating read, extra, confirmed) for pallets declared by ADD, tag by tag, from the words of the
    domain: no shared state between tags and no incremental sets."""
    timeline = sorted(
        {e.key: e for e in events}.values(),
        key=lambda e: (e.time_us, ("ADD", "OBSERVE", "DELETE").index(e.action), e.key),
    )
    found: set[tuple[str, int, bool, bool]] = set()
    for tag in {t for e in timeline for t in e.units}:
        inside, doubt, gone = False, [], None
        for e in timeline:
            if e.parent != unit:
                continue
            if e.action in ("ADD", "DELETE"):
                if tag in e.units or (e.action == "DELETE" and not e.units):
                    inside, doubt, gone = e.action == "ADD", [], None
                continue
            if (tag in e.units) == inside:
                doubt = []
                continue
            doubt.append(e)
            start, extra = doubt[0].time_us, tag in e.units
            if len({d.read_point for d in doubt}) < 2:
                continue
            away = [o for o in timeline if o.parent != unit and o.action != "DELETE" and tag in o.units]
            if extra and sum(
                start - RULES.cross_read_us <= o.time_us <= e.time_us + RULES.cross_read_us for o in away
            ) >= len(doubt):
                continue
            inside, doubt = extra, []
            if extra and gone is not None and not any(gone - RULES.cross_read_us <= o.time_us <= start for o in away):
                found.discard((tag, gone, False, True))
            else:
                found.add((tag, start, extra, True))
            gone = None if extra else start
        if doubt:
            found.add((tag, doubt[0].time_us, tag in doubt[0].units, False))
    return found


def flat(folded: History) -> set[tuple[str, bool]]:
    return {
        *((tag, True) for o in folded.opportunities for tag in (*o.extra, *o.missing)),
        *((tag, False) for o in folded.opportunities for tag in o.suspected),
    }


@st.composite
def scenes(draw: st.DrawFn) -> list[Event]:
    """Two declared pallets that share five tags, read, packed and unpacked at whole minutes."""
    events = [pack(0, 1, 2, 3, parent=S), pack(0, 4, 5, parent=T)]
    for step in range(1, draw(st.integers(1, 14))):
        at_h = draw(st.sampled_from((step, step - 0.99)))
        numbers = draw(st.lists(st.integers(1, 5), max_size=5, unique=True))
        parent = draw(st.sampled_from((S, T)))
        kind = draw(st.sampled_from(("read", "read", "read", "read", "ADD", "DELETE")))
        if kind == "read" and numbers:
            events.append(read(at_h, draw(st.sampled_from((A, B, C))), *numbers, parent=parent))
        elif kind != "read":
            events.append(aggregation(at_h, kind, tags(*numbers), parent))
    return events


@settings(max_examples=examples(300), deadline=None)
@given(scenes(), st.data())
def test_any_order_and_repetition_gives_the_same_history_as_the_plain_reading_of_the_rules(
    events: list[Event], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events)))))
    for unit in (S, T):
        folded = history(*events, unit=unit)
        assert history(*shuffled, unit=unit) == folded
        assert flat(folded) == {(tag, confirmed) for tag, _, _, confirmed in reference(unit, events)}
        assert {(m.unit, m.time_us, m.entered) for m in folded.moves} == {
            (tag, start, extra) for tag, start, extra, confirmed in reference(unit, events) if confirmed
        }


@pytest.mark.parametrize("seed", range(20))
def test_clean_pallets_with_one_percent_stray_and_missed_reads_are_never_accused(seed: int) -> None:
    """50 pallets of 40 cases go through four portals, neighbours two minutes apart; nothing is ever swapped."""
    chance = random.Random(seed)
    count, size = 50, 40
    names = [f"hu:w1/{number}" for number in range(count)]
    cases = [tags(*range(number * size, (number + 1) * size)) for number in range(count)]
    events = [aggregation(-1, "ADD", cases[i], names[i]) for i in range(count)]
    for stage, point in enumerate((A, B, C, D)):
        for i in range(count):
            seen = {tag for tag in cases[i] if chance.random() >= 0.01}
            beside = [tag for j in (i - 1, i + 1) if 0 <= j < count for tag in cases[j]]
            seen |= {chance.choice(beside) for _ in range(size) if chance.random() < 0.01}
            events.append(aggregation(10 * stage + i / 30, "OBSERVE", tuple(seen), names[i], point))
    by_tag: dict[str, list[Event]] = {}
    for event in events:
        for tag in event.units:
            by_tag.setdefault(tag, []).append(event)
    for name in names:
        mine = [event for event in events if event.parent == name]
        folded = history(*mine, *(e for event in mine for tag in event.units for e in by_tag[tag]), unit=name)
        assert not any(opportunity.askable for opportunity in folded.opportunities)
        assert not {move for move in folded.moves if move.entered}
