"""Whatever happens in a small world: order, repetition and batches change no verdict, and a plain second reading of the
rules comes to the same."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coldchain.services.recorded import Recorded
from continuity import reference as plain
from continuity.networks import networks
from continuity.reference_life import final_state
from continuity.telling import EVIDENCE
from continuity.world import Verdict, World, in_batches
from exploring import examples


def as_break(found: Verdict) -> plain.Break:
    """What was seen, without what became of it."""
    detail = found.detail
    cases = frozenset((*detail["extra"], *detail["missing"]))
    return plain.Break(
        found.code,
        found.subject,
        found.channel,
        found.from_us,
        found.from_us if found.to_us is None else found.to_us,
        detail["confirmed"],
        detail["deadline_s"] is not None,
        frozenset({found.subject, *cases, *detail["units"]}),
        cases,
    )


WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A world takes a tenth of a second to play twice, and shrinking one plays thousands."""
SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=SLOW, phases=WITHOUT_SHRINKING)
@given(facts=networks(), seed=st.integers(0, 2**32))
def test_order_repetition_and_batches_change_no_verdict_and_each_is_what_the_papers_make_of_it(
    worlds: type[World], facts: list[Recorded], seed: int
) -> None:
    draw = random.Random(seed)
    events = [item for item in facts if item.entry.kind == "event"]
    shuffled = [*facts, *draw.sample(events, min(3, len(events)))]
    draw.shuffle(shuffled)
    world = worlds()
    in_batches(world, facts, [len(facts)])
    world.settle()
    world.pass_time(100)
    once = world.tables(), world.verdicts()
    papers = [item.body for item in facts if item.body is not None]
    for found in once[1]:
        assert found.state == final_state(as_break(found), papers, EVIDENCE, found.detail["supervised"]), found
    world = worlds()
    in_batches(world, shuffled, [draw.randint(1, 5) for _ in range(4)])
    world.settle()
    world.pass_time(100)
    assert world.verdicts() == once[1]
    assert world.tables() == once[0]
