"""Amounts, seals, boards and contradictions from entries to rows, on real databases, in any order of arrival."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table, delete

from coldchain.db import queries_containment as q
from coldchain.db.engine import make_engine, writing
from coldchain.db.queries_events import verdicts
from coldchain.db.tables import containment as t
from coldchain.db.tables import metadata
from coldchain.domain.boards import board_spans
from coldchain.domain.events import Event, Quantity
from coldchain.domain.seals import seal_chain
from coldchain.projections.containment import Containment
from coldchain.projections.events import Events
from coldchain.projections.follow import digests
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry
from opening import migrated_file

LOT, OTHER = "lot:16901234500018/L1", "lot:plant/beef/2026-01-10"
BOX, PALLET, NEXT, ROOM = "cont:CSQU3054383", "sscc:169012345000000025", "hu:w1/7", "room:w1/a"
BOARD = "grai:06901234510010PLT0000001"
CASE = "case:16901234500018/001"


def goods(cases: int, item: str = LOT) -> Quantity:
    return Quantity(item, cases * 1000, "")


def event(time_us: int, action: str, parent: str, *stated: Quantity | str, by: str = "w1", **more: Any) -> Recorded:
    name = more.pop("name", f"{time_us}{action}{parent}{stated}")
    own = {key: more.pop(key) for key in ("seals", "board", "linkedFrom") if key in more}
    one = Event(
        name,
        more.pop("kind", "AggregationEvent"),
        time_us,
        action,
        more.pop("biz_step", ""),
        parent,
        tuple(sorted(unit for unit in stated if isinstance(unit, str))),
        quantities=tuple(sorted(one for one in stated if isinstance(one, Quantity))),
        extras=tuple(sorted((key, json.dumps(value)) for key, value in own.items())),
        by=by,
        **more,
    )
    entry = Entry("event", by, 0, "application/json", f"ev/{name}", "signed", (), b"")
    return Recorded(1, -1, entry, events=(one,))


def story() -> list[Recorded]:
    """A sealed container of 1,200 cases becomes two pallets; a corrected, a withdrawn and a disputed event; a count
    that differs, more sold than there was, a case in two pallets."""
    wrong = event(30, "DELETE", PALLET, goods(9), name="wrong")
    withdrawal = replace(wrong, events=(replace(wrong.events[0], error="did_not_occur", quantities=(), parent=""),))
    seal = {"seal": "CN123456", "issuer": "COSCO", "class": "H"}
    return [
        event(1, "ADD", BOX, goods(1200), goods(40, OTHER), seals=[{**seal, "act": "applied"}]),
        event(9, "OBSERVE", BOX, seals=[{**seal, "act": "checked", "state": "intact"}]),
        event(10, "OBSERVE", BOX, seals=[{"seal": "cn-123456", "act": "removed"}], by="customs"),
        event(11, "ADD", PALLET, goods(60), CASE, linkedFrom=BOX, board=BOARD),
        event(12, "ADD", NEXT, goods(60), goods(5, OTHER), linkedFrom=[BOX]),
        event(12, "DELETE", BOX, goods(60), goods(5, OTHER)),
        event(20, "OBSERVE", NEXT, goods(58)),
        wrong,
        withdrawal,
        event(40, "ADD", PALLET, goods(1), name="twice"),
        event(40, "ADD", PALLET, goods(2), name="twice"),
        event(50, "OBSERVE", PALLET, kind="AssociationEvent", board=BOARD),
        event(55, "ADD", BOARD, NEXT, kind="AssociationEvent"),
        event(60, "ADD", NEXT, CASE, by="w2"),
        event(61, "DELETE", PALLET, CASE),
        event(62, "DELETE", NEXT, CASE, by="w2"),
        event(63, "DELETE", "hu:w1/8", CASE),
        event(70, "OBSERVE", "", goods(100), kind="ObjectEvent", biz_step="stock_taking", location=ROOM),
        event(80, "DELETE", ROOM, goods(101), biz_step="picking"),
        event(85, "ADD", PALLET, goods(7), name="a", content="ni:///sha-256;1"),
        event(85, "ADD", PALLET, goods(7), name="b", content="ni:///sha-256;1"),
        event(90, "DELETE", NEXT),
    ]


class World:
    def __init__(self, url: str) -> None:
        self.engine: Engine = make_engine(url)
        self.projections = (Events(), Containment())
        self.size = 0

    def record(self, *facts: Recorded) -> None:
        batch = [replace(item, index=self.size + i) for i, item in enumerate(facts)]
        self.size += len(batch)
        with writing(self.engine) as connection:
            for projection in self.projections:
                projection.apply(connection, batch, self.size)

    def held(self, parent: str, t_us: int) -> dict[str, tuple[float, float | None]]:
        with self.engine.connect() as connection:
            found = q.amounts_at(connection, [parent], t_us)
        return {a.item: (a.least_milli / 1000, None if a.most_milli is None else a.most_milli / 1000) for a in found}

    def tables(self) -> list[Table]:
        return [metadata.tables[name] for name in sorted({name for one in self.projections for name in one.tables})]

    def facts(self) -> dict[str, str]:
        return digests(self.engine, self.tables(), facts_only=True)

    def begin_anew(self) -> None:
        self.size = 0
        with writing(self.engine) as connection:
            for table in self.tables():
                connection.execute(delete(table))


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    world = World(migrated_url)
    yield world
    world.engine.dispose()


def test_how_many_cases_of_a_lot_were_in_a_unit_at_a_moment(world: World) -> None:
    world.record(*story())
    assert world.held(BOX, 5) == {LOT: (1200, 1200), OTHER: (40, 40)}
    assert world.held(BOX, 11) == {LOT: (1140, 1140), OTHER: (40, 40)}
    assert world.held(BOX, 12) == {LOT: (1080, 1080), OTHER: (35, 35)}
    assert world.held(NEXT, 15) == {LOT: (58, 60), OTHER: (5, 5)}
    assert world.held(NEXT, 20) == {LOT: (58, 58), OTHER: (5, 5)}
    assert world.held(NEXT, 95) == {LOT: (0, 0), OTHER: (0, 0)}
    assert world.held(PALLET, 45) == {LOT: (60, 62)}
    assert world.held(ROOM, 75) == {LOT: (100, 100)}
    with world.engine.connect() as connection:
        assert {(a.parent, a.least_milli) for a in q.holding_at(connection, LOT, 15)} == {
            (BOX, 1_080_000), (PALLET, 60_000), (NEXT, 58_000),
        }  # fmt: skip


def test_seals_and_boards_keep_their_own_histories(world: World) -> None:
    world.record(*story())
    with world.engine.connect() as connection:
        (link,) = seal_chain(q.seals_of(connection, [BOX]))
        assert seal_chain(q.seals_numbered(connection, ["CN123456"])) == (link,)
        mine, theirs = board_spans(q.loads_on(connection, [BOARD]))
        assert board_spans(q.boards_of(connection, [PALLET])) == (theirs,)
    assert [(fact.act, fact.by) for fact in link.facts] == [
        ("applied", "w1"),
        ("checked", "w1"),
        ("removed", "customs"),
    ]
    assert (link.issuer, link.from_us, link.to_us) == ("COSCO", 1, 10)
    assert [(s.load, s.from_us, s.to_us, s.seen_us) for s in (theirs, mine)] == [
        (PALLET, 11, None, 50),
        (NEXT, 55, None, 55),
    ]


def test_contradictions_are_findings_that_accuse_nobody(world: World) -> None:
    world.record(*story())
    with world.engine.connect() as connection:
        rows = verdicts(connection, [ROOM, CASE, NEXT, PALLET, BOX])
        conflicts = q.conflicts(connection, t.containment_conflict.c.item, [CASE, LOT])
    assert [(row["rule"], row["subject"], row["channel"], row["verdict"], row["state"]) for row in rows] == [
        ("containment never-put-in", CASE, "hu:w1/8", "UNOBSERVED", "suspected"),
        ("containment more-out-than-in", ROOM, LOT, "UNOBSERVED", "suspected"),
    ]
    assert json.loads(rows[1]["detail"])["stated_milli"] == 101_000
    assert json.loads(rows[1]["basis_index"]) == [17, 18]
    assert [(row["rule"], row["parent"], row["other"]) for row in conflicts] == [
        ("count-differs", NEXT, ""),
        ("two-parents", PALLET, NEXT),
        ("never-put-in", "hu:w1/8", ""),
        ("more-out-than-in", ROOM, ""),
    ]


def test_a_missing_event_recorded_late_settles_the_contradiction(world: World) -> None:
    world.record(*story())
    world.record(event(75, "ADD", ROOM, goods(1), biz_step="storing"))
    world.record(event(62, "ADD", "hu:w1/8", CASE))
    with world.engine.connect() as connection:
        assert verdicts(connection, [ROOM, CASE]) == []


def test_one_event_under_two_ids_counts_once(world: World) -> None:
    world.record(*story()[:-3])
    before = world.held(PALLET, 86)
    world.record(story()[-3])
    world.record(story()[-2])
    assert (before, world.held(PALLET, 86)) == ({LOT: (60, 62)}, {LOT: (67, 69)})


def in_batches(entries: Sequence[Recorded], seed: int) -> list[list[Recorded]]:
    chance, left, batches = random.Random(seed), list(entries), []
    if seed:
        left += chance.sample(left, 5)
        chance.shuffle(left)
    while left:
        size = chance.randint(1, 6) if seed != 1 else len(left)
        batches.append(left[:size])
        del left[:size]
    return batches


def test_any_order_and_any_batches_lead_to_the_same_facts(tmp_path: Path) -> None:
    seen = []
    for seed in range(12):
        world = World(migrated_file(tmp_path / f"{seed}.db"))
        for batch in in_batches(story(), seed):
            world.record(*batch)
        seen.append(world.facts())
        world.engine.dispose()
    assert all(facts == seen[0] for facts in seen)


def any_story(chance: random.Random) -> list[Recorded]:
    """Whatever a few parties may say of two pallets, a room and their goods: ids used twice, withdrawals, one event in
    two spellings, links, counts, cases put here and taken there."""
    told: list[Recorded] = []
    for number in range(chance.randrange(6, 16)):
        stated: list[Quantity | str] = []
        if chance.random() < 0.7:
            stated.append(goods(chance.randrange(0, 9), chance.choice((LOT, OTHER))))
        stated += [f"case:16901234500018/00{case}" for case in range(1, 4) if chance.random() < 0.3]
        more: dict[str, Any] = {"name": chance.choice((f"e{number}", f"e{number}", "shared", "other"))}
        if chance.random() < 0.3:
            more["linkedFrom"] = chance.sample([BOX, PALLET, NEXT], chance.randrange(1, 3))
        if chance.random() < 0.2:
            more["board"] = chance.choice((BOARD, BOARD[:-1] + "2"))
        if chance.random() < 0.2:
            acts = ("applied", "checked", "removed")
            more["seals"] = [{"seal": chance.choice(("AAAA1", "BBBB2")), "act": chance.choice(acts)}]
        parent = chance.choice((PALLET, PALLET, NEXT, BOX, ROOM))
        if chance.random() < 0.15:
            more |= {"kind": "ObjectEvent", "location": parent, "biz_step": "stock_taking"}
            parent = ""
        action = chance.choice(("ADD", "ADD", "DELETE", "OBSERVE")) if parent else chance.choice(("OBSERVE", "DELETE"))
        one = event(chance.randrange(1, 12), action, parent, *stated, by=chance.choice(("w1", "w2")), **more)
        told.append(one)
        if chance.random() < 0.15:
            wrong = replace(one.events[0], error="did_not_occur", quantities=(), units=(), parent="", extras=())
            told.append(replace(one, events=(wrong,)))
        if chance.random() < 0.2:
            twins = [replace(one.events[0], event_id=f"t{number}/{copy}", content=f"c{number}") for copy in (1, 2)]
            told += [replace(one, events=(twin,)) for twin in twins]
    return told


def test_whatever_is_told_in_whatever_batches_gives_what_it_gives_at_once(tmp_path: Path) -> None:
    world = World(migrated_file(tmp_path / "any.db"))
    for seed in range(25):
        entries = any_story(random.Random(seed))
        world.begin_anew()
        world.record(*entries)
        at_once = world.facts()
        for order in (2 * seed + 2, 2 * seed + 3):
            world.begin_anew()
            for batch in in_batches(entries, order):
                world.record(*batch)
            assert world.facts() == at_once, f"story {seed}, order {order}"
    world.engine.dispose()


def test_what_was_in_what_at_a_moment_is_read_without_the_rest(world: World) -> None:
    world.record(*story(), event(13, "ADD", ROOM, PALLET, NEXT), event(64, "DELETE", ROOM, PALLET))
    with world.engine.connect() as connection:
        assert [i.child for i in q.contents_at(connection, ROOM, 15)] == [NEXT, PALLET, CASE]
        assert [i.child for i in q.contents_at(connection, ROOM, 64)] == [NEXT]
        assert [i.parent for i in q.parents_at(connection, CASE, 15)] == [PALLET, ROOM]
        assert q.parents_at(connection, CASE, 64) == []
