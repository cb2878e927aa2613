"""The example cases of the shipped packs, and how cases are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coldchain.domain.rulecases import failures, outcome, parse_case
from coldchain.domain.rulefields import RulePackError
from coldchain.domain.rulepacks import RulePack
from coldchain.rules import shipped_cases, shipped_packs

PACKS = {(pack.name, pack.version): pack for pack in shipped_packs()}
FROZEN = PACKS["CN-frozen", 1]
CASES = [
    pytest.param(PACKS[key], stated, id=f"{key[0]} {key[1]}: {stated['name']}")
    for key, cases in sorted(shipped_cases().items())
    for stated in cases
]


@pytest.mark.parametrize(("pack", "stated"), CASES)
def test_a_shipped_pack_judges_its_examples_as_they_say(pack: RulePack, stated: dict[str, Any]) -> None:
    case = parse_case(stated, "case")
    assert outcome(pack, case) == case.expect


def test_every_shipped_pack_has_examples() -> None:
    assert shipped_cases().keys() == PACKS.keys()


def test_defrosts_and_open_doors_let_the_timer_stand_still_as_far_as_the_pack_allows() -> None:
    stage = replace(FROZEN.stages["transport"], defrost_cap_s=1_200, door_cap_s=300)
    pack = replace(FROZEN, stages={"transport": stage})
    warm = {"name": "n", "stage": "transport", "readings": "0..10/5: -20, 15..40/5: -10, 45: -20"}
    assert outcome(pack, parse_case(warm, "case")) == ("0-15 in_range", "15-45 breach", "45- in_range")
    assert outcome(pack, parse_case(warm | {"defrost": "15-35"}, "case")) == ("0- in_range",)
    assert outcome(pack, parse_case(warm | {"door": "15-35"}, "case")) == (
        "0-15 in_range",
        "15-45 breach",
        "45- in_range",
    )
    assert outcome(FROZEN, parse_case(warm | {"defrost": "15-35"}, "case"))[1] == "15-45 breach"


STATED = {"name": "warm", "stage": "storage", "readings": "0..60/15: -10", "expect": ["0- breach"]}


def test_a_case_that_comes_out_otherwise_is_told_with_what_was_found() -> None:
    assert failures(FROZEN, [STATED]) == []
    assert failures(FROZEN, [STATED | {"expect": ["0- in_range"]}]) == [("warm", ("0- in_range",), ("0- breach",))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage": "sea"}, "case 'warm': stage: expected one of transport, storage, retail, found 'sea'"),
        ({"readings": "0: -20; 5: -20"}, "case 'warm': readings: expected MINUTE: °C or FROM..TO/EVERY: °C, found"),
        ({"readings": "0..60/10: warm"}, "case 'warm': readings: expected"),
        ({"readings": "10..5/5: -20"}, "case 'warm': readings: expected at least one reading, found '10..5/5: -20'"),
        ({"door": "9"}, "case 'warm': door: expected FROM-TO in minutes, found '9'"),
        ({"now": 30}, "case 'warm': now: expected a whole number from 60 on, found 30"),
        ({"limit": 3}, "CN-frozen case 1: unknown fields limit"),
    ],
)
def test_a_case_that_cannot_be_read_is_refused_with_its_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RulePackError) as refused:
        failures(FROZEN, [STATED | change])
    assert said in str(refused.value)


def test_a_case_in_a_stage_that_the_pack_does_not_know_is_refused() -> None:
    with pytest.raises(RulePackError, match="warehouse-practice judges nothing in transport"):
        failures(PACKS["warehouse-practice", 1], [STATED | {"stage": "transport"}])
