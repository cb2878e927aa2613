"""When a difference is published: alarms at once, what late data may refute once it has come to rest."""

from __future__ import annotations

from typing import Any

import pytest

from coldchain.domain.findings import WITHDRAWN, Change, Current, Published
from coldchain.domain.pacing import LONGEST_US, SETTLE_US, Touched, publishable_us

GAP, LIMIT, FAULT = "CN-frozen gap", "CN-frozen transport limit", "CN-frozen sensor fault"
CHANGED = Touched(1_000, 2_000)
SAID_AT = 500


def now(rule: str, verdict: str, state: str = "open", to_us: int | None = None) -> Current:
    return Current(rule, "dev:1", "air", 10, to_us, verdict, state, "{}", "signed", (1,))


def said(rule: str, verdict: str, state: str = "open", to_us: int | None = None) -> Published:
    return Published("f", 1, rule, "dev:1", "air", 10, to_us, verdict, state, 3, 3, SAID_AT)


def publishable(before: Published | None, row: Current | None) -> int:
    return publishable_us(Change("f", 2, before, row), CHANGED)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (LIMIT, "breach"),
        (FAULT, "unknown"),
        ("device disputed", "unknown"),
        ("device revoked-key", "unknown"),
        ("P2 1", "UNOBSERVED"),
        ("P2 1", "BROKEN_PENDING"),
    ],
)
def test_what_is_new_and_rests_on_evidence_is_published_at_once(rule: str, verdict: str) -> None:
    assert publishable(None, now(rule, verdict)) == 0
    assert publishable(said(rule, verdict, WITHDRAWN), now(rule, verdict)) == 0


@pytest.mark.parametrize("rule", [GAP, "device gap"])
def test_what_rests_on_absence_settles_whatever_it_does(rule: str) -> None:
    settled = CHANGED.changed_us + SETTLE_US
    assert publishable(None, now(rule, "unknown")) == settled
    assert publishable(said(rule, "unknown"), now(rule, "unknown", "closed", 20)) == settled
    assert publishable(said(rule, "unknown"), None) == settled


def test_what_never_comes_to_rest_is_published_all_the_same() -> None:
    moving = Touched(1_000, 1_000 + LONGEST_US)
    assert publishable_us(Change("f", 1, None, now(GAP, "unknown")), moving) == 1_000 + LONGEST_US


def test_silences_that_follow_each_other_have_each_to_last() -> None:
    """A lane never at rest, for a truck that uploads every half hour falls silent as often."""
    began_us = 3 * LONGEST_US
    moving = Touched(1_000, began_us + LONGEST_US)
    silence = now(GAP, "unknown")._replace(from_us=began_us)
    assert publishable_us(Change("f", 1, None, silence), moving) == began_us + LONGEST_US


def test_a_breach_that_merely_grows_settles() -> None:
    grown = publishable(said(LIMIT, "breach", "closed", 20), now(LIMIT, "breach", "closed", 30))
    assert grown == CHANGED.changed_us + SETTLE_US


@pytest.mark.parametrize("row", [now(LIMIT, "breach", "closed", 20), None])
def test_a_breach_that_ends_or_goes_is_told_at_once_but_not_in_quick_succession(row: Current | None) -> None:
    assert publishable(said(LIMIT, "breach"), row) == SAID_AT + SETTLE_US


@pytest.mark.parametrize(
    "row", [now("P2 1", "BROKEN_PENDING", "asked"), now("P2 1", "UNOBSERVED", "suspected", 20), None]
)
def test_continuity_never_waits(row: Any) -> None:
    assert publishable(said("P2 1", "UNOBSERVED", "suspected"), row) == 0
