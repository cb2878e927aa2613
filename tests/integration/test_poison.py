"""Nothing that anybody sends stands in the way of what comes after it, on either database."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.events import finding
from coldchain.db.tables.telemetry import device_state
from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.senml import decode_senml
from coldchain.settings import load_settings
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.errors import StoreError
from integration.hostile import NOW_S, UP, Clock, Door, Truck
from opening import new_core

CONTEXT = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    {"coldchain": "urn:coldchain:vocabulary:"},
]
PALLET = "urn:epc:id:sscc:6901234.1000000001"
HOUR_US = 3_600_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else ""
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data", database=url), clock=clock) as core:
        yield Door(core, clock)


def event(**stated: Any) -> bytes:
    usual = {
        "@context": CONTEXT,
        "type": "ObjectEvent",
        "eventID": "urn:uuid:1",
        "action": "OBSERVE",
        "eventTime": "2026-03-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
    }
    about = {} if stated.get("type") == "AggregationEvent" else {"epcList": [PALLET]}
    return json.dumps({**usual, **about, **stated}).encode()


def goes_on(door: Door) -> None:
    """Another message is admitted and followed, and an hour later its chores are done."""
    door.core.settle()
    door.clock.now_us += 2 * HOUR_US
    other = Truck("truck-2")
    door.enrol(other)
    (reply,) = door.offer(other.reading(), topic="cc/v1/acme/fleet/truck-2/up")
    assert reply is not None
    assert reply.kind == "ack"
    door.core.settle()
    assert door.core.follower.cursor() == door.core.log.edge().size


def test_a_message_of_300_names_is_kept_in_full(door: Door) -> None:
    pack = [{"n": f"a{n}", "bt": NOW_S, "v": n} for n in range(300)]
    assert door.outcome([door.truck.says(pack)]) == "admitted"  # type: ignore[arg-type]
    goes_on(door)


@pytest.mark.parametrize(
    "document",
    [
        event(eventID="urn:x:" + "".join(map(chr, range(0x4E00, 0x5E00)))),
        event(
            action="ADD",
            epcList=["case:06901234000016/1"],
            ilmd={"cbvmda:lotNumber": "".join(map(chr, range(0x4E00, 0x5E00)))},
        ),
        event(eventTime="9999-12-31T23:59:59-14:00"),
        event(eventTime="0001-01-01T00:00:00+14:00"),
        event()[:-1] + b',"coldchain:x":' + b"[" * 992 + b"]" * 992 + b"}",
    ],
    ids=["a long event id", "a long lot", "after year 9999", "before year 1", "deep"],
)
def test_an_event_of_any_content_is_recorded(door: Door, document: bytes) -> None:
    assert door.outcome([door.truck.says(document, "epcis+json")]).startswith("admitted")
    goes_on(door)


def test_an_event_of_the_far_future_is_not_the_newest_news_of_its_device(door: Door) -> None:
    door.offer(door.truck.reading(), door.truck.says(event(eventTime="9999-12-31T00:00:00Z"), "epcis+json"))
    door.core.settle()
    with door.core.engine.connect() as connection:
        assert connection.scalar(select(device_state.c.last_us)) == NOW_S * 1_000_000


@pytest.mark.parametrize("sender", ["a\0b", "y" * 20_000], ids=["NUL", "20,000 characters"])
def test_a_sender_of_any_name_is_refused_and_counted(door: Door, sender: str) -> None:
    """An external broker, or the account of a gateway, may let it through."""
    assert door.outcome([b"x"], topic=f"cc/v1/acme/fleet/{sender}/up") == "refused:malformed-jws"
    goes_on(door)


def test_what_is_wrong_with_a_message_may_hold_a_nul(door: Door) -> None:
    assert door.outcome([door.truck.header(**{"\0": 1})]) == "refused:malformed-jws"
    goes_on(door)


def test_names_as_long_as_they_may_be_make_a_finding_of_a_door(door: Door) -> None:
    truck = Truck("t" * 64)
    door.enrol(truck, place="veh:TRUCK-1")
    loading = event(type="AggregationEvent", action="ADD", parentID="urn:coldchain:veh:TRUCK-1", childEPCs=[PALLET])
    name = "door/" + "x" * 59
    opening = [{"n": name, "bt": NOW_S - 7200, "vb": True}, {"n": name, "t": 1800, "vb": False}]
    topic = UP.replace("truck-1", truck.device)
    door.offer(truck.says(loading, "epcis+json"), truck.says(opening), topic=topic)  # type: ignore[arg-type]
    goes_on(door)
    with door.core.engine.connect() as connection:
        assert f"{truck.device} {name}" in set(connection.scalars(select(verdict.c.channel)))


def test_a_claim_of_a_code_nobody_knows_is_followed(door: Door) -> None:
    claim = {"doc": "exception-claim", "id": "c1", "code": "E1 customs", "units": ["sscc:1"], "from_us": 1, "to_us": 2}
    door.core.record_document("acme", claim)
    goes_on(door)


def test_a_finding_about_more_cases_than_an_entry_holds_names_some_of_them(door: Door) -> None:
    def reads(action: str, cases: range, time_: str, point: str) -> bytes:
        names = [f"case:06901234000016/SERIAL{case:014d}" for case in cases]
        stated = {"parentID": PALLET, "childEPCs": names, "readPoint": {"id": f"urn:coldchain:loc:{point}"}}
        document = event(
            type="AggregationEvent", action=action, eventTime=time_, eventID=f"urn:x:{point}:{time_}", **stated
        )
        return door.truck.says(document, "epcis+json")

    for start in range(0, 2_000, 500):
        door.offer(reads("ADD", range(start, start + 500), "2026-02-01T00:00:00Z", f"p{start}"))
    for hour in (1, 3, 5):
        door.offer(reads("OBSERVE", range(100), f"2026-02-02T0{hour}:00:00Z", f"dock-{hour}"))
    goes_on(door)
    with door.core.engine.connect() as connection:
        entries = list(connection.scalars(select(finding.c.entry).where(finding.c.rule.like("P2%"))))
    assert entries
    with door.core.store.snapshot() as snapshot:
        detail = json.loads(parse_entry(snapshot.entry(entries[0])).payload)["detail"]
    assert detail["missing_total"] == 1_900
    assert 0 < len(detail["missing"]) < 1_900


def test_digits_without_end_cost_no_time() -> None:
    """1 and 1e-90000 make a sum of 90,000 digits; 1,200 of them took four minutes."""
    more = ",".join(f'{{"n":"temp/a","v":1e-90000,"t":{n}}}' for n in range(1_200))
    began = time.perf_counter()
    read = decode_senml(f'[{{"bt":{NOW_S},"bv":1,"n":"temp/a","v":0}},{more}]'.encode(), "d", 1, 0)
    assert time.perf_counter() - began < 10
    assert {sample.value for sample in read.samples} == {1_000}


def test_what_nests_is_read_alike_however_deep_the_reader_was_called() -> None:
    def outcome(depth: int) -> tuple[object, bool]:
        nested = b"[" * depth + b"]" * depth
        telemetry = decode_senml(b'[{"n":"temp/a","bt":1700000000,"v":-18,"x":' + nested + b"}]", "d", 1, 0)
        try:
            return telemetry, bool(decode_epcis(event()[:-1] + b',"coldchain:x":' + nested + b"}"))
        except DecodeError:
            return telemetry, False

    def below(frames: int, depth: int) -> tuple[object, bool]:
        return below(frames - 1, depth) if frames else outcome(depth)

    for depth in (10, 60, 100, 900, 940, 980):
        assert below(100, depth) == outcome(depth)
    assert outcome(60)[1]


def test_a_follower_whose_place_another_process_took_starts_again_from_there(door: Door) -> None:
    door.offer(door.truck.reading())
    core = door.core
    core.settle()
    with core.engine.begin() as connection:  # another version's `migrate` made the tables anew
        for table in core.follower.tables():
            connection.execute(delete(table))
        connection.execute(delete(cursor))
    door.offer(door.truck.reading(t_s=NOW_S + 60))
    with pytest.raises(StoreError, match="somebody else moved it"):
        core.follower.catch_up()
    core.follower.catch_up()
    tables = core.follower.rebuild()
    assert {name for name, digest in tables.items() if digest.before != digest.after} == set()


def test_only_small_messages_wait_in_memory_to_be_folded(door: Door) -> None:
    follower, read = door.core.follower, list[int]()
    follower.catch_up()
    decode = follower._decode
    follower._decode = lambda log, index, data: read.append(index) or decode(log, index, data)  # type: ignore[func-returns-value]
    large = [{"n": "temp/box", "t": NOW_S + n, "v": -20} for n in range(500)]
    small, big = door.offer(door.truck.reading(), door.truck.says(large))  # type: ignore[arg-type]
    follower.catch_up()
    assert small is not None
    assert big is not None
    assert read == [big.index]
