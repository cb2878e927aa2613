"""A story of each code in four forms, and what must come of each whatever the order its facts arrive in."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from coldchain.services.recorded import Recorded
from continuity.facts import claim, ruled
from continuity.world import DEADLINE_H, Verdict, World, in_batches

EVIDENCE: Mapping[str, Mapping[str, Any]] = {
    "E1": {"date": "2026-03-02", "office": "Port Customs", "order_no": "7", "old_seal": "A1", "new_seal": "B2"},
    "E2": {"sheet": "S-1", "who": "lab", "lot": "L1", "quantity": 2, "stock_before": 6, "stock_after": 4},
    "E3": {"container": "CSQU3054383", "seal_check": "A1234 intact", "site": "w2", "tally": "T-1"},
    "E4": {"case": "case:16901234500018/001", "operator": "Li", "reason": "torn by a fork"},
    "E5": {"site_licence": "SC10741018302531", "inputs": ["a"], "outputs": ["b"], "mass_balance": 0, "link": "a -> b"},
    "E6": {"order": "PO-1", "lots": ["L1"], "counts": [1], "residual": 3},
    "E7": {"report": 1, "vehicle_from": "TRUCK-1", "vehicle_to": "TRUCK-2", "cause": "engine", "count": 40},
    "E8": {"order": "ENF-1", "authority": "market regulation", "quantity": 2},
    "E9": {"old_unit": "S", "new_unit": "T", "recount": 4, "reason": "board broke"},
    "E10": {"certificate": "DIS-1", "agent": "peracetic acid"},
    "E11": {"work_order": "WO-1", "place": "w2", "count_before": 4, "count_after": 4},
}
"""Full minimum evidence of each exception (domain §3)."""


class Story(NamedTuple):
    """One way a code is met in practice."""

    title: str
    code: str
    subject: str
    broken: Sequence[Recorded]
    """What shows the break, confirmed."""
    exception: str
    """One that covers it."""
    piece: str
    """A piece of its minimum evidence that is left out in the second form; as the verdict names it."""
    alike: Sequence[Recorded]
    """Much the same to look at, and nobody's fault."""
    channel: str | None = None
    names: Sequence[str] = ()
    """What the claim speaks of; the subject where empty."""
    asked_alike: bool = False
    """Whether the look-alike is asked about, as a misread seal is."""

    def claimed(self, without: str = "") -> Recorded:
        full = EVIDENCE[self.exception]
        left = {name: value for name, value in full.items() if name not in without.split("|")}
        return claim(self.exception, left, *(self.names or (self.subject,)))


def one(world: World, story: Story) -> Verdict:
    """The verdict the story is about."""
    found = [v for v in world.verdicts(story.code, story.subject) if story.channel in (None, v.channel)]
    assert len(found) == 1, world.verdicts()
    return found[0]


def told(world: World, story: Story) -> Verdict:
    """Up to the question, which the emitter puts."""
    world.record(*story.broken)
    assert one(world, story).verdict == "UNOBSERVED"
    world.settle()
    asked = one(world, story)
    assert (asked.state, asked.verdict, asked.detail["deadline_s"]) == ("asked", "BROKEN_PENDING", DEADLINE_H * 3600)
    assert asked.detail["asked"], "nobody was asked"
    return asked


def lawful(world: World, story: Story) -> None:
    """Full evidence, confirmed: authorised, for good."""
    told(world, story)
    world.record(story.claimed())
    world.pass_time(1000)
    waiting = one(world, story)
    assert (waiting.state, waiting.lacks) == ("asked", "the other party or an authority to confirm or refuse the claim")
    world.record(ruled())
    explained = one(world, story)
    assert (explained.state, explained.verdict, explained.lacks) == ("explained", "BROKEN_AUTHORISED", "")
    assert [(a["code"], a["lacking"], a["late"]) for a in explained.detail["answers"]] == [(story.exception, [], False)]


def lacking(world: World, story: Story) -> None:
    """One piece missing: asked for by name, and unexplained only after the deadline."""
    told(world, story)
    world.record(story.claimed(without=story.piece), ruled())
    world.pass_time(DEADLINE_H - 1)
    asked = one(world, story)
    assert (asked.state, asked.verdict) == ("asked", "BROKEN_PENDING")
    assert story.piece in asked.lacks
    world.pass_time(2)
    standing = one(world, story)
    assert (standing.state, standing.verdict) == ("standing", "BROKEN_UNEXPLAINED")
    assert story.piece in standing.lacks


def unlawful(world: World, story: Story) -> None:
    """Nobody answers, or an inspector refuses the answer: unexplained."""
    told(world, story)
    world.pass_time(DEADLINE_H - 1)
    assert one(world, story).state == "asked"
    world.pass_time(2)
    assert (one(world, story).verdict, one(world, story).lacks) == ("BROKEN_UNEXPLAINED", "an answer")


def refused(world: World, story: Story) -> None:
    told(world, story)
    world.record(story.claimed(), ruled(decision="refused", role="inspector"))
    assert (one(world, story).state, one(world, story).verdict) == ("standing", "BROKEN_UNEXPLAINED")


def alike(world: World, story: Story) -> None:
    """The innocent look-alike: whatever is asked and however long nobody answers, nobody is accused."""
    world.record(*story.alike)
    world.settle()
    world.pass_time(1000)
    world.settle()
    about = [v for v in world.verdicts() if v.verdict in ("BROKEN_PENDING", "BROKEN_UNEXPLAINED")]
    assert about == []
    assert any(v.detail["asked"] for v in world.verdicts()) == story.asked_alike


FORMS = ("lawful", "lacking", "unlawful", "alike")


def in_form(story: Story, form: str) -> list[Recorded]:
    """Everything that is recorded in this form of the story."""
    answers = {
        "lawful": [story.claimed(), ruled()],
        "lacking": [story.claimed(without=story.piece), ruled()],
    }
    return [*(story.alike if form == "alike" else story.broken), *answers.get(form, [])]


def same_in_any_order(make: type[World], facts: Sequence[Recorded]) -> None:
    """Shuffled, repeated and in other batches: the verdict tables are identical."""
    chance = random.Random(len(facts))
    seen = []
    for shuffled in (False, True):
        world, told_ = make(), list(facts)
        if shuffled:
            again = [item for item in told_ if item.entry.kind == "event"]  # in another document; keys are unique
            told_ += chance.sample(again, min(3, len(again)))
            chance.shuffle(told_)
        in_batches(world, told_, [chance.randint(1, 4) for _ in range(3)] if shuffled else [len(told_)])
        world.settle()
        world.pass_time(1000)
        seen.append((world.tables(), world.verdicts()))
    assert seen[0] == seen[1]


class FourForms:
    """What holds of every story; a subclass is parametrised with its `story`."""

    def test_with_full_evidence_and_a_confirmation_it_is_lawful(self, worlds: type[World], story: Story) -> None:
        lawful(worlds(), story)

    def test_one_piece_short_it_is_asked_for_and_unexplained_only_after_the_deadline(
        self, worlds: type[World], story: Story
    ) -> None:
        lacking(worlds(), story)

    def test_without_an_answer_it_is_unexplained_after_the_deadline(self, worlds: type[World], story: Story) -> None:
        unlawful(worlds(), story)

    def test_refused_by_an_inspector_it_is_unexplained_at_once(self, worlds: type[World], story: Story) -> None:
        refused(worlds(), story)

    def test_what_only_looks_like_it_accuses_nobody(self, worlds: type[World], story: Story) -> None:
        alike(worlds(), story)

    @pytest.mark.parametrize("form", FORMS)
    def test_any_order_and_repetition_gives_the_same_verdict_tables(
        self, worlds: type[World], story: Story, form: str
    ) -> None:
        same_in_any_order(worlds, in_form(story, form))
