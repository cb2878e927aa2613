"""Devices that are mounted elsewhere: their readings belong to where they hung, whenever that was recorded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldchain.bootstrap.core import Core, open_core
from coldchain.db.queries_api import device_row, devices_at, mountings
from coldchain.db.queries_events import verdicts
from coldchain.db.queries_units import UnitQueries
from coldchain.domain.parties import read_registration
from coldchain.projections.mounts import Posting, postings
from coldchain.services.identity import CommandRefused
from coldchain.services.parties import registered
from coldchain.settings import load_settings
from opening import new_core
from web.story import HOUR, MINUTE, OTHER, PALLET, START, Clock, Sender, at, epcis, temperatures

ENROLLED = START + 2 * HOUR


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with new_core(load_settings(dir=tmp_path / "d", database=url), clock=Clock(ENROLLED)) as core:
        yield core


def mount(core: Core, place: str, at_us: int) -> None:
    core.register("mount", {"id": "d1", "place": place, "from_us": at_us})


def recorded(core: Core, n: int, place: str, at_us: int) -> None:
    """The order as an entry, which a ledger may hold of a device that is enrolled later, or never."""
    body = {"v": 1, "op": "mount", "id": "d1", "n": n, "place": place, "from_us": at_us}
    core.log.append([registered(core.log.origin, read_registration(body))])


def places(core: Core) -> list[tuple[str, int]]:
    with core.engine.connect() as connection:
        rows = mountings(connection, device_row(connection, "d1").device_no)
        assert [row.at_us for row in rows] == sorted(row.at_us for row in rows)
        return [(row.place, row.at_us) for row in rows]


def test_readings_belong_to_the_place_of_their_time(core: Core) -> None:
    device = Sender(core, "d1", "room:w1/a")
    for hour in range(6):
        core.admission.admit([device.message(temperatures(START + hour * HOUR, 60))])
    mount(core, "veh:T1", START + 4 * HOUR)
    core.settle()
    assert [place for place, _ in places(core)] == ["room:w1/a", "veh:T1"]
    with core.engine.connect() as connection:
        source = UnitQueries(connection)
        room = source.temperatures("room:w1/a", START, START + 4 * HOUR)
        truck = source.temperatures("veh:T1", START + 4 * HOUR, START + 6 * HOUR)
        assert {row["device"] for row in (*room, *truck)} == {"d1"}
        assert source.temperatures("veh:T1", START, START + 3 * HOUR) == []
        ((_, _, since_us, until_us),) = devices_at(connection, "room:w1/a")
    assert (since_us, until_us) == (0, START + 4 * HOUR), "the first mounting also holds before"


def opened(at_us: int) -> list[dict[str, object]]:
    """A door, open for half an hour."""
    states = ((at_us - MINUTE, False), (at_us, True), (at_us + 30 * MINUTE, True), (at_us + 31 * MINUTE, False))
    return [{"n": "door/rear", "t": t_us / 1e6, "vb": is_open} for t_us, is_open in states]


@pytest.mark.parametrize("late", [False, True])
def test_an_open_door_is_that_of_the_vehicle_it_hung_in_by_then(core: Core, late: bool) -> None:
    device = Sender(core, "d1", "veh:T1")
    for truck, pallet in (("veh:T1", PALLET), ("veh:T2", OTHER)):
        loaded = epcis(START, "ADD", truck, [pallet], bizStep="loading", bizLocation=at("loc:w1"))
        core.capture("polar", loaded)
    doors = [device.message(opened(START + 2 * HOUR)), device.message(opened(START + 5 * HOUR))]
    if late:
        core.admission.admit(doors)
        core.settle()
    mount(core, "veh:T2", START + 4 * HOUR)
    if not late:
        core.admission.admit(doors)
    core.settle()
    with core.engine.connect() as connection:
        found = [(row["subject"], row["from_us"]) for row in verdicts(connection, ["veh:T1", "veh:T2"], "continuity")]
    assert found == [("veh:T1", START + 2 * HOUR), ("veh:T2", START + 5 * HOUR)]
    rebuilt = core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()


def test_an_order_from_before_the_enrolment_stands_after_it(core: Core) -> None:
    Sender(core, "d1", "room:w1/a")
    mount(core, "veh:T1", START)
    core.settle()
    assert places(core) == [("room:w1/a", START - 1), ("veh:T1", START)]


def test_a_correction_takes_the_place_of_the_mistake(core: Core) -> None:
    Sender(core, "d1", "room:w1/a")
    mount(core, "veh:T1", ENROLLED + HOUR)
    mount(core, "veh:T2", ENROLLED + HOUR)
    core.settle()
    assert places(core)[1:] == [("veh:T2", ENROLLED + HOUR)]
    before = core.follower.rebuild()
    assert {name for name, digest in before.items() if digest.before != digest.after} == set()


def test_another_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    settings = load_settings(dir=tmp_path / "d")
    with new_core(settings, clock=Clock(ENROLLED)) as core:
        Sender(core, "d1", "room:w1/a")
        mount(core, "veh:T1", START)
        core.settle()
    with open_core(settings, clock=Clock(ENROLLED)) as core:
        mount(core, "room:w1/b", START + HOUR)
        core.settle()
        assert places(core) == [("room:w1/a", START - 1), ("veh:T1", START), ("room:w1/b", START + HOUR)]
        rebuilt = core.follower.rebuild()
        assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()


def test_any_order_of_orders_and_enrolment_gives_the_same_places(tmp_path: Path) -> None:
    found = set()
    for number, order in enumerate(itertools.permutations(range(3))):
        with new_core(load_settings(dir=tmp_path / str(number)), clock=Clock(ENROLLED)) as core:
            facts = [
                lambda core=core: Sender(core, "d1", "room:w1/a"),  # type: ignore[misc]
                lambda core=core: recorded(core, 1, "veh:T1", START),  # type: ignore[misc]
                lambda core=core: recorded(core, 2, "veh:T2", START + MINUTE),  # type: ignore[misc]
            ]
            if order.index(1) > order.index(2):
                continue  # orders are numbered as they come
            for place in order:
                facts[place]()
                core.settle()
            found.add(tuple(places(core)))
    assert len(found) == 1


def test_mounting_a_device_that_nobody_enrolled_is_refused(core: Core) -> None:
    with pytest.raises(CommandRefused, match=r"device 'd1' is not enrolled, nor mapped behind a gateway"):
        mount(core, "veh:T1", START)
    Sender(core, "d1", "room:w1/a")
    mount(core, "veh:T1", START)


def test_a_device_nobody_enrolled_has_no_places_yet() -> None:
    assert postings([], []) == []
    assert postings([Posting(1, "veh:T1", "")], []) == [Posting(1, "veh:T1", "")]
