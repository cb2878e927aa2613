"""The life of a finding, and what is published of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.continuity import Opportunity, Rules
from coldchain.domain.doors import uncovered, windows
from coldchain.domain.exceptions import Claim, Decision
from coldchain.domain.findings import Ask, Current, Judgement, Published, changes, judge
from coldchain.domain.segments import BROKEN_AUTHORISED, BROKEN_PENDING, BROKEN_UNEXPLAINED, UNOBSERVED
from coldchain.services.emit import finding_entries

RULES = Rules()
RULE = f"P2 {RULES.version}"
S = "sscc:169012345000000025"
FULL = {"date": "2026-03-02", "office": "Port Customs", "order_no": "7", "old_seal": "A1", "new_seal": "B2"}
BREAK = Opportunity("P2", S, "", 100, 200, True, True, "", missing=("case:1", "case:2"), holder="carrier", why=("k",))
ASK = Ask(RULE, S, 100, 200, 10, "carrier", at_us=1_000, entry=5)
DUE = 10_001_000


def claim(at_us: int = 2_000, evidence: dict[str, Any] | None = None, **changed: Any) -> Claim:
    made = Claim("c1", "E1", "carrier", (S,), (), 120, 130, FULL if evidence is None else evidence, at_us, 6)
    return replace(made, **changed)


def ruled(confirmed: bool, role: str = "inspector", by: str = "inspector-1") -> Decision:
    return Decision("c1", 1, confirmed, by, role, 3_000, 7)


def state(it: Opportunity = BREAK, *facts: Any, now: int = 5_000) -> Judgement:
    return judge(
        it,
        [fact for fact in facts if isinstance(fact, Ask)],
        [fact for fact in facts if isinstance(fact, Claim)],
        [fact for fact in facts if isinstance(fact, Decision)],
        now,
        RULES,
    )


def test_a_confirmed_break_is_only_suspected_until_the_holder_is_asked() -> None:
    judgement = state()
    assert (judgement.state, judgement.verdict) == ("suspected", UNOBSERVED)
    assert judgement.detail()["ask"] is True
    assert judgement.lacks == "the question to the holder"


def test_the_deadline_runs_from_the_question_and_by_ledger_time() -> None:
    assert (state(BREAK, ASK, now=DUE).state, state(BREAK, ASK).due_us) == ("asked", DUE)
    assert state(BREAK, ASK, now=DUE).verdict == BROKEN_PENDING
    late = state(BREAK, ASK, now=DUE + 1)
    assert (late.state, late.verdict, late.lacks) == ("standing", BROKEN_UNEXPLAINED, "an answer")


def test_what_is_not_confirmed_is_suspected_whoever_asks() -> None:
    single = BREAK._replace(confirmed=False, lacks="a second read point")
    assert state(single, ASK, now=DUE + 1).state == "suspected"


def test_a_claim_with_its_full_minimum_stops_the_deadline_until_decided() -> None:
    waiting = state(BREAK, ASK, claim(), now=10 * DUE)
    assert (waiting.state, waiting.due_us) == ("asked", None)
    assert "confirm or refuse" in waiting.lacks


def test_a_claim_that_lacks_evidence_stops_nothing_and_says_what_it_lacks() -> None:
    poor = claim(evidence={k: v for k, v in FULL.items() if k != "new_seal"})
    assert state(BREAK, ASK, poor, now=DUE + 1).state == "standing"
    assert "claim c1 (E1) lacks new_seal" in state(BREAK, ASK, poor).lacks
    assert state(BREAK, ASK, poor, ruled(True), now=DUE + 1).state == "standing"


def test_a_confirmed_claim_explains() -> None:
    explained = state(BREAK, ASK, claim(), ruled(True))
    assert (explained.state, explained.verdict) == ("explained", BROKEN_AUTHORISED)
    assert explained.entries == (5, 6, 7)
    assert not explained.answers[0].late


def test_an_explanation_confirmed_after_the_deadline_is_marked_late() -> None:
    late = claim(at_us=DUE + 1)
    assert state(BREAK, ASK, late, now=DUE + 2).state == "standing"
    explained = state(BREAK, ASK, late, ruled(True), now=DUE + 2)
    assert explained.state == "explained"
    assert explained.answers[0].late


def test_refused_by_an_inspector_it_stands_at_once() -> None:
    assert state(BREAK, ASK, claim(), ruled(False)).state == "standing"


def test_refused_by_the_other_party_it_is_disputed_until_an_authority_rules() -> None:
    other = ruled(False, "counterparty", "warehouse")
    assert state(BREAK, ASK, claim(), other, now=10 * DUE).state == "disputed"
    assert state(BREAK, ASK, claim(), other).verdict == BROKEN_PENDING
    assert state(BREAK, ASK, claim(), other, replace(ruled(True), n=2)).state == "explained"


def test_a_claim_about_another_pallet_or_another_time_explains_nothing() -> None:
    assert state(BREAK, ASK, claim(units=("sscc:9",)), ruled(True)).state == "asked"
    assert state(BREAK, ASK, claim(from_us=201, to_us=300), ruled(True)).state == "asked"


def test_a_claim_that_lists_cases_explains_those_and_no_others() -> None:
    part = state(BREAK, ASK, claim(units=(S, "case:1")), ruled(True))
    assert (part.state, part.lacks) == ("asked", "claim c1 (E1) lacks case:2")
    assert state(BREAK, ASK, claim(units=(S, "case:1", "case:2")), ruled(True)).state == "explained"


def test_a_claim_about_the_vehicle_does_not_explain_a_pallet_in_it() -> None:
    aboard = BREAK._replace(places=("veh:T",))
    assert state(aboard, ASK, claim(units=(), places=("veh:T",)), ruled(True)).state == "asked"


def test_a_question_still_holds_when_late_data_moved_the_break() -> None:
    assert state(BREAK._replace(from_us=150, to_us=180), ASK).state == "asked"
    assert state(BREAK._replace(from_us=201, to_us=300), ASK).state == "suspected"


# Doors

MINUTE = 60_000_000


def test_openings_are_the_same_for_any_order_of_samples() -> None:
    samples = [(10, False), (20, True), (30, True), (40, False), (60, True)]
    expected = [(20, 40, 30), (60, None, 60)]
    assert [tuple(w) for w in windows(samples)] == expected
    assert [tuple(w) for w in windows([*reversed(samples), *samples])] == expected


def test_two_answers_at_one_instant_count_as_open() -> None:
    assert [tuple(w) for w in windows([(10, True), (10, False), (20, False)])] == [(10, 20, 10)]


def test_a_door_opened_far_from_any_event_is_a_suspicion_about_what_was_aboard() -> None:
    (window,) = windows([(100 * MINUTE, True), (150 * MINUTE, False)])
    it = uncovered("veh:T", "rear", window, [S], [89 * MINUTE, 161 * MINUTE], RULES)
    assert it is not None
    assert (it.confirmed, it.units, it.from_us, it.to_us) == (False, (S,), 100 * MINUTE, 150 * MINUTE)
    assert state(it, ASK, now=10**15).verdict == UNOBSERVED


@pytest.mark.parametrize("at_minute", [90, 120, 160])
def test_an_event_within_ten_minutes_covers_an_opening(at_minute: int) -> None:
    (window,) = windows([(100 * MINUTE, True), (150 * MINUTE, False)])
    assert uncovered("veh:T", "rear", window, [S], [at_minute * MINUTE], RULES) is None


def test_an_empty_vehicle_may_open_its_door() -> None:
    (window,) = windows([(100, True), (200, False)])
    assert uncovered("veh:T", "rear", window, [], [], RULES) is None


def test_a_confirmed_claim_about_the_vehicle_authorises_an_opening() -> None:
    (window,) = windows([(100, True), (200, False)])
    it = uncovered("veh:T", "rear", window, [S], [], RULES)
    assert it is not None
    assert state(it, claim(units=(), places=("veh:T",)), ruled(True)).verdict == BROKEN_AUTHORISED


# Publishing


def row(
    from_us: int, to_us: int | None, verdict: str = "breach", subject: str = "dev:1", state: str = "open"
) -> Current:
    return Current(
        "CN-frozen 1", subject, "air", from_us, to_us, verdict, state, '{"extra":["case:1"]}', "signed", (1, 2)
    )


class Ledger:
    """Publishes what the emitter drafts, as the log and its projection would."""

    def __init__(self) -> None:
        self.size = 0
        self.published: dict[str, Published] = {}

    def emit(self, *rows: Current) -> list[dict[str, Any]]:
        bodies = []
        for draft in finding_entries("log", rows, self.published.values(), self.size):
            body = json.loads(draft.payload)
            assert draft.key == f"finding/{body['id']}/{body['n']}"
            first = self.published[body["id"]].first_entry if body["id"] in self.published else self.size
            self.published[body["id"]] = Published(
                body["id"], body["n"], body["rule"], body["subject"], body["channel"],
                body["from"], body["to"], body["verdict"], body["state"], self.size, first, 0, body["severity"],
            )  # fmt: skip
            self.size += 1
            bodies.append(body)
        return bodies

    def open(self) -> list[Published]:
        return [item for item in self.published.values() if item.state != "withdrawn"]


def test_publishing_again_with_nothing_new_appends_nothing() -> None:
    ledger = Ledger()
    assert len(ledger.emit(row(10, 20), row(30, None))) == 2
    assert ledger.emit(row(30, None), row(10, 20)) == []


def test_a_finding_that_moved_keeps_its_id_and_supersedes_itself() -> None:
    ledger = Ledger()
    (first,) = ledger.emit(row(10, 20))
    (moved,) = ledger.emit(row(5, 30))
    assert (moved["id"], moved["n"], moved["supersedes"], moved["from"]) == (first["id"], 2, 0, 5)


def test_merged_segments_keep_the_oldest_id_and_withdraw_the_other() -> None:
    ledger = Ledger()
    (late,) = ledger.emit(row(50, 60))
    (early,) = ledger.emit(row(50, 60), row(10, 20))
    merged, withdrawn = ledger.emit(row(10, 60))
    assert (merged["id"], merged["n"], merged["state"]) == (late["id"], 2, "open")
    assert (withdrawn["id"], withdrawn["state"]) == (early["id"], "withdrawn")


def test_of_a_split_segment_the_first_part_keeps_the_id() -> None:
    ledger = Ledger()
    (whole,) = ledger.emit(row(10, None))
    first, second = ledger.emit(row(10, 20), row(30, None))
    assert (first["id"], first["n"]) == (whole["id"], 2)
    assert (second["id"] != whole["id"], second["n"]) == (True, 1)


def test_a_finding_that_disappears_is_withdrawn_once_and_takes_up_its_id_when_it_comes_back() -> None:
    ledger = Ledger()
    (first,) = ledger.emit(row(10, 20))
    (gone,) = ledger.emit()
    assert (gone["id"], gone["state"], gone["entries"]) == (first["id"], "withdrawn", [])
    assert ledger.emit() == []
    (back,) = ledger.emit(row(10, 20))
    assert (back["id"], back["n"], back["supersedes"]) == (first["id"], 3, 1)


def test_a_start_that_another_finding_moved_away_from_gets_an_id_of_its_own() -> None:
    ledger = Ledger()
    (first,) = ledger.emit(row(10, 20))
    ledger.emit(row(5, 12))
    moved, new = ledger.emit(row(5, 8), row(10, 20))
    assert (moved["id"], moved["n"]) == (first["id"], 3)
    assert (new["id"] != first["id"], new["n"]) == (True, 1)


def test_an_entry_names_its_evidence_its_grade_and_the_units_concerned() -> None:
    (draft,) = finding_entries("log", [row(10, 20)], [], basis=77)
    body = json.loads(draft.payload)
    assert (body["basis"], body["entries"], body["weakest_grade"], body["detail"]) == (
        77,
        [1, 2],
        "signed",
        {"extra": ["case:1"]},
    )
    assert (draft.kind, draft.grade, draft.subjects) == ("finding", "derived", ("case:1", "dev:1"))


def test_a_breach_with_thousands_of_readings_still_fits_an_entry() -> None:
    (draft,) = finding_entries("log", [row(10, 20)._replace(entries=tuple(range(10**6, 10**6 + 9000)))], [], 1)
    body = json.loads(draft.payload)
    assert (len(body["entries"]), body["entries_total"], body["entries"][-1]) == (256, 9000, 10**6 + 8999)


@given(st.lists(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=4), max_size=6))
def test_what_is_published_is_always_what_is_concluded_and_no_id_means_two_things(
    rounds: list[list[tuple[int, int]]],
) -> None:
    ledger = Ledger()
    for cut in rounds:
        rows, upto = [], -1
        for from_us, length in sorted(cut):
            if from_us > upto:
                upto = from_us + length
                rows.append(row(from_us, upto))
        ledger.emit(*rows)
        assert sorted(item[5:7] for item in ledger.open()) == sorted(r[3:5] for r in rows)
        assert changes(rows, ledger.published.values()) == []
