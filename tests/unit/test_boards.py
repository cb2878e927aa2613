"""Which pallet board carried which load, from statements in any order."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.boards import BoardSpan, board_history, board_spans, boards_in
from coldchain.domain.events import Event, identified

LOAD, OTHER = "sscc:169012345000000025", "hu:w1/7"
BOARD, NEXT = "grai:06901234510010PLT0000001", "grai:06901234510010PLT0000002"


def associated(time_us: int, action: str, load: str = LOAD, board: str = BOARD) -> Event:
    name = f"{time_us}{action}{load}{board}"
    return identified(
        Event(name, "AssociationEvent", time_us, action, "", board, (load,), read_point="loc:w1/d", by="w1")
    )


def stating(time_us: int, action: str, board: str, parent: str = LOAD) -> Event:
    extras = (("board", json.dumps(board)),)
    name = f"{time_us}{action}{parent}{board}"
    units = ("case:16901234500018/1",)
    return identified(Event(name, "AggregationEvent", time_us, action, "", parent, units, extras=extras, by="w1"))


def spans(*events: Event) -> list[tuple[str, str, int, int | None]]:
    return [span[:4] for span in board_spans(board_history(events))]


def test_a_load_is_on_its_board_from_association_to_dissociation() -> None:
    begin, read, end = associated(10, "ADD"), associated(20, "OBSERVE"), associated(50, "DELETE")
    (span,) = board_spans(board_history([begin, read, end]))
    assert span == BoardSpan(LOAD, BOARD, 10, 50, 50, "on", "off", (begin.key, read.key, end.key))


def test_a_read_on_another_board_ends_the_span_and_says_that_nobody_declared_it() -> None:
    first, second = board_spans(board_history([associated(10, "ADD"), associated(30, "OBSERVE", board=NEXT)]))
    assert (first.board, first.to_us, first.seen_us, first.ended) == (BOARD, 30, 10, "seen")
    assert (second.board, second.from_us, second.began) == (NEXT, 30, "seen")


def test_an_exchange_of_boards_at_one_instant_is_declared() -> None:
    events = [associated(10, "ADD"), associated(30, "ADD", board=NEXT), associated(30, "DELETE")]
    first, second = board_spans(board_history(events))
    assert (first.ended, first.to_us, second.began, second.to_us) == ("off", 30, "on", None)


def test_taking_a_load_off_a_board_it_is_not_on_changes_nothing() -> None:
    assert spans(associated(10, "ADD"), associated(20, "DELETE", board=NEXT)) == [(LOAD, BOARD, 10, None)]


def test_an_event_may_state_the_board_beneath_in_any_spelling() -> None:
    events = [stating(10, "ADD", "06901234510010PLT0000001"), stating(20, "OBSERVE", BOARD)]
    events.append(stating(30, "DELETE", "https://id.gs1.org/8003/06901234510010PLT0000001"))
    (span,) = board_spans(board_history(events))
    assert (span.board, span.from_us, span.to_us, span.seen_us, span.began) == (BOARD, 10, None, 30, "on")


def test_the_board_may_be_named_as_child_and_a_load_without_sscc_has_one_too() -> None:
    turned = replace(associated(10, "ADD"), parent=OTHER, units=(BOARD,))
    assert spans(identified(turned)) == [(OTHER, BOARD, 10, None)]


def test_what_is_no_board_states_none() -> None:
    for stated in ("", "sscc:169012345000000025", "06901234510011X", "no board"):
        assert boards_in(stating(10, "ADD", stated)) == ()
    assert boards_in(replace(stating(10, "ADD", BOARD), extras=(("board", "[1]"),))) == ()
    assert boards_in(associated(10, "ADD", load="case:16901234500018/1")) == ()


@given(st.data())
def test_any_order_and_repetition_gives_the_same_spans_each_load_on_one_board(data: st.DataObject) -> None:
    pick = st.builds(
        associated,
        st.integers(0, 6),
        st.sampled_from(("ADD", "OBSERVE", "DELETE")),
        st.sampled_from((LOAD, OTHER)),
        st.sampled_from((BOARD, NEXT)),
    )
    events = data.draw(st.lists(pick, max_size=10))
    facts = board_history(events)
    found = board_spans(facts)
    assert board_spans(board_history(data.draw(st.permutations(events + events[:3])))) == found
    for load in (LOAD, OTHER):
        mine = [span for span in found if span.load == load]
        assert all(a.to_us is not None and a.to_us <= b.from_us for a, b in pairwise(mine))
    for t_us in range(8):  # a replay up to the moment names the same board
        at: dict[str, str] = {}
        for fact in facts:
            if fact.time_us <= t_us and fact.act == "off" and at.get(fact.load) == fact.board:
                del at[fact.load]
            elif fact.time_us <= t_us and fact.act != "off":
                at[fact.load] = fact.board
        assert {s.load: s.board for s in found if s.from_us <= t_us and (s.to_us is None or t_us < s.to_us)} == at
