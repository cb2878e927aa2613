"""What kind of goods something is, from what is stated of it, and the profile it falls under."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.commodities import (
    OF_DEVICES,
    Commodity,
    GoodsFact,
    classes_of,
    commodity,
    fall,
    goods_in,
    printed_product,
)
from coldchain.domain.events import Event, identified
from coldchain.domain.profiles import Goods, parse_profile
from coldchain.rules import shipped_profiles

LOT = "lot:1974/Beef shank/2026-01-05"
FROZEN, CHILLED = "0202300090", "0201300090"


def fact(hs: str = "", product: str = "", time_us: int = 0, by: str = "importer", item: str = LOT) -> GoodsFact:
    return GoodsFact(item, f"{by}/{time_us}", hs, product, time_us, by)


def kind(*facts: GoodsFact, names: tuple[str, ...] = (LOT,)) -> Commodity:
    return commodity(names, {name: [one for one in facts if one.item == name] for name in names})


def test_goods_nobody_declared_are_known_by_the_name_of_their_lot() -> None:
    assert kind() == Commodity(Goods("", "Beef shank"))
    assert printed_product("lot:1974/50%25 lean%2Ftrimmed/L1") == "50% lean/trimmed"
    assert printed_product("lot:16901234500018/L1") == ""
    assert printed_product("lot:1974/sha256/00ff") == ""


def test_what_is_declared_comes_before_what_is_printed() -> None:
    assert kind(fact(FROZEN, "Frozen shank")).goods == Goods(FROZEN, "Frozen shank")


def test_of_one_sender_the_newest_statement_counts() -> None:
    assert kind(fact(CHILLED, time_us=1), fact(FROZEN, time_us=2)).goods.hs == FROZEN


def test_codes_of_two_senders_that_differ_contradict_each_other() -> None:
    found = kind(fact(CHILLED, by="importer"), fact(FROZEN, by="broker"))
    assert found.codes == (CHILLED, FROZEN)
    assert fall(found, shipped_profiles()).turns == OF_DEVICES
    assert "0201300090, 0202300090" in fall(found, shipped_profiles()).why


def test_a_code_with_the_digits_of_the_inspection_says_the_same() -> None:
    assert kind(fact(FROZEN, by="importer"), fact(f"{FROZEN}101", by="broker")).goods.hs == f"{FROZEN}101"


def test_a_lot_without_a_statement_is_what_is_said_of_its_gtin() -> None:
    gtin = "code:gtin/16901234500018"
    assert classes_of("lot:16901234500018/L1") == ("lot:16901234500018/L1", gtin)
    assert kind(fact(FROZEN, item=gtin), names=(LOT, gtin)).goods.hs == FROZEN


@given(
    st.lists(
        st.builds(
            fact,
            st.sampled_from(("", FROZEN, CHILLED)),
            st.sampled_from(("", "a", "b")),
            st.integers(0, 3),
            st.sampled_from(("importer", "broker")),
        ),
        max_size=6,
    ),
    st.randoms(),
)
def test_the_order_in_which_statements_come_does_not_matter(facts: list[GoodsFact], random: object) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kind(*facts) == kind(*shuffled, *shuffled)


def test_it_is_told_by_what_goods_fall_under_a_profile() -> None:
    profiles = shipped_profiles()
    assert fall(kind(fact(FROZEN)), profiles)[:2] == (((OF_DEVICES[0][0], "frozen-food"),), f"hs {FROZEN}")
    assert fall(kind(fact(product="冻牛腱")), profiles)[:2] == (((OF_DEVICES[0][0], "frozen-food"),), "product name")
    assert fall(kind(fact("8418500000", "Shelf")), profiles).why == "no profile claims hs 8418500000 'Shelf'"


def test_a_profile_that_begins_later_claims_goods_from_then_on() -> None:
    later = parse_profile(
        {
            "kind": "profile", "name": "own", "version": 1, "from_us": 500, "clause": "c", "verified": True,
            "product": {"hs": ["02023000"]}, "packs": [{"pack": "CN-frozen"}],
        }
    )  # fmt: skip
    found = fall(kind(fact(FROZEN)), [*shipped_profiles(), later])
    assert found.turns == ((OF_DEVICES[0][0], "frozen-food"), (500, "own"))


def stated(action: str = "ADD", **extras: object) -> Event:
    said = tuple(sorted((name, json.dumps(value)) for name, value in extras.items()))
    event = Event("e", "ObjectEvent", 7, action, "commissioning", units=("case:1/1", "veh:A"), extras=said)
    return identified(event, "plant")


def test_master_data_speak_of_what_an_event_brings_into_being() -> None:
    assert [(one.item, one.hs, one.by) for one in goods_in(stated(ilmd={"hs": FROZEN}))] == [
        ("case:1/1", FROZEN, "plant")
    ]
    assert [one.product for one in goods_in(stated(product="Shank", ilmd={"product": "other"}))] == ["Shank"]
    assert list(goods_in(stated("OBSERVE", hs=FROZEN))) == []


def test_lines_of_a_paper_speak_of_what_they_name() -> None:
    (one,) = goods_in(stated("OBSERVE", goods=[{"item": LOT, "hs": FROZEN}]))
    assert (one.item, one.hs, one.product, one.time_us) == (LOT, FROZEN, "", 7)
