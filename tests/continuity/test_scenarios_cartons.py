"""B1 to B6 as they are met in practice, each lawful, short of evidence, unlawful, and innocently alike (domain §3)."""

from __future__ import annotations

import pytest

from continuity.facts import (
    BOX,
    DOCK,
    OUT,
    ROADSIDE,
    STORE,
    TRAILER,
    TRUCK,
    TRUCK2,
    S,
    T,
    carton,
    case,
    doors,
    inner,
    issue,
    load,
    mounted,
    pack,
    read,
    ruled,
    seal,
    seen_in,
    site,
    supervision,
    take,
    unload,
)
from continuity.telling import (
    FORMS,
    FourForms,
    Story,
    alike,
    in_form,
    lacking,
    lawful,
    one,
    same_in_any_order,
    told,
    unlawful,
)
from continuity.world import DEADLINE_H, World

LOT = "lot:16901234500018/L1"
C1, C9 = case(1), case(9)
SWAPPED = [
    pack(0, S, 1, 2, 3, 4), read(1, OUT, S, 1, 2, 3, 4), read(8, DOCK, S, 1, 2, 7, 8), read(9, STORE, S, 1, 2, 7, 8),
]  # fmt: skip

STORIES = (
    Story(
        "the tape is found broken twice",
        "B1",
        C1,
        [
            carton(0, OUT, 1, "intact"),
            carton(8, DOCK, 1, "tape-broken", by="w2"),
            carton(9, STORE, 1, "re-taped", by="w2"),
        ],
        "E4",
        "reason",
        [
            carton(0, OUT, 1, "intact"),
            carton(8, DOCK, 1, "tape-broken", by="w2"),
            carton(9, STORE, 1, "intact", by="w2"),
        ],
    ),
    Story(
        "inner packs are missing from it",
        "B1",
        C1,
        [carton(0, OUT, 1, within=inner(1, 2, 3)), carton(8, DOCK, 1, within=inner(1, 3), by="w2")],
        "E2",
        "who",
        [carton(0, OUT, 1, within=inner(1, 2, 3)), carton(8, DOCK, 1, within=inner(1, 2, 3), by="w2")],
    ),
    Story(
        "it is unpacked",
        "B1",
        C1,
        [carton(0, OUT, 1, within=inner(1, 2, 3)), take(5, C1, at=DOCK)],
        "E5",
        "outputs",
        [site("w2", "retail"), carton(0, OUT, 1, within=inner(1, 2, 3)), take(5, C1, at=DOCK)],  # to be sold
    ),
    Story(
        "the inner packs of one carton under the number of another",
        "B2",
        C9,
        [carton(0, OUT, 1, within=inner(1, 2, 3)), carton(8, DOCK, 9, within=inner(1, 2, 3), by="w2")],
        "E4",
        "operator",
        [carton(0, OUT, 1, within=inner(1, 2, 3)), carton(8, DOCK, 9, within=inner(1, 2, 3), by="w2", linkedFrom=[C1])],
    ),
    Story(
        "a number issued a second time",
        "B2",
        C1,
        [issue(0, C1), issue(30, C1, by="w2")],
        "E5",
        "site_licence",
        [issue(0, C1), issue(0.5, C1, by="exporter")],  # two systems of one plant, half an hour apart
        names=(C1,),
    ),
    Story(
        "another seal at arrival",
        "B3",
        BOX,
        [seal(0, BOX, "A1234567"), seal(8, BOX, "B7654321", "checked", "intact", by="w2")],
        "E1",
        "old_seal",
        [seal(0, BOX, "A1234567"), seal(8, BOX, "A1234561", "checked", "intact", by="w2")],  # 7 read as 1
        asked_alike=True,
    ),
    Story(
        "the seal is broken",
        "B3",
        TRUCK,
        [seal(0, TRUCK, "A1234567"), seal(8, TRUCK, "A1234567", "checked", "broken", by="w2")],
        "E10",
        "certificate|operator",
        [
            seal(0, TRUCK, "A1234567"),
            seal(4, TRUCK, "A1234567", "removed", by="customs"),
            seal(4.2, TRUCK, "C9", by="customs"),
            seal(8, TRUCK, "C9", "checked", "intact", by="w2"),
        ],  # taken off and replaced, both on record
        names=(TRUCK,),
    ),
    Story(
        "the seal that was put on is not there",
        "B3",
        BOX,
        [seal(0, BOX, "A1234567"), seal(8, BOX, "A1234567", "checked", "absent", by="w2")],
        "E3",
        "tally",
        [seal(8, BOX, "A1234567", "checked", "absent", by="w2"), load(1, BOX, S)],  # nobody recorded that it was put on
    ),
    Story(
        "loaded onto one truck, unloaded from another",
        "B4",
        S,
        [pack(0, S, 1, 2), load(1, TRUCK, S), seen_in(5, TRUCK2, S), unload(6, TRUCK2, S)],
        "E7",
        "cause",
        [
            pack(0, S, 1, 2),
            load(1, TRUCK, S, trailer=TRAILER),
            seen_in(5, TRUCK2, S, trailer=TRAILER),
            unload(6, TRUCK2, S, trailer=TRAILER),
        ],  # another tractor before the same trailer
    ),
    Story(
        "moved from truck to truck where that is not done",
        "B4",
        S,
        [
            site("w1", "cold-store"),
            site("depot"),
            pack(0, S, 1, 2),
            load(1, TRUCK, S, at=OUT),
            unload(5, TRUCK, S, at="loc:depot/1", by="w1"),
            load(5.5, TRUCK2, S, at="loc:depot/1"),
        ],
        "E11",
        "place",
        [
            site("w1", "cold-store"),
            pack(0, S, 1, 2),
            load(1, TRUCK, S, at=OUT),
            unload(5, TRUCK, S, at=ROADSIDE, by="w1"),
            load(5.5, TRUCK2, S, at=ROADSIDE),
        ],  # nothing is known of the place
    ),
    Story(
        "the door opened on the road, and cases are short",
        "B5",
        TRUCK,
        [
            mounted(),
            pack(0, S, lots=[(LOT, 400)]),
            load(1, TRUCK, S),
            doors(0, (3, True), (3.2, False)),
            unload(6, TRUCK, S),
            read(6.2, DOCK, S, by="w2", count=388),
        ],
        "E8",
        "quantity",
        [
            mounted(),
            pack(0, S, lots=[(LOT, 400)]),
            load(1, TRUCK, S),
            doors(0, (3, True), (3.2, False)),
            unload(6, TRUCK, S),
            read(6.2, DOCK, S, by="w2", count=400),
        ],  # a door by itself
        names=(TRUCK,),
    ),
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.code} {story.title}")
class TestCartons(FourForms):
    pass


# B6: the same life beside the code it is about, and only customs confirm

SUPERVISED = Story(
    "cases swapped while customs held it",
    "B6", S,
    [supervision(-1, "begin", S), *SWAPPED],
    "E1", "office",
    [supervision(-2, "begin", S), supervision(-1, "release", S, n=2), pack(0, S, 1, 2), read(1, OUT, S, 1, 2)],
    channel="P2",
)  # fmt: skip


def test_b6_lawful_once_customs_confirm(worlds: type[World]) -> None:
    lawful(worlds(), SUPERVISED)


def test_b6_a_piece_short(worlds: type[World]) -> None:
    lacking(worlds(), SUPERVISED)


def test_b6_unlawful(worlds: type[World]) -> None:
    unlawful(worlds(), SUPERVISED)


def test_b6_accuses_nobody_once_released(worlds: type[World]) -> None:
    alike(worlds(), SUPERVISED)


@pytest.mark.parametrize("form", FORMS)
def test_b6_in_any_order(worlds: type[World], form: str) -> None:
    same_in_any_order(worlds, in_form(SUPERVISED, form))


def test_the_other_partys_word_settles_the_break_but_not_b6(worlds: type[World]) -> None:
    world = worlds()
    told(world, SUPERVISED)
    world.record(SUPERVISED.claimed(), ruled(role="counterparty", by="w2"))
    assert [(v.code, v.state) for v in world.verdicts(subject=S)] == [("B6", "asked"), ("P2", "explained")]
    world.record(ruled(n=2))
    assert [(v.code, v.state) for v in world.verdicts(subject=S)] == [("B6", "explained"), ("P2", "explained")]


def test_a_break_that_may_have_come_after_the_release_is_no_b6(worlds: type[World]) -> None:
    world = worlds()
    world.record(supervision(-1, "begin", S), supervision(5, "release", S, n=2), *SWAPPED)
    assert [v.code for v in world.verdicts(subject=S)] == ["P2"]


def test_what_rides_in_a_supervised_container_is_supervised(worlds: type[World]) -> None:
    world = worlds()
    world.record(supervision(-1, "begin", BOX), load(0.5, BOX, S), *SWAPPED)
    assert [v.code for v in world.verdicts(subject=S)] == ["B6", "P2"]
    assert one(world, SUPERVISED).detail["supervised"] is True
    assert "was under customs supervision, as shown by customs" in one(world, SUPERVISED).detail["seen"][-1]


def test_a_transload_of_supervised_goods_needs_the_customs_permission(worlds: type[World]) -> None:
    world = worlds()
    story = STORIES[8]
    assert story.code == "B4"
    world.record(*story.broken, supervision(-1, "begin", S), story.claimed(), ruled())
    found = one(world, story)
    assert found.state != "explained"
    assert "customs_permission" in found.lacks


def test_treatment_that_is_due_is_like_supervision(worlds: type[World]) -> None:
    world = worlds()
    world.record(supervision(-1, "begin", S, kind="treatment"), *SWAPPED)
    assert [v.code for v in world.verdicts(subject=S)] == ["B6", "P2"]
    world.record(supervision(0.5, "release", S, kind="treatment", n=2))
    assert [v.code for v in world.verdicts(subject=S)] == ["P2"]


def test_a_misread_seal_is_asked_about_once_and_never_judged(worlds: type[World]) -> None:
    world = worlds()
    world.record(*next(story for story in STORIES if story.asked_alike).alike)
    asks = [draft for draft in world.settle() if draft.key.startswith("ask/")]
    world.pass_time(DEADLINE_H * 10)
    assert len(asks) == 1
    assert [draft for draft in world.settle() if draft.key.startswith("ask/")] == []
    (found,) = world.verdicts("B3")
    assert (found.state, found.verdict, found.detail["asked"]) == ("suspected", "UNOBSERVED", "w1")


def test_a_carton_of_another_pallet_says_nothing_about_this_one(worlds: type[World]) -> None:
    world = worlds()
    world.record(pack(0, S, 1, 2), pack(0, T, 9), *STORIES[0].broken)
    assert {v.subject for v in world.verdicts()} == {C1}
