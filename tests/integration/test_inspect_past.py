"""One unit, inspected: at any past moment, as believed at any ledger size, for every kind of unit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from coldchain.bootstrap.believed import Busy
from coldchain.bootstrap.core import Core
from coldchain.cli.inspect import command
from coldchain.services.identity import CommandRefused
from coldchain.settings import load_settings
from opening import new_core

CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"coldchain": "urn:coldchain:vocabulary:"}]
HOUR = 3_600_000_000
START = 1_772_438_400_000_000  # 2026-03-02T08:00:00Z
NEW = "hu:polar/8"
PALLET, NEXT, BOX = "sscc:169012345000000025", "hu:polar/7", "cont:CSQU3054383"
TRUCK, TRAILER, ROOM = "veh:T1", "veh:TR-9", "room:s2/a"
LOT, PRINTED = "lot:16901234500018/L1", "lot:1974/beef/2026-01-10"
BOARD = "grai:06901234510010PLT0000001"
SEAL = {"seal": "CN123456", "issuer": "COSCO", "class": "H"}


def case(number: int) -> str:
    return f"case:16901234500018/{number:03d}"


def spelled(name: str) -> str:
    return f"urn:coldchain:{name}"


def moment(hours: float) -> int:
    return START + round(hours * HOUR)


def text(hours: float) -> str:
    return datetime.fromtimestamp(moment(hours) / 1e6, UTC).isoformat().replace("+00:00", "Z")


def event(hours: float, kind: str, action: str, parent: str = "", *children: str, **more: Any) -> bytes:
    counted = [
        {"epcClass": spelled(item), "quantity": amount, **({"uom": uom} if uom else {})}
        for item, amount, uom in more.pop("counted", ())
    ]
    own = {f"coldchain:{name}": more.pop(name) for name in ("seals", "board", "linkedFrom") if name in more}
    place = more.pop("place", "")
    grouped = kind != "ObjectEvent"
    body = {
        "type": kind,
        "eventTime": text(hours),
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        **({"parentID": spelled(parent)} if parent else {}),
        **({"childEPCs" if grouped else "epcList": [spelled(child) for child in children]} if children else {}),
        **({"childQuantityList" if grouped else "quantityList": counted} if counted else {}),
        **({"readPoint": {"id": spelled(place)}} if place else {}),
        **own,
        **more,
    }
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": body["eventTime"]}
    return json.dumps({**head, "epcisBody": {"eventList": [body]}}).encode()


def put(hours: float, parent: str, *children: str, **more: Any) -> bytes:
    return event(hours, "AggregationEvent", "ADD", parent, *children, **more)


def taken(hours: float, parent: str, *children: str, **more: Any) -> bytes:
    return event(hours, "AggregationEvent", "DELETE", parent, *children, **more)


def read(hours: float, parent: str, *children: str, **more: Any) -> bytes:
    return event(hours, "AggregationEvent", "OBSERVE", parent, *children, **more)


SHIPPED = {
    "sourceList": [{"type": "possessing_party", "source": spelled("code:org/polar")}],
    "destinationList": [{"type": "possessing_party", "destination": spelled("code:org/haul")}],
}
BORN = event(0, "ObjectEvent", "ADD", "", case(1), case(2), case(3), bizStep="commissioning",
             ilmd={"cbvmda:lotNumber": "L1"})  # fmt: skip
STAGES = (
    [
        BORN,
        put(0.1, PALLET, case(1), case(2), case(3), board=BOARD),
        put(
            0.2,
            BOX,
            counted=[(LOT, 1200, ""), (PRINTED, 40, ""), (PRINTED, 812.5, "KGM")],
            seals=[{**SEAL, "act": "applied"}],
        ),
        event(0.3, "AssociationEvent", "ADD", TRUCK, TRAILER),
    ],
    [
        read(1, PALLET, case(1), case(2), case(3), place="loc:s1/dock"),
        put(1.5, TRAILER, PALLET, place="loc:s1/dock"),
        taken(2, BOX, counted=[(LOT, 60, "")], seals=[{**SEAL, "act": "removed", "state": "intact"}]),
        put(2, NEXT, counted=[(LOT, 60, "")]),
    ],
    [
        taken(6, TRAILER, PALLET, place="loc:s2/dock"),
        put(6.1, ROOM, PALLET, place="loc:s2/dock"),
        put(6.2, ROOM, NEXT),
        read(6.3, NEXT, counted=[(LOT, 58, "")]),
        read(6.5, PALLET, case(1), case(2), case(9), place="loc:s2/dock"),
        read(6.6, PALLET, case(1), case(2), case(9), place="loc:s2/room"),
    ],
    [
        taken(7, NEXT, counted=[(PRINTED, 3, "")]),
        put(7.2, NEW, case(9), linkedFrom=[spelled(PALLET)]),
        event(7.5, "ObjectEvent", "OBSERVE", "", PALLET, bizStep="shipping", place="loc:s2/dock", **SHIPPED),
        event(8, "ObjectEvent", "DELETE", "", case(2), bizStep="destroying", place=ROOM),
    ],
)
UNITS = (case(1), case(2), case(9), PALLET, NEXT, BOX, TRUCK, TRAILER, ROOM, LOT, PRINTED, BOARD, "seal:COSCO/CN123456")


class Told:
    """A ledger told stage by stage, with what every unit's inspection said after each."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.said: dict[int, dict[str, Any]] = {}
        for stage in STAGES:
            for document in stage:
                core.capture("polar", document)
            core.settle()
            core.follower.catch_up()
            self.said[core.follower.cursor()] = {unit: core.inspect(unit) for unit in UNITS}

    def about(self, unit: str, hours: float | None = None) -> dict[str, Any]:
        document = self.core.inspect(unit, None if hours is None else moment(hours))
        assert document is not None
        return document


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    directory: Path = tmp_path_factory.mktemp("inspect") / "data"
    with new_core(load_settings(dir=directory)) as core:
        yield Told(core)


def test_at_any_ledger_size_an_inspection_says_what_it_said_then(told: Told) -> None:
    assert len(told.said) == len(STAGES)
    for size, documents in [*told.said.items(), *reversed(told.said.items())]:
        for unit, document in documents.items():
            assert told.core.inspect(unit, as_of=size) == document, (size, unit)
            assert document is None or document["ledger"]["size"] == size


def test_what_was_recorded_later_was_not_believed_earlier(told: Told) -> None:
    first = min(told.said)
    assert told.core.inspect(case(9), as_of=first) is None
    early = told.core.inspect(PALLET, as_of=first)
    assert early is not None
    assert early["position"]["chain"] == []
    assert early["verdict"] is None


def test_the_past_is_bounded_for_those_who_ask_over_the_network(told: Told) -> None:
    size = max(told.said)
    told.core.believed.close()
    with pytest.raises(CommandRefused, match=rf"as of {size} entries: {size} would have to be folded anew, at most 3"):
        told.core.inspect(PALLET, as_of=size, most=3)
    assert told.core.inspect(PALLET, as_of=size) is not None
    assert told.core.inspect(PALLET, as_of=size, most=3) is not None, "it is kept"
    for never in (0, size + 1_000):
        with pytest.raises(CommandRefused, match=rf"as of {never} entries: expected 1 to"):
            told.core.inspect(PALLET, as_of=never)


def test_one_at_a_time_asks_about_the_past(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldchain.bootstrap.believed.WAIT_S", 0.01)
    size = max(told.said)
    with told.core.believed.at(size), pytest.raises(Busy, match="try again"):
        told.core.inspect(PALLET, as_of=size, most=10_000)


def test_scratch_databases_are_few_and_gone_when_the_ledger_is_closed(told: Told) -> None:
    sizes = sorted(told.said, reverse=True)
    for size in sizes:
        told.core.inspect(PALLET, as_of=size)
    kept = [one.folder for one in told.core.believed._kept]
    assert len(kept) == 2
    told.core.believed.close()
    assert not any(folder.exists() for folder in kept)


def test_a_case_has_its_lot_its_places_and_its_lot_mates_holder(told: Told) -> None:
    document = told.about(case(1))
    assert document["identity"] == {
        "kind": "case",
        "spellings": [case(1), "https://id.gs1.org/01/16901234500018/21/001"],
        "linked_from": [],
        "linked_to": [],
        "lot": LOT,
        "product": "code:gtin/16901234500018",
        "producer": None,
    }
    assert [one["parent"] for one in document["position"]["chain"]] == [PALLET, ROOM]
    assert document["position"]["place"] == ROOM
    assert document["position"]["seen"]["place"] == "loc:s2/room"
    assert document["weakest_grade"] == "declared"
    assert document["ledger"]["size"] == max(told.said)


def test_at_a_past_moment_the_unit_is_where_it_was_then(told: Told) -> None:
    document = told.about(case(1), 3)
    assert document["at"] == text(3)
    assert [one["parent"] for one in document["position"]["chain"]] == [PALLET, TRAILER, TRUCK]
    assert document["position"]["seen"] == {
        "time": text(1), "place": "loc:s1/dock", "by": "polar", "entry": document["history"][0]["entry"],
    }  # fmt: skip
    assert {one["parent"] for one in document["inside"]} == {LOT, PALLET, TRAILER, TRUCK}
    assert [one["time"] for one in document["history"]] == [text(1), text(0.1), text(0)]
    assert all(one["from"] <= text(3) for one in document["segments"])
    assert told.about(case(2), 7.5)["position"]["chain"] != []
    assert told.about(case(2), 8)["position"]["chain"] == []


def test_a_truck_holds_what_its_trailer_holds(told: Told) -> None:
    inside = {"item": LOT, "measure": "", "named": 3, "least": 3, "most": 3}
    assert told.about(TRUCK, 3)["goods"] == told.about(TRAILER, 3)["goods"] == [inside]
    assert told.about(TRUCK)["goods"] == []
    assert [one["unit"] for one in told.about(TRUCK, 3)["contents"]] == [TRAILER]


def test_a_container_has_its_seal_chain_and_its_goods_in_cases_and_kilograms(told: Told) -> None:
    document = told.about(BOX)
    assert [(one["item"], one["measure"], one["least"], one["most"]) for one in document["goods"]] == [
        (LOT, "", 1140, 1140), (PRINTED, "", 40, 40), (PRINTED, "KGM", 812.5, 812.5),
    ]  # fmt: skip
    (seal,) = document["seals"]
    assert (seal["seal"], seal["issuer"], seal["class"], seal["from"], seal["to"]) == (
        "CN123456", "COSCO", "H", text(0.2), text(2),
    )  # fmt: skip
    assert [(fact["act"], fact["state"], fact["grade"]) for fact in seal["facts"]] == [
        ("applied", "", "declared"), ("removed", "intact", "declared"),
    ]  # fmt: skip
    assert told.about(BOX, 1)["seals"][0]["to"] is None
    assert told.about("seal:COSCO/CN123456")["seals"] == document["seals"]


def test_a_room_and_a_lot_agree_on_how_much_is_where(told: Told) -> None:
    lines = {(one["item"], one["measure"]): one for one in told.about(ROOM, 6.25)["goods"]}
    assert lines[LOT, ""] == {"item": LOT, "measure": "", "named": 3, "least": 61, "most": 63}
    holders = {one["parent"]: one for one in told.about(LOT, 6.25)["holders"]}
    assert {parent: (one["least"], one["most"], one["place"]) for parent, one in holders.items()} == {
        BOX: (1140, 1140, BOX), NEXT: (58, 60, ROOM), PALLET: (3, 3, ROOM),
    }  # fmt: skip
    printed = told.about(PRINTED)
    assert (printed["identity"]["producer"], printed["identity"]["product"]) == ("plant:1974", "beef")
    assert {one["measure"] for one in printed["holders"]} == {"", "KGM"}


def test_a_counted_lot_is_traced_to_what_held_some_of_it(told: Told) -> None:
    traced = told.core.trace(LOT)
    assert traced is not None
    hops = {hop["unit"]: hop for hop in traced["forward"]}
    assert {BOX, NEXT, PALLET, ROOM} <= hops.keys()
    assert (hops[NEXT]["via"], hops[NEXT]["from"], hops[NEXT]["whole"]) == (LOT, text(2), False)
    assert hops[NEXT]["entries"]
    back = told.core.trace(NEXT)
    assert back is not None
    assert LOT in {hop["unit"] for hop in back["backward"]}
    assert {stay["parent"] for stay in told.about(LOT)["inside"]} >= {BOX, NEXT, ROOM}


def test_a_lot_is_judged_by_the_pallets_it_is_on(told: Told) -> None:
    assert told.about(LOT)["verdict"] == told.about(PALLET)["verdict"]
    assert PALLET in {one["unit"] for one in told.about(LOT)["segments"]}


def test_contradictions_and_boards_are_told_with_their_entries(told: Told) -> None:
    document = told.about(NEXT)
    short, never = document["contradictions"]
    assert [short[name] for name in ("rule", "item", "stated", "least", "most")] == ["count-differs", LOT, 58, 60, 60]
    assert [never[name] for name in ("rule", "item", "stated", "most")] == ["more-out-than-in", PRINTED, 3, 0]
    assert all(one["entries"] for one in document["contradictions"])
    assert {row["rule"] for row in document["verdicts"] if row["source"] == "containment"} == {
        "containment more-out-than-in"
    }
    (board,) = told.about(PALLET)["boards"]
    assert (board["load"], board["board"], board["to"], board["began"]) == (PALLET, BOARD, None, "on")
    assert told.about(BOARD)["boards"] == [board]


def test_a_new_code_and_the_one_it_was_made_from_name_each_other(told: Told) -> None:
    assert told.about(NEW)["identity"]["linked_from"] == [PALLET]
    assert told.about(PALLET)["identity"]["linked_to"] == [NEW]


def test_a_handover_half_answered_is_told_and_not_before_it_began(told: Told) -> None:
    (handover,) = told.about(PALLET)["handovers"]
    assert [handover[name] for name in ("state", "shipped_at", "received_at")] == ["shipped only", text(7.5), None]
    (half,) = handover["detail"]["shipped"]
    assert half["time"] == text(7.5)
    assert told.about(PALLET, 7)["handovers"] == []


def test_every_answer_says_what_it_cannot_say(told: Told) -> None:
    assert told.about(BOX)["limits"][0].startswith("what nobody recorded")
    assert any("between two checks" in text for text in told.about(BOX)["limits"])
    assert any("not a rack" in text for text in told.about(ROOM)["limits"])


def test_a_person_reads_it_and_a_program_too(told: Told) -> None:
    directory = str(told.core.settings.dir)
    runner = CliRunner()
    shown = runner.invoke(command, [BOX, "--dir", directory, "--at", text(1)])
    assert shown.exit_code == 0, shown.output
    assert "1200 cases of lot:16901234500018/L1" in shown.output
    assert "CN123456 of COSCO: applied" in shown.output
    told_so = runner.invoke(command, [BOX, "--dir", directory, "--json"])
    assert json.loads(told_so.output) == told.core.inspect(BOX)
    past = runner.invoke(command, [case(9), "--dir", directory, "--as-of", str(min(told.said))])
    assert past.exit_code == 2
    assert f"within its first {min(told.said)} entries" in past.output
