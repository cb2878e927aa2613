"""Lawful exceptions: minimum evidence, who may confirm, what a claim covers."""

from __future__ import annotations

from typing import Any

import pytest

from coldchain.domain.exceptions import (
    Claim,
    ClaimError,
    Decision,
    covered_by,
    parse_claim,
    parse_decision,
    parse_paper,
    ruling,
)

E1 = {"date": "2026-03-02", "office": "Port Customs", "order_no": "7/2026", "old_seal": "A1", "new_seal": "B2"}
E11 = {"work_order": "WO-7", "place": "loc:w1", "count_before": 40, "count_after": 40}


def claim(code: str = "E1", evidence: dict[str, Any] | None = None, **stated: Any) -> Claim:
    body = {"id": "c1", "code": code, "units": ["sscc:1"], "places": ["veh:T"], "from_us": 100, "to_us": 200, **stated}
    return parse_claim({**body, "evidence": E1 if evidence is None else evidence}, "carrier", 900)


def decision(n: int, confirmed: bool, by: str = "customs-1", role: str = "customs") -> Decision:
    return Decision("c1", n, confirmed, by, role, 1000)


@pytest.mark.parametrize("field", ["date", "office", "old_seal", "new_seal"])
def test_a_customs_inspection_without_a_field_of_its_minimum_says_which(field: str) -> None:
    assert claim(evidence={k: v for k, v in E1.items() if k != field}).lacking() == (field,)
    assert claim(evidence={**E1, field: ""}).lacking() == (field,)


def test_an_order_number_or_a_photo_of_the_notice_will_do() -> None:
    without = {k: v for k, v in E1.items() if k != "order_no"}
    assert claim().lacking() == ()
    assert claim(evidence={**without, "notice_photo": "sha256:ab"}).lacking() == ()
    assert claim(evidence=without).lacking() == ("order_no|notice_photo",)


def test_declared_handling_needs_both_tallies_only_when_the_holder_changes() -> None:
    assert claim("E11", E11).lacking() == ()
    assert claim("E11", {**E11, "holder_changes": True}).lacking() == ("tally_from", "tally_to")
    assert claim("E11", {**E11, "supervised": True}).lacking() == ("customs_permission",)
    assert claim("E11", {k: v for k, v in E11.items() if k != "work_order"}).lacking() == ("work_order|waybill",)


def test_a_count_of_nothing_is_a_count() -> None:
    assert claim("E11", {**E11, "count_after": 0}).lacking() == ()
    assert claim("E11", {**E11, "count_after": False}).lacking() == ("count_after",)


def test_a_code_without_a_rule_authorises_nothing() -> None:
    assert claim("E12", {"anything": 1}).lacking() == ("a rule for E12",)


def test_nobody_confirms_his_own_claim() -> None:
    assert ruling(claim(), [decision(1, True, "carrier", "counterparty")])[0] == "open"
    assert ruling(claim(), [decision(1, True, "warehouse", "counterparty")])[0] == "confirmed"


def test_the_latest_ruling_holds_but_only_an_authority_overrules_an_authority() -> None:
    first, later = decision(1, False, "warehouse", "counterparty"), decision(2, True, "warehouse", "counterparty")
    assert ruling(claim(), [later, first])[0] == "confirmed"
    assert ruling(claim(), [first, decision(2, True)])[0] == "confirmed"
    assert ruling(claim(), [decision(1, False), later])[0] == "refused by authority"
    assert ruling(claim(), [first])[0] == "refused"


def test_a_claim_covers_what_it_names_at_the_time_it_names() -> None:
    assert claim().covers(["sscc:1"], 150, 400)
    assert claim().covers(["veh:T", "sscc:9"], 0, 100)
    assert not claim().covers(["sscc:9"], 150, 160)
    assert not claim().covers(["sscc:1"], 201, 400)
    assert claim().covers(["sscc:1"], 201, 400, slack_us=1)
    assert claim().covers(["sscc:1"], 150, None)


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"from_us": "x"}, "from_us"),
        ({"from_us": True}, "from_us"),
        ({"from_us": 2**53}, "from_us"),
        ({"to_us": -(2**53)}, "to_us"),
        ({"id": None}, "id"),
        ({"units": "sscc:1"}, "units"),
        ({"units": [1]}, "units"),
        ({"code": 1}, "code"),
    ],
)
def test_a_document_that_is_no_claim_says_which_field(stated: dict[str, Any], field: str) -> None:
    with pytest.raises(ClaimError, match=f"^{field}: expected"):
        claim(**stated)


def test_an_order_that_decides_nothing_is_refused() -> None:
    body = {"claim": "c1", "decision": "confirmed", "role": "customs"}
    assert parse_decision(body, "order/claim-decision/c1/2", "customs-1", 5).n == 2
    for n in ("x", "1" * 10, "٣"):
        with pytest.raises(ClaimError, match="1 to 9 digits"):
            parse_decision(body, f"order/claim-decision/c1/{n}", "customs-1", 5)
    with pytest.raises(ClaimError, match="decision"):
        parse_decision({**body, "decision": "perhaps"}, "order/claim-decision/c1/2", "customs-1", 5)
    with pytest.raises(ClaimError, match="key"):
        parse_decision(body, "order/claim-decision/c1/x", "customs-1", 5)


@pytest.mark.parametrize(
    ("code", "channel", "exceptions"),
    [
        ("P1", "", "E9 E11"),
        ("P2", "", "E1 E2 E3 E4 E5 E6 E7 E8 E9 E11"),
        ("P3", "", "E5 E6 E9 E11"),
        ("P4", "", "E5 E6 E9 E11"),
        ("P5", "weight", "E1 E2 E3 E4 E5 E6 E8 E9 E11"),
        ("P6", "parents veh:A veh:B", "E9 E11"),
        ("P6", "travel loc:a loc:b", ""),
        ("P7", "", "E1 E7 E8 E10 E11"),
        ("B1", "", "E1 E2 E4 E5 E8 E10 E11"),
        ("B2", "", "E4 E5"),
        ("B3", "", "E1 E3 E7 E8 E10"),
        ("B4", "", "E3 E7 E8 E11"),
        ("B5", "truck-1 door/rear", "E1 E2 E3 E7 E8 E10 E11"),
        ("B6", "P1", "E9 E11"),
        ("B6", "P6 travel loc:a loc:b", ""),
        ("B6", "B5 truck-1 door/rear", "E1 E2 E3 E7 E8 E10 E11"),
    ],
)
def test_an_exception_covers_what_such_handling_can_do(code: str, channel: str, exceptions: str) -> None:
    assert covered_by(code, channel) == set(exceptions.split())


def test_a_paper_must_say_which_by_its_hash() -> None:
    digest, confirmed = parse_paper({"claim": "c1", "sha256": "ab" * 32}, "carrier", 5)
    assert (digest, confirmed.confirmed, confirmed.grade) == ("ab" * 32, True, "transcribed")
    for sha256 in ("ab", "g" * 64, None):
        with pytest.raises(ClaimError, match=r"^sha256: expected"):
            parse_paper({"claim": "c1", "sha256": sha256}, "carrier", 5)


def test_nobody_passes_an_order_off_as_a_paper() -> None:
    body = {"claim": "c1", "decision": "confirmed", "role": "paper"}
    with pytest.raises(ClaimError, match=r"^role: "):
        parse_decision(body, "order/claim-decision/c1/2", "carrier", 5)


@pytest.mark.parametrize(
    ("before", "after", "quantity", "whole"),
    [
        (6, 4, 2, True),
        ("6", "4", "2.0", True),
        (6, 4, 1, False),
        ("six", 4, 2, False),
        (6, 4, "NaN", False),
        (6, "1e999999999", 2, False),
    ],
)
def test_stock_falls_by_the_sample_whether_it_is_stated_in_numbers_or_in_text(
    before: Any, after: Any, quantity: Any, whole: bool
) -> None:
    stock = {"stock_before": before, "stock_after": after, "quantity": quantity}
    lacking = claim("E2", {"sheet": "S-1", "who": "lab", "lot": "L1", **stock}).lacking()
    assert lacking == (() if whole else ("stock_after that falls by quantity",))
