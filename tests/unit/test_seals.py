"""Seal chains: what was put on, looked at and taken off, in any order of arrival."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.events import Event, identified
from coldchain.domain.seals import SealFact, seal_chain, seal_history, seals_in, worn

BOX, OTHER = "cont:CSQU3054383", "cont:MORU0714983"


def sealing(time_us: int, *stated: Any, unit: str = BOX, parent: str = "", **more: Any) -> Event:
    extras = (("seals", json.dumps(list(stated))),)
    units = (unit,) if unit else ()
    event = Event(f"e{time_us}", "ObjectEvent", time_us, "OBSERVE", "inspecting", parent, units, extras=extras, by="w1")
    return identified(replace(event, **more))


def seal(act: str, number: str = "CN123456", **more: str) -> dict[str, str]:
    return {"seal": number, "act": act, **more}


def story(facts: Sequence[SealFact]) -> list[tuple[str, list[str], int, int | None]]:
    return [(link.seal, [fact.act for fact in link.facts], link.from_us, link.to_us) for link in seal_chain(facts)]


def test_a_seal_is_applied_checked_on_the_way_and_removed_and_the_next_one_follows() -> None:
    events = [
        sealing(10, seal("applied", issuer="COSCO", **{"class": "H"})),
        sealing(20, seal("checked", state="intact")),
        sealing(30, seal("removed", state="intact"), seal("applied", "GACC0001", issuer="GACC")),
    ]
    chain = seal_chain(seal_history(events))
    assert story(seal_history(events)) == [
        ("CN123456", ["applied", "checked", "removed"], 10, 30),
        ("GACC0001", ["applied"], 30, None),
    ]
    assert [(link.issuer, link.applied is not None) for link in chain] == [("COSCO", True), ("GACC", True)]
    assert [link.seal for link in worn(chain, BOX, 30)] == ["CN123456"]
    assert [link.seal for link in worn(chain, BOX, 31)] == ["GACC0001"]
    assert worn(chain, OTHER, 31) == ()


def test_a_number_is_one_number_however_it_was_copied() -> None:
    facts = seal_history([sealing(10, seal("applied", "cn-123 456")), sealing(20, seal("removed", "ＣＮ123456"))])
    assert story(facts) == [("CN123456", ["applied", "removed"], 10, 20)]


def test_the_same_number_of_two_issuers_is_two_seals() -> None:
    facts = seal_history([sealing(10, seal("applied", issuer="A")), sealing(20, seal("removed", issuer="B"))])
    assert [acts for _, acts, _, _ in story(facts)] == [["applied"], ["removed"]]


def test_a_seal_nobody_recorded_applying_has_no_application() -> None:
    (link,) = seal_chain(seal_history([sealing(20, seal("checked", state="broken"))]))
    assert (link.applied, link.removed, link.checks[0].state) == (None, None, "broken")


def test_a_seal_reported_absent_and_otherwise_unheard_of_was_never_worn() -> None:
    chain = seal_chain(seal_history([sealing(20, seal("checked", state="absent"))]))
    assert worn(chain, BOX, 30) == ()


def test_a_seal_applied_again_after_its_removal_begins_a_new_wearing() -> None:
    events = [sealing(t, seal(act)) for t, act in ((10, "applied"), (20, "removed"), (30, "applied"), (40, "checked"))]
    assert [acts for _, acts, _, _ in story(seal_history(events))] == [["applied", "removed"], ["applied", "checked"]]


def test_two_parties_who_apply_and_remove_one_seal_speak_of_one_wearing() -> None:
    events = [
        sealing(10, seal("applied")),
        sealing(11, seal("applied"), by="carrier", event_id="c1"),
        sealing(30, seal("removed")),
        sealing(31, seal("removed"), by="carrier", event_id="c2"),
    ]
    assert story(seal_history(events)) == [("CN123456", ["applied", "applied", "removed", "removed"], 10, 30)]


def test_the_unit_is_the_items_own_or_the_parent_or_the_only_thing_with_a_door() -> None:
    (own,) = seals_in(sealing(10, seal("applied", unit=OTHER)))
    (parents,) = seals_in(sealing(10, seal("applied"), unit="sscc:169012345000000025", parent=BOX))
    (door,) = seals_in(sealing(10, seal("applied"), units=(BOX, "sscc:169012345000000025")))
    (nobody,) = seals_in(sealing(10, seal("applied"), units=(BOX, OTHER)))
    assert (own.unit, parents.unit, door.unit, nobody.unit) == (OTHER, BOX, BOX, "")


def test_what_states_no_seal_is_passed_over_and_unknown_words_are_left_out() -> None:
    odd = sealing(
        10, "CN1", {"seal": 5, "act": "applied"}, seal("glued"), seal("checked", state="shiny", **{"class": "X"})
    )
    (fact,) = seals_in(odd)
    assert (fact.state, fact.klass) == ("", "")
    assert seals_in(replace(odd, extras=(("seals", '"CN1"'),))) == ()
    assert seals_in(replace(odd, extras=())) == ()


def test_withdrawn_and_disputed_statements_seal_nothing() -> None:
    wrong = sealing(10, seal("applied"))
    disputed = sealing(10, seal("applied", "CN999999"))
    assert seal_history([wrong, identified(replace(wrong, error="did_not_occur"))]) == ()
    assert seal_history([wrong, disputed]) == ()


@st.composite
def sealings(draw: st.DrawFn) -> list[Event]:
    events = []
    for number in range(draw(st.integers(0, 8))):
        items = [
            seal(draw(st.sampled_from(("applied", "checked", "removed"))), draw(st.sampled_from(("AAAA1", "BBBB2"))))
            for _ in range(draw(st.integers(1, 2)))
        ]
        unit = draw(st.sampled_from((BOX, OTHER)))
        events.append(sealing(draw(st.integers(0, 5)), *items, unit=unit, event_id=f"e{number}"))
    return events


@given(sealings(), st.data())
def test_any_order_and_repetition_gives_the_same_chain_and_no_statement_is_lost(
    events: list[Event], data: st.DataObject
) -> None:
    doubled = events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([]))
    shuffled = data.draw(st.permutations(doubled))
    facts = seal_history(events)
    assert seal_history(shuffled) == facts
    chain = seal_chain(facts)
    assert seal_chain(data.draw(st.permutations(facts))) == chain
    assert sorted(fact for link in chain for fact in link.facts) == sorted(facts)
    for link in chain:
        acts = [fact.act for fact in link.facts]
        assert "applied" not in acts[acts.index("removed") :] if "removed" in acts else True
