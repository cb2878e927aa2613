"""Every story at once on PostgreSQL: the same verdicts as on SQLite."""

from __future__ import annotations

import random

from coldchain.db.engine import make_engine
from continuity import test_circumstances, test_scenarios_cartons, test_scenarios_exceptions, test_scenarios_pallets
from continuity.facts import U, load, seen_in, supervision
from continuity.telling import in_form
from continuity.world import World, in_batches

LONG, LONGER = f"veh:{'X' * 120}", f"veh:{'Y' * 120}"
HOSTILE = [
    load(1, LONG, U, trailer="\x00" * 300),
    seen_in(2, LONGER, U, trailer=["veh:A"]),
    seen_in(3, LONG, U, trailer="TR-1", count="many", grossWeight={"value": 1e300, "uom": "KGM"}, leg=["loose"]),
    seen_in(4, LONGER, U, cartons=[{"case": 7, "state": {}}, "x"], linkedFrom={"a": 1}, board="\x00"),
    supervision(0, "begin", U, n=9),
]
"""Names as long as they may be, and values of every wrong kind."""
STORIES = (*test_scenarios_pallets.STORIES, *test_scenarios_cartons.STORIES, *test_scenarios_exceptions.STORIES)


def test_every_story_at_once_comes_to_the_same_on_both_databases(
    worlds: type[World], migrated_postgres_url: str
) -> None:
    told = [fact for story in STORIES for fact in in_form(story, "lawful")]
    told += [*test_circumstances.RIDE, *test_circumstances.STOP, *test_circumstances.sites()]
    told += HOSTILE
    facts = list({fact.entry.key: fact for fact in told}.values())
    random.Random(5).shuffle(facts)
    seen = []
    for url in (None, migrated_postgres_url):
        if url is not None:
            World.engine = make_engine(url)
        world = worlds()
        in_batches(world, facts, [7])
        world.settle()
        world.pass_time(100)
        seen.append((world.verdicts(), world.tables()))
    worlds.close()
    World.engine.dispose()
    assert seen[0] == seen[1]
    assert max(len(found.channel) for found in seen[0][0]) > 100
    assert len({found.code for found in seen[0][0]}) >= 9
