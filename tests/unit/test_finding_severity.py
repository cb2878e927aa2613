"""How serious a finding is, what its next entry says has happened, and when that is published."""

from __future__ import annotations

import json

import pytest

from coldchain.domain.acknowledgements import AckError, key_of, read_ack, read_comment, standing
from coldchain.domain.findings import WITHDRAWN, Change, Current, Event, Published, changes
from coldchain.domain.pacing import SETTLE_US, Touched, publishable_us
from coldchain.domain.severity import SEVERITIES, rank, severity_of
from coldchain.services.emit import Affected, finding_entries

LIMIT, GAP = "CN-frozen transport limit", "CN-frozen gap"


def now(severity: str = "", state: str = "open", to_us: int | None = None, verdict: str = "breach") -> Current:
    detail = json.dumps({"severity": severity} if severity else {})
    return Current(LIMIT, "dev:1", "air", 10, to_us, verdict, state, detail, "signed", (1,))


def said(severity: str = "alarm", state: str = "open", rule: str = LIMIT, verdict: str = "breach") -> Published:
    return Published("f", 1, rule, "dev:1", "air", 10, None, verdict, state, 3, 3, 500, severity)


@pytest.mark.parametrize(
    ("rule", "verdict", "severity"),
    [
        (LIMIT, "breach", "alarm"),
        (GAP, "unknown", "warning"),
        ("CN-frozen sensor fault", "unknown", "warning"),
        ("device gap", "unknown", "warning"),
        ("device disputed", "unknown", "alarm"),
        ("P2 continuity-2026.1", "UNOBSERVED", "warning"),
        ("P2 continuity-2026.1", "BROKEN_PENDING", "alarm"),
        ("P2 continuity-2026.1", "BROKEN_UNEXPLAINED", "critical"),
        ("P2 continuity-2026.1", "BROKEN_AUTHORISED", "warning"),
    ],
)
def test_a_rule_without_grades_has_a_severity_all_the_same(rule: str, verdict: str, severity: str) -> None:
    assert severity_of(rule, verdict) == severity


def test_the_verdict_knows_better_but_only_words_that_exist() -> None:
    assert severity_of(LIMIT, "breach", '{"severity":"critical"}') == "critical"
    assert severity_of(LIMIT, "breach", '{"severity":"apocalyptic"}') == "alarm"
    assert severity_of(LIMIT, "breach", '{"severity":["critical"]}') == "alarm"
    assert [rank(one) for one in (*SEVERITIES, "")] == [0, 1, 2, -1]


@pytest.mark.parametrize(
    ("before", "row", "event"),
    [
        (None, now(), "raised"),
        (said(state=WITHDRAWN), now(), "raised"),
        (said(), now("critical"), "escalated"),
        (said(), now("critical", "closed", 20), "escalated"),
        (said("critical"), now("alarm"), "de-escalated"),
        (said("critical"), now("alarm", "closed", 20), "closed"),
        (said(), now(state="closed", to_us=20), "closed"),
        (said(state="closed"), now(), "raised"),
        (said(), now(to_us=20), "superseded"),
        (said(), None, "withdrawn"),
    ],
)
def test_what_happened_to_a_finding(before: Published | None, row: Current | None, event: Event) -> None:
    assert Change("f", 2, before, row).event == event


def test_a_change_of_severity_alone_is_published() -> None:
    assert changes([now("alarm")], [said()]) == []
    (change,) = changes([now("critical")], [said()])
    assert (change.finding, change.n, change.event) == ("f", 2, "escalated")
    (draft,) = finding_entries("log", [now("critical")], [said()], 7)
    body = json.loads(draft.payload)
    assert (body["event"], body["severity"], body["supersedes"]) == ("escalated", "critical", 3)


def test_an_escalation_waits_for_nothing_and_a_de_escalation_settles() -> None:
    touched = Touched(1_000, 2_000)
    assert publishable_us(Change("f", 2, said(), now("critical")), touched) == 0
    assert publishable_us(Change("f", 2, said(), now("critical", "closed", 20)), touched) == 0
    assert publishable_us(Change("f", 2, said("critical"), now("alarm")), touched) == 2_000 + SETTLE_US


def test_what_was_aboard_is_told_named_and_counted() -> None:
    units = tuple(f"sscc:{number:018}" for number in range(400))
    met = Affected(("veh:T",), units, 4_000, False, (("lot:1", "KGM", 5_000), ("lot:2", "", None)))
    (draft,) = finding_entries("log", [now()], [], 7, lambda *_: met)
    affected = json.loads(draft.payload)["affected"]
    assert (len(affected["units"]), affected["units_total"], affected["units_all_counted"]) == (256, 4_000, False)
    assert affected["quantities"] == [["lot:1", "KGM", 5_000], ["lot:2", "", None]]
    assert set(draft.subjects) == {"dev:1", *units[:100]}


def test_nothing_was_aboard_of_what_is_withdrawn() -> None:
    met = Affected(("veh:T",), ("sscc:1",), 1, True, ())
    (draft,) = finding_entries("log", [], [said()], 7, lambda *_: met)
    assert "affected" not in json.loads(draft.payload)
    assert (json.loads(draft.payload)["event"], draft.subjects) == ("withdrawn", ("dev:1",))


# Acknowledging


def test_an_acknowledgement_holds_until_the_finding_escalates_or_opens_again() -> None:
    assert standing([("raised", 5)], []) == ""
    assert standing([("raised", 5), ("superseded", 9), ("closed", 12)], [5]) == "acknowledged"
    assert standing([("raised", 5), ("escalated", 9)], [5]) == "acknowledged before it escalated"
    assert standing([("raised", 5), ("escalated", 9)], [5, 9]) == "acknowledged"
    assert standing([("raised", 5), ("closed", 7), ("raised", 9)], [7]) == "acknowledged before it escalated"


@pytest.mark.parametrize("comment", ["", "  \n", None, 7, "x" * 2_001, "a\0b", "half \ud800"])
def test_an_acknowledgement_says_something(comment: object) -> None:
    with pytest.raises(AckError, match="comment"):
        read_comment(comment)


FINDING = "0" * 32
BODY = {"finding": FINDING, "n": 1, "role": "operator", "comment": " moved to room 2 ", "seen": 8}


def test_an_acknowledgement_is_read_as_it_was_recorded() -> None:
    ack = read_ack(BODY, key_of(FINDING, 1), "acme")
    assert (ack.by, ack.comment, ack.seen, ack.name_sealed) == ("acme", "moved to room 2", 8, "")


@pytest.mark.parametrize(
    "changed",
    [
        {"finding": "1" * 32},
        {"finding": 5},
        {"n": 2},
        {"n": True},
        {"n": -1},
        {"seen": None},
        {"seen": 2**40},
        {"role": "a\0"},
        {"name_sealed": "Li Wei"},
        {"comment": ""},
    ],
)
def test_one_that_contradicts_its_key_or_is_malformed_is_none(changed: dict[str, object]) -> None:
    with pytest.raises(AckError):
        read_ack({**BODY, **changed}, key_of(FINDING, 1), "acme")
