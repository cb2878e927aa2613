"""What is no valid EPCIS document, each with the JSON pointer of its fault and the reason told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldchain.decoders.epcis import DocumentError, decode_epcis, validate_document
from unit.epcis_documents import ADDRESS, CASE, CONTEXT, DATE, LOT, PALLET, document, event

A = "/epcisBody/eventList/0"
STATION = {"id": "urn:coldchain:loc:w1/dock"}


def report(**stated: Any) -> dict[str, Any]:
    return {"sensorElementList": [{"sensorReport": [{"type": "Temperature", "value": -18.5, "uom": "CEL", **stated}]}]}


EVENTS: list[tuple[dict[str, Any], str, str]] = [
    # what every event states
    (event(eventTime=None), "eventTime", "expected in every ObjectEvent, found nothing"),
    (event(eventTime="2026-03-02T08:00:00"), "eventTime", "expected a date and time with offset"),
    (event(eventTime="2026-03-02 08:00:00Z"), "eventTime", "expected a date and time with offset"),
    (event(eventTime="2026-13-02T08:00:00Z"), "eventTime", "month must be in 1..12"),
    (event(eventTime="2026-02-30T08:00:00Z"), "eventTime", "day is out of range for month"),
    (event(eventTime="2026-03-02T08:00:00+14:30"), "eventTime", "expected a date and time with offset"),
    (event(eventTime="2026-03-02T08:00:00-00"), "eventTime", "expected a date and time with offset"),
    (event(eventTime="20260302T080000Z"), "eventTime", "expected a date and time with offset"),
    (event(eventTime=1_772_438_400), "eventTime", "found '1772438400'"),
    (event(recordTime="yesterday"), "recordTime", "found 'yesterday'"),
    (event(eventTimeZoneOffset=None), "eventTimeZoneOffset", "expected in every ObjectEvent, found nothing"),
    (event(eventTimeZoneOffset="Z"), "eventTimeZoneOffset", "expected an offset from -14:00 to +14:00"),
    (event(eventTimeZoneOffset="+8:00"), "eventTimeZoneOffset", "found '+8:00'"),
    (event(eventTimeZoneOffset="+14:01"), "eventTimeZoneOffset", "found '+14:01'"),
    (event(eventTimeZoneOffset=8), "eventTimeZoneOffset", "found 8"),
    (event(eventID="event 1"), "eventID", "expected a URI, found 'event 1'"),
    (event(eventID="7f254389"), "eventID", "expected a URI, found '7f254389'"),
    (event(certificationInfo=["https://a.example/1", "two"]), "certificationInfo/1", "expected a URI, found 'two'"),
    (event(certificationInfo=1), "certificationInfo", "expected a URI, found 1"),
    (event(action=None), "action", "expected in every ObjectEvent, found nothing"),
    (event(action="MOVE"), "action", "expected ADD, OBSERVE or DELETE, found 'MOVE'"),
    (event(action="add"), "action", "expected ADD, OBSERVE or DELETE, found 'add'"),
    ({"type": "StrangeEvent"}, "type", "expected one of ObjectEvent"),
    ({"eventTime": DATE}, "type", "found nothing"),
    # the vocabulary
    (event(bizStep="flying"), "bizStep", "expected a CBV business step or the URI of another, found 'flying'"),
    (event(bizStep="Loading"), "bizStep", "found 'Loading'"),
    (event(bizStep="urn:epcglobal:cbv:bizstep:flying"), "bizStep", "expected a CBV business step"),
    (event(bizStep="urn:epcglobal:cbv:disp:active"), "bizStep", "expected a CBV business step"),
    (event(bizStep="cbv:BizStep-flying"), "bizStep", "expected a CBV business step"),
    (event(bizStep="x:my step"), "bizStep", "expected a CBV business step"),
    (event(bizStep=["loading"]), "bizStep", "found an array"),
    (event(disposition="fresh"), "disposition", "expected a CBV disposition or the URI of another, found 'fresh'"),
    (event(disposition="https://ref.gs1.org/cbv/Disp-fresh"), "disposition", "expected a CBV disposition"),
    (event(disposition=""), "disposition", "found ''"),
    (event(persistentDisposition={"set": ["fresh"]}), "persistentDisposition/set/0", "found 'fresh'"),
    (event(persistentDisposition={"set": []}), "persistentDisposition/set", "expected at least one member"),
    (event(persistentDisposition={}), "persistentDisposition", "expected set, unset or both"),
    (event(persistentDisposition={"add": ["active"]}), "persistentDisposition/add", "expected only set, unset"),
    (event(persistentDisposition={"set": ["recalled"], "unset": ["recalled"]}), "persistentDisposition/unset",
     "expected other dispositions than are set, found 'recalled'"),
    (event(persistentDisposition={"set": ["recalled", "recalled"]}), "persistentDisposition/set/1",
     "expected each once, found 'recalled' again"),
    (event(bizTransactionList=[{"type": "order", "bizTransaction": "urn:x:1"}]), "bizTransactionList/0/type",
     "expected a CBV business transaction type"),
    (event(bizTransactionList=[{"type": "po"}]), "bizTransactionList/0/bizTransaction", "found nothing"),
    (event(bizTransactionList=[{"bizTransaction": "4711"}]), "bizTransactionList/0/bizTransaction", "expected a URI"),
    (event(bizTransactionList=[{"bizTransaction": "urn:x:1", "date": DATE}]), "bizTransactionList/0/date",
     "expected only type, bizTransaction in a business transaction"),
    (event(bizTransactionList=[{"bizTransaction": "urn:coldchain:decl:7"}]), "bizTransactionList/0/bizTransaction",
     "'urn:coldchain:decl:7' at character"),
    (event(sourceList=[{"source": "urn:x:1"}]), "sourceList/0/type", "expected in a source, found nothing"),
    (event(sourceList=[{"type": "owner", "source": "urn:x:1"}]), "sourceList/0/type", "found 'owner'"),
    (event(destinationList=[{"type": "location", "source": "urn:x:1"}]), "destinationList/0/destination",
     "expected in a destination, found nothing"),
    (event(destinationList={"type": "location"}), "destinationList", "expected an array, found an object"),
    (event(errorDeclaration={"reason": "did_not_occur"}), "errorDeclaration/declarationTime", "found nothing"),
    (event(errorDeclaration={"declarationTime": DATE, "reason": "oops"}), "errorDeclaration/reason",
     "expected a CBV error reason or the URI of another, found 'oops'"),
    (event(errorDeclaration={"declarationTime": "2026-03-02"}), "errorDeclaration/declarationTime", "with offset"),
    (event(errorDeclaration={"declarationTime": DATE, "correctiveEventIDs": ["1"]}),
     "errorDeclaration/correctiveEventIDs/0", "expected a URI"),
    (event(errorDeclaration="wrong"), "errorDeclaration", "expected an object, found 'wrong'"),
    # goods and places
    (event(epcList=["urn:epc:id:sscc:061414I.1234567890"]), "epcList/0", "'urn:epc:id:sscc:061414I.1234567890'"),
    (event(epcList=["https://id.gs1.org/00/169012345000000026"]), "epcList/0", "check digit 5"),
    (event(epcList=[CASE, CASE]), "epcList/1", "expected each once"),
    (event(epcList=[17]), "epcList/0", "expected a URI, found 17"),
    (event(epcList=["carton 1"]), "epcList/0", "expected a URI, found 'carton 1'"),
    (event(epcList={"0": CASE}), "epcList", "expected an array, found an object"),
    (event(epcList=[]), "epcList", "expected EPCs, quantities or sensor elements, found none of them"),
    (event(epcList=None), "epcList", "expected EPCs, quantities or sensor elements, found none of them"),
    (event(epcList=None, **report()), "readPoint", "expected where sensor elements stand without EPCs"),
    (event(quantityList=[{"quantity": 1}]), "quantityList/0/epcClass", "expected in a quantity, found nothing"),
    (event(quantityList=[{"epcClass": LOT, "quantity": "ten"}]), "quantityList/0/quantity", "expected a number"),
    (event(quantityList=[{"epcClass": LOT, "quantity": 1e300}]), "quantityList/0/quantity", "a number below 2^43"),
    (event(quantityList=[{"epcClass": LOT, "quantity": True}]), "quantityList/0/quantity", "found true or false"),
    (event(quantityList=[{"epcClass": LOT, "quantity": -1}]), "quantityList/0/quantity", "no quantity below zero"),
    (event(quantityList=[{"epcClass": LOT, "quantity": 2.5}]), "quantityList/0/quantity",
     "expected a whole number where no uom is stated, found 2.5"),
    (event(quantityList=[{"epcClass": LOT, "uom": "KGM"}]), "quantityList/0/quantity", "expected a quantity beside"),
    (event(quantityList=[{"epcClass": LOT, "quantity": 1, "uom": "kg"}]), "quantityList/0/uom", "UN/ECE unit code"),
    (event(quantityList=[{"epcClass": LOT, "quantity": 1, "unit": "KGM"}]), "quantityList/0/unit", "expected only"),
    (event(readPoint="urn:coldchain:loc:w1"), "readPoint", "expected an object, found 'urn:coldchain:loc:w1'"),
    (event(readPoint={}), "readPoint/id", "expected in a place, found nothing"),
    (event(readPoint={"id": 17}), "readPoint/id", "expected a URI, found 17"),
    (event(bizLocation={**STATION, "name": "dock"}), "bizLocation/name", "or a name with a prefix, found 'name'"),
    # what the types ask
    (event("AggregationEvent", parentID=None), "parentID", "expected with action ADD, found nothing"),
    (event("AggregationEvent", parentID=None, action="DELETE"), "parentID", "expected with action DELETE"),
    (event("AggregationEvent", childEPCs=None), "childEPCs", "expected children with action ADD, found none"),
    (event("AggregationEvent", childEPCs=[], action="OBSERVE"), "childEPCs", "expected children with action OBSERVE"),
    (event("AggregationEvent", epcList=[CASE]), "epcList", "expected a field of AggregationEvent or a name with"),
    (event("AggregationEvent", ilmd={"cbvmda:lotNumber": "A"}), "ilmd", "expected a field of AggregationEvent"),
    (event("AssociationEvent", parentID=None), "parentID", "expected in every AssociationEvent, found nothing"),
    (event("AssociationEvent", parentID=None, action="DELETE"), "parentID", "expected in every AssociationEvent"),
    (event("AssociationEvent", childEPCs=None), "childEPCs", "expected children with action ADD, found none"),
    (event("AssociationEvent", childEPCs=None, action="OBSERVE"), "childEPCs", "expected children with action"),
    (event("TransactionEvent", bizTransactionList=None), "bizTransactionList", "at least one business transaction"),
    (event("TransactionEvent", bizTransactionList=[]), "bizTransactionList", "at least one business transaction"),
    (event("TransactionEvent", epcList=None), "epcList", "expected EPCs, quantities or a parent, found none"),
    (event("TransformationEvent", action="ADD"), "action", "expected a field of TransformationEvent or a name"),
    (event("TransformationEvent", inputEPCList=None), "inputEPCList", "expected inputs or a transformationID"),
    (event("TransformationEvent", outputEPCList=None), "outputEPCList", "expected outputs or a transformationID"),
    (event("TransformationEvent", inputEPCList=None, outputEPCList=None, transformationID="urn:x:1"), "inputEPCList",
     "expected inputs or outputs, found neither"),
    (event("TransformationEvent", transformationID="7"), "transformationID", "expected a URI, found '7'"),
    # master data and extensions
    (event(action="ADD", ilmd={"lotNumber": "A"}), "ilmd/lotNumber", "expected a name of cbvmda: or a name with a"),
    (event(action="ADD", ilmd={"meat:cut": "A"}), "ilmd/meat:cut", "expected a prefix declared in @context"),
    (event(action="ADD", ilmd={"cbvmda:lotNumber": 7}), "ilmd/cbvmda:lotNumber", "expected text"),
    (event(action="ADD", ilmd={"cbvmda:lotNumber": "A\0"}), "ilmd/cbvmda:lotNumber", "without control characters"),
    (event(action="ADD", ilmd=["A"]), "ilmd", "expected an object, found an array"),
    (event(ilmd={"cbvmda:lotNumber": "A"}), "ilmd", "expected with action ADD only, found 'OBSERVE'"),
    (event(note="hello"), "note", "expected a field of ObjectEvent or a name with a prefix, found 'note'"),
    (event(**{"my:note": 1}), "my:note", "expected a prefix declared in @context, found 'my:note'"),
    (event(**{"ex:note": {"a": [{"my:x/y~z": 1}]}}), "ex:note/a/0/my:x~1y~0z", "expected a prefix declared"),
    (event(**{"@id": "urn:x:1"}), "@id", "expected a field of ObjectEvent or a name with a prefix, found '@id'"),
    (event(**{"@context": {"cbv": "https://elsewhere.example/"}}), "@context/cbv", "the standard context protects"),
    # sensors
    (event(sensorElementList=[{}]), "sensorElementList/0/sensorReport", "expected in a sensorElement, found nothing"),
    (event(sensorElementList=[{"sensorReport": []}]), "sensorElementList/0/sensorReport", "at least one member"),
    (event(sensorElementList=[{"sensorReport": [{"value": 1}]}]), "sensorElementList/0/sensorReport/0/type", "nothing"),
    (event(sensorElementList=[{"sensorMetadata": {"start": DATE}, "sensorReport": [{"type": "Time"}]}]),
     "sensorElementList/0/sensorMetadata/start", "or a name with a prefix, found 'start'"),
    (event(sensorElementList=[{"sensorMetadata": {"startTime": "9:00"}, "sensorReport": [{"type": "Time"}]}]),
     "sensorElementList/0/sensorMetadata/startTime", "with offset"),
    (event(**report(type="Coldness")), "sensorElementList/0/sensorReport/0/type", "expected a measurement type"),
    (event(**report(type="gs1:Coldness")), "sensorElementList/0/sensorReport/0/type", "expected a measurement type"),
    (event(**report(exception="ALARM")), "sensorElementList/0/sensorReport/0/exception", "expected a sensor alert"),
    (event(**report(component="w")), "sensorElementList/0/sensorReport/0/component", "expected a CBV component"),
    (event(**report(uom="KGM")), "sensorElementList/0/sensorReport/0/uom", "'KGM', one of Mass"),
    (event(**report(uom="°C")), "sensorElementList/0/sensorReport/0/uom", "UN/ECE unit code"),
    (event(sensorElementList=[{"sensorReport": [{"type": "Temperature", "value": 1}]}]),
     "sensorElementList/0/sensorReport/0/uom", "expected a unit beside a number of type Temperature"),
    (event(**report(value="-18")), "sensorElementList/0/sensorReport/0/value", "expected a number below 2^43"),
    (event(**report(booleanValue="true")), "sensorElementList/0/sensorReport/0/booleanValue", "true or false"),
    (event(**report(hexBinaryValue="0x1F")), "sensorElementList/0/sensorReport/0/hexBinaryValue", "hexadecimal"),
    (event(**report(uriValue="here")), "sensorElementList/0/sensorReport/0/uriValue", "expected a URI"),
    (event(**report(percRank=50)), "sensorElementList/0/sensorReport/0", "expected percRank and percValue together"),
    (event(**report(reading=1)), "sensorElementList/0/sensorReport/0/reading", "or a name with a prefix"),
    (event(**report(time="noon")), "sensorElementList/0/sensorReport/0/time", "found 'noon'"),
    # our own fields
    (event(**{"coldchain:seals": {"seal": "A"}}), "coldchain:seals", "expected an array, found an object"),
    (event(**{"coldchain:seals": [{"seal": "A"}]}), "coldchain:seals/0/act", "expected in a seal, found nothing"),
    (event(**{"coldchain:seals": [{"act": "applied"}]}), "coldchain:seals/0/seal", "expected in a seal"),
    (event(**{"coldchain:seals": [{"seal": "A", "act": "cut"}]}), "coldchain:seals/0/act", "applied, checked or"),
    (event(**{"coldchain:seals": [{"seal": "A", "act": "applied", "class": "X"}]}), "coldchain:seals/0/class", "H, S"),
    (event(**{"coldchain:seals": [{"seal": "A", "act": "checked", "state": "ok"}]}), "coldchain:seals/0/state", "'ok'"),
    (event(**{"coldchain:seals": [{"seal": "A", "act": "checked", "unit": "x"}]}), "coldchain:seals/0/unit", "a URI"),
    (event(**{"coldchain:leg": "on pallets"}), "coldchain:leg", "expected palletised, loose or unstated"),
    (event(**{"coldchain:board": PALLET}), "coldchain:board", "expected the GRAI of a pallet board"),
    (event(**{"coldchain:board": "urn:epc:id:grai:6901234.1"}), "coldchain:board", "urn:epc:id:grai:6901234.1"),
    (event(**{"coldchain:count": 12.5}), "coldchain:count", "expected a whole number of cases, found 12.5"),
    (event(**{"coldchain:count": -1}), "coldchain:count", "expected a whole number of cases, found -1"),
    (event(**{"coldchain:grossWeight": 512}), "coldchain:grossWeight", "expected an object, found 512"),
    (event(**{"coldchain:grossWeight": {"value": 1}}), "coldchain:grossWeight/uom", "expected in a weight"),
    (event(**{"coldchain:grossWeight": {"value": 1, "uom": "LTR"}}), "coldchain:grossWeight/uom", "a unit of Mass"),
    (event(**{"coldchain:grossWeight": {"value": -1, "uom": "KGM"}}), "coldchain:grossWeight/value", "below zero"),
    (event(**{"coldchain:cartons": [{"case": CASE}]}), "coldchain:cartons/0/state", "expected in a carton"),
    (event(**{"coldchain:cartons": [{"case": CASE, "state": "wet"}]}), "coldchain:cartons/0/state", "found 'wet'"),
    (event(**{"coldchain:cartons": [{"case": CASE, "state": "opened", "inner": ["x"]}]}),
     "coldchain:cartons/0/inner/0", "expected a URI, found 'x'"),
    (event(**{"coldchain:linkedFrom": CASE}), "coldchain:linkedFrom", "expected an array"),
    (event(**{"coldchain:vehicle": ""}), "coldchain:vehicle", "expected text"),
    (event(**{"coldchain:driver": "d" * 257}), "coldchain:driver", "expected at most 256 characters, found 257"),
]  # fmt: skip


@pytest.mark.parametrize(("stated", "place", "reason"), EVENTS)
def test_an_invalid_event_is_refused_at_its_fault(stated: dict[str, Any], place: str, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        decode_epcis(document(stated))
    assert refused.value.pointer == f"{A}/{place}"
    assert reason in refused.value.problem
    assert str(refused.value) == f"{A}/{place}: {refused.value.problem}"


DOCUMENTS: list[tuple[bytes, str, str]] = [
    (document(**{"@context": None}), "/@context", "expected the standard EPCIS context, found nothing"),
    (document(**{"@context": {"ex": "https://ns.example.com/"}}), "/@context", "expected the standard context"),
    (document(**{"@context": "https://ref.gs1.org/standards/epcis/1.2/epcis-context.jsonld"}), "/@context", "standard"),
    (document(**{"@context": [ADDRESS, 7]}), "/@context/1", "expected the address of a context or an object"),
    (document(**{"@context": [ADDRESS, "no address"]}), "/@context/1", "expected the address of a context"),
    (document(**{"@context": [ADDRESS, {"ex": "nowhere"}]}), "/@context/1/ex", "expected the URI of a namespace"),
    (document(**{"@context": [ADDRESS, {"gs1": "https://x.example/"}]}), "/@context/1/gs1", "context protects"),
    (document(**{"@context": [ADDRESS, {"@loud": True}]}), "/@context/1/@loud", "expected a keyword of JSON-LD 1.1"),
    (document(**{"@context": [ADDRESS, {"a b": "urn:x:"}]}), "/@context/1/a b", "expected a prefix without slash"),
    (document(type="EPCISThing"), "/type", "expected EPCISDocument, EPCISQueryDocument or one of"),
    (document(type=["EPCISDocument"]), "/type", "found an array"),
    (document(schemaVersion=None), "/schemaVersion", "expected in an EPCISDocument, found nothing"),
    (document(schemaVersion="1.2"), "/schemaVersion", "expected schema version 2.0, found '1.2'"),
    (document(schemaVersion=2.0), "/schemaVersion", "expected schema version 2.0, found 2.0"),
    (document(creationDate=None), "/creationDate", "expected in an EPCISDocument, found nothing"),
    (document(creationDate="2026-03-02"), "/creationDate", "with offset"),
    (document(id="document 1"), "/id", "expected a URI"),
    (document(sender=17), "/sender", "expected text"),
    (document(comment="hello"), "/comment", "or a name with a prefix, found 'comment'"),
    (document(epcisBody=None), "/epcisBody", "expected in an EPCISDocument, found nothing"),
    (document(epcisBody=[]), "/epcisBody", "expected an object, found an array"),
    (document(epcisBody={}), "/epcisBody/eventList", "expected in epcisBody, found nothing"),
    (document(epcisBody={"eventList": {}}), "/epcisBody/eventList", "expected an array of events, found an object"),
    (document(type="EPCISQueryDocument"), "/epcisBody/queryResults", "expected in epcisBody, found nothing"),
    (document(type="EPCISQueryDocument", epcisBody={"queryResults": {"resultsBody": {"eventList": []}}}),
     "/epcisBody/queryResults/queryName", "expected in queryResults, found nothing"),
    (document("event"), f"{A}", "expected an event object, found 'event'"),
    (json.dumps(event()).encode(), "/@context", "expected the standard EPCIS context, found nothing"),
    (json.dumps({"@context": CONTEXT, **event(action="MOVE")}).encode(), "/action", "found 'MOVE'"),
    (json.dumps([{"@context": CONTEXT, **event()}]).encode(), "", "expected an object, found an array"),
    (b"", "", "expected a JSON document in UTF-8"),
    (b"\xff\xfe", "", "expected a JSON document in UTF-8"),
    (document(event()).decode().encode("utf-16"), "", "expected a JSON document in UTF-8"),
    (b"\xef\xbb\xbf" + document(event()), "", "expected a JSON document in UTF-8"),
    (document(event())[:-1], "", "expected a JSON document in UTF-8"),
    (document(event()).replace(b"OBSERVE", b"\\ud800"), "", "expected a JSON document in UTF-8"),
    (document(event(**{"ex:n": 0})).replace(b'"ex:n": 0', b'"ex:n": 1e999'), "", "expected a JSON document in UTF-8"),
    (document(event(**{"ex:n": 0})).replace(b'"ex:n": 0', b'"ex:n": NaN'), "", "expected a JSON document in UTF-8"),
    (document(event(**{"ex:n": 0})).replace(b'"ex:n": 0', b'"ex:n": ' + b"[" * 99 + b"]" * 99), "", "at most 64 deep"),
    (b"[" * 100_000, "", "at most 64 deep"),
    (b"{}", "/@context", "found nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "pointer", "reason"), DOCUMENTS)
def test_what_is_no_document_is_refused_at_its_fault(data: bytes, pointer: str, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        decode_epcis(data)
    assert refused.value.pointer == pointer
    assert reason in refused.value.problem


def test_the_tables_hold_no_fewer_than_sixty_documents() -> None:
    assert len(EVENTS) + len(DOCUMENTS) >= 60


def test_each_event_of_a_document_is_told_all_that_is_wrong_with_it() -> None:
    bad = event(bizStep="flying", eventTime="noon", note=1)
    checked = validate_document(document(event(), bad, event(action="ADD")), "polar")
    assert [one.event is not None for one in checked.events] == [True, False, True]
    assert [pointer for pointer, _ in checked.events[1].problems] == [
        "/epcisBody/eventList/1/eventTime", "/epcisBody/eventList/1/bizStep", "/epcisBody/eventList/1/note"
    ]  # fmt: skip
    assert checked.events[1].json == bad
    assert checked.events[2].event is not None
    assert checked.events[2].event.by == "polar"


def test_whoever_has_a_thousand_faults_is_told_the_first_twenty() -> None:
    (checked,) = validate_document(document(event(epcList=["x"] * 1_000))).events
    assert len(checked.problems) == 20
    assert checked.problems[0][0] == f"{A}/epcList/0"


def test_a_value_without_end_is_quoted_in_part() -> None:
    (checked,) = validate_document(document(event(bizStep="x" * 40_000))).events
    assert len(checked.problems[0][1]) < 250
