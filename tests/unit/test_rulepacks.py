"""Rule packs: versioned data that is read strictly, and which of them judges a device when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.rulefields import RulePackError
from coldchain.domain.rulepacks import (
    Mounting,
    RulePack,
    Stage,
    first_difference,
    parse_pack,
    regime_at,
    regimes,
    stage_of,
)
from coldchain.rules import shipped_packs

STAGE = {"clause": "§1", "limit_mc": -18_000, "hysteresis_mc": 500, "consecutive_s": 900, "max_gap_s": 600}
PACK = {"v": 1, "name": "P", "version": 1, "clause": "§1", "verified": False, "stages": {"transport": STAGE}}


def pack(version: int = 1, from_us: int = 0, **stage: Any) -> RulePack:
    return parse_pack({**PACK, "version": version, "from_us": from_us, "stages": {"transport": {**STAGE, **stage}}})


def test_the_shipped_frozen_pack_has_the_limits_of_the_standard_and_does_not_claim_to_be_verified() -> None:
    (frozen,) = (pack for pack in shipped_packs() if pack.name == "CN-frozen")
    assert (frozen.name, frozen.version, frozen.verified) == ("CN-frozen", 1, False)
    limits = {name: (s.limit_mc, s.hysteresis_mc, s.consecutive_s, s.max_gap_s) for name, s in frozen.stages.items()}
    assert limits == {"transport": (-18_000, 500, 900, 600), "storage": (-18_000, 500, 2_700, 1_800)}
    assert all("GB 31605-2020" in stage.clause for stage in frozen.stages.values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": ""}, "name: expected a text, found ''"),
        ({"version": 0}, "version: expected a whole number from 1 on, found 0"),
        ({"version": 1.0}, "version: expected a whole number from 1 on, found 1.0"),
        ({"from_us": -1}, "from_us: expected a whole number from 0 on, found -1"),
        ({"verified": "yes"}, "verified: expected true or false, found 'yes'"),
        ({"stages": {}}, "stages: expected some of transport, storage, retail, found {}"),
        ({"stages": {"sea": STAGE}}, "stages: expected some of transport, storage, retail"),
        ({"stages": {"transport": 5}}, "transport: expected an object, found 5"),
        ({"stages": {"transport": {**STAGE, "limit_mc": "-18"}}}, "limit_mc: expected a whole number, found '-18'"),
        ({"stages": {"transport": {**STAGE, "max_gap_s": 0}}}, "max_gap_s: expected a whole number from 1 on, found 0"),
        ({"stages": {"transport": {**STAGE, "tolerance": 1}}}, "unknown fields tolerance"),
        ({"limit": 1}, "unknown fields limit"),
    ],
)
def test_a_pack_that_cannot_be_judged_by_is_refused_with_the_field_at_fault(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RulePackError) as refused:
        parse_pack({**PACK, **change})
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("place", "stage"), [("room:w1/a", "storage"), ("veh:TRUCK-1", "transport"), ("", "transport")]
)
def test_a_room_stores_and_everything_else_carries(place: str, stage: str) -> None:
    assert stage_of(place) == stage


def test_each_time_is_judged_by_the_highest_version_then_in_force() -> None:
    packs = [pack(1), pack(2, from_us=100, limit_mc=-15_000), pack(3, from_us=50, limit_mc=-12_000)]
    schedule = regimes(packs, [Mounting(70, "transport", "P")])
    assert [(regime.from_us, regime.version) for regime in schedule] == [(0, 1), (50, 3)]


def test_the_first_mounting_holds_from_ever_and_later_ones_from_their_day() -> None:
    schedule = regimes(
        [pack()], [Mounting(70, "transport", "P"), Mounting(90, "storage", "P"), Mounting(95, "transport", "Q")]
    )
    assert [(regime.from_us, regime.rule is None) for regime in schedule] == [(0, False), (90, True)]


def test_a_device_nobody_mounted_is_judged_by_nothing() -> None:
    assert [regime.rule for regime in regimes([pack()], [])] == [None]


def test_a_mounting_that_changes_nothing_makes_no_new_regime() -> None:
    assert len(regimes([pack()], [Mounting(10, "transport", "P"), Mounting(20, "transport", "P")])) == 1


mountings = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["transport", "storage"]), st.sampled_from(["P", "Q", ""])), max_size=4
).map(lambda listed: [Mounting(*item) for item in sorted(listed, key=lambda item: item[0])])
packs = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.sampled_from([-18_000, -15_000])), max_size=4).map(
    lambda listed: [pack(version, from_us, limit_mc=limit) for version, from_us, limit in listed]
)


def judge_of(known: list[RulePack], placed: list[Mounting], t_us: int) -> Stage | None:
    """The rule at a time, the slow way."""
    here = [m for m in placed if m.from_us <= t_us] or placed[:1]
    named = [p for p in known if here and p.name == here[-1].profile and p.from_us <= t_us]
    best = max(named, key=lambda p: p.version, default=None)
    return best.stages.get(here[-1].stage) if best else None


@given(packs, mountings, packs, mountings)
def test_schedules_and_their_first_difference_agree_with_asking_at_every_time(
    known: list[RulePack], placed: list[Mounting], other: list[RulePack], moved: list[Mounting]
) -> None:
    old, new = regimes(known, placed), regimes(other, moved)
    assert [old[regime_at(old, t)].rule for t in range(12)] == [judge_of(known, placed, t) for t in range(12)]
    differing = [t for t in range(12) if old[regime_at(old, t)].rule != new[regime_at(new, t)].rule]
    first = first_difference(old, new)
    assert first is None or not differing or first <= differing[0]
    assert first is not None or not differing
