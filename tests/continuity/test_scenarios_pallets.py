"""P1 to P7 as they are met in practice, each lawful, short of evidence, unlawful, and innocently alike (domain §3)."""

from __future__ import annotations

import pytest

from continuity.facts import (
    BOARD,
    DOCK,
    GATE,
    OTHER_BOARD,
    OUT,
    ROADSIDE,
    STORE,
    TRUCK,
    TRUCK2,
    S,
    T,
    load,
    pack,
    read,
    scan,
    seal,
    seen_in,
    take,
    unload,
)
from continuity.telling import (
    FourForms,
    Story,
)

LOT, LOT2 = "lot:16901234500018/L1", "lot:16901234500018/L2"

STORIES = (
    Story(
        "the load comes back on another board",
        "P1",
        S,
        [
            pack(0, S, 1, 2, 3, 4, at=OUT, board=BOARD),
            read(8, DOCK, S, 1, 2, 3, 4, board=OTHER_BOARD),
            read(9, STORE, S, 1, 2, 3, 4, board=OTHER_BOARD),
        ],
        "E9",
        "recount",
        [
            pack(0, S, 1, 2, 3, 4, at=OUT, board=BOARD),
            read(8, DOCK, S, 1, 2, 3, 4, board=OTHER_BOARD),
            read(9, STORE, S, 1, 2, 3, 4, board=BOARD),
        ],  # the next pallet's board, read once
    ),
    Story(
        "two cases are gone and two others are there",
        "P2",
        S,
        [
            pack(0, S, 1, 2, 3, 4),
            read(1, OUT, S, 1, 2, 3, 4),
            read(8, DOCK, S, 1, 2, 7, 8),
            read(9, STORE, S, 1, 2, 7, 8),
        ],
        "E6",
        "order",
        [
            pack(0, S, 1, 2, 3, 4),
            read(1, OUT, S, 1, 2, 3, 4),
            read(8, DOCK, S, 1, 2, 3, 7),
            pack(0, T, 7, 9),
            read(8.02, DOCK, T, 7, 9),
            read(9, STORE, S, 1, 2, 3, 4, 7),
            read(9.02, STORE, T, 7, 9),
        ],  # neighbouring lane
    ),
    Story(
        "the same cases under a new number",
        "P3",
        S,
        [pack(0, S, 1, 2, 3, 4), read(1, OUT, S, 1, 2, 3, 4), pack(5, T, 1, 2, 3, 4), read(8, DOCK, T, 1, 2, 3, 4)],
        "E5",
        "mass_balance",
        [
            pack(0, S, 1, 2, 3, 4),
            read(1, OUT, S, 1, 2, 3, 4),
            pack(5, T, 1, 2, 3, 4, linkedFrom=[S]),
            read(8, DOCK, T, 1, 2, 3, 4),
            read(8.1, GATE, S),
            read(9, DOCK, S),
        ],  # declared and linked
    ),
    Story(
        "its board, with the same lot and count, under a new number",
        "P3",
        S,
        [
            pack(0, S, lots=[(LOT, 40)], at=OUT, board=BOARD),
            read(1, OUT, S, lots=[(LOT, 40)]),
            read(8, DOCK, T, lots=[(LOT, 40)], board=BOARD),
            read(9, STORE, T, lots=[(LOT, 40)], board=BOARD),
        ],
        "E9",
        "old_unit",
        [
            pack(0, S, lots=[(LOT, 40)], at=OUT, board=BOARD),
            read(1, OUT, S, lots=[(LOT, 40)]),
            read(8, DOCK, T, lots=[(LOT2, 36)], board=BOARD),
            read(9, STORE, T, lots=[(LOT2, 36)], board=BOARD),
        ],  # boards are used again
        channel=T,
    ),
    Story(
        "a case of one load packed onto another",
        "P4",
        S,
        [pack(0, S, 1, 2, 3, 4), pack(0, T, 11, 12), pack(5, T, 4), read(8, DOCK, T, 4, 11, 12)],
        "E11",
        "work_order|waybill",
        [
            pack(0, S, 1, 2, 3, 4),
            pack(0, T, 11, 12),
            take(4, S, 4),
            pack(5, T, 4),
            read(8, DOCK, T, 4, 11, 12),
            read(9, STORE, S, 1, 2, 3),
        ],  # taken off and put on, both said
    ),
    Story(
        "another lot is counted on it at two points",
        "P4",
        S,
        [
            pack(0, S, lots=[(LOT, 40)]),
            read(1, OUT, S, lots=[(LOT, 40)]),
            read(8, DOCK, S, lots=[(LOT, 38), (LOT2, 2)]),
            read(9, STORE, S, lots=[(LOT, 38), (LOT2, 2)]),
        ],
        "E6",
        "residual",
        [
            pack(0, S, lots=[(LOT, 40)]),
            read(8, DOCK, S, lots=[(LOT, 38), (LOT2, 2)]),
            read(9, STORE, S, lots=[(LOT, 40)]),
        ],
        channel=LOT2,
    ),
    Story(
        "twelve of four hundred short behind a broken seal",
        "P5",
        S,
        [
            pack(0, S, lots=[(LOT, 400)]),
            load(1, TRUCK, S),
            seal(1.1, TRUCK, "A1234"),
            seal(6, TRUCK, "A1234", "checked", "broken", by="w2"),
            unload(6.1, TRUCK, S),
            read(6.2, DOCK, S, by="w2", count=388),
        ],
        "E8",
        "authority",
        [
            pack(0, S, lots=[(LOT, 400)]),
            load(1, TRUCK, S),
            unload(6.1, TRUCK, S),
            read(6.2, DOCK, S, by="w2", count=388),
        ],
        channel="count",
    ),
    Story(
        "heavier by more than a case, and a case read that was not packed",
        "P5",
        S,
        [
            pack(0, S, 1, 2, 3, 4, grossWeight={"value": 800, "uom": "KGM"}),
            read(6, DOCK, S, 1, 2, 3, 4, 9),
            read(6.2, DOCK, S, 1, 2, 3, 4, 9, grossWeight={"value": 1020.5, "uom": "KGM"}),
        ],
        "E2",
        "sheet",
        [
            pack(0, S, 1, 2, 3, 4, grossWeight={"value": 800, "uom": "KGM"}),
            read(6.2, DOCK, S, 1, 2, 3, 4, grossWeight={"value": 1020.5, "uom": "KGM"}),
        ],  # a scale by itself
        channel="weight",
    ),
    Story(
        "stated to be in two trucks by turns",
        "P6",
        S,
        [pack(0, S, 1), load(1, TRUCK, S), seen_in(2, TRUCK2, S), seen_in(3, TRUCK, S), seen_in(4, TRUCK2, S)],
        "E11",
        "count_after",
        [pack(0, S, 1), load(1, TRUCK, S), seen_in(2, TRUCK2, S, by="gate"), seen_in(3, TRUCK, S)],  # one misread
        channel=f"parents {TRUCK} {TRUCK2}",
    ),
    Story(
        "read off the truck on a leg without stops, and lighter after it",
        "P7",
        S,
        [
            pack(0, S, 1, 2, grossWeight={"value": 800, "uom": "KGM"}),
            load(1, TRUCK, S),
            scan(3, ROADSIDE, S, by="carrier"),
            unload(6, TRUCK, S),
            read(6.2, DOCK, S, 1, 2, grossWeight={"value": 300, "uom": "KGM"}),
        ],
        "E10",
        "agent",
        [
            pack(0, S, 1, 2),
            load(1, TRUCK, S),
            scan(3, ROADSIDE, S, by="carrier"),
            unload(6, TRUCK, S),
            read(6.2, DOCK, S, 1, 2),
            read(6.4, STORE, S, 1, 2),
        ],  # a hand scanner's place set wrongly
    ),
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.code} {story.title}")
class TestPallets(FourForms):
    pass
