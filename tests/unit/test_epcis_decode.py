"""EPCIS 2.0 documents become events under canonical names; faults are shown by their JSON pointer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.errors import DecodeError
from coldchain.domain.events import Quantity

DATE = "2026-03-02T08:00:00Z"
CONTEXT = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    {"coldchain": "urn:coldchain:vocabulary:"},
]
SHARED = Path(os.environ.get("COLDCHAIN_SHARED", Path(__file__).parents[2] / ".." / "shared"))


def examples() -> list[Path]:
    folders = (SHARED / "vectors/epcis/examples", SHARED / "vectors/epcis-hash")
    return sorted(path for folder in folders for path in folder.rglob("*.jsonld"))


def example(name: str) -> bytes:
    path = SHARED / "vectors/epcis/examples" / name
    if not path.exists():
        if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{path} is missing")
        pytest.skip("GS1's EPCIS examples are not here (COLDCHAIN_SHARED)")
    return path.read_bytes()


def document(**event: Any) -> bytes:
    whole = {
        "type": "AggregationEvent",
        "eventTime": "2026-03-02T08:00:00Z",
        "eventTimeZoneOffset": "+08:00",
        "action": "OBSERVE",
        "parentID": "https://id.gs1.org/00/169012345000000025",
        "childEPCs": ["urn:epc:id:sgtin:6901234.000001.1"],
        **event,
    }
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": DATE}
    return json.dumps({**head, "epcisBody": {"eventList": [whole]}}).encode()


def commissioning(**event: Any) -> bytes:
    stated = {"type": "ObjectEvent", "action": "ADD", "epcList": ["urn:epc:id:sgtin:6901234.000001.1"], **event}
    return json.dumps({"@context": CONTEXT, "eventTime": DATE, "eventTimeZoneOffset": "+08:00", **stated}).encode()


def test_every_public_example_document_is_read() -> None:
    example("Example_9.6.3-AggregationEvent.jsonld")
    read = {path.name: decode_epcis(path.read_bytes()) for path in examples()}
    assert len(read) > 50
    assert all(events for events in read.values())


def test_an_aggregation_seen_by_a_portal_is_read_in_full() -> None:
    (event,) = decode_epcis(example("Example_9.6.3-AggregationEvent.jsonld"), "polar")
    assert event.kind == "AggregationEvent"
    assert event.action == "OBSERVE"
    assert event.parent == "sscc:106141412345678908"
    assert event.units == ("case:10614141073464/2017", "case:10614141073464/2018")
    assert event.read_point == "loc:0614141007776"
    assert event.location == "loc:0614141008889"
    assert event.biz_step == "receiving"
    assert event.disposition == "in_progress"
    assert event.by == "polar"
    assert event.time_us == 1_370_703_536_591_000
    assert Quantity("lot:04012345123456/998877", 200_500, "KGM") in event.quantities


def test_lots_that_go_into_a_transformation_are_inputs_like_cases() -> None:
    (event,) = decode_epcis(example("Example_9.6.4-TransformationEvent.jsonld"))
    assert event.action == ""
    assert "lot:04012345111118/4444" in event.inputs
    assert len(event.outputs) == 4


def test_an_error_declaration_carries_the_id_of_the_event_it_withdraws() -> None:
    wrong, corrective = decode_epcis(example("WithErrorDeclaration/ErrorDeclarationAndCorrectiveEvent.jsonld"))
    assert wrong.error == "incorrect_data"
    assert corrective.error == ""
    assert wrong.event_id != corrective.event_id


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-02T16:00:00+08:00", 1_772_438_400_000_000),
        ("2026-03-02T08:00:00.000001Z", 1_772_438_400_000_001),
        ("2026-03-02T08:00:00.0000019Z", 1_772_438_400_000_001),
        ("1969-12-31T23:59:59.5Z", -500_000),
    ],
)
def test_times_are_microseconds_whatever_their_offset(text: str, time_us: int) -> None:
    assert decode_epcis(document(eventTime=text))[0].time_us == time_us


@pytest.mark.parametrize(
    "spelling", ["loading", "urn:epcglobal:cbv:bizstep:loading", "https://ref.gs1.org/cbv/BizStep-loading"]
)
def test_a_vocabulary_word_is_one_word_in_any_spelling(spelling: str) -> None:
    assert decode_epcis(document(bizStep=spelling))[0].biz_step == "loading"


def test_a_lot_named_at_commissioning_is_kept() -> None:
    assert decode_epcis(commissioning(ilmd={"cbvmda:lotNumber": "BEEF-1"}))[0].lot == "BEEF-1"


def test_who_hands_over_to_whom_on_what_paper_and_our_own_fields_are_read() -> None:
    (event,) = decode_epcis(
        document(
            sourceList=[{"type": "possessing_party", "source": "urn:epc:id:pgln:6901234.50001"}],
            destinationList=[{"type": "urn:epcglobal:cbv:sdt:location", "destination": "urn:coldchain:room:w1/a"}],
            bizTransactionList=[{"type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:6901234500011:A-7"}],
            **{"coldchain:leg": "palletised", "coldchain:seals": [{"seal": "CN123456", "act": "applied"}]},
        )
    )
    assert [kind for kind, _ in event.sources] == ["possessing_party"]
    assert event.destinations == (("location", "room:w1/a"),)
    assert event.transactions == (("po", "urn:epcglobal:cbv:bt:6901234500011:A-7"),)
    assert event.extra("leg") == "palletised"
    assert event.extra("seals") == [{"act": "applied", "seal": "CN123456"}]
    assert event.extra("board") is None


def test_a_paper_under_a_name_of_the_ledger_is_a_subject_of_the_event() -> None:
    papers = [{"type": "po", "bizTransaction": f"urn:coldchain:{name}"} for name in ("decl:224820261012345678", "wb:7")]
    (event,) = decode_epcis(document(bizTransactionList=[*papers, {"bizTransaction": "urn:epcglobal:cbv:bt:1:2"}]))
    assert event.papers == ("decl:224820261012345678", "wb:7")
    assert set(event.papers) <= set(event.names)


def test_an_event_without_an_id_is_named_by_its_content() -> None:
    one, same, other = (decode_epcis(document(bizStep=step))[0] for step in ("loading", "loading", "unloading"))
    assert one.event_id == same.event_id != other.event_id


@pytest.mark.parametrize("data", [b"", b"\xff", b"[1]", b"{}", b'{"epcisBody": {"eventList": 5}}', b"[" * 100_000])
def test_what_is_no_document_is_refused_as_such(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_epcis(data)
