"""Valid documents: GS1's own, odd ones and ours; and the same document again from what was kept of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldchain.decoders.epcis import decode_epcis, decode_marked, read_document, validate_document, write_document
from coldchain.decoders.epcis_times import time_us
from coldchain.domain.events import Quantity
from coldchain_devices.plan import Capture, Publish
from coldchain_devices.scenario import load_scenario
from unit.epcis_documents import ADDRESS, CASE, CONTEXT, DATE, LOT, PALLET, SOUND, document, event, examples

TWICE = "sensor-attribute-twice"


def test_gs1s_47_documents_are_valid_and_survive_the_round_trip() -> None:
    for path in examples():
        data = path.read_bytes()
        checked = validate_document(data)
        assert [one.problems for one in checked.events] == [()] * len(checked.events), path.name
        kept = checked.document
        again = write_document([one.json for one in checked.events], kept.context_value, 0, kept.head)
        assert json.loads(again) == json.loads(data), path.name
        assert decode_epcis(again) == decode_epcis(data), path.name


def test_five_of_them_state_a_sensor_attribute_twice_and_are_marked() -> None:
    marked = [
        path.name for path in examples() if TWICE in dict(map(reversed, validate_document(path.read_bytes()).marks))
    ]  # type: ignore[arg-type]
    assert len(marked) == 5
    assert all(name.endswith("_all_possible_fields.jsonld") for name in marked)


def test_a_document_of_kept_events_can_be_written_anew() -> None:
    kept = [event(), event("AggregationEvent", eventID="urn:uuid:1")]
    written = json.loads(write_document(kept, CONTEXT, time_us("2026-03-02T09:10:11.123Z")))
    assert written == {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T09:10:11.123Z",
        "epcisBody": {"eventList": kept},
    }
    assert len(decode_epcis(json.dumps(written).encode())) == 2


@pytest.mark.parametrize("kind", SOUND)
def test_each_type_needs_no_more_than_this(kind: str) -> None:
    (read,) = decode_epcis(document(event(kind)))
    assert read.kind == kind


@pytest.mark.parametrize(
    "stated",
    [
        event(eventTime="2026-03-02T08:00:00.123456789+14:00", eventTimeZoneOffset="-14:00"),
        event(eventTime="0001-01-01T00:00:00Z"),
        event(bizStep="https://example.cn/steps/thawing", disposition="urn:example:cold"),
        event(bizStep="ex:thawing", bizTransactionList=[{"bizTransaction": "urn:x:1"}]),
        event(epcList=[], quantityList=[{"epcClass": LOT}]),
        event(epcList=None, quantityList=[{"epcClass": LOT, "quantity": 0}]),
        event(quantityList=[{"epcClass": LOT, "quantity": 12.0}, {"epcClass": LOT, "quantity": 0.5, "uom": "KGM"}]),
        event(epcList=None, readPoint={"id": "geo:42.698334,23.319941"}, sensorElementList=[
            {"sensorReport": [{"type": "Temperature", "uom": "CEL", "exception": "ERROR_CONDITION"}]}]),
        event(action="DELETE", epcList=["case:06901234000016/冻牛肉"]),
        event("AggregationEvent", action="OBSERVE", parentID=None),
        event("AggregationEvent", childEPCs=[CASE, CASE]),
        event("AggregationEvent", action="DELETE", childEPCs=None),
        event("AggregationEvent", childEPCs=None, childQuantityList=[{"epcClass": LOT, "quantity": 40}]),
        event("AssociationEvent", action="DELETE", childEPCs=[]),
        event("TransactionEvent", action="DELETE", epcList=None),
        event("TransactionEvent", epcList=None, parentID=PALLET),
        event("TransformationEvent", outputEPCList=None, transformationID="urn:epc:id:gdti:4012345.55555.1234"),
        event("TransformationEvent", ilmd={"ex:grade": {"plain": [1, None]}}),
        event(errorDeclaration={"declarationTime": DATE, "ex:who": "Li"}, certificationInfo=["https://a.example/1"]),
        event(persistentDisposition={"set": ["completeness_verified"], "unset": ["completeness_inferred"]}),
        event(**{"https://ns.example.org/note": 1, "urn:example:note": {"@id": "urn:x:1"}, "ex:none": None}),
        event(**{"@context": {"meat": "https://meat.example/"}, "meat:cut": {"meat:part": "loin"}}),
        event(sensorElementList=[{"sensorReport": [
            {"type": "ex:smell", "stringValue": ""}, {"type": "Dimensionless", "value": 0.05, "uom": "C35"},
            {"type": "gs1:Temperature", "value": 255.15, "uom": "KEL"}, {"type": "Count", "value": 3},
            {"type": "Angle", "value": 42.7, "component": "cbv:Comp-latitude", "uom": "DD"},
            {"type": "Mass", "meanValue": 1, "percRank": 50, "percValue": 1, "uom": "X9"}],
            "ex:door": {"open": False}}]),
        event(**{"coldchain:unheard": [1, 2], "coldchain:count": 0, "coldchain:linkedFrom": []}),
    ],
)  # fmt: skip
def test_an_unusual_event_is_valid(stated: dict[str, Any]) -> None:
    (checked,) = validate_document(document(stated)).events
    assert checked.problems == ()
    assert checked.marks == ()


@pytest.mark.parametrize(
    "data",
    [
        document(),
        document(event(), id="urn:x:1", sender="importer", receiver="customs", instanceIdentifier="7"),
        document(event(), epcisHeader={"epcisMasterData": {"vocabularyList": []}}, **{"ex:note": [1]}),
        document(event(), **{"@context": "https://gs1.github.io/EPCIS/epcis-context.jsonld"}),
        document(event(), **{"@context": [ADDRESS, "https://elsewhere.example/context.jsonld"]}),
        document(event(), **{"@context": [{"@version": 1.1, "ex": {"@id": "urn:x:"}, "note": None}, ADDRESS]}),
        document(event(), schemaVersion="2.0.1"),
        document(type="EPCISQueryDocument", schemaVersion=None, creationDate=None, epcisBody={
            "queryResults": {"queryName": "q", "resultsBody": {"eventList": [event()]}}}),
        json.dumps({"@context": CONTEXT, **event()}).encode(),
    ],
)  # fmt: skip
def test_an_unusual_document_is_valid(data: bytes) -> None:
    assert all(one.problems == () for one in validate_document(data).events)


def test_nothing_is_fetched_so_an_unknown_context_declares_no_prefix() -> None:
    context = [ADDRESS, "https://elsewhere.example/context.jsonld"]
    (checked,) = validate_document(document(event(**{"theirs:note": 1}), **{"@context": context})).events
    assert checked.problems == (
        ("/epcisBody/eventList/0/theirs:note", "expected a prefix declared in @context, found 'theirs:note'"),
    )


def test_a_sensor_attribute_stated_twice_is_accepted_and_marked_where_the_report_states_it() -> None:
    twice = {"sensorMetadata": {"time": DATE}, "sensorReport": [{"type": "Count", "time": DATE}, {"type": "Count"}]}
    events, quality = decode_marked(document(event(sensorElementList=[twice, twice])))
    assert len(events) == 1
    assert quality == {"marks": {TWICE: "/epcisBody/eventList/0/sensorElementList/0/sensorReport/0/time"}}


def test_of_a_key_named_twice_the_last_counts_and_the_document_is_marked() -> None:
    data = document(event(eventID="urn:x:2")).replace(b'"eventID"', b'"eventID": "urn:x:1", "eventID"')
    ((read,), quality) = decode_marked(data)
    assert read.event_id == "urn:x:2"
    assert quality == {"marks": {"key-twice": ""}}
    assert decode_marked(document(event(**{"ex:note": 'a": {"b": 1}, \\":'})))[1] is None


def test_identifiers_in_our_own_fields_get_their_canonical_names() -> None:
    own = {
        "coldchain:board": "urn:epc:id:grai:6901234.51001.7",
        "coldchain:seals": [{"seal": "CN1", "act": "applied", "unit": "urn:coldchain:cont:CSQU3054383", "class": "H"}],
        "coldchain:cartons": [{"case": CASE, "state": "opened", "inner": [CASE]}, {"case": CASE, "state": "intact"}],
        "coldchain:linkedFrom": [PALLET],
        "coldchain:vehicle": "TRUCK-1",
        "coldchain:grossWeight": {"value": 812.5, "uom": "KGM"},
    }
    (read,) = decode_epcis(document(event(**own)))
    case = "case:06901234000016/1"
    assert read.extra("board") == "grai:069012345100107"
    assert read.extra("seals") == [{"seal": "CN1", "act": "applied", "unit": "cont:CSQU3054383", "class": "H"}]
    assert read.extra("cartons") == [
        {"case": case, "state": "opened", "inner": [case]},
        {"case": case, "state": "intact"},
    ]
    assert read.extra("linkedFrom") == ["sscc:169012345000000025"]
    assert read.extra("vehicle") == "TRUCK-1"


def test_our_fields_are_known_by_their_namespace_whatever_its_prefix() -> None:
    context = [ADDRESS, {"c": "urn:coldchain:vocabulary:"}]
    (read,) = decode_epcis(document(event(**{"c:leg": "loose"}), **{"@context": context}))
    assert read.extra("leg") == "loose"


def test_the_lot_number_is_known_by_its_namespace_too() -> None:
    context = [ADDRESS, {"mda": "urn:epcglobal:cbv:mda:", "cbvmda": "https://elsewhere.example/"}]
    stated = event(action="ADD", ilmd={"cbvmda:lotNumber": "no", "mda:lotNumber": "BEEF-1"})
    (read,) = decode_epcis(document(stated, **{"@context": context}))
    assert read.lot == "BEEF-1"


def test_a_quantity_that_is_not_stated_is_not_nothing() -> None:
    (read,) = decode_epcis(document(event(quantityList=[{"epcClass": LOT}])))
    assert read.quantities == (Quantity("lot:06901234000016/L7", -1, ""),)


def test_an_event_without_an_id_has_its_hash_for_one_and_so_in_any_spelling() -> None:
    (plain,) = decode_epcis(document(event()))
    (spelled,) = decode_epcis(document(event(eventTime="2026-03-02T16:00:00+08:00", epcList=["case:06901234000016/1"])))
    (linked,) = decode_epcis(document(event(epcList=["https://x.example/01/06901234000016/21/1"])))
    assert plain == linked
    assert plain.event_id == plain.content
    assert plain.event_id.startswith("ni:///sha-256;")
    assert spelled.units == plain.units


@pytest.mark.parametrize("scenario", ["demo", "smoke"])
def test_whatever_our_own_devices_write_is_valid(scenario: str) -> None:
    plan = load_scenario(scenario).generate()
    bodies = [
        action.body
        for action in plan.actions
        if isinstance(action, Capture) or (isinstance(action, Publish) and action.typ == "epcis+json")
    ]
    assert bodies
    for body in bodies:
        assert [one.problems for one in validate_document(body).events] == [()]
        assert read_document(body).marks == ()
