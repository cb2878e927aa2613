"""Handovers: which halves belong together, what they agree on, in any order."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.events import Event, Quantity, identified
from coldchain.domain.handover_legs import fold
from coldchain.domain.handovers import Half, Handover, read_half
from coldchain.domain.parties import Directory, read_registration

HOUR = 3_600_000_000
P1, P2, P3 = "sscc:169012345000000025", "sscc:169012345000000032", "sscc:169012345000000049"
LOT = "lot:16901234500018/L1"
NOBODY = Directory()


def stated(
    step: str, at_h: float, by: str, units: Sequence[str] = (), to: str = "", source: str = "", **more: Any
) -> Event:
    quantities = tuple(Quantity(item, round(amount * 1000), "") for item, amount in more.pop("lots", {}).items())
    extras = tuple(sorted((name, json.dumps(value)) for name, value in more.pop("extras", {}).items()))
    papers = tuple(("po", paper) for paper in more.pop("papers", ()))
    return identified(
        Event(
            more.pop("event_id", f"{step}/{at_h}/{by}/{units}/{lots(quantities)}"),
            "ObjectEvent",
            round(at_h * HOUR),
            "OBSERVE",
            step,
            units=tuple(sorted(units)),
            by=by,
            quantities=quantities,
            sources=(("possessing_party", f"code:org/{source}"),) if source else (),
            destinations=(("possessing_party", f"code:org/{to}"),) if to else (),
            transactions=papers,
            extras=extras,
            **more,
        )
    )


def lots(quantities: Sequence[Quantity]) -> str:
    return ",".join(f"{q.item}={q.amount_milli}" for q in quantities)


def halves(*events: Event, directory: Directory = NOBODY) -> list[Half]:
    return [half for event in events if (half := read_half(event, directory)) is not None]


def one(*events: Event) -> Handover:
    (found,) = fold(halves(*events))
    return found


def test_what_was_shipped_and_received_alike_agrees() -> None:
    found = one(
        stated("shipping", 8, "polar", [P1, P2], to="haul"), stated("receiving", 9, "haul", [P1, P2], source="polar")
    )
    assert (found.giver, found.taker, found.state) == ("polar", "haul", "agreed")
    assert (found.shipped_us, found.received_us) == (8 * HOUR, 9 * HOUR)


def test_a_receipt_that_names_no_party_answers_the_shipment_to_whoever_made_it() -> None:
    assert one(stated("shipping", 8, "polar", [P1], to="haul"), stated("accepting", 9, "haul", [P1])).state == "agreed"


def test_a_half_nobody_answered_says_which_half_is_missing() -> None:
    assert one(stated("shipping", 8, "polar", [P1], to="haul")).state == "shipped only"
    assert one(stated("receiving", 8, "haul", [P1], source="polar")).state == "received only"


def test_a_read_at_a_dock_is_no_half_of_a_handover() -> None:
    assert fold(halves(stated("receiving", 8, "haul", [P1]))) == ()
    assert halves(stated("departing", 8, "polar", [P1]), stated("storing", 8, "polar", [P1], to="haul")) == []


def test_nobody_speaks_for_another_party() -> None:
    assert halves(stated("shipping", 8, "thief", [P1], to="thief", source="polar")) == []
    assert halves(stated("receiving", 9, "thief", [P1], to="haul", source="polar")) == []
    agent = read_registration(
        {"op": "agent", "id": "polar/temp", "org": "polar", "agent": "temp", "n": 1, "from_us": 0, "to_us": None}
    )
    (half,) = halves(stated("shipping", 8, "temp", [P1], to="haul", source="polar"), directory=Directory([agent]))
    assert (half.giver, half.by) == ("polar", "temp")


def test_units_missing_and_units_too_many_are_listed() -> None:
    found = one(stated("shipping", 8, "polar", [P1, P2], to="haul"), stated("receiving", 9, "haul", [P2, P3]))
    assert found.state == "differs"
    assert found.difference is not None
    assert (found.difference.missing, found.difference.extra) == ((P1,), (P3,))


@pytest.mark.parametrize(
    ("shipped", "received", "state", "counts"),
    [
        ({"extras": {"count": 1200}}, {"extras": {"count": 1200}}, "agreed", None),
        ({"extras": {"count": 1200}}, {"extras": {"count": 1180}}, "differs", (1200, 1180)),
        ({"units": [P1, P2], "extras": {"count": 120}}, {"units": [P1, P2]}, "agreed", None),
        ({"units": [P1, P2]}, {"extras": {"count": 1}}, "differs", (2, 1)),
        ({"lots": {LOT: 60}}, {"extras": {"count": 60}}, "agreed", None),
        ({"lots": {LOT: 60}}, {}, "uncounted", None),
    ],
)
def test_like_is_compared_with_like(
    shipped: dict[str, Any], received: dict[str, Any], state: str, counts: tuple[int, int] | None
) -> None:
    papers = {"papers": ["wb-1"]}
    found = one(
        stated("shipping", 8, "polar", to="haul", **shipped, **papers),
        stated("receiving", 9, "haul", **received, **papers),
    )
    assert found.state == state
    assert counts == (found.difference.counts if found.difference else None)


def test_lots_are_compared_by_what_was_shipped_of_each() -> None:
    found = one(
        stated("shipping", 8, "polar", to="haul", lots={LOT: 60}), stated("receiving", 9, "haul", lots={LOT: 58})
    )
    assert found.difference is not None
    assert found.difference.quantities == ((LOT, "", 60_000, 58_000),)


def test_shipping_and_departing_are_one_half_and_the_most_definite_receipt_counts() -> None:
    found = one(
        stated("shipping", 8, "polar", [P1, P2], to="haul"),
        stated("departing", 8.5, "polar", [P1, P2], to="haul"),
        stated("arriving", 9, "haul", [P1, P2], source="polar"),
        stated("accepting", 9.5, "haul", [P1], source="polar"),
    )
    assert found.difference is not None
    assert found.difference.missing == (P2,), "one of them was not accepted"


def test_one_receipt_answers_several_shipments_and_several_receipts_one_shipment() -> None:
    several = [stated("shipping", 8 + n / 10, "polar", [unit], to="haul") for n, unit in enumerate((P1, P2, P3))]
    found = fold(halves(*several, stated("receiving", 9, "haul", [P1, P2, P3])))
    assert [handover.state for handover in found] == ["agreed"] * 3
    split = [stated("receiving", 9 + n / 10, "haul", [unit]) for n, unit in enumerate((P1, P2, P3))]
    assert one(stated("shipping", 8, "polar", [P1, P2, P3], to="haul"), *split).state == "agreed"


def test_the_same_pallet_going_the_same_way_again_is_another_handover() -> None:
    found = fold(
        halves(
            stated("shipping", 8, "polar", [P1], to="haul"),
            stated("receiving", 9, "haul", [P1]),
            stated("shipping", 20, "haul", [P1], to="polar"),
            stated("receiving", 21, "polar", [P1]),
            stated("shipping", 30, "polar", [P1], to="haul"),
        )
    )
    assert sorted((h.shipped_us or 0, h.state) for h in found) == [
        (8 * HOUR, "agreed"),
        (20 * HOUR, "agreed"),
        (30 * HOUR, "shipped only"),
    ]


def test_a_clock_that_is_half_an_hour_off_makes_no_unanswered_half() -> None:
    assert (
        one(stated("shipping", 8, "polar", [P1], to="haul"), stated("receiving", 7.5, "haul", [P1])).state == "agreed"
    )


def test_of_two_shipments_of_one_lot_each_receipt_finds_its_own() -> None:
    found = fold(
        halves(
            stated("shipping", 8, "polar", to="haul", lots={LOT: 60}),
            stated("shipping", 9, "polar", to="haul", lots={LOT: 40}),
            stated("receiving", 10, "haul", lots={LOT: 40}),
            stated("receiving", 11, "haul", lots={LOT: 35}),
            stated("receiving", 12, "haul", lots={LOT: 25}),
        )
    )
    assert [(h.state, len(h.received)) for h in sorted(found, key=lambda h: h.shipped_us or 0)] == [
        ("agreed", 2),
        ("agreed", 1),
    ]


def test_a_receipt_answers_the_shipment_whole_though_the_dock_read_some_of_it_twice() -> None:
    found = one(
        stated("shipping", 0, "polar", [P1, P2], to="haul"),
        stated("arriving", 0, "haul", [P1]),
        stated("arriving", 1, "haul", [P1]),
        stated("receiving", 2, "haul", [P1, P2]),
    )
    assert (found.state, [half.units for half in found.received]) == ("agreed", [(P1,), (P1, P2)])


def test_another_receiver_than_the_named_one_leaves_both_halves_unanswered() -> None:
    found = fold(
        halves(stated("shipping", 8, "polar", [P1], to="haul"), stated("receiving", 9, "other", [P1], source="polar"))
    )
    assert sorted(handover.state for handover in found) == ["received only", "shipped only"]


def test_an_answer_by_link_is_received_and_is_not_the_takers_own_word() -> None:
    shipment = stated("shipping", 8, "polar", [P1, P2], to="driver-less", event_id="s1")
    answer = stated("receiving", 9, "polar", to="driver-less", source="polar", extras={"answers": "s1", "count": 2})
    found = one(shipment, answer)
    assert (found.state, found.accepted_us) == ("agreed", None)


def test_carriers_vehicle_and_driver_are_fields_of_their_own() -> None:
    fields = {
        "contractingCarrier": "urn:coldchain:code:org/big",
        "actualCarrier": "haul",
        "vehicle": "urn:coldchain:veh:T1",
    }
    (half,) = halves(stated("shipping", 8, "polar", [P1], to="shop", extras={**fields, "driver": "ab" * 32}))
    assert (half.contracting_carrier, half.actual_carrier, half.vehicle, half.driver) == (
        "big",
        "haul",
        "veh:T1",
        "ab" * 32,
    )
    assert half.named == ("big", "haul", "shop")


units = st.lists(st.sampled_from([P1, P2, P3]), min_size=1, max_size=3, unique=True)
parties = st.sampled_from(["polar", "haul", "shop"])
events = st.builds(
    lambda step, at, by, names, to, lot, paper: stated(
        step, at, by, names, to=to, lots={LOT: lot} if lot else {}, papers=[paper] if paper else []
    ),
    st.sampled_from(["shipping", "departing", "arriving", "receiving", "accepting"]),
    st.integers(0, 40),
    parties,
    units | st.just([]),
    parties | st.just(""),
    st.integers(0, 3),
    st.sampled_from(["", "wb-1", "wb-2"]),
)


@given(st.lists(events, max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_fold_to_the_same(found: list[Event], draw: random.Random) -> None:
    known = halves(*found)
    assert fold(draw.sample(known, len(known)) + known) == fold(known)


@given(st.lists(events, max_size=12))
def test_every_half_is_in_a_handover_with_all_its_goods_or_is_a_mere_read(found: list[Event]) -> None:
    known = {half.key: half for half in halves(*found)}
    placed: dict[str, set[str]] = {}
    for handover in fold(known.values()):
        for half in (*handover.shipped, *handover.received):
            placed.setdefault(half.key, set()).update(half.goods)
    for key, half in known.items():
        if key in placed:
            assert placed[key] == set(half.goods)
        else:
            assert half.side == "received"
