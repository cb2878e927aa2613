"""What was in a vehicle or a room, or where a device was, over a stretch of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import Connection, Engine, insert

from coldchain.db import queries_affected
from coldchain.db.queries_affected import AffectedQueries
from coldchain.db.tables.containment import quantity_span
from coldchain.db.tables.events import containment
from coldchain.db.tables.telemetry import device, device_mounting

TRUCK, ROOM = "veh:T1", "room:w1/a"


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def hold(connection: Connection, *stays: tuple[str, str, int, int | None]) -> None:
    rows = [
        {"child": child, "parent": parent, "from_us": from_us, "to_us": to_us, "why": "[]"}
        for child, parent, from_us, to_us in stays
    ]
    connection.execute(insert(containment), rows)


def amounts(connection: Connection, *lines: tuple[str, str, str, int, int | None, int | None]) -> None:
    rows = [
        {
            "parent": parent,
            "item": item,
            "measure": measure,
            "from_us": from_us,
            "to_us": to_us,
            "least_milli": 0,
            "most_milli": most,
            "why": "[]",
        }
        for parent, item, measure, from_us, to_us, most in lines
    ]
    connection.execute(insert(quantity_span), rows)


def mount(connection: Connection, *postings: tuple[int, str]) -> None:
    words = dict.fromkeys(("org", "site", "profile", "grade", "role"), "x")
    enrolled = {"device": "d1", "device_no": 7, "place": postings[-1][1], "time_floor_us": 0, **words}
    connection.execute(insert(device).values(enrolled))
    rows = [{"device_no": 7, "at_us": at_us, "place": place, "profile": ""} for at_us, place in postings]
    connection.execute(insert(device_mounting), rows)


def units(connection: Connection, subject: str, from_us: int, to_us: int | None) -> Sequence[str]:
    found = AffectedQueries(connection)(subject, from_us, to_us)
    assert found is not None
    assert found.is_all
    assert found.units_total == len(found.units)
    return found.units


def test_what_was_there_meanwhile_is_affected_and_what_left_before_or_came_after_is_not(
    connection: Connection,
) -> None:
    hold(
        connection,
        ("sscc:before", TRUCK, 10, 100),
        ("sscc:leaves", TRUCK, 10, 101),
        ("sscc:stays", TRUCK, 10, None),
        ("sscc:comes", TRUCK, 199, None),
        ("sscc:after", TRUCK, 200, None),
        ("sscc:elsewhere", ROOM, 10, None),
    )
    assert units(connection, TRUCK, 100, 200) == ("sscc:comes", "sscc:leaves", "sscc:stays")
    assert units(connection, TRUCK, 100, None) == ("sscc:after", "sscc:comes", "sscc:leaves", "sscc:stays")


def test_what_is_packed_inside_is_affected_outer_before_inner_and_only_while_it_was_inside(
    connection: Connection,
) -> None:
    hold(
        connection,
        ("sscc:p", TRUCK, 10, 150),
        ("case:a", "sscc:p", 0, None),
        ("case:taken-off", "sscc:p", 0, 90),
        ("case:put-on-later", "sscc:p", 160, None),
        ("sscc:in-a-loop", "case:a", 0, None),
        ("case:a", "sscc:in-a-loop", 0, None),
    )
    assert units(connection, TRUCK, 100, 200) == ("sscc:p", "case:a", "sscc:in-a-loop")


def test_a_device_concerns_every_place_it_was_in_meanwhile(connection: Connection) -> None:
    mount(connection, (50, TRUCK), (120, ROOM), (180, ""))
    hold(connection, ("sscc:t", TRUCK, 0, None), ("sscc:gone", TRUCK, 125, None), ("sscc:r", ROOM, 0, None))
    found = AffectedQueries(connection)("dev:d1", 20, 60)
    assert found is not None
    assert (found.places, found.units) == ((TRUCK,), ("sscc:t",)), "where it hung first it hung ever before"
    found = AffectedQueries(connection)("dev:d1", 100, None)
    assert found is not None
    assert (found.places, set(found.units)) == ((TRUCK, ROOM), {"sscc:t", "sscc:r"})
    found = AffectedQueries(connection)("dev:d1", 190, None)
    assert found is not None
    assert (found.places, found.units) == ((), ())


def test_goods_without_numbers_are_told_by_what_there_was_at_most(connection: Connection) -> None:
    hold(connection, ("sscc:p", TRUCK, 0, None))
    amounts(
        connection,
        (TRUCK, "lot:1", "", 0, 150, 40_000),
        (TRUCK, "lot:1", "", 150, None, 30_000),
        ("sscc:p", "lot:1", "", 0, None, 5_000),
        (TRUCK, "lot:1", "KGM", 0, None, 800_500),
        (TRUCK, "lot:2", "", 0, None, None),
        (TRUCK, "lot:3", "", 0, 100, 9_000),
        (TRUCK, "lot:4", "", 0, None, 0),
    )
    found = AffectedQueries(connection)(TRUCK, 100, 200)
    assert found is not None
    assert found.quantities == (("lot:1", "", 45_000), ("lot:1", "KGM", 800_500), ("lot:2", "", None))


def test_a_full_store_is_counted_up_to_a_limit_and_says_so(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_affected, "MOST_UNITS", 20)
    hold(connection, *((f"sscc:{number:03}", ROOM, 0, None) for number in range(30)))
    found = AffectedQueries(connection)(ROOM, 100, 200)
    assert found is not None
    assert (found.units_total, found.is_all) == (20, False)
    assert found.stated()["units_all_counted"] is False


@pytest.mark.parametrize(("subject", "from_us"), [("sscc:1", 100), ("loc:w1", 100), (TRUCK, 0)])
def test_nobody_is_affected_by_what_is_no_place_or_at_no_time(
    connection: Connection, subject: str, from_us: int
) -> None:
    assert AffectedQueries(connection)(subject, from_us, 200) is None
