"""Events, doors, papers and findings from entries to rows, on real databases, in any order of arrival."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from coldchain.db import queries_events as q
from coldchain.db.engine import make_engine, writing
from coldchain.db.queries_inspect import InspectQueries
from coldchain.db.tables import events as t
from coldchain.db.tables import metadata
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.continuity import Rules
from coldchain.domain.doors import windows
from coldchain.domain.events import Event
from coldchain.domain.telemetry import Sample, Telemetry, runs_of
from coldchain.projections.containment import Containment
from coldchain.projections.continuity import Continuity
from coldchain.projections.events import Events
from coldchain.projections.exposures import Exposures
from coldchain.projections.findings import Findings
from coldchain.projections.follow import digests
from coldchain.services.inspect import inspect
from coldchain.services.recorded import Recorded
from coldchain.services.trace import trace
from continuity.facts import DOCK, OUT, STORE, TRUCK, S, T, cases, fact, hours
from continuity.followed import Followed
from opening import migrated_file

MINUTE = 60_000_000
ROOM = "room:w2/a"
E1 = {"date": "2026-03-02", "office": "Port Customs", "order_no": "7", "old_seal": "A1", "new_seal": "B2"}


def event(at_h: float, action: str, parent: str, units: Sequence[str], by: str = "w1", **more: Any) -> Recorded:
    name = f"{at_h}/{action}/{parent}/{len(units)}"
    one = Event(name, "AggregationEvent", hours(at_h), action, "", parent, tuple(sorted(units)), **more)
    return fact("event", f"ev/{name}", by, events=(one,))


def read(at_h: float, point: str, parent: str, *numbers: int, by: str = "w1") -> Recorded:
    return event(at_h, "OBSERVE", parent, cases(*numbers), by, read_point=point)


def doors(seq: int, *samples: tuple[float, bool], device: str = "truck-1") -> Recorded:
    runs = runs_of(Sample("door/rear", hours(at_h), is_open) for at_h, is_open in samples)
    decoded = Telemetry(device, 1, seq, runs)
    return fact("telemetry", f"tm/{device}/1/{seq}", "carrier", telemetry=decoded)


def mounted(device: str = "truck-1", place: str = TRUCK, n: int = 1) -> Recorded:
    body = {"op": "enrol", "device": device, "org": "carrier", "site": "s", "kid": f"{device}#{n}", "alg": "EdDSA",
            "public_key": "", "grade": "signed", "role": "sensor", "place": place}  # fmt: skip
    return fact("identity", f"identity/enrol/{device}#{n}", body=body)


def claimed(name: str, from_h: float, to_h: float, **changed: Any) -> Recorded:
    body = {"v": 1, "doc": "exception-claim", "id": name, "code": "E1", "units": [], "places": [TRUCK], "by": "carrier",
            "from_us": hours(from_h), "to_us": hours(to_h), "evidence": E1, **changed}  # fmt: skip
    return fact("document", f"doc/claim/{name}", "carrier", "declared", body=body)


def decided(name: str, decision: str = "confirmed", role: str = "customs") -> Recorded:
    body = {"v": 1, "order": "claim-decision", "claim": name, "decision": decision, "by": role, "role": role}
    return fact("order", f"order/claim-decision/{name}/1", role, "declared", body=body)


def swap() -> list[Recorded]:
    """Two pallets of six ride from w1 to w2; cases 5, 6 and 11, 12 change places on the way, and nobody says so."""
    first, second = (1, 2, 3, 4, 5, 6), (7, 8, 9, 10, 11, 12)
    after_first, after_second = (1, 2, 3, 4, 11, 12), (7, 8, 9, 10, 5, 6)
    return [
        mounted(),
        event(0, "ADD", S, cases(*first)),
        event(0.1, "ADD", T, cases(*second)),
        read(1, OUT, S, *first),
        read(1.1, OUT, T, *second),
        event(1.5, "ADD", TRUCK, (S, T)),
        doors(0, (1.4, True), (1.6, False), (3, True), (3.5, False), (5.9, True), (6.3, False)),
        event(6, "DELETE", TRUCK, (S, T), by="w2"),
        read(6.1, DOCK, S, *after_first, by="w2"),
        read(6.2, DOCK, T, *after_second, by="w2"),
        read(6.5, STORE, S, *after_first, by="w2"),
        read(6.6, STORE, T, *after_second, by="w2"),
        event(6.7, "ADD", ROOM, (S, T), by="w2"),
    ]


class World(Followed):
    """On a database of its own, as the server writes it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        projections = (Events(), Containment(), Continuity(), Findings())
        super().__init__(lambda: writing(engine), projections, hours(10), 3600)

    def rows(self, subject: str) -> list[tuple[str, str, str]]:
        with self.engine.connect() as connection:
            rows = q.verdicts(connection, [subject])
            return [(row["rule"].partition(" ")[0], row["state"], row["verdict"]) for row in rows]

    def detail(self, subject: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            (row,) = q.verdicts(connection, [subject])
            return {**row, **json.loads(row["detail"])}

    def segments(self, unit: str) -> list[str]:
        with self.engine.connect() as connection:
            return [row["verdict"] for row in InspectQueries(connection).segments([unit])]

    def inside(self, unit: str) -> list[tuple[str, int, int | None]]:
        with self.engine.connect() as connection:
            found = sorted(q.intervals(connection, t.containment.c.child, [unit]), key=lambda i: i.from_us)
            return [(i.parent, i.from_us, i.to_us) for i in found]


def fresh(url: str) -> World:
    engine = make_engine(url)
    return World(engine)


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    world = fresh(migrated_url)
    yield world
    world.engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[World]:
    world = fresh(migrated_file(tmp_path / "c.db"))
    yield world
    world.engine.dispose()


def test_a_silent_swap_is_asked_about_and_stands_when_nobody_answers_in_time(world: World) -> None:
    world.record(*swap())
    assert world.rows(S) == [("P2", "suspected", "UNOBSERVED")]
    world.settle()
    assert world.rows(S) == world.rows(T) == [("P2", "asked", "BROKEN_PENDING")]
    detail = world.detail(S)
    assert (detail["asked"], detail["extra"], detail["missing"]) == ("carrier", list(cases(11, 12)), list(cases(5, 6)))
    assert detail["weakest_grade"] == "signed"
    assert world.segments(S) == [
        "CONTINUOUS",
        "BROKEN_PENDING",
        "BROKEN_PENDING",
        "BROKEN_PENDING",
        "CONTINUOUS",
        "UNOBSERVED",
    ]
    world.pass_time(0.9)
    assert world.rows(S) == [("P2", "asked", "BROKEN_PENDING")]
    world.pass_time(0.2)
    assert world.rows(S) == world.rows(T) == [("P2", "standing", "BROKEN_UNEXPLAINED")]
    assert [json.loads(draft.payload)["state"] for draft in world.settle()] == ["standing", "standing"]


def test_confirmed_reads_move_the_cases_to_the_pallet_they_are_on(world: World) -> None:
    world.record(*swap())
    arrived = hours(6.1)
    assert world.inside(cases(11)[0]) == [(T, hours(0.1), arrived), (S, arrived, None)]
    assert [parent for parent, _, _ in world.inside(cases(5)[0])] == [S, T]


def test_publishing_twice_appends_nothing_and_a_dispelled_suspicion_is_withdrawn(sqlite: World) -> None:
    sqlite.record(event(0, "ADD", S, cases(1, 2, 3)), read(1, OUT, S, 1, 2, 3), read(6, DOCK, S, 1, 2))
    (published,) = sqlite.settle()
    assert json.loads(published.payload)["state"] == "suspected"
    assert sqlite.settle() == []
    sqlite.record(read(7, STORE, S, 1, 2, 3))
    assert sqlite.rows(S) == []
    assert sqlite.segments(S) == ["CONTINUOUS"] * 3
    (withdrawn,) = sqlite.settle()
    assert json.loads(withdrawn.payload)["state"] == "withdrawn"
    assert json.loads(withdrawn.payload)["id"] == json.loads(published.payload)["id"]


def test_a_stray_tag_that_ends_the_record_accuses_nobody(sqlite: World) -> None:
    sqlite.record(event(0, "ADD", S, cases(1, 2)), read(1, OUT, S, 1, 2), read(6, DOCK, S, 1, 2, 9))
    sqlite.settle()
    sqlite.pass_time(1000)
    assert sqlite.rows(S) == [("P2", "suspected", "UNOBSERVED")]
    assert "second read point" in sqlite.detail(S)["lacks"]


def test_a_sighting_on_its_own_pallet_recorded_days_later_dispels_a_stray_tag(sqlite: World) -> None:
    mine = [event(0, "ADD", S, cases(1, 2)), read(1, OUT, S, 1, 2, 9), read(6, DOCK, S, 1, 2, 9)]
    sqlite.record(*mine)
    sqlite.settle()
    assert sqlite.rows(S) == [("P2", "asked", "BROKEN_PENDING")]
    sqlite.record(event(0, "ADD", T, cases(9)), read(1.01, OUT, T, 9), read(6.01, DOCK, T, 9))
    assert sqlite.rows(S) == [("P2", "suspected", "UNOBSERVED")]
    assert sqlite.inside(cases(9)[0]) == [(T, hours(0), None)]


def test_a_door_opened_on_the_road_is_a_suspicion_about_the_vehicle_and_what_was_aboard(sqlite: World) -> None:
    sqlite.record(*swap())
    assert sqlite.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    detail = sqlite.detail(TRUCK)
    assert (detail["units"], detail["from_us"], detail["to_us"]) == ([S, T], hours(3), hours(3.5))
    assert detail["channel"] == "truck-1 door/rear"
    sqlite.settle()
    sqlite.pass_time(1000)
    assert sqlite.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]


def test_a_confirmed_inspection_covers_the_opening_and_the_segment_it_lies_in(world: World) -> None:
    whole = [read(6.1, DOCK, S, 1, 2, 3, 4, 5, 6), read(6.2, DOCK, T, 7, 8, 9, 10, 11, 12)]
    world.record(*swap()[:8], *whole)
    assert world.segments(S) == ["CONTINUOUS", "CONTINUOUS", "UNOBSERVED", "CONTINUOUS"]
    world.record(claimed("c1", 3, 3.5, evidence={**E1, "new_seal": ""}), decided("c1"))
    assert world.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    assert "claim c1 (E1) lacks new_seal" in world.detail(TRUCK)["lacks"]
    world.record(claimed("c2", 3, 3.5))
    assert world.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    world.record(decided("c2"))
    assert world.rows(TRUCK) == [("B5", "explained", "BROKEN_AUTHORISED")]
    assert world.segments(S) == ["CONTINUOUS", "CONTINUOUS", "BROKEN_AUTHORISED", "CONTINUOUS"]


def test_a_claim_stops_the_clock_until_an_inspector_refuses_it(world: World) -> None:
    world.record(*swap())
    world.settle()
    world.record(claimed("c1", 1.5, 6, units=[S], places=[]))
    world.pass_time(1000)
    assert world.rows(S) == [("P2", "asked", "BROKEN_PENDING")]
    assert world.rows(T) == [("P2", "standing", "BROKEN_UNEXPLAINED")]
    world.record(decided("c1", "refused", "inspector"))
    assert world.rows(S) == [("P2", "standing", "BROKEN_UNEXPLAINED")]


def test_an_unloading_event_recorded_late_covers_the_opening_and_ends_the_ride(world: World) -> None:
    late = event(6, "DELETE", TRUCK, (S,))
    world.record(
        mounted(), event(0, "ADD", S, cases(1)), event(1, "ADD", TRUCK, (S,)), doors(0, (6, True), (6.2, False))
    )
    assert world.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    world.record(late)
    assert world.rows(TRUCK) == []
    assert world.inside(S)[-1] == (TRUCK, hours(1), hours(6))


def test_an_opening_after_the_goods_turn_out_to_have_left_is_no_suspicion(sqlite: World) -> None:
    sqlite.record(
        mounted(), event(0, "ADD", S, cases(1)), event(1, "ADD", TRUCK, (S,)), doors(0, (9, True), (9.2, False))
    )
    assert sqlite.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    sqlite.record(event(6, "DELETE", TRUCK, (S,)))
    assert sqlite.rows(TRUCK) == []


def test_a_device_found_to_be_mounted_elsewhere_takes_its_openings_with_it(sqlite: World) -> None:
    sqlite.record(event(0, "ADD", S, cases(1)), event(1, "ADD", TRUCK, (S,)), doors(0, (3, True), (3.2, False)))
    assert sqlite.rows(TRUCK) == []
    sqlite.record(mounted())
    assert sqlite.rows(TRUCK) == [("B5", "suspected", "UNOBSERVED")]
    sqlite.record(mounted(place="veh:TRUCK-9", n=2))
    assert sqlite.rows(TRUCK) == []


def test_openings_are_the_same_whatever_the_order_of_samples(sqlite: World) -> None:
    chance = random.Random(7)
    for round_ in range(40):
        device = f"door-{round_}"
        samples = [(chance.randrange(12) / 10, chance.random() < 0.5) for _ in range(12)]
        messages = [doors(i, *samples[i : i + 3], device=device) for i in range(0, 12, 3)]
        chance.shuffle(messages)
        for message in (*messages, messages[0]):
            sqlite.record(message)
        with sqlite.engine.connect() as connection:
            w = t.door_window.c
            rows = connection.execute(
                select(w.from_us, w.to_us, w.seen_us).where(w.device == device).order_by(w.from_us)
            )
            assert [tuple(row) for row in rows] == [
                tuple(window) for window in windows((hours(at_h), is_open) for at_h, is_open in samples)
            ]


def story() -> list[Recorded]:
    """Everything at once: a swap, an answered break, corrections, doubles, an emptied pallet, other grades."""
    handled = "hu:w1/7"
    born = fact(
        "event", "ev/lot", events=(Event("lot", "ObjectEvent", hours(-1), "ADD", "", units=cases(1), lot="L1"),)
    )
    wrong = event(2, "DELETE", handled, cases(31))
    error = replace(wrong.events[0], error="did_not_occur", parent="", units=())
    withdrawn = fact("event", "ev/error", events=(error,))
    again = replace(wrong, entry=replace(wrong.entry, key="ev/again", grade="declared"))
    rule = f"P2 {Rules().version}"
    ask = {"v": 1, "order": "ask", "finding": "f1", "rule": rule, "subject": S, "asked": "carrier", "deadline_s": 3600,
           "from_us": hours(1), "to_us": hours(6.1)}  # fmt: skip
    return [
        *swap(),
        event(0, "ADD", handled, cases(30, 31, 32)),
        wrong,
        withdrawn,
        again,
        read(4, OUT, handled, 30, 31, 32),
        event(5, "DELETE", handled, ()),
        born,
        fact("order", "ask/f1", body=ask),
        fact("order", "ask/f2", body={**ask, "finding": "f2", "subject": T}),
        claimed("c1", 2.9, 3.6, units=[T]),
        decided("c1"),
        doors(0, (3, True), (3.5, False)),
    ]


def facts_of(world: World) -> dict[str, str]:
    tables = [metadata.tables[name] for projection in world.projections for name in projection.tables]
    return digests(world.engine, tables, facts_only=True)


def test_any_order_and_any_batches_lead_to_the_same_facts(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    for seed in range(12):
        world = fresh(migrated_file(tmp_path / f"{seed}.db"))
        chance, entries = random.Random(seed), story()
        if seed:
            entries += chance.sample(entries, 5)
            chance.shuffle(entries)
        while entries:
            size = chance.randint(1, 6) if seed != 1 else len(entries)
            world.record(*entries[:size])
            del entries[:size]
        world.pass_time(10)
        assert world.rows(S) == [("P2", "standing", "BROKEN_UNEXPLAINED")]
        assert world.rows(T) == [("P2", "explained", "BROKEN_AUTHORISED")]
        assert world.rows("hu:w1/7") == []
        assert world.segments("hu:w1/7") == ["CONTINUOUS", "UNOBSERVED"]
        assert world.inside(cases(31)[0]) == [("hu:w1/7", hours(0), hours(5))]
        seen.append(facts_of(world))
        world.engine.dispose()
    assert all(facts == seen[0] for facts in seen)


def test_a_rebuild_reproduces_every_column(tmp_path: Path, sqlite: World) -> None:
    for one in story():
        sqlite.record(one)
        sqlite.settle()
    sqlite.pass_time(10)
    again = fresh(migrated_file(tmp_path / "again.db"))
    with writing(again.engine) as connection:
        for projection in again.projections:
            projection.apply(connection, sqlite.log, sqlite.now)
    tables = [metadata.tables[name] for projection in again.projections for name in projection.tables]
    assert digests(again.engine, tables) == digests(sqlite.engine, tables)
    again.engine.dispose()


def test_an_event_recorded_twice_keeps_its_strongest_grade_and_first_entry(sqlite: World) -> None:
    one = event(0, "ADD", S, cases(1))
    declared = replace(one, entry=replace(one.entry, grade="declared"))
    sqlite.record(declared)
    sqlite.record(one, declared)
    with sqlite.engine.connect() as connection:
        assert connection.execute(select(t.event.c.grade, t.event.c.entry)).all() == [("signed", 0)]


def test_only_the_next_deadline_is_waited_for(sqlite: World) -> None:
    sqlite.record(*swap())
    sqlite.settle()
    with sqlite.engine.connect() as connection:
        due = q.pending_deadline(connection)
    assert due is not None
    assert sqlite.now < due <= sqlite.now + 3600 * 1_000_000
    sqlite.pass_time(2)
    with sqlite.engine.connect() as connection:
        assert q.pending_deadline(connection) is None


# Documents


def source(connection: Connection) -> InspectQueries:
    return InspectQueries(connection)


def test_an_inspection_tells_the_whole_story_of_a_case(world: World) -> None:
    world.record(*swap())
    world.settle()
    with world.engine.connect() as connection:
        document = inspect(source(connection), Exposures(connection), "https://id.gs1.org/01/16901234500018/21/011")
        assert inspect(source(connection), Exposures(connection), "case:16901234500018/999") is None
        assert inspect(source(connection), Exposures(connection), "no identifier") is None
    assert document is not None
    assert document["id"] == cases(11)[0]
    assert document["verdict"] == "BROKEN_PENDING"
    assert [stay["parent"] for stay in document["inside"] if stay["through"] is None] == [T, S]
    assert {(stay["parent"], stay["through"]) for stay in document["inside"]} >= {(TRUCK, T), (ROOM, S)}
    assert [row["action"] for row in document["history"]] == ["OBSERVE", "OBSERVE", "OBSERVE", "ADD"]
    assert {(row["subject"], row["verdict"]) for row in document["verdicts"]} == {
        (S, "BROKEN_PENDING"), (T, "BROKEN_PENDING"), (TRUCK, "UNOBSERVED"),
    }  # fmt: skip
    (asked,) = [row for row in document["verdicts"] if row["subject"] == S]
    assert asked["due"].endswith("Z")
    assert (asked["detail"]["asked"], asked["detail"]["deadline_s"]) == ("carrier", 3600)
    assert set(asked["entries"]) >= {8, 10}
    assert {row["state"] for row in document["findings"]} == {"suspected", "asked"}
    json.dumps(document)


def test_a_trace_leads_back_onward_and_to_contacts_with_the_entries_that_say_so(world: World) -> None:
    world.record(*swap())
    with world.engine.connect() as connection:
        document = trace(source(connection), cases(11)[0])
        before = trace(source(connection), cases(11)[0], hours(5))
        assert trace(source(connection), "sscc:169012345000000049") is None
    assert document is not None
    assert before is not None
    assert [hop["unit"] for hop in document["forward"]] == [T, TRUCK, S, ROOM]
    assert {hop["unit"] for hop in before["backward"]} == {T, TRUCK}
    (ride,) = [hop for hop in document["forward"] if hop["unit"] == TRUCK]
    assert (ride["via"], ride["entries"]) == (T, [5, 7])
    assert "ADD" in ride["why"]
    graded = {contact["unit"]: contact["grade"] for contact in document["contacts"]}
    assert graded[cases(1)[0]] == graded[cases(7)[0]] == "G1"
    json.dumps(document)


def test_the_verdict_table_is_shared_and_other_sources_are_left_alone(sqlite: World) -> None:
    texts = {"detail": "{}", "basis_index": "[0]", "weakest_grade": "signed", "state": "open", "verdict": "breach"}
    key = {"source": "temperature", "rule": "CN-frozen 1", "subject": S, "channel": "air", "from_us": 0}
    with writing(sqlite.engine) as connection:
        connection.execute(verdict.insert(), {**key, **texts, "to_us": None})
    sqlite.record(*swap())
    assert [rule for rule, _, _ in sqlite.rows(S)] == ["CN-frozen", "P2"]
